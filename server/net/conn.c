/* SPDX-License-Identifier: MIT */
/*
 * Connections: those that there are, in which list each is, whose peer has gone, and how one is
 * ended. The parser owns the fd; we end a connection by shutting it down, which it notices.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "server/internal.h"

struct http_conn *
conn_new(struct http_server *s, const struct listener *l, int fd)
{
	struct http_conn *c = talloc_zero(s, struct http_conn);

	if (c == NULL)
		return NULL;
	c->source = SOURCE_CONN;
	c->server = s;
	c->listener = l;
	wire_conn_init(&c->wire, &s->wire, fd);
	c->wire.listener = l->name;
	return c;
}

void
conn_watch(struct http_conn *c)
{
	/* The parser misses an end that arrives together with the last data, so the end has an
	 * event of its own; edge-triggered, it costs nothing while requests come. */
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	epoll_ctl(c->server->epoll_fd, EPOLL_CTL_ADD, c->wire.fd, &ev);
}

static void
leave_list(struct http_conn *c)
{
	if (c->in == &c->server->idle)
		TAILQ_REMOVE(&c->server->oldest, c, oldest_entry);
	TAILQ_REMOVE(c->in, c, list_entry);
}

void
conn_move(struct http_conn *c, struct http_conns *list)
{
	leave_list(c);
	TAILQ_INSERT_TAIL(list, c, list_entry);
	if (list == &c->server->idle)
		TAILQ_INSERT_TAIL(&c->server->oldest, c, oldest_entry);
	c->in = list;
}

void
conn_opened(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);
	struct http_server *s = c->server;

	TAILQ_INSERT_TAIL(&s->conns, c, all_entry);
	TAILQ_INSERT_TAIL(&s->busy, c, list_entry);
	c->in = &s->busy;
	c->opened_ms = s->now_ms;
	s->conns_n++;
	conn_watch(c);
	conn_idle(c);
}

void
conn_forget(struct http_conn *c)
{
	struct http_server *s = c->server;

	leave_list(c);
	if (c->hup)
		TAILQ_REMOVE(&s->hups, c, hup_entry);
	TAILQ_REMOVE(&s->conns, c, all_entry);
	s->conns_n--;
	address_uncount(s->addresses, c);
}

void
conn_recall(struct http_conn *c)
{
	struct http_server *s = c->server;

	TAILQ_INSERT_TAIL(&s->conns, c, all_entry);
	s->conns_n++;
	(void)address_count(s->addresses, c);
}

void
conn_closed(struct wire_conn *w, bool ours)
{
	struct http_conn *c = conn_of(w);
	struct http_server *s = c->server;
	bool lingers = (c->wire.linger || ours) && !c->wire.peer_done;

	/* Neither is done by the close of one of two duplicates. */
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	if (!(lingers && linger_start(s, c->wire.fd)) && c->inherited)
		shutdown(c->wire.fd, SHUT_RDWR);
	conn_forget(c);
	/* By us, not by a client that left. */
	if (s->drain == DRAIN_CLOSING && (c->wire.linger || (c->wire.cut && !c->left)))
		counter_add(&s->counters, COUNTER_ENDED);
	talloc_free(c);
	accept_resume(s);
}

void
conn_lost(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	address_uncount(c->server->addresses, c);
	talloc_free(c);
}

void
conn_begun(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);
	struct http_server *s = c->server;

	if (c->in != &s->busy)
		conn_move(c, &s->busy);
	c->since_ms = s->now_ms;
	c->sent_since_ms = 0;
}

void
conn_head(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	c->since_ms = c->server->now_ms;
}

void
conn_ended(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	if (c->server->drain >= DRAIN_CLOSING)
		counter_add(&c->server->counters, COUNTER_FINISHED);
	conn_idle(c);
}

void
conn_cut(struct http_conn *c)
{
	if (!c->wire.cut)
		shutdown(c->wire.fd, SHUT_RDWR);
	c->wire.cut = true;
}

/*
 * Not cut at once: a reset would follow if the client is still sending. The parser is left with
 * the connection until the lingering ends, and may even read of it, for nothing (parser.c).
 */
void
conn_end(struct http_conn *c, const char *answer)
{
	if (c->wire.cut)
		return;
	if (!c->wire.peer_done)
		(void)send(c->wire.fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	epoll_ctl(c->server->epoll_fd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	if (c->wire.peer_done || !linger_start(c->server, c->wire.fd))
		conn_cut(c);
	c->wire.cut = true;
}

void
conn_hup(struct http_conn *c)
{
	c->wire.peer_done = true;
	if (!c->hup)
		TAILQ_INSERT_TAIL(&c->server->hups, c, hup_entry);
	c->hup = true;
}

/*
 * Called after the parser has read what came before the end. Whoever waits for a request, or
 * for the rest of one, waits in vain; a complete one still gets its answer, for the peer may
 * have closed only its own half, but whoever works on it is told.
 */
void
conn_settle_hups(struct http_server *s)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->hups); c != NULL; c = next) {
		struct http_request *req = c->wire.current;
		bool waits = req == NULL || request_is_arriving(req);

		next = TAILQ_NEXT(c, hup_entry);
		/* The parser may need several runs for what came before the end. */
		if (waits && !c->wire.cut && account_unread(&c->wire) > 0)
			continue;
		TAILQ_REMOVE(&s->hups, c, hup_entry);
		c->hup = false;
		if (waits) {
			c->left = c->left || !c->wire.cut; /* our own cut is told as an end, too */
			conn_cut(c);
		} else if (req->ctx != NULL)
			ctxi_soon_cancel(req->ctx, &http_client_gone);
	}
}
