/* SPDX-License-Identifier: MIT */
/*
 * <baton/http.h>: an HTTP/1.1 server whose handlers are ordinary blocking C.
 *
 *	static int
 *	hello(const struct ctx *ctx, const struct http_request *req,
 *	    struct http_response *res, void *data)
 *	{
 *		return http_response_printf(res, 200, "hello\n");
 *	}
 *
 *	int
 *	main(void)
 *	{
 *		struct http_server *s = http_server_new(NULL);
 *
 *		http_server_listen(s, "web", "127.0.0.1:8080");
 *		http_server_handle(s, "GET /", hello, NULL);
 *		return http_server_run(s);
 *	}
 *
 * Functions that return int return 0 or a negative errno unless they say otherwise.
 * Strings given to the library are copied; strings it gives out live as long as what they
 * were asked of. Unless said otherwise, the functions on a server are called from one thread
 * before it starts, and those on a request or a response by the handler that was given it.
 */
#ifndef BATON_HTTP_H
#define BATON_HTTP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include <baton/ctx.h>

#ifdef __cplusplus
#include <initializer_list>
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* http_next is a struct and a function */
#endif
#pragma GCC visibility push(default)

struct http_server;
struct http_request;
struct http_response;
struct http_next;

/*
 * A handler answers one request: it fills `res` by one of the http_response_ functions and
 * returns what that returned. It may block. `ctx` carries the request's values and ends when
 * the request does; `data` is what was given at registration. Several handlers run at the
 * same time in different threads. A negative errno is logged and answered with status 500;
 * returning 0 without an answer is 500 too. A handler that gives up because its client has left,
 * by -ECANCELED or without an answer, is no error, and logged for LOG_DEBUG only.
 */
typedef int http_handler(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data);

/*
 * A middleware stands before handlers: it answers by itself, or calls http_next() with the
 * same or a derived context and returns what that returned.
 */
typedef int http_middleware(const struct ctx *ctx, const struct http_request *req,
    struct http_response *res, const struct http_next *next, void *data);

/* ---- Server ------------------------------------------------------------------------------ */

/*
 * A server without listeners and routes, owned by `mem` (NULL: by nobody); talloc_free ends
 * it, once it has stopped. Set-up errors are sticky: each set-up function returns its error,
 * but nobody has to look: http_server_run prints the first one and refuses to start. NULL for
 * lack of memory, which all functions on a server accept and report: by -ENOMEM where they
 * return an error.
 */
struct http_server *http_server_new(TALLOC_CTX *mem);

/*
 * Serves `address`: "127.0.0.1:8080", "[::1]:8080", ":8080" for every address of the machine
 * (IPv6 and IPv4), "localhost:http". Port 0 lets the kernel choose; http_server_port tells.
 *
 * A socket inherited by LISTEN_FDS (sd_listen_fds(3)) wins over `address`: first one of the
 * same name, else the first that no http_server_listen claims by name. Inherited sockets that
 * are left over are served too. The environment is read, and unset, when the server starts.
 */
int http_server_listen(struct http_server *s, const char *name, const char *address);

/* The TCP port that listener `name` is bound to once the server has started; else -ENOENT. */
int http_server_port(const struct http_server *s, const char *name);

/*
 * Puts `mw` before every handler of the server, also before the answers 404 and 405; those
 * registered first run first. `data` must outlive the server.
 */
int http_server_use(struct http_server *s, http_middleware *mw, void *data);

/*
 * Registers a handler for a pattern "METHOD /path", or "/path" for every method. A segment is
 * literal, or {name} (one segment, not empty), or, as the last one, {name...} (the rest, also
 * nothing). Segments are compared after percent-decoding, once: "%2F" is part of its segment, as
 * in Go, so a {name} may hold a slash. A path with a segment "." or ".." in it is answered with
 * 400 before any handler, however that is encoded, also if an encoded slash sets it apart
 * ("/f/..%2fa"); so is one with "%00", with a bad escape, or with overlong UTF-8. A backslash is
 * an ordinary character. A slash at the end counts: "/a" and "/a/" are two paths. The most specific pattern wins: GET before no method, literal before
 * {name} before {rest...}; GET serves HEAD too. Two patterns that match a common request while
 * neither is the more specific are a conflict: -EEXIST. Semantics: Go 1.22's net/http.ServeMux,
 * but a trailing slash stands for itself, not for a subtree. "OPTIONS *" is answered with 204
 * and the methods of all patterns, behind the server's middleware; CONNECT with 501, for this is
 * no proxy. `data` must outlive the server.
 */
