/* SPDX-License-Identifier: MIT */
/*
 * Idle connections: when each is looked at, and whether it has begun a request, has been silent
 * for too long, or goes to a successor.
 */
#include "server/net/net.h"

/* Part of a request is there, and has been for too long: it ends. */
static bool
head_is_late(struct http_conn *c)
{
	struct net *net = c->net;

	if (c->began_ms == 0)
		c->began_ms = *net->now_ms;
	net->heard_ms = *net->now_ms; /* there will be something to see, although nothing comes */
	if (*net->now_ms - c->began_ms < net->set->header_timeout_ms)
		return false;
	counter_add(net->counters, COUNTER_HEADER_TIMEOUT);
	conn_end(c, HTTP_408_CLOSE);
	return true;
}

/* When to go on with idle connections, 0: with the next one at once. */
static int64_t
look_while_giving(struct http_conn *c)
{
	struct net *net = c->net;

	switch (net->events->offer(net->data, c)) {
	case OFFER_MADE:
		break;
	case OFFER_NO_ANSWER:
		return INT64_MAX;
	case OFFER_NO_ROOM:
		return *net->now_ms + 1;
	case OFFER_NOT_IDLE:
		account_note_inexact(&c->wire);
		if (account_partial(&c->wire) && head_is_late(c))
			break;
		conn_look_later(c, net->set->idle_linger_ms > 0 ? net->set->idle_linger_ms : 1);
		break;
	}
	return 0;
}

/*
 * An idle connection that nobody takes is closed when it has been silent for idle_linger_ms since
 * it was to leave: one that is closed at once may lose the request that is on its way.
 */
static void
look_while_leaving(struct http_conn *c)
{
	struct net *net = c->net;
	int64_t linger = net->set->idle_linger_ms;
	bool partial = account_partial(&c->wire);

	if (partial && head_is_late(c))
		return;
	if (partial || account_unread(&c->wire) > 0 ||
	    account_silent_ms(&c->wire, *net->now_ms - c->since_ms) < linger) {
		conn_look_later(c, linger > 0 ? linger : 1);
	} else {
		conn_advance(c, CONN_EV_CUT);
	}
}

/* A request that has begun and does not go on, or nothing for too long. */
static void
look(struct http_conn *c)
{
	struct net *net = c->net;
	int64_t idle = *net->now_ms - c->since_ms;

	if (account_partial(&c->wire)) {
		if (head_is_late(c))
			return;
	} else if (idle >= net->set->idle_timeout_ms) {
		counter_add(net->counters, COUNTER_IDLE_TIMEOUT);
		conn_advance(c, CONN_EV_CUT);
		return;
	}
	conn_look_later(c, conn_look_interval(net));
}

/* From no client has anything come since the first of them, and so all, were looked at. */
static bool
nothing_came(const struct net *net, const struct http_conn *first)
{
	return net->leave == LEAVE_NOT && net->heard_ms < first->look_ms - conn_look_interval(net);
}

/* Then nothing happens before one has been idle for too long. */
static int64_t
expire_oldest(struct net *net)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&net->oldest); c != NULL; c = next) {
		int64_t end_ms = c->since_ms + net->set->idle_timeout_ms;

		next = TAILQ_NEXT(c, oldest_entry);
		if (end_ms > *net->now_ms)
			return end_ms;
		look(c);
	}
	return INT64_MAX;
}

int64_t
conn_expire(struct net *net)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&net->in[CONN_LIST_IDLE])) != NULL) {
		int64_t wait = 0;

		if (nothing_came(net, c))
			return expire_oldest(net);
		if (c->look_ms > *net->now_ms)
			break;

		if (net->leave == LEAVE_NOT)
			look(c);
		else if (conn_is_last(&c->wire))
			look_while_leaving(c);
		else if (net->leave == LEAVE_GIVE)
			wait = look_while_giving(c);
		else
			conn_look_later(c, net->set->idle_linger_ms + 1);
		if (wait != 0)
			return wait;
	}
	return c == NULL ? INT64_MAX : c->look_ms;
}

void
conn_leave(struct net *net, enum leave leave)
{
	struct http_conn *c;

	net->leave = leave;
	TAILQ_FOREACH(c, &net->in[CONN_LIST_IDLE], list_entry)
		c->look_ms = *net->now_ms + conn_look_interval(net);
}
