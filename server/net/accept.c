/* SPDX-License-Identifier: MIT */
/*
 * Accepting. The parser's own listener would forget a newcomer at its limit and spin without
 * file descriptors; here, at our limit the connection that was idle for longest makes room,
 * and without descriptors the listeners rest until one is closed or a moment has passed.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

/* Newcomers of one turn: those who are already here wait no longer than that. */
#define ACCEPT_AT_ONCE  64
#define ACCEPT_RETRY_MS 250
/* Between two lines of log: each connection that ends leads to an attempt. */
#define COMPLAIN_MS     1000

void
accept_poll(struct http_server *s)
{
	struct listener *l;

	s->accept_retry_ms = 0;
	TAILQ_FOREACH(l, &s->listeners, entry) {
		/* Exclusive: of several instances on one socket only one wakes up. */
		struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = l};

		if (!l->polled && l->fd >= 0)
			l->polled = epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) == 0;
		if (!l->polled && l->fd >= 0) /* no memory for it: another time */
			s->accept_retry_ms = s->now_ms + ACCEPT_RETRY_MS;
	}
}

static void
unpoll(struct http_server *s)
{
	struct listener *l;

	TAILQ_FOREACH(l, &s->listeners, entry) {
		if (l->polled)
			epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
		l->polled = false;
	}
}

/* Lets the listeners rest; newcomers wait in the kernel's queue. */
static void
pause_accepting(struct http_server *s)
{
	unpoll(s);
	counter_add(&s->counters, COUNTER_ACCEPT_PAUSED);
	s->accept_retry_ms = s->now_ms + ACCEPT_RETRY_MS;
}

void
accept_resume(struct http_server *s)
{
	if (s->accept_retry_ms != 0 && s->accepting_on)
		accept_poll(s);
}

/* Is there anybody to make room for? */
static bool
newcomer_waits(const struct listener *l)
{
	struct pollfd pfd = {.fd = l->fd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

/* Makes room by ending the connection that was idle for longest, if no request has begun. */
static void
make_room(struct http_server *s)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &s->oldest, oldest_entry)
		if (!c->wire.cut && account_unread(&c->wire) == 0 && !account_partial(&c->wire)) {
			counter_add(&s->counters, COUNTER_CONNECTIONS_MAX);
			conn_cut(c);
			return;
		}
}

static int
accept_one(struct http_server *s, struct listener *l)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(peer);
	struct http_conn *c;
	int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	c = conn_new(s, l, fd);
	if (c == NULL) {
		close(fd);
		return -ENOMEM;
	}
	c->wire.peer = peer;
	c->wire.peer_len = len;
	peer_format(&peer, c->wire.peer_text);
	if (!address_count(s->addresses, c)) {
		counter_add(&s->counters, COUNTER_CONNECTIONS_PER_ADDRESS);
		(void)send(fd, HTTP_429_CLOSE, strlen(HTTP_429_CLOSE), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)linger_start(s, fd);
		close(fd);
		talloc_free(c);
		return 0;
	}
	account_open(&c->wire);
	counter_add(&s->counters, COUNTER_CONNECTIONS);
	return parser_add(&c->wire); /* which forgets the address again if it fails */
}

static void
complain(struct http_server *s, const struct listener *l, int err)
{
	if (s->accept_complained_ms != 0 && s->now_ms - s->accept_complained_ms < COMPLAIN_MS)
		return;
	s->accept_complained_ms = s->now_ms;
	log_line(LOG_WARNING, "cannot accept on %s: %s; trying again in %d ms", l->name,
	    strerror(-err), ACCEPT_RETRY_MS);
}

static void
accept_from(struct http_server *s, struct listener *l, int most)
{
	for (int i = 0; i < most; i++) {
		int err;

		if (s->conns_n + s->held_n >= (size_t)s->set.connections_max) {
			if (!newcomer_waits(l))
				return;
			make_room(s);
			pause_accepting(s);
			return;
		}
		files_fit(s);
		err = accept_one(s, l);
		if (err == -EAGAIN)
			return;
		if (err == -EMFILE && (files_raise(s) || linger_make_room(s)))
			continue; /* the newcomer waits in the kernel's queue */
		if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS) {
			complain(s, l, err);
			pause_accepting(s);
			return;
		}
		/* Anything else is the newcomer's own trouble (ECONNABORTED and the like). */
	}
}

void
accept_ready(struct http_server *s, struct listener *l)
{
	accept_from(s, l, ACCEPT_AT_ONCE);
}

/*
 * Stops for now, and keeps the sockets. Of who has connected before, the successor may not have
 * been told, since only one of the two is: so they are taken in, and given away later.
 */
void
accept_rest(struct http_server *s)
{
	struct listener *l;

	s->accepting_on = false;
	unpoll(s);
	TAILQ_FOREACH(l, &s->listeners, entry)
		accept_from(s, l, (int)s->set.backlog);
	s->accept_retry_ms = 0;
}

/* Asks anew who waits: another process was told of them, and died. */
void
accept_again(struct http_server *s)
{
	if (!s->accepting_on)
		return;
	unpoll(s);
	accept_poll(s);
}

/*
 * Takes in who has already connected, for nobody else may ever do so. Where somebody can still
 * call the drain off, our descriptors stay open; the queue has others' anyway.
 */
void
accept_stop(struct http_server *s)
{
	struct listener *l;

	s->accepting_on = false;
	unpoll(s);
	TAILQ_FOREACH(l, &s->listeners, entry) {
		if (l->fd < 0)
			continue; /* of a spare that has never served */
		accept_from(s, l, (int)s->set.backlog);
		if (s->give_fd >= 0)
			continue;
		close(l->fd);
		l->fd = -1;
	}
	s->accept_retry_ms = 0;
}
