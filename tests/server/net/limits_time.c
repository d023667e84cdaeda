/* SPDX-License-Identifier: MIT */
/*
 * Clients that are too slow: with their head, their content, or with reading the answer. Each
 * gets its 408, or its end, in time and not before; and a hundred of them hold up nobody.
 */
#include <errno.h>
#include <sys/socket.h>

#include "tests/server/holding.h"

#define LARGE   (32 << 20) /* more than the kernel keeps for both ends */
#define FOREVER "3600000"

static char large[LARGE];

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, large, LARGE);
}

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_bytes(res, 200, "text/plain", body, len);
}

static struct http_server *
server(const char *name, const char *value)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/large", much, NULL);
	http_server_handle(s, "/echo", echo, NULL);
	http_server_set(s, "idle_timeout_ms", FOREVER);
	http_server_set(s, "body_rate_min_bytes", "0");
	http_server_set(s, name, value);
	return s;
}

static void
expect_408(struct client *c)
{
	const struct answer *a = client_read(c, "GET");

	assert_int_equal(a->status, 408);
	assert_true(a->close);
	client_wait_end(c);
}

/* ---- The head -------------------------------------------------------------------------------- */

static const char *const heads[] = {
    "G",
    "GET /half",
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Half: va",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n",
};

static void
a_head_that_does_not_end_gets_408(void **state)
{
	struct http_server *s = server("header_timeout_ms", "300");
	struct client *c[2 * COUNT(heads)];
	int64_t begin = harness_now_ms();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		if (i % 2) /* the second request of a connection */
			assert_int_equal(client_get(c[i], "/")->status, 200);
		client_send_bytes(c[i], heads[i / 2], strlen(heads[i / 2]));
	}
	for (size_t i = 0; i < COUNT(c); i++)
		expect_408(c[i]);
	assert_true(harness_now_ms() - begin >= 300);
	assert_int_equal(http_server_counter(s, "header_timeout_ms"), COUNT(c));
	assert_int_equal(http_server_counter(s, "idle_timeout_ms"), 0);
	serving_stop(s);
}

/* A byte now and then does not help. */
static void
a_head_that_comes_bytewise_gets_408(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	struct http_server *s = server("header_timeout_ms", "300");
	struct client *c;
	size_t n = 0;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	/* The pause between two bytes is the client's pace. */
	for (; n < 10000 && client_is_quiet(c, 10); n++)
		client_send_bytes(c, n < strlen(head) ? head + n : "x", 1);
	assert_true(n < 10000);
	expect_408(c);
	serving_stop(s);
}

/* How long a connection may be idle has nothing to do with how long a head may take. */
static void
a_short_idle_time_does_not_cut_a_head(void **state)
{
	struct http_server *s = server("header_timeout_ms", "2500");
	struct client *c[2];
	uint16_t port;
	int64_t begin;

	(void)state;
	log_open();
	http_server_set(s, "idle_timeout_ms", "1000");
	port = serving_start(s);
	for (int i = 0; i < 2; i++) {
		c[i] = client_open(port);
		if (i == 1)
			client_get(c[i], "/");
		client_send(c[i], "GET / HT");
	}
	begin = harness_now_ms();
	for (int i = 0; i < 2; i++)
		expect_408(c[i]);
	assert_true(harness_now_ms() - begin >= 2500);
	assert_int_equal(http_server_counter(s, "idle_timeout_ms"), 0);
	serving_stop(s);
}

/* Who takes less time for it is served. */
static void
a_head_in_time_is_served(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http_server *s = server("header_timeout_ms", "2000");
	struct client *c;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < strlen(head); i++) {
			assert_true(client_is_quiet(c, 10));
			client_send_bytes(c, head + i, 1);
		}
		assert_int_equal(client_read(c, "GET")->status, 200);
	}
	serving_stop(s);
}

/* ---- Content ---------------------------------------------------------------------------------- */

