/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out: the n-th allocation of the library fails, for every n, and what comes
 * of it is an error in words, a status, or nothing worse than a closed connection. talloc's
 * functions are replaced in this program by ones that can fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

#include "server/internal.h"
#include "tests/server/serving.h"

/* ---- Failing --------------------------------------------------------------------------------- */

static atomic_long countdown = -1; /* allocations that still succeed; negative: all */
static atomic_bool failed;
static __thread bool spared; /* this thread's allocations succeed, and do not count */

static bool
fails_now(void)
{
	long left = spared ? -1 : atomic_load(&countdown);

	while (left >= 0 && !atomic_compare_exchange_weak(&countdown, &left, left - 1))
		;
	if (left != 0)
		return false;
	atomic_store(&failed, true);
	return true;
}

/* The next n allocations succeed, the one after them fails, those behind it succeed. */
static void
fail_after(long n)
{
	atomic_store(&failed, false);
	atomic_store(&countdown, n);
}

/* Whether one has failed; from now on none does. */
static bool
has_failed(void)
{
	atomic_store(&countdown, -1);
	return atomic_load(&failed);
}

/* Defines talloc's function anew: it calls the real one unless it is to fail. */
#define REPLACE(result, name, parameters, ...)                                \
	result name parameters;                                               \
	result name parameters                                                \
	{                                                                     \
		static result(*real) parameters;                              \
		if (real == NULL)                                             \
			real = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
		return fails_now() ? NULL : real(__VA_ARGS__);                \
	}

REPLACE(void *, _talloc_zero, (const void *ctx, size_t size, const char *name), ctx, size, name)
REPLACE(void *, _talloc_array, (const void *ctx, size_t el_size, unsigned count, const char *name),
    ctx, el_size, count, name)
REPLACE(void *, _talloc_zero_array,
    (const void *ctx, size_t el_size, unsigned count, const char *name), ctx, el_size, count, name)
REPLACE(void *, _talloc_realloc_array,
    (const void *ctx, void *ptr, size_t el_size, unsigned count, const char *name), ctx, ptr,
    el_size, count, name)
REPLACE(void *, _talloc_memdup, (const void *t, const void *p, size_t size, const char *name), t, p,
    size, name)
REPLACE(void *, talloc_named_const, (const void *context, size_t size, const char *name), context,
    size, name)
REPLACE(void *, talloc_pool, (const void *context, size_t size), context, size)
REPLACE(char *, talloc_strdup, (const void *t, const char *p), t, p)
REPLACE(char *, talloc_strndup, (const void *t, const char *p, size_t n), t, p, n)
REPLACE(char *, talloc_vasprintf, (const void *t, const char *fmt, va_list ap), t, fmt, ap)
REPLACE(char *, talloc_strdup_append_buffer, (char *s, const char *a), s, a)
REPLACE(char *, talloc_vasprintf_append, (char *s, const char *fmt, va_list ap), s, fmt, ap)
REPLACE(char *, talloc_vasprintf_append_buffer, (char *s, const char *fmt, va_list ap), s, fmt, ap)

char *
talloc_asprintf(const void *t, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = talloc_vasprintf(t, fmt, ap);
	va_end(ap);
	return text;
}

char *
talloc_asprintf_append(char *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s = talloc_vasprintf_append(s, fmt, ap);
	va_end(ap);
	return s;
}

char *
talloc_asprintf_append_buffer(char *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s = talloc_vasprintf_append_buffer(s, fmt, ap);
	va_end(ap);
	return s;
}

/* ---- What is tried --------------------------------------------------------------------------- */

CTX_KEY(answer_key, int);

static int
middleware(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	int err = http_response_header(res, "X-Answer", "42");

	ctx = ctx_with_value(http_request_mem(req), ctx, &answer_key, (int *)data);
	return err != 0 ? err : http_next(ctx, req, res, next);
}

static int
handler(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const char *q = http_request_query(req, "q");
	const char *name = http_request_path_value(req, "name");
	size_t len;

	(void)data;
	if (!ctx_has(ctx, &answer_key))
		return http_response_error(res, 404, "no middleware");
	/* As a user's handler would: what could not be had is an error. */
	if (q == NULL || http_request_body(req, &len) == NULL || http_request_peer(req) == NULL)
		return -ENOMEM;
	return http_response_printf(
	    res, 200, "%s %s %d %zu", name, q, *ctx_value(ctx, &answer_key), len);
}

static int answer = 42;

static void
set_up(struct http_server *s)
{
	http_server_handle(s, "GET /{name}/{rest...}", handler, NULL);
	http_server_handle(s, "POST /{name}/{rest...}", handler, NULL);
	http_server_use(s, middleware, &answer);
	http_server_handle(s, "/a", handler, NULL);
	http_server_handle(s, "PUT /a/b", handler, NULL);
}

