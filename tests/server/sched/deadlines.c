/* SPDX-License-Identifier: MIT */
/*
 * Handlers that outrun their deadline: the client gets its answer, what the handler writes
 * later is never sent, and nothing is freed while it can see it.
 */
#include <errno.h>

#include "ctx/timer.h"
#include "tests/server/holding.h"

static struct http_server *
server(struct hold *h)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/hold", hold_block, h);
	http_server_handle(s, "/compute", hold_compute, h);
	http_server_set(s, "handler_timeout_ms", "100");
	return s;
}

static void
expect_late(struct client *c, int status)
{
	const struct answer *a = client_read(c, "GET");

	assert_int_equal(a->status, status);
	assert_string_equal(a->body, "the handler took too long\n");
	assert_false(a->close);
}

static void
the_client_gets_503_and_the_connection_goes_on(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct log *log = log_open();
	struct client *c;

	(void)state;
	c = client_open(serving_start(s));
	for (int i = 1; i <= 4; i++) {
		client_send(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", i % 2 ? "/hold" : "/compute");
		expect_late(c, 503);
		assert_int_equal(http_server_counter(s, "handler_timeout_ms"), i);
		/* What comes next is its own answer. */
		assert_string_equal(client_get(c, "/")->body, "baton/leader");
	}
	log_expect(log, "handler of /hold outran its deadline");
	assert_int_equal(atomic_load(&h->left), 0);
	hold_open(h);
	wait_until("they have left", atomic_load(&h->left) == 4);
	assert_ptr_equal(atomic_load(&h->cause), &ctx_deadline_exceeded);
	assert_string_equal(client_get(c, "/")->body, "baton/leader");
	assert_true(client_is_quiet(c, 20)); /* nobody sends what they have written */
	serving_stop(s);
}

/* Many writes, of everything, after the deadline: they go nowhere, and into no other request. */
static int
write_much(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct hold *h = data;
	size_t n;

	hold_block(ctx, req, res, h);
	for (int i = 0; i < 1000; i++) {
		char *text = talloc_asprintf(http_request_mem(req), "late %d", i);

		http_response_header_add(res, "X-Late", text);
		http_response_printf(res, 200, "%s %s", text, http_request_header(req, "X-Mine"));
		assert_non_null(http_request_headers(req, &n));
		http_response_close(res);
	}
	return 0;
}

static void
what_is_written_later_is_never_sent(void **state)
{
	enum { MANY = 20 };
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *c[MANY];
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle(s, "/much", write_much, h);
	port = serving_start(s);
	for (int i = 0; i < MANY; i++) {
		c[i] = client_open(port);
		client_send(c[i], "GET /much HTTP/1.1\r\nHost: a\r\nX-Mine: %d\r\n\r\n", i);
	}
	for (int i = 0; i < MANY; i++)
		expect_late(c[i], 503);
	for (int i = 0; i < MANY; i += 2) /* and some have left before */
		client_close(c[i]);
	hold_open(h);
	for (int i = 1; i < MANY; i += 2)
		for (int k = 0; k < 20; k++) {
			const struct answer *a = client_get(c[i], "/");

			assert_int_equal(a->status, 200);
			assert_null(answer_field(a, "X-Late"));
			assert_false(a->close);
		}
	serving_stop(s);
}

/* ---- 504, and deadlines of routes ------------------------------------------------------------- */

static int
ask_another(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	http_response_on_timeout(res, 504);
	return hold_block(ctx, req, res, data);
}

static void
a_handler_that_waits_for_another_server_makes_it_504(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(h);

	(void)state;
	log_open();
	http_server_handle(s, "/ask", ask_another, h);
	expect_late(ask(serving_start(s), "/ask"), 504);
	hold_open(h);
	serving_stop(s);
}

/* Tells how long it has, in milliseconds; -1: for ever. */
static int
remaining(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	return http_response_printf(res, 200, "%lld", (long long)ctx_remaining_ms(ctx));
}

static void
a_route_may_have_a_deadline_of_its_own(void **state)
{
	static const struct http_route_options never = {.timeout_ms = -1},
					       late = {.timeout_ms = 3600000},
					       soon = {.timeout_ms = 50};
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *held, *c;
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle(s, "/common", remaining, NULL);
	http_server_handle_with(s, "/never", remaining, NULL, &never);
	http_server_handle_with(s, "/late", remaining, NULL, &late);
	http_server_handle_with(s, "/late/hold", hold_block, h, &late);
	http_server_handle_with(s, "/soon", hold_block, h, &soon);
	http_server_set(s, "handler_timeout_ms", "10000");
	port = serving_start(s);
	c = client_open(port);
	assert_in_range(atoi(client_get(c, "/common")->body), 1, 10000);
	assert_int_equal(atoi(client_get(c, "/never")->body), -1);
	assert_in_range(atoi(client_get(c, "/late")->body), 3500000, 3600000);
	held = ask(port, "/late/hold");
	expect_late(ask(port, "/soon"), 503);
	assert_true(client_is_quiet(held, 0));
	hold_open(h);
	expect_answer(held, 200, "held\n");
	serving_stop(s);
}

/* Who holds the threads has no deadline; those who wait for one have, each his own. */
static void
who_waits_for_a_thread_is_refused_at_his_deadline(void **state)
{
	static const struct http_route_options never = {.flags = HTTP_BLOCKING, .timeout_ms = -1},
					       soon = {.flags = HTTP_BLOCKING, .timeout_ms = 50},
					       later = {.flags = HTTP_BLOCKING, .timeout_ms = 300};
	enum { THREADS = 4 };
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *held[THREADS], *waits[2];
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/one", hold_block, h, &never);
	http_server_handle_with(s, "/other", hold_block, h, &never);
	http_server_handle_with(s, "/soon", hold_block, h, &soon);
	http_server_handle_with(s, "/later", hold_block, h, &later);
	http_server_set(s, "threads_max", "6"); /* one leads, and one is the spare */
	port = serving_start(s);
	for (int i = 0; i < THREADS; i++)
		held[i] = ask(port, i % 2 == 0 ? "/one" : "/other");
	wait_until("all threads are held", atomic_load(&h->entered) == THREADS);
	waits[0] = ask(port, "/soon");
	waits[1] = ask(port, "/later");
	for (int i = 0; i < 2; i++) {
		const struct answer *a = client_read(waits[i], "GET");

		assert_int_equal(a->status, 503);
		assert_string_equal(answer_field(a, "Retry-After"), "1");
		assert_non_null(strstr(a->body, "it waited too long for its turn"));
	}
	assert_int_equal(atomic_load(&h->entered), THREADS);
	assert_int_equal(http_server_counter(s, "handler_timeout_ms"), 2);
	hold_open(h);
	for (int i = 0; i < THREADS; i++)
		expect_answer(held[i], 200, "held\n");
	serving_stop(s);
}

/* ---- A deadline that is noticed ---------------------------------------------------------------- */

static void
a_handler_that_notices_is_told_why(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s = server(NULL);
	struct client *c;

	(void)state;
	log_open();
	http_server_handle(s, "/gate", gate_pass, g);
	c = ask(serving_start(s), "/gate");
	assert_true(client_read(c, "GET")->status >= 500); /* whoever comes first */
	wait_until("it has left", atomic_load(&g->left) == 1);
	assert_ptr_equal(atomic_load(&g->cause), &ctx_deadline_exceeded);
	serving_stop(s);
}

/* Deadline and answer at the same moment, many times: exactly one answer each. */
static int
just_in_time(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	ctx_sleep(ctx, ctx_remaining_ms(ctx) - 1);
	return http_response_printf(res, 200, "in time");
}

static void
deadline_and_answer_at_once_make_one_answer(void **state)
{
	enum { CLIENTS = 10, ROUNDS = 30 };
	struct http_server *s = server(NULL);
	struct client *c[CLIENTS];
	int late = 0, good = 0;
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle(s, "/just", just_in_time, NULL);
	http_server_set(s, "handler_timeout_ms", "10");
	port = serving_start(s);
	for (int i = 0; i < CLIENTS; i++)
		c[i] = client_open(port);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++)
			client_send(c[i], "GET /just HTTP/1.1\r\nHost: a\r\n\r\n");
		for (int i = 0; i < CLIENTS; i++) {
			const struct answer *a = client_read(c[i], "GET");

			late += a->status == 503;
			good += a->status == 200;
		}
	}
	assert_int_equal(late + good, CLIENTS * ROUNDS);
	assert_int_equal(http_server_counter(s, "handler_timeout_ms"), late);
	serving_stop(s);
}

