/* SPDX-License-Identifier: MIT */
/*
 * The bounds of the crew: how many threads there are, how many of them a route may hold, who
 * waits for one, in what order, and who is refused.
 */
#include <errno.h>

#include "tests/server/holding.h"

static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};

/* The order in which requests have begun, by their query. */
struct order {
	struct hold *hold;
	atomic_int n;
	int number[64];
};

static int
hold_in_order(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct order *o = data;
	const char *number = http_request_query(req, "n");

	if (number != NULL)
		o->number[atomic_fetch_add(&o->n, 1)] = atoi(number);
	return hold_block(ctx, req, res, o->hold);
}

static struct http_server *
server(struct hold *h, const char *threads_max)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/cold", hold_block, h);
	http_server_handle_with(s, "/block", hold_block, h, &blocking);
	http_server_handle_with(s, "/other", name_thread, NULL, &blocking);
	http_server_set(s, "threads_max", threads_max);
	return s;
}

static void
expect_refusal(struct client *c)
{
	const struct answer *a = client_read(c, "GET");

	assert_int_equal(a->status, 503);
	assert_non_null(answer_field(a, "Retry-After"));
	assert_false(a->close);
}

/* Of 8 threads one leads and one is the spare; of the other 6 a route may hold 5. */
static void
a_route_does_not_take_all_threads(void **state)
{
	enum { MANY = 20 };
	struct hold *h = hold_new();
	struct http_server *s = server(h, "8");
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int i = 0; i < MANY; i++)
		c[i] = ask(port, "/block");
	wait_until("as many as may are held", atomic_load(&h->entered) == 5);
	/* Another route that blocks has its own, and quick ones need none. */
	for (int i = 0; i < 20; i++)
		assert_string_equal(client_fetch(port, "/other"), "baton/worker");
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	assert_int_equal(atomic_load(&h->entered), 5);
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	assert_int_equal(atomic_load(&h->most), 5);
	serving_stop(s);
}

/* Also one that is thought quick, and holds each thread by being taken over. */
static void
nor_by_being_taken_over(void **state)
{
	static const struct http_route_options quick = {.flags = HTTP_QUICK};
	enum { MANY = 20 };
	struct hold *h = hold_new();
	struct http_server *s = server(h, "8");
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/quick", hold_block, h, &quick);
	port = serving_start(s);
	for (int i = 0; i < MANY; i++)
		c[i] = ask(port, "/quick");
	wait_until("as many as may are held", atomic_load(&h->entered) == 5);
	for (int i = 0; i < 20; i++)
		assert_string_equal(client_fetch(port, "/other"), "baton/worker");
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	assert_int_equal(atomic_load(&h->most), 5);
	serving_stop(s);
}

/* All threads are held, by several routes: what is not known to be quick waits. */
static void
without_a_free_thread_the_loop_goes_on(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h, "6");
	struct client *c[8], *cold[3], *quick;
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/block2", hold_block, h, &blocking);
	http_server_handle(s, "/cold2", hold_block, h);
	http_server_set(s, "takeover_after_us", "20000"); /* a busy machine is not taken for it */
	port = serving_start(s);
	quick = client_open(port);
	for (int i = 0; i < 200; i++) /* it is well known */
		client_get(quick, "/");
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = ask(port, i % 2 ? "/block" : "/block2");
	wait_until("four are held", atomic_load(&h->entered) == 4);
	for (size_t i = 0; i < COUNT(cold); i++)
		cold[i] = ask(port, i % 2 ? "/cold" : "/cold2");
	for (int i = 0; i < 100; i++) {
		assert_int_equal(client_get(quick, "/")->status, 200);
		client_send(quick, "GET / HTTP/1.1\r\nBad Header\r\n\r\n");
		assert_int_equal(client_read(quick, "GET")->status, 400);
		client_close(quick);
		quick = client_open(port);
	}
	hold_open(h);
	for (size_t i = 0; i < COUNT(c); i++)
		expect_answer(c[i], 200, "held\n");
	for (size_t i = 0; i < COUNT(cold); i++)
		expect_answer(cold[i], 200, "held\n");
	serving_stop(s);
}

