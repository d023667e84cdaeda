/* SPDX-License-Identifier: MIT */
/* The two functions by which users test their own handlers, without a socket. */
#include "server/internal.h"
#include "tests/server/serving.h"

static int
show(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(res, 200, "item %s", http_request_path_value(req, "id"));
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
test_requests_look_like_received_ones(void **state)
{
	struct http_request *req = http_test_request(harness_mem(),
	    "POST /a%20b?x=1 HTTP/1.0\r\nHost: h\nX:  spaced \t\r\n\r\nnot a field", "b\0dy", 4);
	const char *body;
	size_t len, n;

	(void)state;
	assert_string_equal(http_request_method(req), "POST");
	assert_string_equal(http_request_target(req), "/a%20b?x=1");
	assert_string_equal(req->version, "HTTP/1.0");
	assert_string_equal(http_request_header(req, "host"), "h");
	assert_string_equal(http_request_header(req, "x"), "spaced");
	http_request_headers(req, &n);
	assert_int_equal(n, 2);
	body = http_request_body(req, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(body, "b\0dy", 5);
	assert_string_equal(http_request_peer(req), "");
	assert_string_equal(http_request_listener(req), "");
	req = http_test_request(harness_mem(), "GET /", NULL, 0);
	assert_string_equal(req->version, "HTTP/1.1");
	assert_null(http_request_header(req, "Host"));
}

static void
malformed_test_requests_are_refused(void **state)
{
	static const char *const heads[] = {
	    "",
	    "\n",
	    "GET",
	    "GET ",
	    "GET\n/",
	    "G(T /",
	    "GET / HTTP/1.1 more",
	    "GET / HTTP/2",
	    "GET / junk",
	    "GET /\nno colon",
	    "GET /\nna me: x",
	    "GET /\n: x",
	    "GET /\nX: a\n folded: b",
	    "GET /\nX: a\rb",
	    "GET /\nX: \x01",
	};
	TALLOC_CTX *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++) {
		if (http_test_request(mem, heads[i], NULL, 0) != NULL)
			fail_msg("it is taken: \"%s\"", heads[i]);
		assert_int_equal(talloc_total_blocks(mem), 1);
	}
	talloc_free(mem);
}

static void
a_test_request_can_be_served_again(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct http_request *req = http_test_request(harness_mem(), "GET /items/1?x", NULL, 0);
	const struct http_response *res;

	(void)state;
	http_server_handle(s, "/items/{id}", show, "");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http_test_serve(s, ctx_background(), req, &res), 200);
		expect(res, 200, "item 1");
	}
	assert_string_equal(http_request_path(req), "/items/1");
	assert_string_equal(http_request_query_string(req), "x");
	assert_null(http_request_path_value(req, "x"));
}

/* Requests have no parent, so they are counted under talloc's root of all. */
static void
requests_and_servers_leave_nothing(void **state)
{
	TALLOC_CTX *mem;
	struct http_server *s;
	size_t at_first, with_server;

	(void)state;
	talloc_enable_null_tracking();
	at_first = talloc_total_blocks(NULL);
	mem = talloc_new(NULL);
	s = http_server_new(mem);
	http_server_handle(s, "GET /items/{id}", show, "");
	with_server = talloc_total_blocks(NULL);
	for (int i = 0; i < 10; i++) {
		TALLOC_CTX *each = talloc_new(mem);
		struct http_request *req = http_test_request(each, "GET /items/1\nA: b", "body", 4);
		const struct http_response *res;

		assert_int_equal(http_test_serve(s, ctx_background(), req, &res), 200);
		assert_true(talloc_total_blocks(NULL) > with_server + 5);
		talloc_free(each);
		assert_int_equal(talloc_total_blocks(NULL), with_server);
	}
	talloc_free(mem);
	assert_int_equal(talloc_total_blocks(NULL), at_first);
	talloc_disable_null_tracking();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(test_requests_look_like_received_ones),
	    e2e_test(malformed_test_requests_are_refused),
	    e2e_test(a_test_request_can_be_served_again),
	    e2e_test(requests_and_servers_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
