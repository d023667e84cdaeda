/* SPDX-License-Identifier: MIT */
/*
 * The face of server/http/: what is known of a request, from its target to its answer, and who
 * makes one from the other. The parser fills requests in, sched/ has them dispatched, the server
 * registers what they are dispatched to. It knows no descriptor, no thread, no parser, no server.
 */
#ifndef BATON_HTTP_INTERNAL_H
#define BATON_HTTP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <talloc.h>

#include <baton/ctx.h>
#include <baton/http.h>

#include "ctx/calls.h"
#include "ctx/due.h"
#include "ctx/soon.h"
#include "server/base/job.h"
#include "server/http/request_life.h"

struct route_load;
struct wire_conn;

/* ---- target.c: request targets (RFC 9112 section 3.2, RFC 3986) ------------------------------ */

struct target {
	const char *authority; /* of the absolute-form; NULL: none was sent */
	size_t authority_len;
	const char *path; /* undecoded, absolute, or "*"; within the target, or a constant */
	size_t path_len;
	const char *query; /* undecoded, without the question mark; "" if none */
};

/* -EINVAL for what is no target for that method. The authority is not looked at. */
int target_parse(const char *method, const char *raw, struct target *t);
/* Decodes %XX; -EINVAL for a bad escape and for %00. Appends NUL; returns the length. */
ssize_t target_unescape(char *dst, const char *src, size_t len, bool plus_is_space);
/* No segment "." or "..", and no overlong UTF-8, in a path, or a part of one, once decoded. */
bool target_path_valid(const char *decoded);
/* uri-host [":" port], where the host is not empty. */
bool target_host_valid(const char *host);
/* First value of name in a query; NULL if absent or badly encoded. */
const char *target_query(TALLOC_CTX *mem, const char *query, const char *name);

/* ---- route.c, router.c: patterns, and the tree that finds one --------------------------------- */

enum segment_kind { SEGMENT_LITERAL, SEGMENT_ONE, SEGMENT_REST };

struct segment {
	enum segment_kind kind;
	const char *text; /* the literal, decoded; or the name */
};

/* A registered pattern with what it leads to. Immutable once registered. */
struct route {
	const char *pattern;
	const char *method; /* NULL: every method */
	struct segment *segments;
	size_t segments_n;
	http_handler *handler;
	void *data;
	struct route_load *load; /* only the leader touches it */
};

struct route *route_parse(TALLOC_CTX *mem, const char *pattern, const char **why);
/* Do two patterns match a common request, while neither is the more specific? */
bool route_conflict(const struct route *a, const struct route *b);

struct router;

struct router *router_new(TALLOC_CTX *mem);
/* -EEXIST if it conflicts; *with is the other route then. Takes the route over. */
int router_add(struct router *r, struct route *route, const struct route **with);

/* A path cut into decoded segments, and what the wildcards matched. */
struct route_match {
	const struct route *route; /* NULL: none */
	const char **values;       /* in the order of the pattern's wildcards */
	const char *allow;         /* methods that would match, for 405; NULL: none */
};

/* -EINVAL for a path that is badly encoded or has dot segments. Of "*", which has no route, it
 * tells the methods that the server knows. */
int router_find(const struct router *r, TALLOC_CTX *mem, const char *method, const char *path,
    size_t len, struct route_match *m);

/* ---- request.c, response.c: what handlers see ------------------------------------------------- */

/* Room for "[address]:port". */
#define PEER_TEXT_BYTES 60

struct http_response {
	struct http_request *req;
	int status;       /* 0: no answer yet */
	const char *type; /* Content-Type unless a field says otherwise; NULL: none */
	const void *content;
	size_t content_len;
	struct http_field *fields; /* talloc array */
	size_t fields_n;
	bool close; /* the connection ends with this answer */
};

