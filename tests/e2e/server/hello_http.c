/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 as it goes over the wire (RFC 9110, RFC 9112): methods, connections, bodies in every
 * form, and requests that arrive in pieces or several at once.
 */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct hello hello;

static int
start(void **state)
{
	static const char *const env[] = {
	    "BATON_HTTP_BODY_MAX_BYTES=100000", "BATON_HTTP_IDLE_LINGER_MS=1", NULL};

	if (harness_setup(state) != 0)
		return -1;
	hello = hello_start(env);
	return 0;
}

static int
stop(void **state)
{
	hello_stop(&hello);
	return harness_teardown(state);
}

/* What a raw request gets, and whether the connection goes on. */
static void
raw_requests_are_answered(void **state)
{
	static const struct {
		const char *request;
		int status;
		bool close;
		const char *field, *value; /* a field of the answer, NULL for none */
	} table[] = {
	    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, false, "Content-Length", "6"},
	    {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 200, false, "Content-Length", "6"},
	    {"HEAD /bytes/1000 HTTP/1.1\r\nHost: x\r\n\r\n", 200, false, "Content-Length", "1000"},
	    {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404, false, NULL, NULL},
	    {"GET /hello/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, false, NULL, NULL},
	    {"GET /hello/a/b HTTP/1.1\r\nHost: x\r\n\r\n", 404, false, NULL, NULL},
	    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, false, "Allow",
		"GET, HEAD"},
	    {"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405, false, "Allow", "POST"},
	    {"DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405, false, "Allow", "POST"},
	    {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, true, NULL, NULL},
	    {"GET / HTTP/1.0\r\n\r\n", 200, true, "Content-Length", "6"},
	    {"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 200, false, NULL, NULL},
	    {"GET http://x/hello/abs HTTP/1.1\r\nHost: x\r\n\r\n", 200, false, NULL, NULL},
	    {"GET / HTTP/1.1\r\n\r\n", 400, true, NULL, NULL},
	    {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, true, NULL, NULL},
	    {"GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400, true, NULL, NULL},
	    {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
	     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		400, true, NULL, NULL},
	    {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		400, true, NULL, NULL},
	    {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", 413, true, NULL,
		NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *request = table[i].request, *value;
		struct client *c = client_open(hello.port);
		const struct answer *a;

		client_send_bytes(c, request, strlen(request));
		a = client_read(c, strncmp(request, "HEAD", 4) == 0 ? "HEAD" : "GET");
		if (a->status != table[i].status || a->close != table[i].close)
			harness_fail("expected %d%s for\n%s\ngot\n%s", table[i].status,
			    table[i].close ? " and close" : "", request, a->head);
		value = table[i].field != NULL ? answer_field(a, table[i].field) : NULL;
		if (table[i].field != NULL && (value == NULL || strcmp(value, table[i].value) != 0))
			harness_fail("expected %s: %s for\n%s\ngot\n%s", table[i].field,
			    table[i].value, request, a->head);
		if (table[i].close)
			assert_int_not_equal(client_wait_end(c), CLIENT_DATA);
		else
			assert_int_equal(client_get(c, "/")->status, 200);
		client_close(c);
	}
}

static void
answers_carry_a_date_and_a_type(void **state)
{
	const struct answer *a = client_get(client_open(hello.port), "/");

	(void)state;
	assert_non_null(answer_field(a, "Date"));
	assert_string_equal(answer_field(a, "Content-Type"), "text/plain; charset=utf-8");
}

static void
one_connection_serves_many_requests(void **state)
{
	struct client *c = client_open(hello.port);
	char target[32];

	(void)state;
	for (int i = 0; i < 500; i++) {
		const struct answer *a;

		snprintf(target, sizeof(target), "/hello/n%d", i);
		a = client_get(c, target);
		assert_int_equal(a->status, 200);
		assert_false(a->close);
		assert_int_equal(atoi(a->body + strlen("hello n")), i);
	}
}

/* Answers come in the order of the requests, also when one of them has a body. */
static void
pipelined_requests_are_answered_in_order(void **state)
{
	struct client *c = client_open(hello.port);
	enum { ROUNDS = 50 };

	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		client_send(c,
		    "GET /hello/%d HTTP/1.1\r\nHost: x\r\n\r\n"
		    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n%04d"
		    "HEAD /hello/%d HTTP/1.1\r\nHost: x\r\n\r\n",
		    i, i, i);
	for (int i = 0; i < ROUNDS; i++) {
		const struct answer *a = client_read(c, "GET");

		assert_int_equal(atoi(a->body + strlen("hello ")), i);
		a = client_read(c, "POST");
		assert_int_equal(a->body_len, 4);
		assert_int_equal(atoi(a->body), i);
		assert_int_equal(client_read(c, "HEAD")->status, 200);
	}
}

static void
expect_continue_is_answered_before_the_body(void **state)
{
	struct client *c = client_open(hello.port);
	const struct answer *a;

	(void)state;
	client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
		       "Content-Length: 5\r\n\r\n");
	assert_int_equal(client_read(c, "POST")->status, 100);
	client_send(c, "knock");
	a = client_read(c, "POST");
	assert_int_equal(a->status, 200);
	assert_string_equal(a->body, "knock");
	assert_int_equal(client_get(c, "/")->status, 200);
}

static void
a_body_announced_as_too_large_is_refused_unsent(void **state)
{
	struct client *c = client_open(hello.port);
	const struct answer *a;

	(void)state;
	client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
		       "Content-Length: 5000000\r\n\r\n");
	a = client_read(c, "POST");
	assert_int_equal(a->status, 413);
	assert_true(a->close);
	client_close(c);
}

/* A client that only writes must still find the 413: a reset on close would destroy it. */
static void
a_body_that_is_too_large_gets_its_413(void **state)
{
	char *body = talloc_zero_array(harness_mem(), char, 2000000);
	struct client *c;

	(void)state;
	for (int i = 0; i < 20; i++) {
		c = client_open(hello.port);
		client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
		client_send_bytes(c, body, 2000000);
		assert_int_equal(client_read(c, "POST")->status, 413);
		client_close(c);
	}
}

/* The same when only the chunks show how much it is. */
static void
a_chunked_body_that_is_too_large_gets_its_413(void **state)
{
	static const int table[] = {11, 20, 500};
	char *body = talloc_zero_array(harness_mem(), char, 10000);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client *c = client_open(hello.port);

		client_send(
		    c, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (int n = 0; n < table[i]; n++) {
			client_send(c, "%x\r\n", 10000);
			client_send_bytes(c, body, 10000);
			client_send(c, "\r\n");
		}
		client_send(c, "0\r\n\r\n");
		assert_int_equal(client_read(c, "POST")->status, 413);
		client_close(c);
	}
}

static void
a_body_of_the_largest_size_is_taken(void **state)
{
	char *body = talloc_zero_array(harness_mem(), char, 100001);
	struct client *c = client_open(hello.port);

	(void)state;
	memset(body, 'z', 100000);
	assert_int_equal(client_request(c, "POST", "/echo", NULL, body)->body_len, 100000);
}

static void
chunked_uploads_are_joined(void **state)
{
	static const char *const forms[] = {
	    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
	    "1\r\nh\r\nA\r\nello world\r\n0\r\n\r\n",
	    "00b\r\nhello world\r\n0\r\nTrailer: x\r\n\r\n",
	    "1;ext=1\r\nh\r\nA;a;b=\"c\"\r\nello world\r\n0;last\r\n\r\n",
	};
	struct client *c = client_open(hello.port);
	bool extensions = client_extensions_taken(client_open(hello.port), "/echo");

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct answer *a;

		if (strchr(forms[i], ';') != NULL && !extensions)
			continue;
		client_send(
		    c, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
		client_send_bytes(c, forms[i], strlen(forms[i]));
		a = client_read(c, "POST");
		assert_int_equal(a->status, 200);
		assert_string_equal(a->body, "hello world");
	}
	assert_int_equal(client_get(c, "/")->status, 200);
}

/* Every possible place to cut a request in two, and one byte at a time. */
static void
requests_may_come_in_pieces(void **state)
{
	static const char *const requests[] = {
	    "GET /hello/piece HTTP/1.1\r\nHost: x\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nhello piece\n",
	    ("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "6\r\nhello \r\n6\r\npiece\n\r\n0\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const char *r = requests[i];
		const size_t len = strlen(r);
		struct client *c = client_open(hello.port);

		for (size_t cut = 1; cut < len; cut++) {
			client_send_bytes(c, r, cut);
			client_send_bytes(c, r + cut, len - cut);
			assert_string_equal(client_read(c, "POST")->body, "hello piece\n");
		}
		for (size_t at = 0; at < len; at++)
			client_send_bytes(c, r + at, 1);
		assert_string_equal(client_read(c, "POST")->body, "hello piece\n");
	}
}

/* A client that has sent its FIN right after the request still gets the answer. */
static void
a_client_that_has_half_closed_is_answered(void **state)
{
	struct client *c = client_open(hello.port);

	(void)state;
	client_send(c, "GET /bytes/300000 HTTP/1.1\r\nHost: x\r\n\r\n");
	client_shutdown(c);
	assert_int_equal(client_read(c, "GET")->body_len, 300000);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
}

static void
clients_that_vanish_leave_the_server_well(void **state)
{
	static const char *const parts[] = {"", "GET /",
	    "GET / HTTP/1.1\r\nHost:", "GET /bytes/3000000 HTTP/1.1\r\nHost: x\r\n\r\n",
	    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc",
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"};

	(void)state;
	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			struct client *c = client_open(hello.port);

			client_send_bytes(c, parts[i], strlen(parts[i]));
			client_close(c);
		}
	assert_string_equal(client_fetch(hello.port, "/"), "hello\n");
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(raw_requests_are_answered),
	    test(answers_carry_a_date_and_a_type),
	    test(one_connection_serves_many_requests),
	    test(pipelined_requests_are_answered_in_order),
	    test(expect_continue_is_answered_before_the_body),
	    test(a_body_announced_as_too_large_is_refused_unsent),
	    test(a_body_that_is_too_large_gets_its_413),
	    test(a_chunked_body_that_is_too_large_gets_its_413),
	    test(a_body_of_the_largest_size_is_taken),
	    test(chunked_uploads_are_joined),
	    test(requests_may_come_in_pieces),
	    test(a_client_that_has_half_closed_is_answered),
	    test(clients_that_vanish_leave_the_server_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