int http_server_handle(struct http_server *s, const char *pattern, http_handler *h, void *data);

/* What a route asks for besides; zero means: as the server's settings say. */
struct http_route_options {
	unsigned flags;          /* HTTP_BLOCKING or HTTP_QUICK */
	unsigned concurrent_max; /* requests at a time; beyond: 503 with Retry-After */
	int64_t timeout_ms;      /* instead of handler_timeout_ms; negative: none */
};

/*
 * HTTP_BLOCKING: the handler usually blocks or computes for long, so each of its requests
 * starts in a thread of its own at once. HTTP_QUICK: it usually does not, and one that did is
 * no reason to expect it again. Without either, the server learns it by itself.
 */
#define HTTP_BLOCKING 1u
#define HTTP_QUICK    2u

/* As http_server_handle, with options; -EINVAL for flags that exclude each other. */
int http_server_handle_with(struct http_server *s, const char *pattern, http_handler *h, void *data,
    const struct http_route_options *options);

/*
 * Calls `start` and `end` in each thread that runs handlers, as its first and last act, for
 * what one keeps per thread. Either may be NULL.
 */
int http_server_thread_hooks(
    struct http_server *s, void (*start)(void *data), void (*end)(void *data), void *data);

/*
 * What the server has counted so far: "requests", "takeovers", and for each limit, under its
 * setting's name, how often it was hit. -1 for an unknown name, or no server. From any thread,
 * at any time. http_server_counter_name tells the names, for i from 0 until it gives NULL.
 */
int64_t http_server_counter(const struct http_server *s, const char *name);
const char *http_server_counter_name(size_t i);

/*
 * Sets a setting of the table in baton-settings(7) ("body_max_bytes", "drain_timeout_ms", …)
 * to a decimal number. The environment variable BATON_HTTP_<NAME> wins over it. -ENOENT for an
 * unknown name, -EINVAL or -ERANGE for a bad value.
 */
int http_server_set(struct http_server *s, const char *name, const char *value);

/*
 * Serves in the calling thread until SIGTERM or SIGINT, or http_server_drain, and drains: what
 * is in flight is finished, idle connections are told to close, `drain_timeout_ms` at the
 * most. A second signal ends the process at once. Says READY=1 and STOPPING=1 to
 * NOTIFY_SOCKET (sd_notify(3)). Returns an exit status for main: 0, or 1 with the reason on
 * stderr. SIGQUIT logs every running request. These signals come also if the program was started
 * with them blocked or ignored; what was there before is restored when it returns. Meanwhile
 * SIGPIPE ends nobody: who writes to nobody gets EPIPE. Handlers that do not end although their context
 * was cancelled at the deadline do not keep the process: it ends by _exit(2) then.
 */
int http_server_run(struct http_server *s);

/*
 * For programs with a main loop of their own: http_server_start serves in a thread of its own,
 * without touching signals; its error has been printed. The server's threads take no signal of
 * the program's while they wait; handlers run with the signal mask of the thread that called it. http_server_drain asks it to drain, from
 * any thread or signal handler. http_server_wait blocks until it has, from one thread; -EBUSY if
 * handlers are left that did not end: then the server must not be freed, and one may wait again;
 * -ESRCH if it does not run. Asked to drain before it starts, it drains as soon as it has started.
 * A server runs once: -EALREADY for a second start.
 */
int http_server_start(struct http_server *s);
void http_server_drain(struct http_server *s);
int http_server_wait(struct http_server *s);

/* Runs what follows in the chain. -ENOMEM if `ctx` is NULL (a derivation that failed). */
int http_next(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next);

/* The same, with the context that the calling middleware was called with. */
int http_next_same(
    const struct http_request *req, struct http_response *res, const struct http_next *next);

