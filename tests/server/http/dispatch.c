/* SPDX-License-Identifier: MIT */
/*
 * From a request to its answer without a socket: middleware in order, short cuts, errors and
 * their log.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "server/internal.h"
#include "tests/server/serving.h"

/* What happened, in order: "a b handler -b -a ". */
static char trace[256];

static void
note(const char *what, const char *name)
{
	strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
	strncat(trace, name, sizeof(trace) - strlen(trace) - 1);
	strncat(trace, " ", sizeof(trace) - strlen(trace) - 1);
}

CTX_KEY(user_key, char);

static int
around(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	int err;

	note("", data);
	ctx = ctx_with_value(http_request_mem(req), ctx, &user_key, (char *)data);
	err = http_next(ctx, req, res, next);
	note("-", data);
	return err;
}

static int
short_cut(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)ctx, (void)req, (void)next, (void)data;
	note("", "cut");
	return http_response_unauthorized(res, "Basic", NULL);
}

/* As if a derivation had run out of memory. */
static int
out_of_memory(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)ctx, (void)data;
	http_response_header(res, "X-Half", "made");
	return http_next(NULL, req, res, next);
}

static int
show(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const char *user = ctx_value(ctx, &user_key), *id = http_request_path_value(req, "id");

	note("", "handler");
	return http_response_printf(res, 200, "%s for %s by %s", id != NULL ? id : "-",
	    user != NULL ? user : "-", (const char *)data);
}

/* Returns what data points to, after half an answer. */
static int
fails(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req;
	http_response_header(res, "X-Half", "made");
	http_response_close(res);
	if (*(int *)data > -1000)
		http_response_printf(res, 200, "half made");
	return *(int *)data > -1000 ? *(int *)data : 0;
}

static const struct http_response *
serve(struct http_server *s, const char *head)
{
	struct http_request *req = http_test_request(harness_mem(), head, NULL, 0);
	const struct http_response *res = NULL;
	int status;

	if (req == NULL)
		harness_fail("does not parse: %s", head);
	trace[0] = '\0';
	status = http_test_serve(s, ctx_background(), req, &res);
	assert_int_equal(status, http_response_status(res));
	return res;
}

static void
expect(const struct http_response *res, int status, const char *text)
{
	size_t len;
	const char *content = http_response_content(res, &len);

	assert_int_equal(http_response_status(res), status);
	assert_string_equal(talloc_strndup(harness_mem(), content, len), text);
}

static void
middleware_runs_in_order_of_registration(void **state)
{
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	http_server_handle(s, "GET /items/{id}", show, "data");
	http_server_use(s, around, "a");
	http_server_use(s, around, "b");
	expect(serve(s, "GET /items/7"), 200, "7 for b by data");
	assert_string_equal(trace, "a b handler -b -a ");
}

static void
middleware_stands_before_not_found_too(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	const struct http_response *res;

	(void)state;
	http_server_handle(s, "GET /a", show, "");
	http_server_use(s, around, "a");
	expect(serve(s, "GET /b"), 404, "404 Not Found\n");
	assert_string_equal(trace, "a -a ");
	res = serve(s, "POST /a");
	expect(res, 405, "405 Method Not Allowed\n");
	assert_string_equal(http_response_header_get(res, "Allow"), "GET, HEAD");
	assert_string_equal(trace, "a -a ");
}

static void
a_short_cut_keeps_the_rest_from_running(void **state)
{
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	http_server_handle(s, "/", show, "");
	http_server_use(s, around, "a");
	http_server_use(s, short_cut, NULL);
	http_server_use(s, around, "b");
	expect(serve(s, "GET /"), 401, "401 Unauthorized\n");
	assert_string_equal(trace, "a cut -a ");
}

static void
a_malformed_target_meets_no_handler(void **state)
{
	static const char *const targets[] = {"/%", "/%00", "/a/../b", "/a/%2e/b", "a", "ftp://h/",
	    "/a#b", "http://", "h:443", "/..%2f..%2fetc%2fpasswd", "/a/%2e%2e%2fb",
	    "/%c0%ae%c0%ae/a", "*", "http://u@h/", "http://:80/", "http://h:b/", "http://[::1/"};
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	http_server_handle(s, "/{rest...}", show, "");
	http_server_use(s, around, "a");
	for (size_t i = 0; i < COUNT(targets); i++) {
		expect(serve(s, talloc_asprintf(harness_mem(), "GET %s", targets[i])), 400,
		    "400 Bad Request: malformed request target\n");
		assert_string_equal(trace, "");
	}
	expect(serve(s, "GET http://h?x"), 200, "- for a by ");
}

static int
show_target(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const char *host = http_request_header(req, "host");
	size_t n;

	(void)ctx, (void)data;
	(void)http_request_headers(req, &n);
	return http_response_printf(res, 200, "%s %s %s %zu", http_request_target(req),
	    http_request_path(req), host != NULL ? host : "-", n);
}

static void
the_host_of_an_absolute_target_counts(void **state)
{
	static const struct {
		const char *head, *shown;
	} table[] = {
	    {"GET /a\nHost: x", "/a /a x 1"},
	    {"GET http://h/a\nHost: x\nA: b", "http://h/a /a h 2"},
	    {"GET HTTP://[::1]:80?q\nA: b\nhOST: x", "HTTP://[::1]:80?q / [::1]:80 2"},
	    {"GET http://h:8080 HTTP/1.0\nA: b", "http://h:8080 / h:8080 2"},
	    {"GET /a HTTP/1.0", "/a /a - 0"},
	};
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	http_server_handle(s, "/{rest...}", show_target, NULL);
	for (size_t i = 0; i < COUNT(table); i++)
		expect(serve(s, table[i].head), 200, table[i].shown);
}

