/* SPDX-License-Identifier: MIT */
/*
 * Time limits of connections that are in the middle of something: a head that does not end,
 * content that trickles, a peer that does not read its answer. Looked at in steps, as long as
 * there are any; handlers have their own deadline (work.c).
 */
#include "server/net/net.h"

#define STEP_MS 500

static void
too_slow(struct http_conn *c, enum counter counter)
{
	counter_add(c->net->counters, counter);
	conn_end(c, HTTP_408_CLOSE);
}

/* From its first bytes, if they were seen before the request line was complete. */
static void
check_head(struct http_conn *c)
{
	int64_t began = c->began_ms != 0 ? c->began_ms : c->since_ms;

	if (*c->net->now_ms - began >= c->net->set->header_timeout_ms)
		too_slow(c, COUNTER_HEADER_TIMEOUT);
}

/* A total, and a rate that counts once the first seconds have passed. */
static void
check_body(struct http_conn *c, int64_t age)
{
	const struct http_settings *set = c->net->set;
	int64_t received = (int64_t)c->wire.current->body_len;

	if (set->body_timeout_ms > 0 && age >= set->body_timeout_ms)
		too_slow(c, COUNTER_BODY_TIMEOUT);
	else if (set->body_rate_min_bytes > 0 && age >= set->rate_after_ms &&
		 received < set->body_rate_min_bytes * age / 1000)
		too_slow(c, COUNTER_BODY_RATE_MIN);
}

/* The answer has begun: nothing can be said, only ended. */
static void
check_answer(struct http_conn *c)
{
	const struct http_settings *set = c->net->set;
	int64_t now = *c->net->now_ms, sent = account_sent(&c->wire);

	if (c->sent_since_ms == 0 || sent != c->sent) {
		c->sent = sent;
		c->sent_since_ms = now;
	} else if (now - c->sent_since_ms >= set->send_timeout_ms) {
		counter_add(c->net->counters, COUNTER_SEND_TIMEOUT);
		conn_advance(c, CONN_EV_CUT);
	}
}

static void
check(struct http_conn *c)
{
	int64_t age = *c->net->now_ms - c->since_ms;

	switch (c->wire.current->state) {
	case REQUEST_HEAD:
		check_head(c);
		break;
	case REQUEST_CONTENT:
		check_body(c, age);
		break;
	case REQUEST_SENDING:
	case REQUEST_AWAY_SENDING:
		check_answer(c);
		break;
	default: /* the client has to do nothing but wait */
		break;
	}
}

int64_t
timeouts_expire(struct net *net)
{
	struct http_conn *c, *next;

	if (TAILQ_EMPTY(&net->in[CONN_LIST_BUSY]))
		return INT64_MAX;
	if (*net->now_ms < net->timeouts_look_ms)
		return net->timeouts_look_ms;
	for (c = TAILQ_FIRST(&net->in[CONN_LIST_BUSY]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		check(c);
	}
	net->timeouts_look_ms = *net->now_ms + STEP_MS;
	return net->timeouts_look_ms;
}
