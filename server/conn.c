/* SPDX-License-Identifier: MIT */
/*
 * Connections: who is idle since when, whose peer has gone, and who has to go. The parser
 * owns the fd; we end a connection by shutting it down, which the parser notices.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	c->fd = fd;
	c->idle = true;
	c->idle_since_ms = loop_now_ms();
	return c;
}

void
conn_open(struct http_conn *c)
{
	struct http_server *s = c->server;
	/* The parser misses an end that arrives together with the last data, so the end has an
	 * event of its own; edge-triggered, it costs nothing while requests come. */
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	TAILQ_INSERT_TAIL(&s->conns, c, all_entry);
	TAILQ_INSERT_TAIL(&s->idle, c, idle_entry);
	s->conns_n++;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev);
}

/* The parser is about to close the fd. */
void
conn_closed(struct http_conn *c)
{
	struct http_server *s = c->server;

	if (c->idle)
		TAILQ_REMOVE(&s->idle, c, idle_entry);
	if (c->hup)
		TAILQ_REMOVE(&s->hups, c, hup_entry);
	TAILQ_REMOVE(&s->conns, c, all_entry);
	s->conns_n--;
	if (c->linger && !c->peer_done)
		linger_start(s, c->fd);
	talloc_free(c);
	accept_resume(s);
}

void
conn_busy(struct http_conn *c, struct http_request *req)
{
	if (c->idle)
		TAILQ_REMOVE(&c->server->idle, c, idle_entry);
	c->idle = false;
	c->current = req;
}

void
conn_idle(struct http_conn *c)
{
	c->current = NULL;
	c->idle = true;
	c->idle_since_ms = c->server->now_ms;
	TAILQ_INSERT_TAIL(&c->server->idle, c, idle_entry);
	if (c->peer_done)
		conn_hup(c);
}

void
conn_cut(struct http_conn *c)
{
	if (!c->cut)
		shutdown(c->fd, SHUT_RDWR);
	c->cut = true;
}

void
conn_hup(struct http_conn *c)
{
	c->peer_done = true;
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
	struct http_conn *c;

	while ((c = TAILQ_FIRST(&s->hups)) != NULL) {
		struct http_request *req = c->current;

		TAILQ_REMOVE(&s->hups, c, hup_entry);
		c->hup = false;
		if (req == NULL || atomic_load(&req->phase) < REQUEST_READY)
			conn_cut(c);
		else if (req->ctx != NULL)
			ctx_cancel_cause(req->ctx, &http_client_gone);
	}
}

/* Milliseconds since anything arrived, also the beginning of a request; 0 if unknown. */
static int64_t
silent_ms(const struct http_conn *c, int64_t now)
{
	int64_t idle = now - c->idle_since_ms;
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (c->peer.ss_family == AF_UNIX)
		return idle;
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return idle;
	return info.tcpi_last_data_recv < idle ? (int64_t)info.tcpi_last_data_recv : idle;
}

static bool
has_unread(const struct http_conn *c)
{
	int n = 0;

	return ioctl(c->fd, FIONREAD, &n) == 0 && n > 0;
}

/*
 * While draining, an idle connection is closed when it has been silent for idle_linger_ms: one
 * that is closed at once may lose the request that is on its way.
 */
int64_t
conn_expire(struct http_server *s, int64_t now)
{
	bool draining = drain_closes(s);
	int64_t limit = draining ? s->set.idle_linger_ms : s->set.idle_timeout_ms;
	struct http_conn *c, *next;

	for (c = TAILQ_FIRST(&s->idle); c != NULL; c = next) {
		int64_t silent = now - c->idle_since_ms;

		next = TAILQ_NEXT(c, idle_entry);
		if (silent < limit)
			return c->idle_since_ms + limit;
		if (c->cut)
			continue;
		if (draining && (has_unread(c) || silent_ms(c, now) < limit)) {
			/* It has begun to speak: look again as if it were idle from now on. */
			c->idle_since_ms = now;
			TAILQ_REMOVE(&s->idle, c, idle_entry);
			TAILQ_INSERT_TAIL(&s->idle, c, idle_entry);
			continue;
		}
		conn_cut(c);
	}
	return INT64_MAX;
}
