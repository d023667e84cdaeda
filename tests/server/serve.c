/* SPDX-License-Identifier: MIT */
/* A server in this process, and what goes over its wire: framing, limits on content, order. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/internal.h"
#include "tests/server/serving.h"

#define BODY_MAX 100000

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_bytes(res, 200, "text/plain", body, len);
}

/* Answers with the status and the content of the path, also where there must be none. */
static int
status(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	http_response_header(res, "X-Empty", "");
	http_response_header(res, "X-Tab", "a\tb");
	if (http_request_query(req, "close") != NULL)
		http_response_close(res);
	return http_response_printf(res, atoi(http_request_path_value(req, "status")), "%s",
	    http_request_path_value(req, "text"));
}

static struct http_server *
server(void)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "POST /echo", echo, NULL);
	http_server_handle(s, "/status/{status}/{text...}", status, NULL);
	http_server_set(s, "body_max_bytes", "100000");
	http_server_set(s, "idle_linger_ms", "0");
	return s;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void
start_wait_and_drain_tell_misuse(void **state)
{
	struct http_server *s = server();
	struct log *log = log_open();

	(void)state;
	assert_int_equal(http_server_wait(s), -ESRCH);
	assert_int_equal(http_server_start(NULL), -ENOMEM);
	assert_int_equal(http_server_run(NULL), EXIT_FAILURE);
	assert_int_equal(http_server_port(s, "web"), -ENOENT);
	log_skip(log);
	assert_int_equal(http_server_handle(s, "GET /{", echo, NULL), -EINVAL);
	assert_int_equal(http_server_handle(s, "POST /{x}", echo, NULL), 0);
	assert_int_equal(http_server_handle(s, "/echo", echo, NULL), -EEXIST);
	http_server_listen(s, "web", "127.0.0.1:0");
	/* The first error is the one that is told. */
	assert_int_equal(http_server_start(s), -EINVAL);
	log_expect(log, "http_server_handle(\\\"GET /{\\\"): a wildcard is a whole segment");
	assert_false(log_has(log, "/echo"));
	assert_int_equal(http_server_wait(s), -ESRCH);
}

static void
a_drain_asked_for_before_the_start_ends_it_at_once(void **state)
{
	struct http_server *s = server();
	struct log *log = log_open();

	(void)state;
	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_drain(s);
	assert_int_equal(http_server_start(s), 0);
	assert_int_equal(http_server_wait(s), 0);
	assert_int_equal(http_server_start(s), -EALREADY);
	log_expect(log, "cannot serve: this server has been started before");
}

static void
two_servers_live_in_one_process(void **state)
{
	struct http_server *a = server(), *b = server();
	uint16_t port_a, port_b;

	(void)state;
	log_open();
	port_a = serving_start(a);
	port_b = serving_start(b);
	assert_string_equal(client_fetch(port_a, "/status/200/a"), "a");
	assert_string_equal(client_fetch(port_b, "/status/200/b"), "b");
	serving_stop(a);
	assert_string_equal(client_fetch(port_b, "/status/200/b"), "b");
	assert_int_not_equal(client_try(port_a), 0);
	serving_stop(b);
}

static size_t
blocks_after(int connections, int requests)
{
	struct http_server *s = server();
	uint16_t port = serving_start(s);
	size_t blocks;

	for (int c = 0; c < connections; c++) {
		struct client *client = client_open(port);

		for (int r = 0; r < requests; r++)
			client_request(client, "POST", "/echo", NULL, "content");
		client_close(client);
	}
	serving_stop(s);
	blocks = talloc_total_blocks(s);
	serving_free(s);
	return blocks;
}

static void
requests_and_connections_leave_nothing_behind(void **state)
{
	(void)state;
	log_open();
	assert_int_equal(blocks_after(1, 1), blocks_after(40, 10));
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* Whatever a handler says: the next answer on the connection begins where it should. */
static void
answers_are_framed_whatever_the_status(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
		const char *body, *length;
	} table[] = {
	    {"GET", "/status/200/text", 200, "text", "4"},
	    {"HEAD", "/status/200/text", 200, "", "4"},
	    {"GET", "/status/200/", 200, "", "0"},
	    {"GET", "/status/204/text", 204, "", NULL},
	    {"GET", "/status/304/text", 304, "", NULL},
	    {"GET", "/status/404/text", 404, "text", "4"},
	    {"HEAD", "/status/404/text", 404, "", "4"},
	    {"GET", "/status/599/text", 599, "text", "4"},
	    {"GET", "/status/199/text", 500, "500 Internal Server Error\n", NULL},
	    {"GET", "/nowhere", 404, "404 Not Found\n", NULL},
	    {"GET", "/echo", 405, "405 Method Not Allowed\n", NULL},
	    {"GET", "/%zz", 400, "400 Bad Request: malformed request target\n", NULL},
	    {"BREW", "/status/200/text", 200, "text", "4"},
	    {"OPTIONS", "*", 204, "", NULL},
	};
	struct http_server *s = server();
	struct client *c;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct answer *a =
		    client_request(c, table[i].method, table[i].target, NULL, NULL);

		if (a->status != table[i].status || strcmp(a->body, table[i].body) != 0 ||
		    (table[i].length != NULL &&
			strcmp(answer_field(a, "Content-Length"), table[i].length) != 0))
			harness_fail(
			    "%s %s:\n%s%s", table[i].method, table[i].target, a->head, a->body);
		assert_false(a->close);
		assert_string_equal(client_request(c, "POST", "/echo", NULL, "next")->body, "next");
	}
	serving_stop(s);
}

