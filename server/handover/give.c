/* SPDX-License-Identifier: MIT */
/*
 * The giving side of a handover: while draining with a successor, every connection that is
 * idle at a request boundary is offered to it, some at a time, and goes on there.
 *
 * A connection that was given stays with the parser, suspended for ever: to close it there
 * would shut it down for the successor too. It ends with the process, by close alone. Should the
 * successor die while we still live, it comes back to us if nobody has read from it meanwhile,
 * and is ended if somebody has.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server/handover/channel.h"
#include "server/handover/handover.h"

/* Offers under way: few enough for the channel's buffer and the taker's spare descriptors. */
#define WINDOW 128

static int64_t
unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
describe(const struct http_conn *c, struct baton_handover_state *state)
{
	memset(state, 0, sizeof(*state));
	state->used_bytes = (uint64_t)c->wire.used;
	state->requests = (uint64_t)c->wire.requests;
	state->opened_unix_ms = c->opened_unix_ms != 0
				    ? c->opened_unix_ms
				    : unix_ms() - (*c->net->now_ms - c->opened_ms);
	state->peer_size = c->wire.peer_len;
	memcpy(state->peer, &c->wire.peer, sizeof(c->wire.peer));
	strncpy(state->listener, c->listener->name, sizeof(state->listener) - 1);
}

/* Asked before anything is held: letting it go again would wake the loop, which would ask again. */
static bool
has_room(int channel)
{
	struct pollfd pfd = {.fd = channel, .events = POLLOUT};

	return poll(&pfd, 1, 0) > 0;
}

static enum offer
offer(void *data, struct http_conn *c)
{
	struct handover *h = data;
	struct baton_handover_state state;

	if (c->state != CONN_IDLE || c->refused || c->wire.used_inexact ||
	    !account_between_requests(&c->wire))
		return OFFER_NOT_IDLE;
	if (h->net->in_n[CONN_LIST_OFFERED] >= WINDOW)
		return OFFER_NO_ANSWER;
	if (!has_room(h->give_fd))
		return h->net->in_n[CONN_LIST_OFFERED] > 0 ? OFFER_NO_ANSWER : OFFER_NO_ROOM;
	conn_advance(c, CONN_EV_PARK); /* now nobody can read from it */
	describe(c, &state);
	if (handover_send(h->give_fd, BATON_HANDOVER_OFFER, ++h->offer_id, &state, c->wire.fd) !=
	    0) {
		conn_advance(c, CONN_EV_RESUME);
		return OFFER_NO_ROOM;
	}
	c->offer_id = h->offer_id;
	conn_advance(c, CONN_EV_OFFERED);
	return OFFER_MADE;
}

const struct net_events give_events = {.offer = offer};

/* YOURS must arrive. If the channel is full for now, the connection stays as it is, and give_flush
 * tries again. */
static void
say_yours(struct handover *h, struct http_conn *c)
{
	if (handover_send(h->give_fd, BATON_HANDOVER_YOURS, c->offer_id, NULL, -1) != 0)
		return;
	conn_advance(c, CONN_EV_SAID);
	counter_add(h->counters, COUNTER_MOVED);
}

static void
tell(struct handover *h, struct http_conn *c, enum conn_event event)
{
	/* What a taker that died has read is lost, and so is what the client waits for. */
	bool lost =
	    c->state == CONN_GIVEN && event == CONN_EV_TAKER_GONE && !account_untouched(&c->wire);
	unsigned orders = conn_advance(c, event);

	if ((orders & CONN_SAY_YOURS) != 0)
		say_yours(h, c);
	if ((orders & CONN_SAY_BACK) != 0)
		(void)handover_send(h->give_fd, BATON_HANDOVER_BACK, c->offer_id, NULL, -1);
	if (lost)
		conn_advance(c, CONN_EV_CUT);
}

