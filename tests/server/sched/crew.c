/* SPDX-License-Identifier: MIT */
/*
 * Preemption: a handler that blocks or computes for ever delays nobody else, and what a route
 * is known for decides where its requests run.
 */
#include <errno.h>

#include "tests/server/holding.h"

static struct http_server *
server(struct hold *h)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/block", hold_block, h);
	http_server_handle(s, "/compute", hold_compute, h);
	return s;
}

/* Others are answered while so many requests hold their threads. */
static void
others_go_on(int blocking, int computing)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *held[64], *c;
	uint16_t port;
	int n = 0;

	log_open();
	port = serving_start(s);
	for (; n < blocking; n++)
		held[n] = ask(port, "/block");
	for (; n < blocking + computing; n++)
		held[n] = ask(port, "/compute");
	wait_until("all are held", atomic_load(&h->entered) == n);
	c = client_open(port);
	for (int i = 0; i < 200; i++)
		assert_int_equal(
		    client_get(c, i % 2 ? "/" : "/nowhere")->status, i % 2 ? 200 : 404);
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	assert_int_equal(atomic_load(&h->left), 0);
	hold_open(h);
	for (int i = 0; i < n; i++)
		expect_answer(held[i], 200, "held\n");
	serving_stop(s);
	assert_true(http_server_counter(s, "takeovers") >= 1);
}

static void
a_handler_that_blocks_delays_nobody(void **state)
{
	(void)state;
	others_go_on(1, 0);
}

static void
a_handler_that_computes_delays_nobody(void **state)
{
	(void)state;
	others_go_on(0, 1);
}

static void
many_of_both_kinds_delay_nobody(void **state)
{
	(void)state;
	others_go_on(40, 4);
}

static void
nor_do_they_on_a_single_cpu(void **state)
{
	cpu_set_t before = pin();

	(void)state;
	others_go_on(1, 0);
	others_go_on(0, 1);
	others_go_on(20, 4);
	unpin(before);
}

/* Their route is not known to block when all of them come. */
static void
three_hundred_blockers_of_a_cold_route_are_all_served(void **state)
{
	enum { MANY = 300 };
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int i = 0; i < MANY; i++)
		c[i] = client_open(port);
	for (int i = 0; i < MANY; i++)
		client_send(c[i], "GET /block HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	wait_until("all are held", atomic_load(&h->entered) == MANY);
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	assert_int_equal(http_server_counter(s, "queue_max"), 0);
	serving_stop(s);
}

/* ---- What a route is known for --------------------------------------------------------------- */

/* Quick, or held, as the test says; answers with its thread's name. */
static int
sometimes(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	if (http_request_query(req, "hold") != NULL)
		hold_block(ctx, req, res, data);
	return name_thread(ctx, req, res, NULL);
}

static struct http_server *
server_of_one(struct hold *h, unsigned flags)
{
	struct http_server *s = brief_server();

	http_server_handle_with(
	    s, "/it", sometimes, h, &(struct http_route_options){.flags = flags});
	http_server_set(s, "takeover_after_us", "20000"); /* a busy machine is not taken for it */
	return s;
}

static void
a_route_is_learned_to_block_and_unlearned(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server_of_one(h, 0);
	struct client *held[5], *c;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = client_open(port);
	assert_string_equal(client_get(c, "/it")->body, "baton/leader");
	held[0] = ask(port, "/it?hold");
	wait_until("it was taken over", http_server_counter(s, "takeovers") == 1);
	/* From now on each starts outside, and nobody has to take over again. */
	assert_string_equal(client_get(c, "/it")->body, "baton/worker");
	for (size_t i = 1; i < COUNT(held); i++)
		held[i] = ask(port, "/it?hold");
	wait_until("all are held", atomic_load(&h->entered) == COUNT(held));
	hold_open(h);
	for (size_t i = 0; i < COUNT(held); i++)
		expect_answer(held[i], 200, NULL);
	assert_int_equal(http_server_counter(s, "takeovers"), 1);
	wait_until(
	    "it is known as quick again", strcmp(client_get(c, "/it")->body, "baton/leader") == 0);
	serving_stop(s);
}

static void
a_blocking_route_starts_outside_at_once(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server_of_one(h, HTTP_BLOCKING);
	struct client *c;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	for (int i = 0; i < 200; i++)
		assert_string_equal(client_get(c, "/it")->body, "baton/worker");
	assert_int_equal(http_server_counter(s, "takeovers"), 0);
	serving_stop(s);
}

static void
a_quick_route_stays_quick_whatever_it_did(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server_of_one(h, HTTP_QUICK);
	struct client *c, *held[3];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = client_open(port);
	for (size_t i = 0; i < COUNT(held); i++) {
		held[i] = ask(port, "/it?hold");
		wait_until(
		    "it was taken over", http_server_counter(s, "takeovers") >= (int64_t)i + 1);
		assert_string_equal(client_get(c, "/it")->body, "baton/leader");
	}
	hold_open(h);
	for (size_t i = 0; i < COUNT(held); i++)
		expect_answer(held[i], 200, NULL);
	serving_stop(s);
}

static void
a_route_is_not_quick_and_blocking(void **state)
{
	struct http_server *s = serving_new();
	struct log *log = log_open();
	struct http_route_options both = {.flags = HTTP_BLOCKING | HTTP_QUICK};

	(void)state;
	assert_int_equal(http_server_handle_with(s, "/", name_thread, NULL, &both), -EINVAL);
	http_server_listen(s, "web", "127.0.0.1:0");
	assert_int_equal(http_server_start(s), -EINVAL);
	log_expect(log, "HTTP_BLOCKING or HTTP_QUICK, not both");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_handler_that_blocks_delays_nobody),
	    e2e_test(a_handler_that_computes_delays_nobody),
	    e2e_test(many_of_both_kinds_delay_nobody),
	    e2e_test(nor_do_they_on_a_single_cpu),
	    e2e_test(three_hundred_blockers_of_a_cold_route_are_all_served),
	    e2e_test(a_route_is_learned_to_block_and_unlearned),
	    e2e_test(a_blocking_route_starts_outside_at_once),
	    e2e_test(a_quick_route_stays_quick_whatever_it_did),
	    e2e_test(a_route_is_not_quick_and_blocking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