/* ---- Chains of middleware ------------------------------------------------------------------ */

/*
 * A list of middleware that is made once and stands before the handlers of some routes:
 *
 *	struct http_chain *pages = http_chain_new(s, HTTP_LINKS({log_it, NULL}, {find_user, db}));
 *	struct http_chain *staff = http_chain_append(s, pages, HTTP_LINKS({staff_only, NULL}));
 *
 *	http_server_handle_chain(s, "GET /", pages, show_home, NULL);
 *	http_server_handle_chain(s, "GET /accounts", staff, show_accounts, db);
 *
 * A chain never changes: each function below makes a new one under `mem`, copies what it is
 * given, and leaves its arguments as they are and free to be freed. Hence chains may be built
 * upon one another and shared by threads. A request passes the server's middleware
 * (http_server_use) first, then the chain's in order, then the handler.
 *
 * Errors are sticky: NULL stands for lack of memory, and is accepted by all; a chain that was
 * made from something impossible (no function, no key) remembers it. Registration reports
 * either. Semantics: alexedwards/stack, and justinas/alice for extend.
 */
struct http_chain;

/* One middleware, with its data, which must outlive the server. */
struct http_link {
	http_middleware *run;
	void *data;
};

/* The last two arguments of the functions below: the links, and how many. */
#ifdef __cplusplus
#define HTTP_LINKS_     std::initializer_list<struct http_link>
#define HTTP_LINKS(...) HTTP_LINKS_{__VA_ARGS__}.begin(), HTTP_LINKS_{__VA_ARGS__}.size()
#else
#define HTTP_LINKS_ (const struct http_link[])
#define HTTP_LINKS(...) \
	HTTP_LINKS_{__VA_ARGS__}, sizeof(HTTP_LINKS_{__VA_ARGS__}) / sizeof(struct http_link)
#endif

/* A chain of these links; n may be 0. stack.New, alice.New. */
struct http_chain *http_chain_new(TALLOC_CTX *mem, const struct http_link *links, size_t n);
/* First what is in chain, then these. stack's and alice's Append. */
struct http_chain *http_chain_append(
    TALLOC_CTX *mem, const struct http_chain *chain, const struct http_link *links, size_t n);
/* First all of one chain, then all of the other. alice's Extend. */
struct http_chain *
http_chain_extend(TALLOC_CTX *mem, const struct http_chain *first, const struct http_chain *then);
/*
 * The same chain; but before its first middleware runs, value is put under key (copied) into
 * the bag of the request's context, where ctx_bag_get (baton/bag.h) finds it. value must outlive
 * the server and may be NULL; of values under one key the last one counts. stack.Inject.
 */
struct http_chain *
http_chain_inject(TALLOC_CTX *mem, const struct http_chain *chain, const char *key, void *value);

/*
 * A handler with the chain before it: the data for http_chain_serve, a handler, which any
 * function that takes one registers. `mem` must outlive the server. stack.Then.
 */
struct http_chained *
http_chain_then(TALLOC_CTX *mem, const struct http_chain *chain, http_handler *h, void *data);
int http_chain_serve(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data);

/* http_server_handle of http_chain_serve and http_chain_then, in one step. */
int http_server_handle_chain(struct http_server *s, const char *pattern,
    const struct http_chain *chain, http_handler *h, void *data);

/*
 * Handlers and middleware that know no context, such as those written for other servers. A
 * middleware of that kind goes on by http_next_same.
 */
typedef int
http_plain_handler(const struct http_request *req, struct http_response *res, void *data);
typedef int http_plain_middleware(const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data);

/* As http_chain_then, for a plain handler. stack.ThenHandler. */
struct http_chained *http_chain_then_handler(
    TALLOC_CTX *mem, const struct http_chain *chain, http_plain_handler *h, void *data);
/*
 * A plain middleware as a link, HTTP_ADAPT(mem, plain, data); or http_adapted, a middleware, and
 * its data for http_server_use. `mem` must outlive the server. stack.Adapt.
 */
#define HTTP_ADAPT(mem, plain, data)                             \
	{                                                        \
		http_adapted, http_adapt((mem), (plain), (data)) \
	}
