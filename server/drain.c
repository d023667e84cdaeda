/* SPDX-License-Identifier: MIT */
/*
 * Draining: from the call to stop to the end of the last connection, as a small machine that
 * the loop moves on. An idle connection is never closed at once, for its next request may be
 * on the way: it is told with its next answer, or closed after a silence (conn_expire).
 */
#include <syslog.h>

#include "server/internal.h"

/* What was cut gets this long to be noticed by the parser. */
#define CUT_MS 1000

static void
close_doors(struct http_server *s)
{
	accept_stop(s);
	s->drain = DRAIN_CLOSING;
	conn_drain(s);
	s->drain_next_ms = s->now_ms + s->set.drain_timeout_ms;
}

void
drain_begin(struct http_server *s)
{
	notify_send(s->notify, "STOPPING=1\nSTATUS=draining");
	log_line(LOG_INFO, "draining: %zu connections", s->conns_n);
	if (s->set.lame_duck_ms > 0) {
		s->drain = DRAIN_LAME_DUCK;
		s->drain_next_ms = s->now_ms + s->set.lame_duck_ms;
	} else {
		close_doors(s);
	}
}

bool
drain_closes(const struct http_server *s)
{
	return s->drain >= DRAIN_CLOSING;
}

/* The deadline: who still works is told why, and every connection ends. */
static void
cut_all(struct http_server *s)
{
	struct http_conn *c;

	log_line(LOG_WARNING, "drain deadline: cutting %zu connections", s->conns_n);
	TAILQ_FOREACH(c, &s->conns, all_entry) {
		counter_add(s, COUNTER_DRAIN_CUT);
		conn_cut(c);
	}
	s->drain = DRAIN_CUT;
	work_cut(s);
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
		if (late && s->conns_n > 0)
			cut_all(s);
		break;
	case DRAIN_CUT:
		if (late)
			s->drain = DRAIN_OVER;
		break;
	}
	if (s->drain >= DRAIN_CLOSING && s->conns_n == 0 && TAILQ_EMPTY(&s->lingers))
		s->drain = DRAIN_OVER;
	return s->drain == DRAIN_OVER ? now : s->drain_next_ms;
}