static void
empty_and_odd_field_values_arrive(void **state)
{
	struct http_server *s = server();
	const struct answer *a;

	(void)state;
	log_open();
	a = client_get(client_open(serving_start(s)), "/status/200/x");
	assert_int_equal(a->status, 200);
	assert_string_equal(answer_field(a, "X-Empty"), "");
	assert_string_equal(answer_field(a, "X-Tab"), "a\tb");
	serving_stop(s);
}

static void
a_handler_can_end_the_connection(void **state)
{
	struct http_server *s = server();
	struct client *c;
	const struct answer *a;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	assert_false(client_get(c, "/status/200/x")->close);
	a = client_get(c, "/status/200/bye?close");
	assert_string_equal(a->body, "bye");
	assert_true(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	client_close(c);
	serving_stop(s);
}

/* Also when the client has said after them that it will send no more. */
static void
pipelined_requests_are_all_answered_in_order(void **state)
{
	struct http_server *s = server();
	struct client *c;
	enum { MANY = 60 };

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	for (int i = 0; i < MANY; i++)
		client_send(
		    c, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02d", i);
	client_shutdown(c);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(atoi(client_read(c, "POST")->body), i);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	serving_stop(s);
}

/* ---- Content --------------------------------------------------------------------------------- */

static const char *
fill(size_t len)
{
	char *text = talloc_zero_array(harness_mem(), char, len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	return text;
}

static void
send_chunked(struct client *c, const char *content, size_t piece)
{
	client_send(c, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t len = strlen(content), at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		client_send(c, "%zx\r\n", n);
		client_send_bytes(c, content + at, n);
		client_send(c, "\r\n");
	}
	client_send(c, "0\r\n\r\n");
}

static void
content_up_to_the_limit_is_taken(void **state)
{
	static const size_t lengths[] = {0, 1, 1000, BODY_MAX - 1, BODY_MAX};
	struct http_server *s = server();
	struct client *c;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	for (size_t i = 0; i < COUNT(lengths); i++) {
		const char *text = fill(lengths[i]);

		assert_string_equal(client_request(c, "POST", "/echo", NULL, text)->body, text);
		send_chunked(c, text, 777);
		assert_string_equal(client_read(c, "POST")->body, text);
	}
	serving_stop(s);
}

/* The answer arrives although the client sends all it has before it reads. */
static void
a_refusal_reaches_a_client_that_is_still_sending(void **state)
{
	static const size_t lengths[] = {
	    BODY_MAX + 1, BODY_MAX + 1000, BODY_MAX + 500000, 20000000};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(lengths) * 10; i++) {
		const char *text = fill(lengths[i / 10]);
		struct client *c = client_open(port);
		const struct answer *a;

		a = client_request(c, "POST", "/echo", NULL, text);
		assert_int_equal(a->status, 413);
		assert_true(a->close);
		client_close(c);
	}
	assert_string_equal(client_fetch(port, "/status/200/well"), "well");
	serving_stop(s);
}

static void
chunked_content_beyond_the_limit_is_refused_too(void **state)
{
	static const size_t lengths[] = {
	    BODY_MAX + 1, BODY_MAX + 1000, BODY_MAX + 500000, BODY_MAX + 3000000};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(lengths) * 5; i++) {
		struct client *c = client_open(port);
		const struct answer *a;

		send_chunked(c, fill(lengths[i / 5]), 5000);
		a = client_read_any(c, "POST");
		if (a->state != ANSWER_COMPLETE || a->status != 413)
			harness_fail("%zu bytes: %s %d", lengths[i / 5],
			    answer_state_text(a->state), a->status);
		assert_true(a->close);
		client_close(c);
	}
	assert_string_equal(client_fetch(port, "/status/200/well"), "well");
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(start_wait_and_drain_tell_misuse),
	    e2e_test(a_drain_asked_for_before_the_start_ends_it_at_once),
	    e2e_test(two_servers_live_in_one_process),
	    e2e_test(requests_and_connections_leave_nothing_behind),
	    e2e_test(answers_are_framed_whatever_the_status),
	    e2e_test(empty_and_odd_field_values_arrive),
	    e2e_test(a_handler_can_end_the_connection),
	    e2e_test(pipelined_requests_are_all_answered_in_order),
	    e2e_test(content_up_to_the_limit_is_taken),
	    e2e_test(a_refusal_reaches_a_client_that_is_still_sending),
	    e2e_test(chunked_content_beyond_the_limit_is_refused_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