int http_adapted(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data);
struct http_plain *http_adapt(TALLOC_CTX *mem, http_plain_middleware *plain, void *data);

/* ---- Values by request --------------------------------------------------------------------- */

/*
 * A middleware that clears the request from a registry (baton/registry.h), its data, when all
 * that follows in the chain has returned, be it with an error. gorilla's ClearHandler.
 */
int http_clear_registry(const struct ctx *ctx, const struct http_request *req,
    struct http_response *res, const struct http_next *next, void *data);

/*
 * For ctx_registry_new: what stands for a request and for all copies of it, so that values set
 * for one are found, and cleared, by the other. It is a number, not an address, and never used
 * again: what was not cleared at the end of a request is found by no later one, and waits for
 * ctx_registry_purge. (The request's own address is used again by the next requests; a
 * registry without this function takes one request for another.)
 */
const void *http_request_identity(const void *req);

/* ---- Request ----------------------------------------------------------------------------- */

/*
 * The request's memory, a talloc pool that is freed with it, after the answer was sent, when its
 * handler has returned, and so have the functions given to ctx_after_func() on the request's
 * context, or on one derived from it: each is called, at the latest when the handler has
 * returned, and may use this memory as long as it runs. (One given on any other context must be
 * stopped and waited for before the handler returns, as ctx.h says.) Destructors of what is
 * allocated here may run in any thread. http_server_wait does not wait for such functions.
 *
 * Work that goes on after its request takes along no pointer to the request nor into this
 * memory; it has a context made by ctx_without_cancel() under memory of its own, with which
 * http_log still writes the request's id.
 */
TALLOC_CTX *http_request_mem(const struct http_request *req);

/* Unique among the requests of all instances; what http_log writes. */
const char *http_request_id(const struct http_request *req);

/* "GET", as sent (methods are case-sensitive, RFC 9110 section 9.1). */
const char *http_request_method(const struct http_request *req);

/*
 * The request target as sent, undecoded: "/items/a%20b?x=1" (RFC 9112 section 3.2). In the
 * absolute-form, "http://example.com/a", its host counts, and not the Host field's: then
 * http_request_header gives that for "Host".
 */
const char *http_request_target(const struct http_request *req);

/* The target's path as sent, undecoded; "*" for "OPTIONS *" and "OPTIONS http://example.com". */
const char *http_request_path(const struct http_request *req);

/*
 * What {name} of the route's pattern matched, percent-decoded; NULL if there is no such name. It
 * may hold slashes and control characters, but no segment "." or "..": appended to a directory's
 * name and a slash, it names something beneath it, as far as symbolic links do not lead out.
 */
const char *http_request_path_value(const struct http_request *req, const char *name);

/* The query component as sent, without the question mark; "" if there is none. */
const char *http_request_query_string(const struct http_request *req);

/*
 * The first value of `name` in the query, decoded as application/x-www-form-urlencoded (plus is
 * a space); "" if it has none; NULL if it is absent or badly encoded.
 */
const char *http_request_query(const struct http_request *req, const char *name);

/* One header field. */
struct http_field {
	const char *name;
	const char *value;
};

/*
 * The first value of header field `name` (any case), without white space around; or NULL. "Host"
 * is the host that was asked for, see http_request_target; NULL only in HTTP/1.0.
 */
const char *http_request_header(const struct http_request *req, const char *name);

/* All header fields in the order received; `*n` is their number. */
const struct http_field *http_request_headers(const struct http_request *req, size_t *n);

/*
 * The whole content (RFC 9110 section 6.4), already received, at most `body_max_bytes`; `*len`
 * is its size, also where it holds NUL bytes. Never NULL; a NUL byte follows it.
 */
const void *http_request_body(const struct http_request *req, size_t *len);

/* Who is connected: "192.0.2.1:4711", "[2001:db8::1]:4711", or "unix". */
const char *http_request_peer(const struct http_request *req);

/* The name of the listener it came by. */
const char *http_request_listener(const struct http_request *req);

/* ---- Response ---------------------------------------------------------------------------- */

