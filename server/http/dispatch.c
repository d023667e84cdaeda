/* SPDX-License-Identifier: MIT */
/*
 * From a request to its answer: the route is found, the middleware run, then the handler, and
 * whatever comes of it is made an answer. Knows nothing of sockets; runs in any thread.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "server/http/http_internal.h"

#include <baton/bag.h>

const struct ctx_cause http_client_gone = {-ECANCELED, "client gone"};
const struct ctx_cause http_draining = {-ECANCELED, "server draining"};
const struct ctx_cause http_handler_returned = {-ECANCELED, "handler returned"};

/* Behind the server's middleware: the route's handler. */
static int
serve_route(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct route *route = req->match.route;
	int err;

	(void)data;
	if (route != NULL)
		return route->handler(ctx, req, res, route->data);
	if (req->match.allow == NULL)
		return http_response_error(res, 404, NULL);
	err = http_response_header(res, "Allow", req->match.allow);
	if (err != 0)
		return err;
	if (strcmp(req->path, "*") == 0) /* OPTIONS: it asks for nothing else */
		return http_response_empty(res, 204);
	return http_response_error(res, 405, NULL);
}

/* The host of an absolute target counts, whatever Host says (RFC 9112 section 3.2.2). */
static int
use_authority(struct http_request *req, const struct target *t)
{
	char *host;

	if (t->authority == NULL)
		return 0;
	host = talloc_strndup(req, t->authority, t->authority_len);
	if (host == NULL)
		return -ENOMEM;
	return target_host_valid(host) ? request_set_host(req, host) : -EINVAL;
}

void
dispatch_route(const struct http_dispatch *d, struct http_request *req)
{
	struct target t;
	const char *path;

	req->route_error = target_parse(req->method, req->target, &t);
	if (req->route_error == 0)
		req->route_error = use_authority(req, &t);
	if (req->route_error != 0)
		return;
	/* Without a query the path ends where the target does. */
	path = t.path[t.path_len] == '\0' ? t.path : talloc_strndup(req, t.path, t.path_len);
	req->query = t.query;
	req->route_error = -ENOMEM;
	if (path == NULL)
		return;
	req->path = path;
	req->route_error = router_find(d->router, req, req->method, path, t.path_len, &req->match);
}

void
dispatch_error(struct http_request *req, int status, const char *text)
{
	bool close = req->res.close;

	response_init(&req->res, req);
	req->res.close = close;
	if (http_response_error(&req->res, status, text) != 0)
		http_response_empty(&req->res, status); /* takes no memory */
}

/* A handler that gives up because its client has left does what it should. */
static int
failure_priority(const struct ctx *ctx, int err)
{
	bool gone = ctx != NULL && ctx_cause(ctx) == &http_client_gone;

	return gone && (err == 0 || err == -ECANCELED) ? LOG_DEBUG : LOG_ERR;
}

void
dispatch_run(const struct http_dispatch *d, const struct ctx *ctx, struct http_request *req)
{
	struct http_next first = {.at = d->middleware, .end = d->middleware, .last = serve_route};
	int err = req->route_error;

	if (d->middleware != NULL)
		first.end += d->middleware_n;
	if (err == -EINVAL) {
		dispatch_error(req, 400, "malformed request target");
		return;
	}
	if (err == 0) {
		ctx =
		    ctx == NULL ? NULL : ctx_with_bag_and_value(req, ctx, &request_id_key, req->id);
		err = http_next(ctx, req, &req->res, &first);
	}
	if (err < 0) {
		log_request(failure_priority(ctx, err), req, "handler of %s %s failed: %s",
		    req->method, req->path, strerror(-err));
		dispatch_error(req, 500, NULL);
	} else if (req->res.status == 0) {
		log_request(failure_priority(ctx, 0), req, "handler of %s %s gave no answer",
		    req->method, req->path);
		dispatch_error(req, 500, NULL);
	}
}
