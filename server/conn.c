/* SPDX-License-Identifier: MIT */
/*
 * Connections: who is idle since when, whose peer has gone, and who has to go. The parser
 * owns the fd; we end a connection by shutting it down, which the parser notices.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "server/internal.h"

struct http_conn *
conn_new(struct http_server *s, const struct listener *l, int fd)
{
	struct http_conn *c = talloc_zero(s, struct http_conn);

	if (c == NULL)
		return NULL;
	c->source = SOURCE_CONN;
	c->server = s;
	c->listener = l;
	c->fd = fd;
	return c;
}

void
conn_watch(struct http_conn *c)
{
	/* The parser misses an end that arrives together with the last data, so the end has an
	 * event of its own; edge-triggered, it costs nothing while requests come. */
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	epoll_ctl(c->server->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void
leave_list(struct http_conn *c)
{
	if (c->in == &c->server->idle)
		TAILQ_REMOVE(&c->server->oldest, c, oldest_entry);
	TAILQ_REMOVE(c->in, c, list_entry);
}

void
conn_move(struct http_conn *c, struct http_conns *list)
{
	leave_list(c);
	TAILQ_INSERT_TAIL(list, c, list_entry);
	if (list == &c->server->idle)
		TAILQ_INSERT_TAIL(&c->server->oldest, c, oldest_entry);
	c->in = list;
}

void
conn_open(struct http_conn *c)
{
	struct http_server *s = c->server;

	TAILQ_INSERT_TAIL(&s->conns, c, all_entry);
	TAILQ_INSERT_TAIL(&s->busy, c, list_entry);
	c->in = &s->busy;
	c->opened_ms = s->now_ms;
	s->conns_n++;
	conn_watch(c);
	conn_idle(c);
}

void
conn_forget(struct http_conn *c)
{
	struct http_server *s = c->server;

	leave_list(c);
	if (c->hup)
		TAILQ_REMOVE(&s->hups, c, hup_entry);
	TAILQ_REMOVE(&s->conns, c, all_entry);
	s->conns_n--;
	address_uncount(s->addresses, c);
}

void
conn_recall(struct http_conn *c)
{
	struct http_server *s = c->server;

	TAILQ_INSERT_TAIL(&s->conns, c, all_entry);
	s->conns_n++;
	(void)address_count(s->addresses, c);
}

/* The parser is about to close the fd. */
void
conn_closed(struct http_conn *c)
{
	struct http_server *s = c->server;

	/* Neither is done by the close of one of two duplicates. */
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	if (c->inherited && !c->linger)
		shutdown(c->fd, SHUT_RDWR);
	conn_forget(c);
	/* By us, not by a client that left. */
	if (s->drain == DRAIN_CLOSING && (c->linger || (c->cut && !c->left)))
		counter_add(s, COUNTER_ENDED);
	if (c->linger && !c->peer_done)
		linger_start(s, c->fd);
	talloc_free(c);
	accept_resume(s);
}

void
conn_busy(struct http_conn *c, struct http_request *req)
{
	struct http_server *s = c->server;

	if (c->in != &s->busy)
		conn_move(c, &s->busy);
	c->current = req;
	c->since_ms = s->now_ms;
	c->sent_since_ms = 0;
	c->requests++;
	counter_add(s, COUNTER_REQUESTS);
}

/* How often an idle connection is looked at: a whole part of the time it may be idle, and at
 * least four times in the time a head may take, for its beginning is seen at a look only. */
static int64_t
look_interval(const struct http_server *s)
{
	int64_t idle = s->set.idle_timeout_ms, header = s->set.header_timeout_ms;

	return idle / ((4 * idle + header - 1) / header);
}

/* Part of a request is there, and has been for too long: it ends. */
static bool
head_is_late(struct http_conn *c)
{
	struct http_server *s = c->server;

	if (c->began_ms == 0)
		c->began_ms = s->now_ms;
	if (s->now_ms - c->began_ms < s->set.header_timeout_ms)
		return false;
	counter_add(s, COUNTER_HEADER_TIMEOUT);
	conn_say(c, HTTP_408_CLOSE);
	conn_cut(c);
	return true;
}

/* The list is sorted by the next look, because every look adds the same interval. */
static void
look_later(struct http_conn *c, int64_t interval)
{
	struct http_conns *idle = &c->server->idle;

	c->look_ms = c->server->now_ms + interval;
	TAILQ_REMOVE(idle, c, list_entry);
	TAILQ_INSERT_TAIL(idle, c, list_entry);
}

/* Before all others. */
static void
look_now(struct http_conn *c)
{
	struct http_conns *idle = &c->server->idle;

	c->look_ms = c->server->now_ms;
	TAILQ_REMOVE(idle, c, list_entry);
	TAILQ_INSERT_HEAD(idle, c, list_entry);
}

void
conn_idle(struct http_conn *c)
{
	struct http_server *s = c->server;

	conn_move(c, &s->idle);
	if (c->current != NULL && s->drain >= DRAIN_CLOSING)
		counter_add(s, COUNTER_FINISHED);
	c->current = NULL;
	c->since_ms = s->now_ms;
	c->began_ms = 0;
	if (s->drain >= DRAIN_CLOSING && give_possible(s))
		look_now(c);
	else
		look_later(c, s->drain >= DRAIN_CLOSING ? s->set.idle_linger_ms : look_interval(s));
	if (c->peer_done)
		conn_hup(c);
}

void
conn_cut(struct http_conn *c)
{
	if (!c->cut)
		shutdown(c->fd, SHUT_RDWR);
	c->cut = true;
}

/* A last answer written past the parser, which must not have begun one; it is told to end. */
void
conn_say(struct http_conn *c, const char *answer)
{
	if (!c->cut && !c->peer_done)
		(void)send(c->fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	c->linger = true;
}

void
conn_hup(struct http_conn *c)
{
	c->peer_done = true;
	if (!c->hup)
		TAILQ_INSERT_TAIL(&c->server->hups, c, hup_entry);
	c->hup = true;
}

/*
 * Called after the parser has read what came before the end. Whoever waits for a request, or
 * for the rest of one, waits in vain; a complete one still gets its answer, for the peer may
 * have closed only its own half, but whoever works on it is told.
 */
void
conn_settle_hups(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->hups); c != NULL; c = next) {
		struct http_request *req = c->current;
		bool waits = req == NULL || atomic_load(&req->phase) < REQUEST_READY;

		next = TAILQ_NEXT(c, hup_entry);
		/* The parser may need several runs for what came before the end. */
		if (waits && !c->cut && account_unread(c) > 0)
			continue;
		TAILQ_REMOVE(&s->hups, c, hup_entry);
		c->hup = false;
		if (waits) {
			c->left = c->left || !c->cut; /* our own cut is told as an end, too */
			conn_cut(c);
		} else if (req->ctx != NULL)
			ctx_cancel_cause(req->ctx, &http_client_gone);
	}
}