/*
 * Each of these makes the answer, replacing one made before; header fields that were set stay.
 * `status` is 200 to 599. Where no Content-Type was set before, it is as each says. All return
 * -EINVAL for a bad argument and -ENOMEM.
 */

/* Formatted text; text/plain; charset=utf-8. */
int http_response_printf(struct http_response *res, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int http_response_vprintf(struct http_response *res, int status, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* `len` bytes, copied; `type` is the Content-Type, NULL for application/octet-stream. */
int http_response_bytes(
    struct http_response *res, int status, const char *type, const void *data, size_t len);

/*
 * The same without a copy: `data` must stay as it is until the answer was sent: a constant, or
 * in the request's memory.
 */
int http_response_static(
    struct http_response *res, int status, const char *type, const void *data, size_t len);

/* A status without content, such as 204 or 304. */
int http_response_empty(struct http_response *res, int status);

/* An error for people: the status, its reason phrase, and `text` if not NULL. */
int http_response_error(struct http_response *res, int status, const char *text);

/* 401 with a challenge: WWW-Authenticate: `scheme` (RFC 9110 section 11.6.1). */
int http_response_unauthorized(struct http_response *res, const char *scheme, const char *text);

/* 301, 302, 303, 307 or 308 to `location`, a URI reference. */
int http_response_redirect(struct http_response *res, int status, const char *location);

/*
 * Sets (replacing all of that name) or adds a header field. -EINVAL for a name that is no
 * token, for CR, LF, NUL and other control characters in the value (RFC 9110 section 5.5), and
 * for the fields that are the server's own: Connection, Content-Length, Date, Keep-Alive,
 * Trailer, Transfer-Encoding. All of them together, names and values, may have
 * answer_head_max_bytes (a setting, 8192); an answer with more becomes a 500.
 */
int http_response_header(struct http_response *res, const char *name, const char *value);
int http_response_header_add(struct http_response *res, const char *name, const char *value);

/*
 * What the client gets when the handler's deadline passes: 503 unless this says 504, which a
 * handler does that waits for another server (RFC 9110 section 15.6.5).
 */
void http_response_on_timeout(struct http_response *res, int status);

/* The connection is closed after this answer. */
void http_response_close(struct http_response *res);

/* What has been set so far, for middleware and tests: 0 if there is no answer yet. */
int http_response_status(const struct http_response *res);
const void *http_response_content(const struct http_response *res, size_t *len);
const char *http_response_header_get(const struct http_response *res, const char *name);

/* "Not Found"; "" for a status that is not registered (RFC 9110 section 15). */
const char *http_status_text(int status);

/* ---- Causes and log ---------------------------------------------------------------------- */

/* Why the server cancelled a request's context, besides ctx_deadline_exceeded (ctx_cause). */
extern const struct ctx_cause http_client_gone;      /* the connection was lost */
extern const struct ctx_cause http_draining;         /* the drain deadline has passed */
extern const struct ctx_cause http_handler_returned; /* the handler is done */

/*
 * Writes one line to stderr: level, the request's id if `ctx` belongs to one, or was made from
 * one that does by ctx_without_cancel(), and the message, escaped, unless the setting `log_level`
 * leaves it out. `priority` is LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG (syslog.h). Any thread.
 * Never waits: where whoever reads stderr has stopped reading, the line is lost, which the counter
 * "log_lost" counts and a line says when there is room again.
 */
void http_log(const struct ctx *ctx, int priority, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Tests of your own handlers, without a socket ------------------------------------------ */

/*
 * A request as if it had been received, owned by `mem`: `head` is the request line and header
 * fields, lines separated by \n or \r\n ("GET /items/7\nAccept: text/plain"; the version may be
 * left out); `body` may be NULL. NULL if it does not parse, or for lack of memory.
 */
struct http_request *
http_test_request(TALLOC_CTX *mem, const char *head, const void *body, size_t len);

/*
 * Routes `req` through the server's middleware and handlers as a running server would, under
 * `ctx`, and returns the status; the answer is in `*res`, which lives as long as the request.
 */
int http_test_serve(struct http_server *s, const struct ctx *ctx, struct http_request *req,
    const struct http_response **res);

#pragma GCC visibility pop
#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif
#endif
