/* SPDX-License-Identifier: MIT */
/*
 * Connections, as the table of their life says (conn_life.h): where each is, what is done with it, and
 * what the parser and the peer do that is an event of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

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
	struct http_conns *idle = &c->net->in[CONN_LIST_IDLE];

	c->look_ms = *c->net->now_ms + interval;
	TAILQ_REMOVE(idle, c, list_entry);
	if (interval > 0)
		TAILQ_INSERT_TAIL(idle, c, list_entry);
	else
		TAILQ_INSERT_HEAD(idle, c, list_entry);
}

/* ---- Where it is, and what is done with it, by the table ------------------------------------ */

static void
count_in(struct http_conn *c)
{
	struct net *net = c->net;

	TAILQ_INSERT_TAIL(&net->conns, c, all_entry);
	net->conns_n++;
	(void)address_count(net->addresses, c);
}

static void
count_out(struct http_conn *c)
{
	struct net *net = c->net;

	TAILQ_REMOVE(&net->conns, c, all_entry);
	net->conns_n--;
	address_uncount(net->addresses, c);
}

static void
enter_list(struct http_conn *c, enum conn_list list)
{
	struct net *net = c->net;

	if (list == CONN_LIST_NONE)
		return;
	TAILQ_INSERT_TAIL(&net->in[list], c, list_entry);
	net->in_n[list]++;
	if (list == CONN_LIST_IDLE) {
		TAILQ_INSERT_TAIL(&net->oldest, c, oldest_entry);
		c->began_ms = 0;
		conn_look_later(c, conn_look_interval(net));
	}
	c->since_ms = *net->now_ms;
	c->sent_since_ms = 0;
}

static void
leave_list(struct http_conn *c, enum conn_list list)
{
	struct net *net = c->net;

	if (list == CONN_LIST_NONE)
		return;
	TAILQ_REMOVE(&net->in[list], c, list_entry);
	net->in_n[list]--;
	if (list == CONN_LIST_IDLE)
		TAILQ_REMOVE(&net->oldest, c, oldest_entry);
}

static void
move(struct http_conn *c, enum conn_state next)
{
	const struct conn_place *from = &conn_places[c->state], *to = &conn_places[next];

	if (from->list != to->list) {
		leave_list(c, from->list);
		enter_list(c, to->list);
	}
	if (from->ending && !to->ending)
		TAILQ_REMOVE(&c->net->hups, c, hup_entry);
	if (!from->ending && to->ending)
		TAILQ_INSERT_TAIL(&c->net->hups, c, hup_entry);
	if (from->ours && !to->ours)
		count_out(c);
	if (!from->ours && to->ours)
		count_in(c);
	c->state = next;
	c->wire.cut = next == CONN_ENDING || next == CONN_LEFT;
}

static void
watch(struct http_conn *c)
{
	/* The parser misses an end that arrives together with the last data, so the end has an
	 * event of its own; edge-triggered, it costs nothing while requests come. */
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	epoll_ctl(c->net->epoll_fd, EPOLL_CTL_ADD, c->wire.fd, &ev);
}

static void
carry_out(struct http_conn *c, unsigned orders)
{
	const struct http_request *req = c->wire.current;

	if ((orders & CONN_TELL) != 0 && req != NULL && req->ctx != NULL)
		ctxi_soon_cancel(req->ctx, &http_client_gone);
	if ((orders & CONN_UNWATCH) != 0)
		source_unwatch(c->net->epoll_fd, c->wire.fd);
	if ((orders & CONN_WATCH) != 0)
		watch(c);
	if ((orders & CONN_SHUT) != 0)
		shutdown(c->wire.fd, SHUT_RDWR);
	if ((orders & CONN_HOLD) != 0)
		parser_hold(&c->wire);
	if ((orders & CONN_RELEASE) != 0)
		parser_release(&c->wire);
	if ((orders & CONN_CLOSE) != 0)
		close(c->wire.fd);
	if ((orders & CONN_FORGET) != 0) {
		address_uncount(c->net->addresses, c); /* a newcomer is counted before it is ours */
		talloc_free(c);
	}
}

unsigned
conn_advance(struct http_conn *c, enum conn_event event)
{
	struct conn_step step = conn_life(c->state, event);

	if (step.next != c->state)
		move(c, step.next);
	if (step.orders != 0)
		carry_out(c, step.orders);
	return step.orders;
}

/* ---- What the parser tells ------------------------------------------------------------------ */

void
conn_opened(struct wire_conn *w)
{
	struct http_conn *c = conn_of(w);

	c->opened_ms = *c->net->now_ms;
	conn_advance(c, CONN_EV_OPENED);
}

void
conn_closed(struct wire_conn *w, bool ours)
{
	struct http_conn *c = conn_of(w);
	struct net *net = c->net;
	bool lingers = (w->linger || ours) && !w->peer_done;

	/* Neither is done by the close of one of two duplicates. */
	source_unwatch(net->epoll_fd, w->fd);
	if (!(lingers && linger_start(net, w->fd)) && c->inherited)
		shutdown(w->fd, SHUT_RDWR);
	/* By us, not by a client that left. */
	if (net->leave != LEAVE_NOT && net->leave != LEAVE_CUT &&
	    (w->linger || c->state == CONN_ENDING))
		counter_add(net->counters, COUNTER_ENDED);
	conn_advance(c, CONN_EV_CLOSED);
	net->room = true;
}

void
conn_lost(struct wire_conn *w)
{
	conn_advance(conn_of(w), CONN_EV_LOST);
}

void
conn_begun(struct wire_conn *w)
{
	conn_advance(conn_of(w), CONN_EV_BEGUN);
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
	conn_advance(c, CONN_EV_ENDED);
}

/* ---- Its end -------------------------------------------------------------------------------- */

/*
 * Not cut at once: a reset would follow if the client is still sending. The parser is left with
 * the connection until the lingering ends, and may even read of it, for nothing (parser.c).
 */
void
conn_end(struct http_conn *c, const char *answer)
{
	if (!c->wire.peer_done)
		(void)send(c->wire.fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	source_unwatch(c->net->epoll_fd, c->wire.fd);
	if (!c->wire.peer_done && linger_start(c->net, c->wire.fd))
		conn_advance(c, CONN_EV_LAST_WORD);
	else
		conn_advance(c, CONN_EV_CUT);
}

void
conn_hup(struct http_conn *c)
{
	c->wire.peer_done = true;
	conn_advance(c, CONN_EV_END);
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
		if (!waits)
			conn_advance(c, CONN_EV_COMPLETE);
		else if (account_unread(&c->wire) == 0)
			conn_advance(c, CONN_EV_IN_VAIN);
	}
}
