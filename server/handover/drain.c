/* SPDX-License-Identifier: MIT */
/*
 * Draining: from the call to stop to the end of the last connection, as a small machine that
 * the loop moves on. An idle connection is never closed at once, for its next request may be
 * on the way: it is told with its next answer, or closed after a silence (conn_expire).
 */
#include <stdio.h>
#include <syslog.h>

#include "server/internal.h"
#include "supervisor/protocol.h"

/* What was cut gets this long to be noticed by the parser. */
#define CUT_MS 1000

static void
close_doors(struct http_server *s)
{
	/* A successor has the same sockets. */
	if (s->successor != SUCCESSOR_NONE)
		accept_rest(s);
	else
		accept_stop(s);
	s->drain = DRAIN_CLOSING;
	conn_drain(s);
	s->drain_next_ms = s->now_ms + s->set.drain_timeout_ms;
}

static struct drain_count
count(const struct http_server *s)
{
	return (struct drain_count){http_server_counter(s, "finished"),
	    http_server_counter(s, "ended"), http_server_counter(s, "drain_timeout_ms")};
}

void
drain_begin(struct http_server *s)
{
	if (s->give_fd >= 0)
		give_read(s);                      /* has a successor said that it is there? */
	s->called_off = s->successor_news = false; /* nothing is under way yet */
	s->base = count(s);
	notify_send(s->notify, "STOPPING=1\nSTATUS=draining");
	log_line(LOG_INFO, "draining: %zu connections%s", s->conns_n,
	    give_possible(s) ? ", to the successor" : "");
	if (s->set.lame_duck_ms > 0 && !give_possible(s) && !spare_waits(s)) {
		s->drain = DRAIN_LAME_DUCK;
		s->drain_next_ms = s->now_ms + s->set.lame_duck_ms;
	} else {
		close_doors(s);
	}
}

/* With a successor only what cannot be given away is told to close. */
bool
drain_closes(const struct wire_conn *w)
{
	const struct http_conn *c = conn_of((struct wire_conn *)w);
	const struct http_server *s = c->server;

	if (s->drain < DRAIN_CLOSING)
		return false;
	return s->drain > DRAIN_CLOSING || s->successor == SUCCESSOR_NONE ||
	       !s->wire.traits.holds || w->used_inexact || c->refused;
}

/* The restart was given up: everything is as if nobody had asked. */
static void
call_off(struct http_server *s)
{
	if (s->drain != DRAIN_LAME_DUCK && s->drain != DRAIN_CLOSING)
		return;
	if (TAILQ_FIRST(&s->listeners)->fd < 0) {
		log_line(LOG_WARNING, "the restart was called off, but the sockets are closed");
		return;
	}
	s->drain = DRAIN_NO;
	if (s->successor == SUCCESSOR_AWAITED)
		s->successor = SUCCESSOR_NONE;
	atomic_store(&s->drain_wanted, false);
	atomic_store(&s->stop_signals, 0);
	s->accepting_on = true;
	accept_poll(s);
	conn_undrain(s);
	notify_send(s->notify, "READY=1\nSTATUS=serving");
	log_line(LOG_INFO, "the restart was called off: serving on");
}

void
drain_hear(struct http_server *s)
{
	if (s->called_off)
		call_off(s);
	if (s->successor_news && s->drain == DRAIN_LAME_DUCK && give_possible(s))
		close_doors(s);
	else if (s->successor_news && s->drain >= DRAIN_CLOSING)
		conn_drain(s);
	s->called_off = s->successor_news = false;
}

static void
report(struct http_server *s)
{
	struct drain_count all = count(s);
	long long finished = all.finished - s->base.finished, ended = all.ended - s->base.ended,
		  cut = all.cut - s->base.cut;
	char text[256];

	(void)snprintf(text, sizeof(text),
	    BATON_NOTIFY_MOVED "%u\n" BATON_NOTIFY_FINISHED "%lld\n" BATON_NOTIFY_ENDED
			       "%lld\n" BATON_NOTIFY_CUT "%lld\nSTATUS=drained",
	    s->given_n, finished, ended, cut);
	notify_send(s->notify, text);
	log_line(LOG_INFO, "drained: moved=%u finished=%lld ended=%lld cut=%lld", s->given_n,
	    finished, ended, cut);
}

/* The deadline: who still works is told why, and every connection ends. */
static void
cut_all(struct http_server *s)
{
	struct http_conn *c;

	log_line(LOG_WARNING, "drain deadline: cutting %zu connections", s->conns_n);
	TAILQ_FOREACH(c, &s->conns, all_entry) {
		if (!c->wire.cut)
			counter_add(&s->counters, COUNTER_DRAIN_CUT);
		conn_cut(c);
	}
	s->drain = DRAIN_CUT;
	s->wire.ending = true;
	watch_cut(&s->sched);
	s->drain_next_ms = s->now_ms + CUT_MS;
}

int64_t
drain_step(struct http_server *s, int64_t now)
{
	bool late = now >= s->drain_next_ms;

	switch (s->drain) {
	case DRAIN_NO:
	case DRAIN_OVER:
		return INT64_MAX;
	case DRAIN_LAME_DUCK:
		if (late)
			close_doors(s);
		break;
	case DRAIN_CLOSING:
		if (late) {
			give_stop(s);
			take_close(s);
			cut_all(s);
		}
		break;
	case DRAIN_CUT:
		if (late)
			s->drain = DRAIN_OVER;
		break;
	}
	/* A handler whose client has left is in flight as well, until the deadline; and what a
	 * predecessor is about to give goes on to the successor. */
	if (s->drain >= DRAIN_CLOSING && s->conns_n + s->held_n == 0 && TAILQ_EMPTY(&s->lingers) &&
	    (s->sched.away_n == 0 || s->drain == DRAIN_CUT))
		s->drain = DRAIN_OVER;
	if (s->drain == DRAIN_OVER) {
		give_end(s);
		report(s);
	}
	return s->drain == DRAIN_OVER ? now : s->drain_next_ms;
}
