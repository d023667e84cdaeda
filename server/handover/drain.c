/* SPDX-License-Identifier: MIT */
/*
 * Draining: from the call to stop to the end of the last connection, as a small machine that
 * the loop moves on. An idle connection is never closed at once, for its next request may be
 * on the way: it is told with its next answer, or closed after a silence (conn_expire).
 */
#include <stdio.h>
#include <syslog.h>

#include "server/handover/handover.h"

/* What was cut gets this long to be noticed by the parser. */
#define CUT_MS 1000

/* What the drain means to connections. */
static enum leave
how(const struct handover *h)
{
	if (h->drain < DRAIN_CLOSING)
		return LEAVE_NOT;
	if (h->drain > DRAIN_CLOSING)
		return LEAVE_CUT;
	switch (h->successor) {
	case SUCCESSOR_READY:
		return LEAVE_GIVE;
	case SUCCESSOR_AWAITED:
		return LEAVE_AWAIT;
	case SUCCESSOR_NONE:
		break;
	}
	return LEAVE_END;
}

static void
close_doors(struct handover *h)
{
	/* A successor has the same sockets. */
	if (h->successor != SUCCESSOR_NONE)
		accept_rest(h->net);
	else
		accept_stop(h->net, h->give_fd >= 0); /* may it still be called off? */
	h->drain = DRAIN_CLOSING;
	conn_leave(h->net, how(h));
	h->drain_next_ms = *h->now_ms + h->set->drain_timeout_ms;
}

static struct drain_count
count(const struct handover *h)
{
	return (struct drain_count){counter_named(h->counters, "finished"),
	    counter_named(h->counters, "ended"), counter_named(h->counters, "drain_timeout_ms")};
}

void
drain_begin(struct handover *h)
{
	if (h->give_fd >= 0)
		give_read(h);                      /* has a successor said that it is there? */
	h->called_off = h->successor_news = false; /* nothing is under way yet */
	h->base = count(h);
	notify_send(h->notify, "STOPPING=1\nSTATUS=draining");
	log_line(LOG_INFO, "draining: %zu connections%s", h->net->conns_n,
	    h->successor == SUCCESSOR_READY ? ", to the successor" : "");
	if (h->set->lame_duck_ms > 0 && h->successor != SUCCESSOR_READY && !spare_waits(h)) {
		h->drain = DRAIN_LAME_DUCK;
		h->drain_next_ms = *h->now_ms + h->set->lame_duck_ms;
	} else {
		close_doors(h);
	}
}

/* The restart was given up: everything is as if nobody had asked. False if it is too late. */
static bool
call_off(struct handover *h)
{
	if (h->drain != DRAIN_LAME_DUCK && h->drain != DRAIN_CLOSING)
		return false;
	if (!accept_go_on(h->net)) {
		log_line(LOG_WARNING, "the restart was called off, but the sockets are closed");
		return false;
	}
	h->drain = DRAIN_NO;
	if (h->successor == SUCCESSOR_AWAITED)
		h->successor = SUCCESSOR_NONE;
	conn_leave(h->net, LEAVE_NOT);
	notify_send(h->notify, "READY=1\nSTATUS=serving");
	log_line(LOG_INFO, "the restart was called off: serving on");
	return true;
}

bool
drain_hear(struct handover *h)
{
	bool serves_on = h->called_off && call_off(h);

	if (h->successor_news && h->drain == DRAIN_LAME_DUCK && h->successor == SUCCESSOR_READY)
		close_doors(h);
	else if (h->drain >= DRAIN_CLOSING && (h->successor_news || how(h) != h->net->leave))
		conn_leave(h->net, how(h));
	h->called_off = h->successor_news = false;
	return serves_on;
}

static void
report(struct handover *h)
{
	struct drain_count all = count(h);
	long long finished = all.finished - h->base.finished, ended = all.ended - h->base.ended,
		  cut = all.cut - h->base.cut;
	char text[256];

	(void)snprintf(text, sizeof(text),
	    BATON_NOTIFY_MOVED "%u\n" BATON_NOTIFY_FINISHED "%lld\n" BATON_NOTIFY_ENDED
			       "%lld\n" BATON_NOTIFY_CUT "%lld\nSTATUS=drained",
	    h->net->in_n[CONN_LIST_GIVEN], finished, ended, cut);
	notify_send(h->notify, text);
	log_line(LOG_INFO, "drained: moved=%u finished=%lld ended=%lld cut=%lld",
	    h->net->in_n[CONN_LIST_GIVEN], finished, ended, cut);
}

/* The deadline: who still works is told why, and every connection ends. */
static void
cut_all(struct handover *h)
{
	struct http_conn *c;

	log_line(LOG_WARNING, "drain deadline: cutting %zu connections", h->net->conns_n);
	TAILQ_FOREACH(c, &h->net->conns, all_entry) {
		if (!c->wire.cut)
			counter_add(h->counters, COUNTER_DRAIN_CUT);
		conn_advance(c, CONN_EV_CUT);
	}
	h->drain = DRAIN_CUT;
	conn_leave(h->net, LEAVE_CUT);
	h->net->wire->ending = true;
	watch_cut(h->sched);
	h->drain_next_ms = *h->now_ms + CUT_MS;
}

int64_t
drain_step(struct handover *h)
{
	int64_t now = *h->now_ms;
	bool late = now >= h->drain_next_ms;

	switch (h->drain) {
	case DRAIN_NO:
	case DRAIN_OVER:
		return INT64_MAX;
	case DRAIN_LAME_DUCK:
		if (late)
			close_doors(h);
		break;
	case DRAIN_CLOSING:
		if (late) {
			give_stop(h);
			take_close(h);
			cut_all(h);
		}
		break;
	case DRAIN_CUT:
		if (late)
			h->drain = DRAIN_OVER;
		break;
	}
	/* A handler whose client has left is in flight as well, until the deadline; and what a
	 * predecessor is about to give goes on to the successor. */
	if (h->drain >= DRAIN_CLOSING && h->net->conns_n + h->net->in_n[CONN_LIST_HELD] == 0 &&
	    TAILQ_EMPTY(&h->net->lingers) && (h->sched->away_n == 0 || h->drain == DRAIN_CUT))
		h->drain = DRAIN_OVER;
	if (h->drain == DRAIN_OVER) {
		give_end(h);
		report(h);
	}
	return h->drain == DRAIN_OVER ? now : h->drain_next_ms;
}
