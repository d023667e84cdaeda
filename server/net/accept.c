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

#include "server/net/net.h"

/* Newcomers of one turn: those who are already here wait no longer than that. */
#define ACCEPT_AT_ONCE  64
#define ACCEPT_RETRY_MS 250
/* Between two lines of log: each connection that ends leads to an attempt. */
#define COMPLAIN_MS     1000

static void
poll_listeners(struct net *net)
{
	struct listener *l;

	net->accept_retry_ms = 0;
	net->room = false;
	TAILQ_FOREACH(l, &net->listeners, entry) {
		/* Exclusive: of several instances on one socket only one wakes up. */
		struct epoll_event ev = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = l};

		if (!l->polled && l->fd >= 0)
			l->polled = epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) == 0;
		if (!l->polled && l->fd >= 0) /* no memory for it: another time */
			net->accept_retry_ms = *net->now_ms + ACCEPT_RETRY_MS;
	}
}

static void
unpoll(struct net *net)
{
	struct listener *l;

	TAILQ_FOREACH(l, &net->listeners, entry) {
		if (l->polled)
			epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
		l->polled = false;
	}
}

/* Lets the listeners rest; newcomers wait in the kernel's queue. */
static void
pause_accepting(struct net *net)
{
	unpoll(net);
	net->room = false;
	counter_add(net->counters, COUNTER_ACCEPT_PAUSED);
	net->accept_retry_ms = *net->now_ms + ACCEPT_RETRY_MS;
}

int64_t
accept_expire(struct net *net)
{
	bool due = net->room || *net->now_ms >= net->accept_retry_ms;

	if (net->accept_retry_ms != 0 && net->accepting_on && due)
		poll_listeners(net);
	return net->accept_retry_ms != 0 ? net->accept_retry_ms : INT64_MAX;
}

void
accept_begin(struct net *net)
{
	net->accepting_on = true;
	poll_listeners(net);
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
make_room(struct net *net)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &net->oldest, oldest_entry)
		if (account_unread(&c->wire) == 0 && !account_partial(&c->wire)) {
			counter_add(net->counters, COUNTER_CONNECTIONS_MAX);
			conn_advance(c, CONN_EV_CUT);
			return;
		}
}

static int
accept_one(struct net *net, struct listener *l)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(peer);
	struct http_conn *c;
	int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	c = conn_new(net, l, fd);
	if (c == NULL) {
		close(fd);
		return -ENOMEM;
	}
	c->wire.peer = peer;
	c->wire.peer_len = len;
	peer_format(&peer, c->wire.peer_text);
	if (!address_count(net->addresses, c)) {
		counter_add(net->counters, COUNTER_CONNECTIONS_PER_ADDRESS);
		(void)send(fd, HTTP_429_CLOSE, strlen(HTTP_429_CLOSE), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)linger_start(net, fd);
		close(fd);
		conn_lost(&c->wire);
		return 0;
	}
	account_open(&c->wire);
	counter_add(net->counters, COUNTER_CONNECTIONS);
	return parser_add(&c->wire); /* which forgets the address again if it fails */
}

static void
complain(struct net *net, const struct listener *l, int err)
{
	if (net->accept_complained_ms != 0 &&
	    *net->now_ms - net->accept_complained_ms < COMPLAIN_MS)
		return;
	net->accept_complained_ms = *net->now_ms;
	log_line(LOG_WARNING, "cannot accept on %s: %s; trying again in %d ms", l->name,
	    strerror(-err), ACCEPT_RETRY_MS);
}

static void
accept_from(struct net *net, struct listener *l, int most)
{
	for (int i = 0; i < most; i++) {
		int err;

		if (net->conns_n + net->in_n[CONN_LIST_HELD] >= (size_t)net->set->connections_max) {
			if (!newcomer_waits(l))
				return;
			make_room(net);
			pause_accepting(net);
			return;
		}
		files_fit(net);
		err = accept_one(net, l);
		if (err == -EAGAIN)
			return;
		if (err == -EMFILE && (files_raise(net) || linger_make_room(net)))
			continue; /* the newcomer waits in the kernel's queue */
		if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS) {
			complain(net, l, err);
			pause_accepting(net);
			return;
		}
		/* Anything else is the newcomer's own trouble (ECONNABORTED and the like). */
	}
}

void
accept_ready(struct net *net, struct listener *l)
{
	accept_from(net, l, ACCEPT_AT_ONCE);
}

/*
 * Stops for now, and keeps the sockets. Of who has connected before, the successor may not have
 * been told, since only one of the two is: so they are taken in, and given away later.
 */
void
accept_rest(struct net *net)
{
	struct listener *l;

	net->accepting_on = false;
	unpoll(net);
	TAILQ_FOREACH(l, &net->listeners, entry)
		accept_from(net, l, (int)net->set->backlog);
	net->accept_retry_ms = 0;
}

/* Asks anew who waits: another process was told of them, and died. */
void
accept_again(struct net *net)
{
	if (!net->accepting_on)
		return;
	unpoll(net);
	poll_listeners(net);
}

bool
accept_go_on(struct net *net)
{
	if (TAILQ_FIRST(&net->listeners)->fd < 0)
		return false;
	accept_begin(net);
	return true;
}

/*
 * Takes in who has already connected, for nobody else may ever do so. If our descriptors are
 * closed, the queue may have others'.
 */
void
accept_stop(struct net *net, bool keep)
{
	struct listener *l;

	net->accepting_on = false;
	unpoll(net);
	TAILQ_FOREACH(l, &net->listeners, entry) {
		if (l->fd < 0)
			continue; /* of a spare that has never served */
		accept_from(net, l, (int)net->set->backlog);
		if (keep)
			continue;
		close(l->fd);
		l->fd = -1;
	}
	net->accept_retry_ms = 0;
}