static void
options_of_the_server_are_its_methods(void **state)
{
	static const char *const heads[] = {"OPTIONS *\nHost: a", "OPTIONS http://a\nHost: a"};
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	http_server_handle(s, "POST /a", show, "");
	http_server_handle(s, "GET /b", show, "");
	http_server_use(s, around, "a");
	for (size_t i = 0; i < COUNT(heads); i++) {
		const struct http_response *res = serve(s, heads[i]);

		expect(res, 204, "");
		assert_string_equal(
		    http_response_header_get(res, "Allow"), "GET, HEAD, POST, OPTIONS");
		assert_string_equal(trace, "a -a ");
	}
	expect(serve(s, "OPTIONS /b\nHost: a"), 405, "405 Method Not Allowed\n");
}

/* ---- Errors -------------------------------------------------------------------------------- */

static void
a_negative_errno_is_a_server_error_and_logged(void **state)
{
	static const struct {
		int err;
		const char *logged;
	} table[] = {
	    {-EIO, "handler of GET /a failed: Input/output error"},
	    {-EINVAL, "handler of GET /a failed: Invalid argument"},
	    {-ENOMEM, "handler of GET /a failed: Cannot allocate memory"},
	    {-1000, "handler of GET /a gave no answer"},
	};
	struct http_server *s = http_server_new(harness_mem());
	struct log *log = log_open();
	int err;

	(void)state;
	http_server_handle(s, "GET /a", fails, &err);
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct http_response *res;

		err = table[i].err;
		log_skip(log);
		res = serve(s, "GET /a");
		expect(res, 500, "500 Internal Server Error\n");
		/* Nothing is left of the half-made one, but that the connection ends. */
		assert_null(http_response_header_get(res, "X-Half"));
		assert_true(res->close);
		log_expect(log, table[i].logged);
		log_expect(log, talloc_asprintf(harness_mem(), "level=error request=%s msg=\"",
				    http_request_id(res->req)));
	}
}

/* But other errors are some, and so are other ends of the context. */
static void
a_client_that_leaves_is_no_error(void **state)
{
	static const struct {
		const struct ctx_cause *cause;
		int err;
		const char *level;
	} table[] = {
	    {&http_client_gone, -ECANCELED, "debug"},
	    {&http_client_gone, -1000, "debug"}, /* no answer */
	    {&http_client_gone, -EIO, "error"},
	    {&http_draining, -ECANCELED, "error"},
	    {NULL, -ECANCELED, "error"},
	};
	struct http_server *s = http_server_new(harness_mem());
	struct log *log = log_open();
	int err;

	(void)state;
	http_server_handle(s, "GET /a", fails, &err);
	log_set_level(3);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_request *req =
		    http_test_request(harness_mem(), "GET /a\nHost: a", NULL, 0);
		struct ctx *ctx = ctx_with_cancel(harness_mem(), ctx_background());
		const struct http_response *res;

		if (table[i].cause != NULL)
			ctx_cancel_cause(ctx, table[i].cause);
		err = table[i].err;
		log_skip(log);
		assert_int_equal(http_test_serve(s, ctx, req, &res), 500);
		log_expect(log, talloc_asprintf(harness_mem(), "level=%s ", table[i].level));
	}
	log_set_level(2);
}

static void
a_null_context_is_out_of_memory(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct log *log = log_open();
	const struct http_response *res;
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);

	(void)state;
	http_server_handle(s, "/", show, "");
	trace[0] = '\0';
	assert_int_equal(http_test_serve(s, NULL, req, &res), 500);
	log_expect(log, "failed: Cannot allocate memory");
	log_skip(log);
	http_server_use(s, out_of_memory, NULL);
	res = serve(s, "GET /");
	expect(res, 500, "500 Internal Server Error\n");
	assert_null(http_response_header_get(res, "X-Half"));
	assert_string_equal(trace, "");
	log_expect(log, "failed: Cannot allocate memory");
}

static void
a_handlers_log_carries_the_requests_id(void **state)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);
	const struct ctx *ctx =
	    ctx_with_value(harness_mem(), ctx_background(), &request_id_key, http_request_id(req));
	struct log *log = log_open();

	(void)state;
	http_log(ctx, LOG_INFO, "shown to %s", "me");
	assert_string_equal(log_text(log),
	    talloc_asprintf(harness_mem(), "level=info request=%s msg=\"shown to me\"\n",
		http_request_id(req)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(middleware_runs_in_order_of_registration),
	    e2e_test(middleware_stands_before_not_found_too),
	    e2e_test(a_short_cut_keeps_the_rest_from_running),
	    e2e_test(a_malformed_target_meets_no_handler),
	    e2e_test(the_host_of_an_absolute_target_counts),
	    e2e_test(options_of_the_server_are_its_methods),
	    e2e_test(a_negative_errno_is_a_server_error_and_logged),
	    e2e_test(a_client_that_leaves_is_no_error),
	    e2e_test(a_null_context_is_out_of_memory),
	    e2e_test(a_handlers_log_carries_the_requests_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
