/* SPDX-License-Identifier: MIT */
/* Draining: who gets an answer, who is told, who is closed, and when it is over. */
#include <errno.h>
#include <stdlib.h>

#include "tests/server/serving.h"

#define LARGE    (20 << 20)
#define FOR_EVER "3600000"

static char large[LARGE];

static int
hello(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "hello");
}

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, large, LARGE);
}

static struct http_server *
server(struct gate *g, const char *idle_linger_ms)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/", hello, NULL);
	http_server_handle(s, "/gate", gate_pass, g);
	http_server_handle(s, "/large", much, NULL);
	http_server_set(s, "idle_linger_ms", idle_linger_ms);
	return s;
}

static void
drain(struct http_server *s, const struct log *log)
{
	http_server_drain(s);
	wait_until("the server drains", log_has(log, "draining"));
}

static void
an_idle_connection_is_told_with_its_next_answer(void **state)
{
	struct log *log = log_open();
	struct http_server *s = server(NULL, FOR_EVER);
	uint16_t port = serving_start(s);
	struct client *c[3];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		if (i > 0) /* the first has not said anything yet */
			assert_false(client_get(c[i], "/")->close);
	}
	drain(s, log);
	for (size_t i = 0; i < COUNT(c); i++) {
		const struct answer *a = client_get(c[i], "/");

		assert_string_equal(a->body, "hello");
		assert_true(a->close);
		assert_int_equal(client_wait_end(c[i]), CLIENT_EOF);
		client_close(c[i]);
	}
	assert_int_equal(http_server_wait(s), 0);
}

static void
a_silent_connection_is_closed_after_the_linger(void **state)
{
	struct http_server *s = server(NULL, "300");
	uint16_t port;
	struct client *spoken, *silent;
	int64_t begin;

	(void)state;
	log_open();
	port = serving_start(s);
	silent = client_open(port);
	spoken = client_open(port);
	client_get(spoken, "/");
	begin = harness_now_ms();
	http_server_drain(s);
	assert_int_equal(client_wait_end(silent), CLIENT_EOF);
	assert_int_equal(client_wait_end(spoken), CLIENT_EOF);
	assert_true(harness_now_ms() - begin >= 300); /* and not at once */
	assert_int_equal(http_server_wait(s), 0);
}

/* An answer that was begun before could not say that it is the last. */
static void
who_becomes_idle_during_the_drain_lingers_no_longer(void **state)
{
	struct log *log = log_open();
	struct http_server *s = server(NULL, "100");
	struct client *c;
	const struct answer *a;

	(void)state;
	http_server_set(s, "idle_timeout_ms", "86400000");
	http_server_set(s, "header_timeout_ms", FOR_EVER);
	http_server_set(s, "drain_timeout_ms", FOR_EVER);
	c = client_open(serving_start(s));
	client_send(c, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_until("the answer has begun", poll(&(struct pollfd){client_fd(c), POLLIN, 0}, 1, 0));
	drain(s, log);
	a = client_read(c, "GET");
	assert_int_equal(a->body_len, LARGE);
	assert_false(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_int_equal(http_server_wait(s), 0);
}

static void
requests_in_flight_are_finished_and_newcomers_refused(void **state)
{
	struct log *log = log_open();
	struct gate *g = gate_new();
	struct http_server *s = server(g, FOR_EVER);
	uint16_t port = serving_start(s);
	struct client *c[4];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		client_send(c[i], "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	wait_until("all are in their handlers", atomic_load(&g->entered) == COUNT(c));
	drain(s, log);
	wait_until("newcomers are refused", client_try(port) == ECONNREFUSED);
	for (size_t i = 0; i < COUNT(c); i++)
		assert_true(client_is_quiet(c[i], 0));
	gate_let(g, COUNT(c));
	for (size_t i = 0; i < COUNT(c); i++) {
		const struct answer *a = client_read(c[i], "GET");

		assert_string_equal(a->body, "through\n");
		assert_true(a->close);
		client_close(c[i]);
	}
	assert_int_equal(http_server_wait(s), 0);
	assert_null(atomic_load(&g->cause));
}

/* Nobody else would ever accept them: the queue of our own socket goes with it. */
static void
who_has_connected_before_is_served(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s = server(g, FOR_EVER);
	uint16_t port;
	struct client *first, *c[8];

	(void)state;
	log_open();
	setenv("BATON_DEBUG", "1", 1); /* no takeover: the leader is kept from accepting */
	port = serving_start(s);
	unsetenv("BATON_DEBUG");
	first = client_open(port);
	client_send(first, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_until("the leader is busy", atomic_load(&g->entered) == 1);
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = client_open(port);
	http_server_drain(s);
	gate_let(g, 1);
	client_read(first, "GET");
	for (size_t i = 0; i < COUNT(c); i++) {
		const struct answer *a = client_get(c[i], "/");

		assert_string_equal(a->body, "hello");
		assert_true(a->close);
		client_close(c[i]);
	}
	client_close(first);
	assert_int_equal(http_server_wait(s), 0);
}

static void
the_deadline_cancels_and_cuts(void **state)
{
	struct log *log = log_open();
	struct gate *g = gate_new();
	struct http_server *s = server(g, FOR_EVER);
	struct client *c, *idle;
	uint16_t port;

	(void)state;
	http_server_set(s, "drain_timeout_ms", "200");
	port = serving_start(s);
	idle = client_open(port);
	client_get(idle, "/");
	c = client_open(port);
	client_send(c, "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_until("it is in its handler", atomic_load(&g->entered) == 1);
	http_server_drain(s);
	assert_int_not_equal(client_wait_end(c), CLIENT_DATA);
	assert_int_not_equal(client_wait_end(idle), CLIENT_DATA);
	assert_int_equal(http_server_wait(s), 0);
	assert_int_equal(atomic_load(&g->left), 1);
	assert_ptr_equal(atomic_load(&g->cause), &http_draining);
	log_expect(log, "drain deadline: cutting 2 connections");
	assert_int_equal(http_server_counter(s, "drain_timeout_ms"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(an_idle_connection_is_told_with_its_next_answer),
	    e2e_test(a_silent_connection_is_closed_after_the_linger),
	    e2e_test(who_becomes_idle_during_the_drain_lingers_no_longer),
	    e2e_test(requests_in_flight_are_finished_and_newcomers_refused),
	    e2e_test(who_has_connected_before_is_served),
	    e2e_test(the_deadline_cancels_and_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
