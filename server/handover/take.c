/* SPDX-License-Identifier: MIT */
/*
 * The taking side of a handover: connections of the predecessor are held until it says that
 * they are ours, or its death says so. Nothing is read from them before.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <unistd.h>

#include "server/handover/handover.h"

void
take_hello(struct http_server *s)
{
	if (s->take_fd >= 0)
		(void)handover_send(s->take_fd, BATON_HANDOVER_HELLO, 0, NULL, -1);
}

static const struct listener *
listener_of(const struct http_server *s, const struct baton_handover_state *state)
{
	const char *name = state->listener; /* cut off if it was longer */
	const struct listener *l;

	TAILQ_FOREACH(l, &s->listeners, entry)
		if (strncmp(l->name, name, sizeof(state->listener) - 1) == 0)
			return l;
	return TAILQ_FIRST(&s->listeners); /* it was renamed; the connection lives on */
}

static struct http_conn *
hold(struct http_server *s, const struct handover_message *m)
{
	struct http_conn *c;

	if (m->fd < 0 || s->drain != DRAIN_NO ||
	    s->conns_n + s->held_n >= (size_t)s->set.connections_max)
		return NULL;
	c = conn_new(s, listener_of(s, &m->state), m->fd);
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
	c->in = &s->held;
	TAILQ_INSERT_TAIL(&s->held, c, list_entry);
	s->held_n++;
	return c;
}

static struct http_conn *
held(const struct http_server *s, uint64_t id)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &s->held, list_entry)
		if (c->offer_id == id)
			return c;
	return NULL;
}

/* Also if the channel has no room for it now: the giver waits for the answer. */
static void
refuse(struct http_server *s, uint64_t id)
{
	size_t n = talloc_array_length(s->refuse_owed);
	uint64_t *owed;

	if (handover_send(s->take_fd, BATON_HANDOVER_REFUSE, id, NULL, -1) != -EAGAIN)
		return;
	owed = talloc_realloc(s, s->refuse_owed, uint64_t, n + 1);
	if (owed == NULL)
		return;
	s->refuse_owed = owed;
	owed[n] = id;
}

static void
on_offer(struct http_server *s, const struct handover_message *m)
{
	struct http_conn *c = held(s, m->id);
	struct take_step step = handover_take(c == NULL ? TAKE_NONE : c->take, TAKE_ON_OFFER);

	if (step.action == TAKE_SAY_HAVE)
		c = hold(s, m);
	if (c == NULL || step.action != TAKE_SAY_HAVE) {
		if (m->fd >= 0)
			close(m->fd);
		if (c == NULL)
			refuse(s, m->id);
		return;
	}
	c->take = step.next;
	c->owed = handover_send(s->take_fd, BATON_HANDOVER_HAVE, m->id, NULL, -1) == -EAGAIN;
}

static void
act(struct http_conn *c, struct take_step step)
{
	struct http_server *s = c->server;

	c->take = step.next;
	if (step.action == TAKE_NOTHING)
		return;
	TAILQ_REMOVE(&s->held, c, list_entry);
	s->held_n--;
	if (step.action == TAKE_CLOSE) {
		close(c->wire.fd);
		talloc_free(c);
		return;
	}
	(void)address_count(s->addresses, c);
	counter_add(&s->counters, COUNTER_TAKEN);
	if (parser_add(&c->wire) != 0)
		log_line(LOG_ERR, "handover: a connection was lost: no memory for it");
}

static void
on_word(struct http_server *s, uint64_t id, enum take_event event)
{
	struct http_conn *c = held(s, id);

	if (c != NULL)
		act(c, handover_take(c->take, event));
}

static void
giver_gone(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->held); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		act(c, handover_take(c->take, TAKE_ON_GIVER_GONE));
	}
	/* It may have been told of newcomers that it did not live to accept. */
	accept_again(s);
}

static void
on_message(struct http_server *s, const struct handover_message *m)
{
	switch (m->type) {
	case BATON_HANDOVER_OFFER:
		on_offer(s, m);
		return; /* the fd is somebody's */
	case BATON_HANDOVER_YOURS:
		on_word(s, m->id, TAKE_ON_YOURS);
		break;
	case BATON_HANDOVER_BACK:
		on_word(s, m->id, TAKE_ON_BACK);
		break;
	case BATON_HANDOVER_GIVER_GONE:
		giver_gone(s);
		break;
	default: /* END, or of a later version */
		break;
	}
	if (m->fd >= 0)
		close(m->fd);
}

static bool
flush_refusals(struct http_server *s)
{
	size_t n = talloc_array_length(s->refuse_owed), done = 0;

	while (done < n && handover_send(s->take_fd, BATON_HANDOVER_REFUSE, s->refuse_owed[done],
			       NULL, -1) != -EAGAIN)
		done++;
	if (done == n) {
		TALLOC_FREE(s->refuse_owed);
		return false;
	}
	memmove(s->refuse_owed, s->refuse_owed + done, (n - done) * sizeof(*s->refuse_owed));
	s->refuse_owed = talloc_realloc(s, s->refuse_owed, uint64_t, n - done);
	return true;
}

/* The answers that the channel had no room for; returns when to try again. */
int64_t
take_flush(struct http_server *s)
{
	struct http_conn *c;
	bool owed = false;

	if ((s->held_n == 0 && s->refuse_owed == NULL) || s->take_fd < 0)
		return INT64_MAX;
	if (s->refuse_owed != NULL)
		owed = flush_refusals(s);
	TAILQ_FOREACH(c, &s->held, list_entry)
		if (c->owed) {
			c->owed = handover_send(s->take_fd, BATON_HANDOVER_HAVE, c->offer_id, NULL,
				      -1) == -EAGAIN;
			owed = owed || c->owed;
		}
	return owed ? s->now_ms + 1 : INT64_MAX;
}

void
take_read(struct http_server *s)
{
	struct handover_message m;
	int got;

	while ((got = handover_receive(s->take_fd, &m)) == 1 || got == -EBADMSG) {
		if (got == -EBADMSG)
			log_line(LOG_WARNING, "handover: malformed message from the predecessor");
		else
			on_message(s, &m);
		files_fit(s); /* before the next comes */
	}
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* Every copy of the other end is closed: there is nobody who could still say a word. */
	giver_gone(s);
	handover_close(s, &s->take_fd);
}

void
take_close(struct http_server *s)
{
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->held)) != NULL)
		act(c, (struct take_step){TAKE_NONE, TAKE_CLOSE});
}