/* Threads that sit idle make room for one that can lead. */
static void
idle_threads_do_not_keep_a_spare_from_being_made(void **state)
{
	static const struct http_route_options quick = {.flags = HTTP_QUICK};
	struct hold *h = hold_new();
	struct http_server *s = server(h, "5");
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/quick", hold_block, h, &quick);
	port = serving_start(s);
	for (int i = 0; i < 12; i++) {
		struct client *c = ask(port, "/quick");

		wait_until("it is held", atomic_load(&h->now) == 1);
		assert_string_equal(client_fetch(port, "/"), "baton/leader");
		hold_open(h);
		expect_answer(c, 200, "held\n");
		hold_shut(h);
	}
	serving_stop(s);
}

static void
those_who_wait_are_served_in_order_and_the_rest_refused(void **state)
{
	enum { RUN = 2, WAIT = 6, REST = 4 };
	struct hold *h = hold_new();
	struct order o = {.hold = h};
	struct http_server *s = server(h, "4");
	struct client *c[RUN + WAIT + REST];
	struct log *log = log_open();
	uint16_t port;

	(void)state;
	http_server_handle_with(s, "/order", hold_in_order, &o, &blocking);
	http_server_set(s, "queue_max", "6");
	port = serving_start(s);
	for (int i = 0; i < RUN; i++)
		c[i] = ask(port, "/order");
	wait_until("both threads are held", atomic_load(&h->entered) == RUN);
	for (int i = RUN; i < RUN + WAIT; i++) {
		c[i] = ask(port, talloc_asprintf(harness_mem(), "/order?n=%d", i));
		client_fetch(port, "/"); /* it has come before the next */
	}
	for (int i = RUN + WAIT; i < RUN + WAIT + REST; i++) {
		c[i] = ask(port, "/order");
		expect_refusal(c[i]);
		/* The connection is as good as before. */
		assert_int_equal(client_get(c[i], "/")->status, 200);
	}
	assert_int_equal(http_server_counter(s, "queue_max"), REST);
	hold_open(h);
	for (int i = 0; i < RUN + WAIT; i++)
		expect_answer(c[i], 200, "held\n");
	assert_int_equal(atomic_load(&o.n), WAIT);
	/* Two threads take them in order, though either may be the first to say so. */
	for (int i = 0; i < WAIT; i++)
		assert_in_range(o.number[i], i + RUN - 1 < 0 ? 0 : i + RUN - 1, i + RUN + 1);
	serving_stop(s);
	(void)log;
}

static void
a_routes_own_limit_counts_those_who_wait(void **state)
{
	static const struct http_route_options five = {.flags = HTTP_BLOCKING, .concurrent_max = 5};
	enum { MANY = 12 };
	struct hold *h = hold_new();
	struct http_server *s = server(h, "4");
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/five", hold_block, h, &five);
	port = serving_start(s);
	for (int i = 0; i < MANY; i++) {
		c[i] = ask(port, "/five");
		client_fetch(port, "/"); /* it has come before the next */
		if (i >= 5)
			expect_refusal(c[i]);
	}
	assert_int_equal(http_server_counter(s, "route_concurrent_max"), MANY - 5);
	hold_open(h);
	for (int i = 0; i < 5; i++)
		expect_answer(c[i], 200, "held\n");
	assert_int_equal(atomic_load(&h->entered), 5);
	expect_answer(ask(port, "/five"), 200, "held\n");
	serving_stop(s);
}

/* A limit of one, on a route that is not known to block: the next may come when it is over. */
static void
a_routes_limit_of_one_means_one(void **state)
{
	static const struct http_route_options one = {.concurrent_max = 1};
	struct hold *h = hold_new();
	struct http_server *s = server(h, "8");
	struct client *c, *other;
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/one", hold_block, h, &one);
	port = serving_start(s);
	c = ask(port, "/one");
	wait_until("it is held", atomic_load(&h->entered) == 1);
	other = ask(port, "/one");
	expect_refusal(other);
	hold_open(h);
	expect_answer(c, 200, "held\n");
	assert_int_equal(client_get(other, "/one")->status, 200);
	assert_int_equal(atomic_load(&h->most), 1);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_route_does_not_take_all_threads),
	    e2e_test(nor_by_being_taken_over),
	    e2e_test(without_a_free_thread_the_loop_goes_on),
	    e2e_test(idle_threads_do_not_keep_a_spare_from_being_made),
	    e2e_test(those_who_wait_are_served_in_order_and_the_rest_refused),
	    e2e_test(a_routes_own_limit_counts_those_who_wait),
	    e2e_test(a_routes_limit_of_one_means_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
