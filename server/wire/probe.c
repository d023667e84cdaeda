/* SPDX-License-Identifier: MIT */
/*
 * Experiments with a parser of their own, on socket pairs: nobody's server takes part in them.
 */
#include <errno.h>
#include <unistd.h>

#include "server/wire/probe.h"

static struct probe *
probe_of(const struct wire_conn *c)
{
	return (struct probe *)((char *)c->wire - offsetof(struct probe, wire));
}

static void
on_opened(struct wire_conn *c)
{
	probe_of(c)->open_n++;
}

static void
on_complete(struct wire_conn *c, struct http_request *req)
{
	STAILQ_INSERT_TAIL(&probe_of(c)->ready, req, queued);
}

static void
on_closed(struct wire_conn *c, bool ours)
{
	(void)ours;
	probe_of(c)->open_n--;
	talloc_free(c);
}

static void
on_lost(struct wire_conn *c)
{
	talloc_free(c);
}

static void
do_nothing(struct wire_conn *c)
{
	(void)c;
}

static bool
is_never_last(const struct wire_conn *c)
{
	(void)c;
	return false;
}

static const struct wire_events probe_events = {
    .opened = on_opened,
    .begun = do_nothing,
    .head = do_nothing,
    .complete = on_complete,
    .is_last = is_never_last,
    .ended = do_nothing,
    .closed = on_closed,
    .lost = on_lost,
};

int
probe_open(struct probe *p, struct wire *w)
{
	int err = -ENOMEM;

	*p = (struct probe){.mem = talloc_new(NULL)};
	STAILQ_INIT(&p->ready);
	settings_defaults(&p->set);
	wire_init(&p->wire, &p->set, &p->counters, &probe_events);
	p->wire.quiet = true;
	p->wire.traits = w->traits;
	if (p->mem != NULL)
		p->wire.store = request_store_new(p->mem);
	if (p->wire.store != NULL)
		err = parser_start(&p->wire);
	if (err == 0)
		w->traits.strictness = p->wire.traits.strictness;
	return err;
}

void
probe_close(struct probe *p)
{
	parser_stop(&p->wire);
	TALLOC_FREE(p->mem);
}

struct wire_conn *
probe_connect(struct probe *p, int *fd)
{
	struct wire_conn *c;
	int fds[2];

	*fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return NULL;
	c = talloc(p->mem, struct wire_conn);
	if (c == NULL) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	wire_conn_init(c, &p->wire, fds[0]);
	c->listener = "probe";
	c->peer.ss_family = AF_UNIX;
	c->peer_len = sizeof(sa_family_t);
	if (parser_add(c) != 0) {
		close(fds[1]);
		return NULL;
	}
	parser_run(&p->wire); /* it may be taken in only now */
	*fd = fds[1];
	return c;
}

/* Answers what is complete with 200, as a handler would. */
static void
answer_ready(struct probe *p)
{
	struct http_request *req;
	unsigned todo;

	while ((req = STAILQ_FIRST(&p->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->ready, queued);
		if (req->conn != NULL) {
			p->extracted = parser_extracts(req->conn);
			p->head_size = parser_head_size(req->conn);
			if (p->seen != NULL)
				p->seen(p->data, req);
		}
		response_init(&req->res, req);
		http_response_empty(&req->res, 200);
		todo = request_tell(req, REQUEST_EV_ANSWERED);
		if (todo & REQUEST_DO_RESUME)
			parser_resume(req);
		if (todo & REQUEST_DO_FREE)
			request_free(req);
	}
}

void
probe_turn(struct probe *p)
{
	parser_run(&p->wire);
	answer_ready(p);
}
