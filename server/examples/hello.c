/* SPDX-License-Identifier: MIT */
/*
 * The example program: a few handlers to look at, to restart and to measure. It uses nothing
 * but the public header; each handler is ordinary C that may block or compute.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <baton/http.h>

#include "hello_duration.h"

#define BYTES_MAX       (16 << 20)
#define DEFAULT_ADDRESS "127.0.0.1:8080"

/* What GET /ctx shows: put into the context by a middleware. */
struct visit {
	const char *id;
	const char *peer;
};
CTX_KEY(visit_key, struct visit);

/* ---- Handlers ------------------------------------------------------------------------------ */

/* The query's duration, or NULL: then the answer, 400, has been made and *rc is its return. */
static const struct duration *
duration_of(const struct http_request *req, struct http_response *res, struct duration *d, int *rc)
{
	const char *text = http_request_query(req, "duration");
	const char *wrong = text == NULL ? "missing" : parse_duration(text, d);
	char message[256];

	if (wrong == NULL)
		return d;
	snprintf(message, sizeof(message), "duration%s%.64s%s: %s; expected ?duration=, %s",
	    text != NULL ? " \"" : "", text != NULL ? text : "", text != NULL ? "\"" : "", wrong,
	    DURATION_HINT);
	*rc = http_response_error(res, 400, message);
	return NULL;
}

static int64_t
now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int
show_hello(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, "text/plain; charset=utf-8", "hello\n", 6);
}

static int
greet(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(res, 200, "hello %s\n", http_request_path_value(req, "name"));
}

static const char *
env_or(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? value : otherwise;
}

static int
show_pid(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "pid %d instance %s generation %s\n", (int)getpid(),
	    env_or("BATON_INSTANCE", "0"), env_or("BATON_GENERATION", "1"));
}

/* Blocks, as a handler that asks a database does. */
static int
sleep_for(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct duration d;
	struct timespec left;
	int rc;

	(void)ctx, (void)data;
	if (duration_of(req, res, &d, &rc) == NULL)
		return rc;
	left = (struct timespec){d.ns / NS_PER_S, d.ns % NS_PER_S};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	return http_response_printf(res, 200, "slept %s in pid %d\n", d.text, (int)getpid());
}

/* Computes, without ever giving way by itself: that much CPU time of its thread. */
static int
spin_for(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct duration d;
	int64_t end;
	int rc;

	(void)data;
	if (duration_of(req, res, &d, &rc) == NULL)
		return rc;
	end = now_ns(CLOCK_THREAD_CPUTIME_ID) + d.ns;
	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		if (ctx_err(ctx) != 0)
			return ctx_err(ctx); /* nobody wants the answer any more */
	return http_response_printf(res, 200, "spun %s in pid %d\n", d.text, (int)getpid());
}

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_static(res, 200, http_request_header(req, "content-type"), body, len);
}

static int
send_bytes(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	static const char line[] =
	    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
	const char *text = http_request_path_value(req, "n");
	char message[160], *bytes, *end;
	unsigned long n;

	(void)ctx, (void)data;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n > BYTES_MAX) {
		snprintf(message, sizeof(message),
		    "/bytes/%.64s: expected a number of bytes, 0 to %d", text, BYTES_MAX);
		return http_response_error(res, 400, message);
	}
	bytes = talloc_array(http_request_mem(req), char, n + 1);
	if (bytes == NULL)
		return -ENOMEM;
	for (size_t at = 0; at < n; at += sizeof(line) - 1)
		memcpy(bytes + at, line, n - at < sizeof(line) - 1 ? n - at : sizeof(line) - 1);
	return http_response_static(res, 200, NULL, bytes, n);
}

static int
show_ctx(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct visit *v = ctx_value(ctx, &visit_key);

	(void)req, (void)data;
	if (v == NULL)
		return http_response_error(res, 500, "no middleware has put a visit here");
	return http_response_printf(res, 200, "visit %s from %s\n", v->id, v->peer);
}

/* Middleware: what comes after it finds the visit in its context. */
static int
note_visit(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	TALLOC_CTX *mem = http_request_mem(req);
	struct visit *v = talloc(mem, struct visit);

	(void)data;
	if (v == NULL)
		return -ENOMEM;
	v->id = http_request_id(req);
	v->peer = http_request_peer(req);
	return http_next(ctx_with_value(mem, ctx, &visit_key, v), req, res, next);
}

/* ---- Program ------------------------------------------------------------------------------- */

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: hello [--listen ADDRESS:PORT]...\n"
	    "Serves a few example handlers on inherited sockets (LISTEN_FDS), on each ADDRESS:PORT,\n"
	    "or on " DEFAULT_ADDRESS ":\n"
	    "  GET  /                        hello\n"
	    "  GET  /hello/{name}            hello NAME\n"
	    "  GET  /pid                     who answers: pid, instance and generation\n"
	    "  GET  /sleep/?duration=250ms   blocks that long\n"
	    "  GET  /spin/?duration=250ms    burns CPU that long\n"
	    "  POST /echo                    the body as it came\n"
	    "  GET  /bytes/{n}               n bytes, at most %d\n"
	    "  GET  /ctx                     a value that middleware put into the context\n"
	    "Durations are %s.\n",
	    BYTES_MAX, DURATION_HINT);
}

/* Listeners are called web, web2, web3 and so on. */
static void
listen_on(struct http_server *s, int number, const char *address)
{
	char name[32] = "web";

	if (number > 1)
		snprintf(name, sizeof(name), "web%d", number);
	http_server_listen(s, name, address);
}

/* -1 to go on, or an exit status. */
static int
read_arguments(struct http_server *s, int argc, char **argv)
{
	static const struct option options[] = {
	    {"listen", required_argument, NULL, 'l'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c, listeners = 0;

	while ((c = getopt_long(argc, argv, "l:h", options, NULL)) != -1) {
		if (c != 'l') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
		listen_on(s, ++listeners, optarg);
	}
	if (optind < argc) {
		fprintf(stderr, "hello: unexpected argument '%s'\n", argv[optind]);
		usage(stderr);
		return 2;
	}
	if (listeners == 0)
		listen_on(s, 1, DEFAULT_ADDRESS);
	return -1;
}

int
main(int argc, char **argv)
{
	struct http_server *s = http_server_new(NULL);
	int status = read_arguments(s, argc, argv);

	http_server_use(s, note_visit, NULL);
	http_server_handle(s, "GET /", show_hello, NULL);
	http_server_handle(s, "GET /hello/{name}", greet, NULL);
	http_server_handle(s, "GET /pid", show_pid, NULL);
	http_server_handle(s, "GET /sleep/", sleep_for, NULL);
	http_server_handle(s, "GET /spin/", spin_for, NULL);
	http_server_handle(s, "POST /echo", echo, NULL);
	http_server_handle(s, "GET /bytes/{n}", send_bytes, NULL);
	http_server_handle(s, "GET /ctx", show_ctx, NULL);
	if (status < 0)
		status = http_server_run(s);
	talloc_free(s);
	return status;
}
