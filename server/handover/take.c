/* SPDX-License-Identifier: MIT */
/*
 * The taking side of a handover: connections of the predecessor are held until it says that
 * they are ours, or its death says so. Nothing is read from them before.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/handover/channel.h"
#include "server/handover/handover.h"

void
take_hello(struct handover *h)
{
	if (h->take_fd >= 0)
		(void)handover_send(h->take_fd, BATON_HANDOVER_HELLO, 0, NULL, -1);
}

static const struct listener *
listener_of(const struct handover *h, const struct baton_handover_state *state)
{
	const char *name = state->listener; /* cut off if it was longer */
	const struct listener *l;

	TAILQ_FOREACH(l, &h->net->listeners, entry)
		if (strncmp(l->name, name, sizeof(state->listener) - 1) == 0)
			return l;
	return TAILQ_FIRST(&h->net->listeners); /* it was renamed; the connection lives on */
}

static struct http_conn *
hold(struct handover *h, const struct handover_message *m)
{
	struct http_conn *c;

	if (m->fd < 0 || h->drain != DRAIN_NO ||
	    h->net->conns_n + h->net->in_n[CONN_LIST_HELD] >= (size_t)h->set->connections_max)
		return NULL;
	c = conn_new(h->net, listener_of(h, &m->state), m->fd);
	if (c == NULL)
		return NULL;
	c->wire.used = (int64_t)m->state.used_bytes;
	c->wire.requests = (int64_t)m->state.requests;
	c->opened_unix_ms = m->state.opened_unix_ms;
	c->wire.peer_len = m->state.peer_size;
	memcpy(&c->wire.peer, m->state.peer, sizeof(c->wire.peer));
	peer_format(&c->wire.peer, c->wire.peer_text);
	c->inherited = true;
	c->offer_id = m->id;
	return c;
}

static struct http_conn *
held(const struct handover *h, uint64_t id)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &h->net->in[CONN_LIST_HELD], list_entry)
		if (c->offer_id == id)
			return c;
	return NULL;
}

/* Also if the channel has no room for it now: the giver waits for the answer. */
static void
refuse(struct handover *h, uint64_t id)
{
	size_t n = talloc_array_length(h->refuse_owed);
	uint64_t *owed;

	if (handover_send(h->take_fd, BATON_HANDOVER_REFUSE, id, NULL, -1) != -EAGAIN)
		return;
	owed = talloc_realloc(h->mem, h->refuse_owed, uint64_t, n + 1);
	if (owed == NULL)
		return;
	h->refuse_owed = owed;
	owed[n] = id;
}

/* If the channel has no room for it, take_flush says it. */
static void
say_have(struct handover *h, struct http_conn *c)
{
	if (handover_send(h->take_fd, BATON_HANDOVER_HAVE, c->offer_id, NULL, -1) != -EAGAIN)
		conn_advance(c, CONN_EV_SAID);
}

static void
on_offer(struct handover *h, const struct handover_message *m)
{
	bool anew = held(h, m->id) == NULL;
	struct http_conn *c = anew ? hold(h, m) : NULL;

	if (c == NULL) {
		if (m->fd >= 0)
			close(m->fd);
		if (anew)
			refuse(h, m->id);
		return;
	}
	if ((conn_advance(c, CONN_EV_OFFER) & CONN_SAY_HAVE) != 0)
		say_have(h, c);
}

static void
tell(struct handover *h, struct http_conn *c, enum conn_event event)
{
	if ((conn_advance(c, event) & CONN_SERVE) == 0)
		return;
	counter_add(h->counters, COUNTER_TAKEN);
	if (parser_add(&c->wire) != 0)
		log_line(LOG_ERR, "handover: a connection was lost: no memory for it");
}

static void
on_word(struct handover *h, uint64_t id, enum conn_event event)
{
	struct http_conn *c = held(h, id);

	if (c != NULL)
		tell(h, c, event);
}

static void
giver_gone(struct handover *h)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&h->net->in[CONN_LIST_HELD]); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		tell(h, c, CONN_EV_GIVER_GONE);
	}
	/* It may have been told of newcomers that it did not live to accept. */
	accept_again(h->net);
}

static void
on_message(struct handover *h, const struct handover_message *m)
{
	switch (m->type) {
	case BATON_HANDOVER_OFFER:
		on_offer(h, m);
		return; /* the fd is somebody's */
	case BATON_HANDOVER_YOURS:
		on_word(h, m->id, CONN_EV_YOURS);
		break;
	case BATON_HANDOVER_BACK:
		on_word(h, m->id, CONN_EV_BACK);
		break;
	case BATON_HANDOVER_GIVER_GONE:
		giver_gone(h);
		break;
	default: /* END, or of a later version */
		break;
	}
	if (m->fd >= 0)
		close(m->fd);
}

static bool
flush_refusals(struct handover *h)
{
	size_t n = talloc_array_length(h->refuse_owed), done = 0;

	while (done < n && handover_send(h->take_fd, BATON_HANDOVER_REFUSE, h->refuse_owed[done],
			       NULL, -1) != -EAGAIN)
		done++;
	if (done == n) {
		TALLOC_FREE(h->refuse_owed);
		return false;
	}
	memmove(h->refuse_owed, h->refuse_owed + done, (n - done) * sizeof(*h->refuse_owed));
	h->refuse_owed = talloc_realloc(h->mem, h->refuse_owed, uint64_t, n - done);
	return true;
}

/* The answers that the channel had no room for; returns when to try again. */
int64_t
take_flush(struct handover *h)
{
	struct http_conn *c;
	bool owed = false;

	if ((h->net->in_n[CONN_LIST_HELD] == 0 && h->refuse_owed == NULL) || h->take_fd < 0)
		return INT64_MAX;
	if (h->refuse_owed != NULL)
		owed = flush_refusals(h);
	TAILQ_FOREACH(c, &h->net->in[CONN_LIST_HELD], list_entry)
		if (c->state == CONN_FOUND) {
			say_have(h, c);
			owed = owed || c->state == CONN_FOUND;
		}
	return owed ? *h->now_ms + 1 : INT64_MAX;
}

void
take_read(struct handover *h)
{
	struct handover_message m;
	int got;

	while ((got = handover_receive(h->take_fd, &m)) == 1 || got == -EBADMSG) {
		if (got == -EBADMSG)
			log_line(LOG_WARNING, "handover: malformed message from the predecessor");
		else
			on_message(h, &m);
		files_fit(h->net); /* before the next comes */
	}
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* Every copy of the other end is closed: there is nobody who could still say a word. */
	giver_gone(h);
	source_unwatch(h->net->epoll_fd, h->take_fd);
	close(h->take_fd);
	h->take_fd = -1;
}

void
take_close(struct handover *h)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&h->net->in[CONN_LIST_HELD])) != NULL)
		tell(h, c, CONN_EV_BACK);
}