/* Every set-up call says so, and the server refuses to start; what it has got can be used. */
static void
set_up_survives_any_failure(void **state)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /a/b?q=1", NULL, 0);
	bool more = true;
	long n;

	(void)state;
	log_open();
	for (n = 0; more; n++) {
		const struct http_response *res;
		struct http_server *s;
		int status;

		fail_after(n);
		s = http_server_new(NULL);
		http_server_listen(s, "web", "127.0.0.1:0");
		set_up(s);
		more = has_failed();
		assert_true(s != NULL || more);
		if (s == NULL)
			continue;
		if (more) {
			assert_int_not_equal(s->setup_errno, 0);
			assert_int_not_equal(http_server_start(s), 0);
		}
		/* POST may be missing, for one. */
		status = http_test_serve(s, ctx_background(), req, &res);
		assert_true(status == 200 || (more && (status == 404 || status == 405)));
		talloc_free(s);
	}
	assert_true(n > 20);
}

/* A start that fails leaves nothing open and may be tried again. */
static void
start_survives_any_failure(void **state)
{
	bool more = true;
	long n;

	(void)state;
	log_open();
	for (n = 0; more; n++) {
		struct http_server *s = http_server_new(NULL);
		int err;

		set_up(s);
		http_server_listen(s, "web", "127.0.0.1:0");
		http_server_listen(s, "v6", "localhost:0");
		fail_after(n);
		err = http_server_start(s);
		more = has_failed();
		if (err == 0)
			serving_stop(s);
		else
			assert_true(more);
		talloc_free(s);
	}
	assert_true(n > 5);
}

/* Without a socket: 500 or the right answer, for every allocation from routing to answer. */
static void
dispatching_survives_any_failure(void **state)
{
	static const char *const heads[] = {
	    "GET /a%20b/c/d?x&q=1%202", "DELETE /a/b", "GET /nowhere", "GET /%zz"};
	static const int statuses[] = {200, 405, 404, 400};
	struct http_server *s = serving_new();

	(void)state;
	set_up(s);
	log_open();
	for (size_t h = 0; h < COUNT(heads); h++) {
		bool more = true;
		int ok = 0, broken = 0;

		for (long n = 0; more; n++) {
			TALLOC_CTX *mem = talloc_new(NULL);
			struct http_request *req = http_test_request(mem, heads[h], NULL, 0);
			const struct http_response *res;
			int status;

			assert_non_null(req);
			fail_after(n);
			status = http_test_serve(s, ctx_background(), req, &res);
			more = has_failed();
			assert_true(status == statuses[h] || (more && status == 500));
			ok += status == statuses[h];
			broken += status == 500;
			talloc_free(mem);
		}
		assert_true(ok > 0 && (broken > 3 || statuses[h] == 400));
	}
}

static void
making_test_requests_survives_any_failure(void **state)
{
	bool more = true;
	long n;

	(void)state;
	for (n = 0; more; n++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		struct http_request *req;

		fail_after(n);
		req = http_test_request(mem, "GET /a HTTP/1.1\nHost: a\nX: y", "body", 4);
		more = has_failed();
		if ((req == NULL) != more)
			fail_msg("allocation %ld", n);
		talloc_free(mem);
	}
	assert_true(n > 8);
}

/* ---- A running server ------------------------------------------------------------------------ */

/*
 * One request on a connection of its own while the n-th allocation fails: any status that says
 * so, or, where there was no memory for the connection itself, its end; and the next one is served
 * as if nothing had been.
 */
static void
serving_survives_any_failure(void **state)
{
	static const char *const requests[] = {"GET /name/rest?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
	    "POST /name/rest?q=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789",
	    ("POST /name/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "3\r\nabc\r\n0\r\n\r\n"),
	    "WAIT /name/rest?q=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	    "BREW  HTTP/1.1\r\n\r\n"};
	const struct http_route_options blocking = {.flags = HTTP_BLOCKING, .timeout_ms = 60000};
	struct http_server *s = serving_new();
	int answered = 0, closed = 0, refused = 0;
	uint16_t port;

	(void)state;
	spared = true; /* the client's */
	log_open();
	set_up(s);
	http_server_handle_with(s, "WAIT /{name}/{rest...}", handler, NULL, &blocking);
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(requests); i++) {
		bool more = true;

		for (long n = 0; more; n++) {
			int64_t begun = http_server_counter(s, "requests");
			struct client *c = client_open(port);
			const struct answer *a;

			fail_after(n);
			client_send_bytes(c, requests[i], strlen(requests[i]));
			client_shutdown(c);
			a = client_read_any(c, "GET");
			if (a->state == ANSWER_COMPLETE && a->status < 500)
				answered++;
			else if (a->state == ANSWER_COMPLETE)
				refused++;
			else
				closed++;
			if (a->state != ANSWER_COMPLETE)
				assert_int_equal(http_server_counter(s, "requests"), begun);
			assert_true(a->state == ANSWER_COMPLETE || a->state == ANSWER_EOF ||
				    a->state == ANSWER_RESET);
			client_wait_end(c);
			client_close(c);
			more = has_failed();
			assert_string_equal(client_fetch(port, "/n/?q=1"), "n 1 42 0");
		}
	}
	serving_stop(s);
	spared = false;
	assert_true(answered > 0 && refused > 0);
	assert_true(http_server_counter(s, "no_memory") > 0);
	assert_true(closed <= 2 * (int)COUNT(requests));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(set_up_survives_any_failure),
	    e2e_test(start_survives_any_failure),
	    e2e_test(dispatching_survives_any_failure),
	    e2e_test(making_test_requests_survives_any_failure),
	    e2e_test(serving_survives_any_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
