/* SPDX-License-Identifier: MIT */
/*
 * The server as its user sees it before it runs (run.c): set-up, with sticky errors.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/internal.h"

static struct http_server *
server_of(struct wire *w)
{
	return (struct http_server *)((char *)w - offsetof(struct http_server, wire));
}

static void
on_complete(struct wire_conn *c, struct http_request *req)
{
	struct http_server *s = server_of(c->wire);

	work_ready(&s->sched, req);
}

static const struct wire_events events = {
    .opened = conn_opened,
    .begun = conn_begun,
    .head = conn_head,
    .complete = on_complete,
    .is_last = conn_is_last,
    .ended = conn_ended,
    .closed = conn_closed,
    .lost = conn_lost,
};

static int
server_destroy(struct http_server *s)
{
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	return 0;
}

static const struct sched_events sched_events = {.resume = parser_resume};

static int
make_sched(struct http_server *s)
{
	s->sched.set = &s->set;
	s->sched.counters = &s->counters;
	s->sched.dispatch = &s->dispatch;
	s->sched.events = &sched_events;
	s->sched.now_ms = &s->now_ms;
	return sched_init(&s->sched, s);
}

struct http_server *
http_server_new(TALLOC_CTX *mem)
{
	struct http_server *s = talloc_zero(mem, struct http_server);

	if (s == NULL)
		return NULL;
	settings_defaults(&s->set);
	wire_init(&s->wire, &s->set, &s->counters, &events);
	net_init(&s->net, s, &s->wire, &s->now_ms);
	handover_init(&s->handover, &s->net, &s->sched);
	s->epoll_fd = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	talloc_set_destructor(s, server_destroy);
	s->dispatch.router = router_new(s);
	if (make_sched(s) != 0 || s->dispatch.router == NULL || s->wake_fd < 0) {
		talloc_free(s);
		return NULL;
	}
	return s;
}

/* Keeps the first error, with the call that made it. */
static int setup_failed(struct http_server *s, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
setup_failed(struct http_server *s, int err, const char *fmt, ...)
{
	va_list ap;

	if (s->setup_errno == 0) {
		s->setup_errno = err;
		va_start(ap, fmt);
		s->setup_error = talloc_vasprintf(s, fmt, ap);
		va_end(ap);
	}
	return err;
}

int
http_server_listen(struct http_server *s, const char *name, const char *address)
{
	if (s == NULL)
		return -ENOMEM;
	if (name == NULL || address == NULL)
		return setup_failed(
		    s, -EINVAL, "http_server_listen: expected a name and an address, not NULL");
	if (listener_named(&s->net, name) != NULL)
		return setup_failed(s, -EEXIST,
		    "http_server_listen(\"%s\", \"%s\"): there is a listener of that name", name,
		    address);
	if (name[0] == '\0' || strchr(name, ':') != NULL)
		return setup_failed(s, -EINVAL,
		    "http_server_listen(\"%s\", \"%s\"): a name is not empty and has no colon",
		    name, address);
	if (listener_new(&s->net, name, address) == NULL)
		return setup_failed(s, -ENOMEM, "http_server_listen: out of memory");
	return 0;
}

int
http_server_port(const struct http_server *s, const char *name)
{
	const struct listener *l;

	if (s == NULL)
		return -ENOMEM;
	l = name == NULL ? NULL : listener_named(&s->net, name);
	return l == NULL ? -ENOENT : l->port;
}

int
http_server_use(struct http_server *s, http_middleware *mw, void *data)
{
	const struct http_link link = {.run = mw, .data = data};
	struct http_link *all;
	const char *why;
	int err;

	if (s == NULL)
		return -ENOMEM;
	err = chain_check_link(&link, &why);
	if (err != 0)
		return setup_failed(s, err, "http_server_use: %s", why);
	all = talloc_realloc(
	    s, s->dispatch.middleware, struct http_link, s->dispatch.middleware_n + 1);
	if (all == NULL)
		return setup_failed(s, -ENOMEM, "http_server_use: out of memory");
	s->dispatch.middleware = all;
	all[s->dispatch.middleware_n++] = link;
	return 0;
}

int
http_server_handle(struct http_server *s, const char *pattern, http_handler *h, void *data)
{
	static const struct http_route_options none;

	return http_server_handle_with(s, pattern, h, data, &none);
}

static void
apply_options(struct route_load *load, const struct http_route_options *options)
{
	load->blocking = (options->flags & HTTP_BLOCKING) != 0;
	load->blocking_fixed = options->flags != 0;
	load->away_max = options->concurrent_max;
	load->timeout_ms = options->timeout_ms;
}

int
http_server_handle_with(struct http_server *s, const char *pattern, http_handler *h, void *data,
    const struct http_route_options *options)
{
	const struct route *with = NULL;
	const char *why;
	struct route *route;
	int err;

	if (s == NULL)
		return -ENOMEM;
	if (pattern == NULL)
		return setup_failed(s, -EINVAL, "http_server_handle: expected a pattern, not NULL");
	err = chain_check_handler(h, data, &why);
	if (err == 0 && options == NULL) {
		err = -EINVAL;
		why = "expected options";
	}
	if (err != 0)
		return setup_failed(s, err, "http_server_handle(\"%s\"): %s", pattern, why);
	if (options->flags > HTTP_QUICK)
		return setup_failed(s, -EINVAL,
		    "http_server_handle(\"%s\"): HTTP_BLOCKING or HTTP_QUICK, not both", pattern);
	route = route_parse(s, pattern, &why);
	if (route == NULL)
		return setup_failed(s, -EINVAL, "http_server_handle(\"%s\"): %s", pattern, why);
	route->handler = h;
	route->data = data;
	route->load = route_load_new(route, route->pattern);
	if (route->load != NULL)
		apply_options(route->load, options);
	err = route->load == NULL ? -ENOMEM : router_add(s->dispatch.router, route, &with);
	if (err == -EEXIST)
		setup_failed(s, err,
		    "http_server_handle(\"%s\"): conflicts with \"%s\": both match a common "
		    "request and neither is more specific",
		    pattern, with->pattern);
	else if (err != 0)
		setup_failed(s, err, "http_server_handle(\"%s\"): %s", pattern, strerror(-err));
	if (err != 0)
		talloc_free(route);
	return err;
}

int
http_server_handle_chain(struct http_server *s, const char *pattern, const struct http_chain *chain,
    http_handler *h, void *data)
{
	struct http_chained *c = s == NULL ? NULL : http_chain_then(s, chain, h, data);
	int err = http_server_handle(s, pattern, http_chain_serve, c);

	if (err != 0)
		talloc_free(c);
	return err;
}

int
http_server_thread_hooks(
    struct http_server *s, void (*start)(void *data), void (*end)(void *data), void *data)
{
	if (s == NULL)
		return -ENOMEM;
	s->threads.thread_start = start;
	s->threads.thread_end = end;
	s->threads.thread_data = data;
	return 0;
}

int
http_server_set(struct http_server *s, const char *name, const char *value)
{
	int err;

	if (s == NULL)
		return -ENOMEM;
	if (name == NULL || value == NULL)
		return setup_failed(
		    s, -EINVAL, "http_server_set: expected a name and a value, not NULL");
	err = settings_set(&s->set, name, value);
	if (err == -ENOENT)
		return setup_failed(
		    s, err, "http_server_set(\"%s\", \"%s\"): no such setting", name, value);
	if (err != 0)
		return setup_failed(s, err, "http_server_set(\"%s\", \"%s\"): expected %s", name,
		    value, settings_expected(s, name));
	return err;
}

int64_t
http_server_counter(const struct http_server *s, const char *name)
{
	return s == NULL || name == NULL ? -1 : counter_named(&s->counters, name);
}

const char *
http_server_counter_name(size_t i)
{
	return counter_name(i);
}

/* Without a socket, in the calling thread. */
int
http_test_serve(struct http_server *s, const struct ctx *ctx, struct http_request *req,
    const struct http_response **res)
{
	response_init(&req->res, req);
	if (s == NULL) {
		dispatch_error(req, 500, "no server, for lack of memory");
	} else {
		dispatch_route(&s->dispatch, req);
		dispatch_run(&s->dispatch, ctx, req);
	}
	*res = &req->res;
	return req->res.status;
}
