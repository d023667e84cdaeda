/* SPDX-License-Identifier: MIT */
/*
 * Idle connections: when each is looked at, and whether it has begun a request, has been silent
 * for too long, or goes to a successor.
 */
#include "server/internal.h"

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
	s->heard_ms = s->now_ms; /* there will be something to see, although nothing comes */
	if (s->now_ms - c->began_ms < s->set.header_timeout_ms)
		return false;
	counter_add(&s->counters, COUNTER_HEADER_TIMEOUT);
	conn_end(c, HTTP_408_CLOSE);
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
	c->since_ms = s->now_ms;
	c->began_ms = 0;
	if (s->drain >= DRAIN_CLOSING && give_possible(s))
		look_now(c);
	else
		look_later(c, s->drain >= DRAIN_CLOSING ? s->set.idle_linger_ms : look_interval(s));
	if (c->wire.peer_done)
		conn_hup(c);
}

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
		account_note_inexact(&c->wire);
		if (account_partial(&c->wire) && head_is_late(c))
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
	bool partial = account_partial(&c->wire);

	if (partial && head_is_late(c))
		return;
	if (partial || account_unread(&c->wire) > 0 ||
	    account_silent_ms(&c->wire, s->now_ms - c->since_ms) < linger) {
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

	if (account_partial(&c->wire)) {
		if (head_is_late(c))
			return;
	} else if (idle >= s->set.idle_timeout_ms) {
		counter_add(&s->counters, COUNTER_IDLE_TIMEOUT);
		conn_cut(c);
		return;
	}
	look_later(c, look_interval(s));
}

/* From no client has anything come since the first of them, and so all, were looked at. */
static bool
nothing_came(const struct http_server *s, const struct http_conn *first)
{
	return s->drain < DRAIN_CLOSING && s->heard_ms < first->look_ms - look_interval(s);
}

/* Then nothing happens before one has been idle for too long. */
static int64_t
expire_oldest(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->oldest); c != NULL; c = next) {
		int64_t end_ms = c->since_ms + s->set.idle_timeout_ms;

		next = TAILQ_NEXT(c, oldest_entry);
		if (c->wire.cut)
			continue; /* the parser is about to notice */
		if (end_ms > s->now_ms)
			return end_ms;
		look(c);
	}
	return INT64_MAX;
}

int64_t
conn_expire(struct http_server *s)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->idle)) != NULL) {
		int64_t wait = 0;

		if (nothing_came(s, c))
			return expire_oldest(s);
		if (c->look_ms > s->now_ms)
			break;

		if (c->wire.cut)
			look_later(c, look_interval(s)); /* the parser is about to notice */
		else if (s->drain < DRAIN_CLOSING)
			look(c);
		else if (drain_closes(&c->wire))
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