struct http_request {
	/* Recycling. */
	TALLOC_CTX *pool;            /* parentless talloc pool; all of this is inside it */
	struct request_store *store; /* where the pool goes back to */
	/* Its life. Only the leader touches this, but for `handler`. */
	enum request_state state;
	_Atomic(enum handler_phase) handler;
	struct wire_conn *conn;       /* NULL once the connection has let go of it */
	struct http_response *answer; /* `res`, or `late` */
	/* What its handler runs under. */
	struct ctx *ctx;         /* cancelled with a cause; the handler's is derived from it */
	struct ctxi_calls calls; /* counts ctx's functions, which may use the pool */
	/* Running (work.c). */
	STAILQ_ENTRY(http_request) queued; /* in the ready list or its route's waiting list */
	TAILQ_ENTRY(http_request) away;    /* in the list of those that run elsewhere */
	struct crew_job job;               /* while another thread has it */
	struct route_load *load;
	int64_t started_ms;
	int64_t ran_us;            /* in a worker; -1: it was taken over */
	_Atomic(pid_t) tid;        /* who runs it; 0: nobody yet */
	int64_t deadline_ms;       /* 0: none */
	atomic_int timeout_status; /* what to answer when it passes */
	struct http_response late; /* that answer: only the handler touches `res` by then */
	int route_error;           /* what finding its route came to */
	/* What was received. */
	uint64_t number; /* and id: request_new_id()'s */
	char id[24];
	const char *method, *target, *version, *path, *query;
	size_t path_len;
	struct http_field *fields;
	size_t fields_n;
	char *body; /* content so far; NUL-terminated */
	size_t body_len, body_size;
	int64_t announced; /* Content-Length; -1: none, or chunked */
	bool chunked;      /* the content comes in chunks */
	unsigned pieces;   /* of chunked content, so far: as many as chunks, or more */
	int64_t framing_before;
	const char *buffer;         /* where it comes to in the parser's memory; NULL: unknown */
	char peer[PEER_TEXT_BYTES]; /* the connection's */
	const char *listener;
	struct route_match match;
	struct http_response res;
};

/* Pools of requests that ended, for those to come. Only the leader touches them. */
struct request_store {
	TALLOC_CTX **pools;
	size_t n, size;
};

#define REQUEST_POOL_BYTES 8192

struct request_store *request_store_new(TALLOC_CTX *mem);
struct http_request *request_new(struct request_store *store, const char *target);
/* Moves it on in its life; what is returned is to be done by the caller, the leader. */
unsigned request_tell(struct http_request *req, enum request_event event);
/* True if it is not complete yet. */
static inline bool
request_is_arriving(const struct http_request *req)
{
	return req->state == REQUEST_HEAD || req->state == REQUEST_CONTENT;
}
/* REQUEST_DO_FREE. Where a function that its handler left behind may still use its memory, that
 * lives until the function has returned. */
void request_free(struct http_request *req);
/* Copies method, version and fields; the arrays are the caller's. */
int request_set_head(struct http_request *req, const char *method, const char *version,
    const struct http_field *fields, size_t n);
/* Host is in the request's memory. */
int request_set_host(struct http_request *req, const char *host);
int request_body_append(struct http_request *req, const void *data, size_t len, size_t hint);
/* A number that this process never gives twice, nor 0; id tells processes apart, too. */
uint64_t request_new_id(char id[24]);

/* The id of the request that a context belongs to, or (as a copy) was made for. */
CTX_KEY_DECLARE(request_id_key, const char);
void log_request(int priority, const struct http_request *req, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void response_init(struct http_response *res, struct http_request *req);
bool field_name_valid(const char *name);
bool field_value_valid(const char *value);

/* ---- chain.c: middleware --------------------------------------------------------------------------- */

/* What a request has still to pass; on the stack of who runs it. */
struct http_next {
	const struct http_link *at, *end;
	http_handler *last; /* behind them all */
	void *data;         /* last's */
	const struct ctx *ctx;
};

/* What is wrong with what is to be registered: 0, or a negative errno and why. */
int chain_check_link(const struct http_link *link, const char **why);
int chain_check_handler(http_handler *h, const void *data, const char **why);

/* ---- dispatch.c: routing, middleware, handler, and the answer that comes of it ------------------- */

/* What requests are dispatched to. Constant while anything runs. */
struct http_dispatch {
	struct router *router;
	struct http_link *middleware; /* talloc array; before every route */
	size_t middleware_n;
};

/* Finds the route, in req->match; what fails is in req->route_error. */
void dispatch_route(const struct http_dispatch *d, struct http_request *req);
/*
 * Runs a routed request to its answer in the calling thread, under a context derived from ctx
 * that knows its request. Never fails: at worst it is a 500.
 */
void dispatch_run(const struct http_dispatch *d, const struct ctx *ctx, struct http_request *req);
/* An answer in the place of whatever was made; takes no memory where there is none. */
void dispatch_error(struct http_request *req, int status, const char *text);

#endif