/* ---- Idle connections ------------------------------------------------------------------------ */

/* When to go on with idle connections, 0: with the next one at once. */
static int64_t
look_while_giving(struct http_conn *c)
{
	struct http_server *s = c->server;

	switch (give_offer(c)) {
	case GIVE_DONE:
		break;
	case GIVE_NO_ANSWER:
		return INT64_MAX;
	case GIVE_NO_ROOM:
		return s->now_ms + 1;
	case GIVE_NOT_IDLE:
		account_doubt(c);
		if (account_partial(c) && head_is_late(c))
			break;
		look_later(c, s->set.idle_linger_ms > 0 ? s->set.idle_linger_ms : 1);
		break;
	}
	return 0;
}

/*
 * While draining without a successor, an idle connection is closed when it has been silent for
 * idle_linger_ms from the drain's beginning: one that is closed at once may lose the request
 * that is on its way. The same goes for one that cannot be given away.
 */
static void
look_while_draining(struct http_conn *c)
{
	struct http_server *s = c->server;
	int64_t linger = s->set.idle_linger_ms;
	bool partial = account_partial(c);

	if (partial && head_is_late(c))
		return;
	if (partial || account_unread(c) > 0 || account_silent_ms(c) < linger) {
		look_later(c, linger > 0 ? linger : 1);
	} else {
		conn_cut(c);
	}
}

/* A request that has begun and does not go on, or nothing for too long. */
static void
look(struct http_conn *c)
{
	struct http_server *s = c->server;
	int64_t idle = s->now_ms - c->since_ms;

	if (account_partial(c)) {
		if (head_is_late(c))
			return;
	} else if (idle >= s->set.idle_timeout_ms) {
		counter_add(s, COUNTER_IDLE_TIMEOUT);
		conn_cut(c);
		return;
	}
	look_later(c, look_interval(s));
}

int64_t
conn_expire(struct http_server *s)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->idle)) != NULL && c->look_ms <= s->now_ms) {
		int64_t wait = 0;

		if (c->cut)
			look_later(c, look_interval(s)); /* the parser is about to notice */
		else if (s->drain < DRAIN_CLOSING)
			look(c);
		else if (drain_closes(c))
			look_while_draining(c);
		else if (s->successor == SUCCESSOR_READY)
			wait = look_while_giving(c);
		else
			look_later(c, s->set.idle_linger_ms + 1);
		if (wait != 0)
			return wait;
	}
	return c == NULL ? INT64_MAX : c->look_ms;
}

/* The drain was called off: they are idle as before. */
void
conn_undrain(struct http_server *s)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &s->idle, list_entry)
		c->look_ms = s->now_ms + look_interval(s);
}

/* The drain begins: all idle ones get the same, short time. */
void
conn_drain(struct http_server *s)
{
	int64_t wait = give_possible(s) ? 0 : s->set.idle_linger_ms;
	struct http_conn *c;

	TAILQ_FOREACH(c, &s->idle, list_entry)
		c->look_ms = s->now_ms + wait;
}
