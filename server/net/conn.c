/* SPDX-License-Identifier: MIT */
/*
 * Connections: those that there are, in which list each is, whose peer has gone, and how one is
 * ended. The parser owns the fd; we end a connection by shutting it down, which it notices.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "server/net/net.h"

struct http_conn *
conn_new(struct net *net, const struct listener *l, int fd)
{
	struct http_conn *c = talloc_zero(net->mem, struct http_conn);

	if (c == NULL)
		return NULL;
	c->source = SOURCE_CONN;
	c->net = net;
	c->listener = l;
	wire_conn_init(&c->wire, net->wire, fd);
	c->wire.listener = l->name;
	return c;
}

void
conn_watch(struct http_conn *c)
{
	/* The parser misses an end that arrives together with the last data, so the end has an
	 * event of its own; edge-triggered, it costs nothing while requests come. */
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	epoll_ctl(c->net->epoll_fd, EPOLL_CTL_ADD, c->wire.fd, &ev);
}

static void
leave_list(struct http_conn *c)
{
	if (c->in == &c->net->idle)
		TAILQ_REMOVE(&c->net->oldest, c, oldest_entry);
	TAILQ_REMOVE(c->in, c, list_entry);
}

void
conn_move(struct http_conn *c, struct http_conns *list)
{
	leave_list(c);
	TAILQ_INSERT_TAIL(list, c, list_entry);
	if (list == &c->net->idle)
		TAILQ_INSERT_TAIL(&c->net->oldest, c, oldest_entry);
	c->in = list;
}

int64_t
conn_look_interval(const struct net *net)
{
	int64_t idle = net->set->idle_timeout_ms, header = net->set->header_timeout_ms;

	switch (net->leave) {
	case LEAVE_NOT:
		break;
	case LEAVE_END:
	case LEAVE_AWAIT:
		return net->set->idle_linger_ms;
	case LEAVE_GIVE:
	case LEAVE_CUT:
		return 0;
	}
	/* A whole part of the time it may be idle, and at least four times in the time a head may
	 * take, for its beginning is seen at a look only. */
	return idle / ((4 * idle + header - 1) / header);
}

/* The list is sorted by the next look, because every look adds the same interval. */
void
conn_look_later(struct http_conn *c, int64_t interval)
{
	struct http_conns *idle = &c->net->idle;

	c->look_ms = *c->net->now_ms + interval;
	TAILQ_REMOVE(idle, c, list_entry);
	if (interval > 0)
		TAILQ_INSERT_TAIL(idle, c, list_entry);
	else
		TAILQ_INSERT_HEAD(idle, c, list_entry);
}

void
conn_idle(struct http_conn *c)
{
	struct net *net = c->net;

	conn_move(c, &net->idle);
	c->since_ms = *net->now_ms;
	c->began_ms = 0;
	conn_look_later(c, conn_look_interval(net));
	if (c->wire.peer_done)
		conn_hup(c);
}

void
conn_opened(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);
	struct net *net = c->net;

	TAILQ_INSERT_TAIL(&net->conns, c, all_entry);
	TAILQ_INSERT_TAIL(&net->busy, c, list_entry);
	c->in = &net->busy;
	c->opened_ms = *net->now_ms;
	net->conns_n++;
	conn_watch(c);
	conn_idle(c);
}

void
conn_forget(struct http_conn *c)
{
	struct net *net = c->net;

	leave_list(c);
	if (c->hup)
		TAILQ_REMOVE(&net->hups, c, hup_entry);
	TAILQ_REMOVE(&net->conns, c, all_entry);
	net->conns_n--;
	address_uncount(net->addresses, c);
}

void
conn_recall(struct http_conn *c)
{
	struct net *net = c->net;

	TAILQ_INSERT_TAIL(&net->conns, c, all_entry);
	net->conns_n++;
	(void)address_count(net->addresses, c);
}

void
conn_closed(struct wire_conn *w, bool ours)
{
	struct http_conn *c = conn_of(w);
	struct net *net = c->net;
	bool lingers = (c->wire.linger || ours) && !c->wire.peer_done;

	/* Neither is done by the close of one of two duplicates. */
	epoll_ctl(net->epoll_fd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	if (!(lingers && linger_start(net, c->wire.fd)) && c->inherited)
		shutdown(c->wire.fd, SHUT_RDWR);
	conn_forget(c);
	/* By us, not by a client that left. */
	if (net->leave != LEAVE_NOT && net->leave != LEAVE_CUT &&
	    (c->wire.linger || (c->wire.cut && !c->left)))
		counter_add(net->counters, COUNTER_ENDED);
	talloc_free(c);
	net->room = true;
}

void
conn_lost(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	address_uncount(c->net->addresses, c);
	talloc_free(c);
}

void
conn_begun(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);
	struct net *net = c->net;

	if (c->in != &net->busy)
		conn_move(c, &net->busy);
	c->since_ms = *net->now_ms;
	c->sent_since_ms = 0;
}

void
conn_head(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	c->since_ms = *c->net->now_ms;
}

bool
conn_is_last(const struct wire_conn *w)
{
	const struct http_conn *c = conn_of(w);

	switch (c->net->leave) {
	case LEAVE_NOT:
		return false;
	case LEAVE_AWAIT:
	case LEAVE_GIVE:
		/* Can it never be given away? */
		return !w->wire->traits.holds || w->used_inexact || c->refused;
	case LEAVE_END:
	case LEAVE_CUT:
		break;
	}
	return true;
}

void
conn_ended(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	if (c->net->leave != LEAVE_NOT)
		counter_add(c->net->counters, COUNTER_FINISHED);
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
	epoll_ctl(c->net->epoll_fd, EPOLL_CTL_DEL, c->wire.fd, NULL);
	if (c->wire.peer_done || !linger_start(c->net, c->wire.fd))
		conn_cut(c);
	c->wire.cut = true;
}

void
conn_hup(struct http_conn *c)
{
	c->wire.peer_done = true;
	if (!c->hup)
		TAILQ_INSERT_TAIL(&c->net->hups, c, hup_entry);
	c->hup = true;
}

/*
 * Called after the parser has read what came before the end. Whoever waits for a request, or
 * for the rest of one, waits in vain; a complete one still gets its answer, for the peer may
 * have closed only its own half, but whoever works on it is told.
 */
void
conn_settle_hups(struct net *net)
{
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&net->hups); c != NULL; c = next) {
		struct http_request *req = c->wire.current;
		bool waits = req == NULL || request_is_arriving(req);

		next = TAILQ_NEXT(c, hup_entry);
		/* The parser may need several runs for what came before the end. */
		if (waits && !c->wire.cut && account_unread(&c->wire) > 0)
			continue;
		TAILQ_REMOVE(&net->hups, c, hup_entry);
		c->hup = false;
		if (waits) {
			c->left = c->left || !c->wire.cut; /* our own cut is told as an end, too */
			conn_cut(c);
		} else if (req->ctx != NULL)
			ctxi_soon_cancel(req->ctx, &http_client_gone);
	}
}