/* A worker may be kept from going on for long while it holds that lock; here the test holds it. */
static void
the_loop_waits_for_no_lock_of_the_deadlines(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *worker, *late, *quick;
	bool answered, abandoned;
	uint16_t port;

	(void)state;
	log_open();
	http_server_handle_with(s, "/worker", name_thread, NULL, &blocking);
	http_server_set(s, "handler_timeout_ms", "1000");
	port = serving_start(s);
	wait_until("a spare is there", crew_has_spare(s->sched.crew));
	ctxi_timer_fork(CTXI_PREPARE); /* takes it, as before a fork */
	worker = ask(port, "/worker");
	late = ask(port, "/hold");
	quick = ask(port, "/");
	answered = !client_is_quiet(quick, PATIENCE_MS);
	abandoned = !client_is_quiet(late, PATIENCE_MS);
	ctxi_timer_fork(CTXI_PARENT);
	hold_open(h);
	assert_true(answered && abandoned);
	expect_answer(quick, 200, NULL);
	expect_late(late, 503);
	assert_int_not_equal(client_read(worker, "GET")->status, 0);
	serving_stop(s);
}

/* Who has been answered for is told so, whoever is late with the deadlines themselves. */
static void
the_handler_knows_as_soon_as_the_client_does(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct hold *h = hold_new();
	struct http_server *s = server(h);
	struct client *c;

	(void)state;
	log_open();
	http_server_handle_with(s, "/worker", hold_block, h, &blocking);
	c = ask(serving_start(s), "/worker");
	wait_until("it runs", atomic_load(&h->entered) == 1);
	ctxi_timer_fork(CTXI_PREPARE); /* keeps the thread of the deadlines from going on */
	expect_late(c, 503);
	hold_open(h);
	wait_until("it has left", atomic_load(&h->left) == 1);
	ctxi_timer_fork(CTXI_PARENT);
	assert_ptr_equal(atomic_load(&h->cause), &ctx_deadline_exceeded);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_client_gets_503_and_the_connection_goes_on),
	    e2e_test(what_is_written_later_is_never_sent),
	    e2e_test(a_handler_that_waits_for_another_server_makes_it_504),
	    e2e_test(a_route_may_have_a_deadline_of_its_own),
	    e2e_test(who_waits_for_a_thread_is_refused_at_his_deadline),
	    e2e_test(a_handler_that_notices_is_told_why),
	    e2e_test(deadline_and_answer_at_once_make_one_answer),
	    e2e_test(the_loop_waits_for_no_lock_of_the_deadlines),
	    e2e_test(the_handler_knows_as_soon_as_the_client_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