static void
on_answer(struct handover *h, uint64_t id, enum conn_event event)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &h->net->in[CONN_LIST_OFFERED], list_entry)
		if (c->offer_id == id) {
			/* It is not offered again, but ended politely. */
			if (event == CONN_EV_REFUSED)
				c->refused = true;
			tell(h, c, event);
			return;
		}
	/* One who came later has found an old offer in the channel. */
	if (event == CONN_EV_HAVE)
		(void)handover_send(h->give_fd, BATON_HANDOVER_BACK, id, NULL, -1);
}

static void
tell_all(struct handover *h, enum conn_list list, enum conn_event event)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&h->net->in[list]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		tell(h, c, event);
	}
}

/* Another one may have more room. */
static void
forget_refusals(struct handover *h)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &h->net->conns, all_entry)
		c->refused = false;
}

/* The owed word YOURS, as soon as the channel has room; returns when to try again. */
int64_t
give_flush(struct handover *h)
{
	struct http_conn *c, *next;
	bool owed = false;

	if (h->successor != SUCCESSOR_READY)
		return INT64_MAX;
	for (c = TAILQ_FIRST(&h->net->in[CONN_LIST_OFFERED]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		if (c->state == CONN_YIELDED) {
			say_yours(h, c);
			owed = true;
		}
	}
	return owed ? *h->now_ms + 1 : INT64_MAX;
}

void
give_stop(struct handover *h)
{
	if (h->successor == SUCCESSOR_READY)
		tell_all(h, CONN_LIST_OFFERED, CONN_EV_TAKE_BACK);
}

/* ---- What the successor, or the supervisor in its place, says ----------------------------------- */

static void
on_message(struct handover *h, const struct handover_message *m)
{
	switch (m->type) {
	case BATON_HANDOVER_HELLO:
		h->successor = SUCCESSOR_READY;
		h->successor_news = true;
		break;
	case BATON_HANDOVER_HAVE:
		on_answer(h, m->id, CONN_EV_HAVE);
		break;
	case BATON_HANDOVER_REFUSE:
		on_answer(h, m->id, CONN_EV_REFUSED);
		break;
	case BATON_HANDOVER_TAKER_GONE:
		/* Only now does come back what was given: an end of the channel may also mean
		 * that the successor has given it to a successor of its own. */
		tell_all(h, CONN_LIST_OFFERED, CONN_EV_TAKER_GONE);
		tell_all(h, CONN_LIST_GIVEN, CONN_EV_TAKER_GONE);
		forget_refusals(h);
		/* Another one says HELLO before we are told to stop, or comes while we drain. */
		h->successor = h->drain == DRAIN_NO ? SUCCESSOR_NONE : SUCCESSOR_AWAITED;
		break;
	case BATON_HANDOVER_CALLED_OFF:
		tell_all(h, CONN_LIST_OFFERED, CONN_EV_TAKE_BACK); /* should somebody hold it */
		forget_refusals(h);
		h->successor = SUCCESSOR_NONE;
		h->called_off = true;
		break;
	default: /* of a later version, or not for us */
		break;
	}
}

void
give_read(struct handover *h)
{
	struct handover_message m;
	int got;

	while ((got = handover_receive(h->give_fd, &m)) == 1 || got == -EBADMSG) {
		if (got == -EBADMSG) {
			log_line(LOG_WARNING, "handover: malformed message from the successor");
			continue;
		}
		if (m.fd >= 0)
			close(m.fd);
		on_message(h, &m);
	}
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* Nobody holds the other end: there is, and will be, no successor. */
	tell_all(h, CONN_LIST_OFFERED, CONN_EV_TAKER_GONE);
	h->successor = SUCCESSOR_NONE;
	h->successor_news = true;
	source_unwatch(h->net->epoll_fd, h->give_fd);
	close(h->give_fd);
	h->give_fd = -1;
}

void
give_end(struct handover *h)
{
	if (h->give_fd >= 0 && h->successor == SUCCESSOR_READY)
		(void)handover_send(h->give_fd, BATON_HANDOVER_END, 0, NULL, -1);
}