static void
content_that_takes_too_long_gets_408(void **state)
{
	struct http_server *s = server("body_timeout_ms", "300");
	struct client *c[3];
	int64_t begin;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	begin = harness_now_ms();
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = client_open(port);
	client_send(c[0], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
	client_send(c[1], "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345");
	client_send(
	    c[2], "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123");
	for (size_t i = 0; i < COUNT(c); i++)
		expect_408(c[i]);
	assert_true(harness_now_ms() - begin >= 300);
	assert_int_equal(http_server_counter(s, "body_timeout_ms"), 3);
	serving_stop(s);
}

static void
content_that_trickles_gets_408(void **state)
{
	struct http_server *s = server("body_rate_min_bytes", "10000");
	struct client *slow, *fast;
	uint16_t port;
	int n = 0;

	(void)state;
	log_open();
	http_server_set(s, "rate_after_ms", "200");
	port = serving_start(s);
	slow = client_open(port);
	fast = client_open(port);
	client_send(slow, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
	client_send(fast, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
	/* The pause between two pieces is the client's pace. */
	while (client_is_quiet(slow, 10)) {
		client_send_bytes(slow, "1", 1);
		if (++n <= 100)
			client_send_bytes(fast, large, 10000);
	}
	expect_408(slow);
	for (; n < 100; n++)
		client_send_bytes(fast, large, 10000);
	assert_int_equal(client_read(fast, "POST")->body_len, 1000000);
	assert_int_equal(http_server_counter(s, "body_rate_min_bytes"), 1);
	serving_stop(s);
}

/* ---- The answer -------------------------------------------------------------------------------- */

static void
an_answer_that_is_not_read_is_given_up(void **state)
{
	struct http_server *s = server("send_timeout_ms", "300");
	struct client *deaf, *slow;
	uint16_t port;
	char *buffer = talloc_size(harness_mem(), 100000);
	ssize_t n, sum = 0;

	(void)state;
	log_open();
	port = serving_start(s);
	deaf = ask(port, "/large");
	slow = ask(port, "/large");
	/* The slow one reads, a little at a time, for longer than the deaf one is waited for. */
	while (http_server_counter(s, "send_timeout_ms") == 0) {
		poll(&(struct pollfd){client_fd(slow), POLLIN, 0}, 1, 1000);
		n = recv(client_fd(slow), buffer, 10000, MSG_DONTWAIT);
		sum += n > 0 ? n : 0;
		client_is_quiet(deaf, 0);
		poll(NULL, 0, 5);
	}
	assert_true(sum < LARGE);
	while (sum < LARGE && (n = recv(client_fd(slow), buffer, 100000, 0)) > 0)
		sum += n;
	assert_true(sum >= LARGE);
	assert_int_equal(http_server_counter(s, "send_timeout_ms"), 1);
	serving_stop(s);
}

/* ---- By the hundred --------------------------------------------------------------------------- */

static void
a_hundred_of_each_kind_hold_up_nobody(void **state)
{
	enum { EACH = 100 };
	struct http_server *s = server("header_timeout_ms", "600");
	struct client *slow[3 * EACH], *good;
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "body_timeout_ms", "600");
	http_server_set(s, "send_timeout_ms", "600");
	port = serving_start(s);
	for (int i = 0; i < 3 * EACH; i++) {
		slow[i] = client_open(port);
		if (i % 3 == 0)
			client_send(slow[i], "GET / HTTP/1.1\r\nHo");
		else if (i % 3 == 1)
			client_send(slow[i],
			    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1");
		else
			client_send(slow[i], "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	good = client_open(port);
	while (http_server_counter(s, "header_timeout_ms") < EACH ||
	       http_server_counter(s, "body_timeout_ms") < EACH ||
	       http_server_counter(s, "send_timeout_ms") < EACH)
		assert_int_equal(client_get(good, "/")->status, 200);
	for (int i = 0; i < 3 * EACH; i++)
		if (i % 3 < 2)
			expect_408(slow[i]);
	assert_int_equal(client_get(good, "/")->status, 200);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_head_that_does_not_end_gets_408),
	    e2e_test(a_head_that_comes_bytewise_gets_408),
	    e2e_test(a_short_idle_time_does_not_cut_a_head),
	    e2e_test(a_head_in_time_is_served),
	    e2e_test(content_that_takes_too_long_gets_408),
	    e2e_test(content_that_trickles_gets_408),
	    e2e_test(an_answer_that_is_not_read_is_given_up),
	    e2e_test(a_hundred_of_each_kind_hold_up_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
