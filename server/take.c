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

#include "server/handover.h"

void
take_hello(struct http_server *s)
{
	if (s->take_fd >= 0)
		(void)handover_send(s->take_fd, BATON_HANDOVER_HELLO, 0, NULL, -1);
}

static const struct listener *
listener_named(const struct http_server *s, const char *name)
{
	const struct listener *l;

	TAILQ_FOREACH(l, &s->listeners, entry)
		if (strcmp(l->name, name) == 0)
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
	c = conn_new(s, listener_named(s, m->state.listener), m->fd);
	if (c == NULL)
		return NULL;
	c->used = (int64_t)m->state.used_bytes;
	c->requests = (int64_t)m->state.requests;
	c->opened_unix_ms = m->state.opened_unix_ms;
	c->peer_len = m->state.peer_size;
	memcpy(&c->peer, m->state.peer, sizeof(c->peer));
	c->offer_id = m->id;
	c->in = &s->held;
	TAILQ_INSERT_TAIL(&s->held, c, list_entry);
	s->held_n++;
	return c;
}

static void
on_offer(struct http_server *s, const struct handover_message *m)
{
	struct http_conn *c = hold(s, m);

	if (c == NULL) {
		if (m->fd >= 0)
			close(m->fd);
		(void)handover_send(s->take_fd, BATON_HANDOVER_REFUSE, m->id, NULL, -1);
		return;
	}
	c->take = handover_take(TAKE_NONE, TAKE_ON_OFFER).next;
	c->owed = handover_send(s->take_fd, BATON_HANDOVER_HAVE, m->id, NULL, -1) != 0;
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
		close(c->fd);
		talloc_free(c);
		return;
	}
	(void)address_count(s->addresses, c);
	counter_add(s, COUNTER_TAKEN);
	if (parser_add(c) != 0)
		log_line(LOG_ERR, "handover: a connection was lost: no memory for it");
}

static void
on_word(struct http_server *s, uint64_t id, enum take_event event)
{
	struct http_conn *c;

	TAILQ_FOREACH(c, &s->held, list_entry)
		if (c->offer_id == id) {
			act(c, handover_take(c->take, event));
			return;
		}
}

static void
giver_gone(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->held); c != NULL; c = next) {
		next = TAILQ_NEXT(c, list_entry);
		act(c, handover_take(c->take, TAKE_ON_GIVER_GONE));
	}
}

static void
on_message(struct http_server *s, const struct handover_message *m)
{
	switch (m->type) {
	case BATON_HANDOVER_OFFER:
		on_offer(s, m);
		break;
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
}

/* The answer HAVE that the channel had no room for; returns when to try again. */
int64_t
take_flush(struct http_server *s)
{
	struct http_conn *c;
	bool owed = false;

	if (s->held_n == 0 || s->take_fd < 0)
		return INT64_MAX;
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
	}
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* Every copy of the other end is closed: there is nobody who could still say a word. */
	giver_gone(s);
	close(s->take_fd);
	s->take_fd = -1;
}
