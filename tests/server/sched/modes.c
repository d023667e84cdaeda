/* SPDX-License-Identifier: MIT */
/*
 * One request at a time, or many: seen by whether handlers overlap; on all CPUs and on one.
 * The loop itself serves on in either mode.
 */
#include <errno.h>

#include "tests/server/holding.h"

static struct http_server *
server(struct hold *h, const char *concurrency)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/hold", hold_block, h);
	http_server_handle_with(s, "/away", hold_block, h, &blocking);
	http_server_set(s, "concurrency", concurrency);
	return s;
}

static void
preemptive_handlers_overlap(void **state)
{
	enum { MANY = 6 };
	struct hold *h = hold_new();
	struct http_server *s = server(h, "preemptive");
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int i = 0; i < MANY; i++)
		c[i] = ask(port, i % 2 ? "/hold" : "/away");
	wait_until("all are held", atomic_load(&h->now) == MANY);
	hold_open(h);
	for (int i = 0; i < MANY; i++)
		expect_answer(c[i], 200, "held\n");
	serving_stop(s);
}

/* While one is held, the others wait, quick ones too; then each has its turn. */
static void
serial_handlers_do_not(void **state)
{
	enum { MANY = 30 };
	struct hold *h = hold_new();
	struct http_server *s = server(h, "serial");
	struct client *c[MANY], *quick;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < MANY; i++)
			c[i] = ask(port, i % 2 ? "/hold" : "/away");
		wait_until("one is held", atomic_load(&h->now) == 1);
		quick = ask(port, "/");
		assert_true(client_is_quiet(quick, 20));
		hold_open(h);
		for (int i = 0; i < MANY; i++)
			expect_answer(c[i], 200, "held\n");
		assert_int_equal(client_read(quick, "GET")->status, 200);
		hold_shut(h);
		assert_int_equal(atomic_load(&h->entered), (round + 1) * MANY);
	}
	assert_int_equal(atomic_load(&h->most), 1);
	serving_stop(s);
}

/* ---- The same on one CPU ---------------------------------------------------------------------- */

static void
preemptive_handlers_overlap_on_one_cpu(void **state)
{
	cpu_set_t before = pin();

	preemptive_handlers_overlap(state);
	unpin(before);
}

static void
serial_handlers_do_not_on_one_cpu(void **state)
{
	cpu_set_t before = pin();

	serial_handlers_do_not(state);
	unpin(before);
}

/* ---- The loop goes on ------------------------------------------------------------------------- */

static void
while_a_serial_handler_is_held_the_loop_goes_on(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h, "serial");
	struct client *held, *bad, *half, *c[20];
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "header_timeout_ms", "200");
	http_server_set(s, "idle_timeout_ms", "86400000");
	port = serving_start(s);
	held = ask(port, "/hold");
	wait_until("it is held", atomic_load(&h->now) == 1);
	bad = client_open(port);
	client_send(bad, "GET / HTTP/1.1\r\nBad Header\r\n\r\n");
	assert_int_equal(client_read(bad, "GET")->status, 400);
	half = client_open(port);
	client_send(half, "GET / HTTP/1.1\r\nHost:");
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = ask(port, "/");
	assert_int_equal(client_read(half, "GET")->status, 408);
	assert_true(http_server_counter(s, "connections") >= 3 + (int64_t)COUNT(c));
	hold_open(h);
	expect_answer(held, 200, "held\n");
	for (size_t i = 0; i < COUNT(c); i++)
		assert_int_equal(client_read(c[i], "GET")->status, 200);
	serving_stop(s);
}

/* Those who wait for their turn have a deadline as well, and there are not too many of them. */
static void
waiting_for_a_turn_has_an_end(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h, "serial");
	struct client *held, *c[8];
	const struct answer *a;
	uint16_t port;

	(void)state;
	log_open();
	http_server_set(s, "handler_timeout_ms", "300");
	http_server_set(s, "queue_max", "5");
	port = serving_start(s);
	held = ask(port, "/hold");
	wait_until("it is held", atomic_load(&h->now) == 1);
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = ask(port, "/");
	expect_answer(held, 503, NULL);
	for (size_t i = 0; i < COUNT(c); i++) {
		a = client_read(c[i], "GET");
		assert_int_equal(a->status, 503);
		assert_false(a->close);
	}
	assert_int_equal(http_server_counter(s, "queue_max"), 3);
	assert_int_equal(http_server_counter(s, "handler_timeout_ms"), 6);
	assert_int_equal(atomic_load(&h->left), 0);
	hold_open(h);
	/* Which connection it comes by makes no difference. */
	wait_until("it has left", atomic_load(&h->left) == 1);
	assert_int_equal(client_get(held, "/")->status, 200);
	assert_int_equal(client_get(c[0], "/")->status, 200);
	serving_stop(s);
}

/* Whoever leaves while he waits is not waited for. */
static void
who_leaves_while_waiting_loses_his_turn(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h, "serial");
	struct client *held, *c[8];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	held = ask(port, "/hold");
	wait_until("it is held", atomic_load(&h->now) == 1);
	for (size_t i = 0; i < COUNT(c); i++)
		c[i] = ask(port, "/");
	wait_until("all have come", http_server_counter(s, "requests") == 1 + COUNT(c));
	for (size_t i = 0; i < COUNT(c); i += 2)
		client_close(c[i]);
	hold_open(h);
	expect_answer(held, 200, "held\n");
	for (size_t i = 1; i < COUNT(c); i += 2)
		assert_int_equal(client_read(c[i], "GET")->status, 200);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(preemptive_handlers_overlap),
	    e2e_test(serial_handlers_do_not),
	    e2e_test(preemptive_handlers_overlap_on_one_cpu),
	    e2e_test(serial_handlers_do_not_on_one_cpu),
	    e2e_test(while_a_serial_handler_is_held_the_loop_goes_on),
	    e2e_test(waiting_for_a_turn_has_an_end),
	    e2e_test(who_leaves_while_waiting_loses_his_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
