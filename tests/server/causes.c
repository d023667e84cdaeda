/* SPDX-License-Identifier: MIT */
/*
 * Why a context ends: the client left, the server drains, the handler returned; and how a
 * server ends whose handlers do not.
 */
#include <errno.h>
#include <sys/socket.h>

#include "ctx/lock.h"
#include "tests/server/holding.h"

static struct http_server *
server(struct gate *g, struct hold *h)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/gate", gate_pass, g);
	http_server_handle(s, "/hold", hold_block, h);
	return s;
}

/* ---- The client left -------------------------------------------------------------------------- */

static void
a_client_that_resets_is_noticed_in_the_handler(void **state)
{
	const struct linger now = {.l_onoff = 1};
	struct gate *g = gate_new();
	struct http_server *s = server(g, NULL);
	struct client *c;
	struct log *log = log_open();
	int64_t begin;

	(void)state;
	c = ask(serving_start(s), "/gate");
	wait_until("it is in its handler", atomic_load(&g->entered) == 1);
	begin = harness_now_ms();
	assert_int_equal(setsockopt(client_fd(c), SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	client_close(c);
	wait_until("it has left", atomic_load(&g->left) == 1);
	assert_ptr_equal(atomic_load(&g->cause), &http_client_gone);
	assert_true(harness_now_ms() - begin < 5000); /* by itself, and no timer's doing */
	serving_stop(s);
	assert_int_equal(http_server_counter(s, "client_gone"), 1);
	/* Its handler has failed for that; it is nobody's error. */
	assert_false(log_has(log, "level=error"));
}

/* It has closed its own half only, and may still read: it gets what the handler makes of it. */
static void
a_client_that_says_no_more_is_noticed_and_answered(void **state)
{
	struct gate *g = gate_new();
	struct hold *h = hold_new();
	struct http_server *s = server(g, h);
	struct client *c, *deaf;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = ask(port, "/gate");
	deaf = ask(port, "/hold");
	wait_until("both are in their handlers",
	    atomic_load(&g->entered) == 1 && atomic_load(&h->entered) == 1);
	client_shutdown(c);
	client_shutdown(deaf);
	wait_until("one has left", atomic_load(&g->left) == 1);
	assert_ptr_equal(atomic_load(&g->cause), &http_client_gone);
	assert_int_equal(client_read(c, "GET")->status, 500); /* what its error came to */
	hold_open(h);
	expect_answer(deaf, 200, "held\n");
	assert_ptr_equal(atomic_load(&h->cause), &http_client_gone);
	assert_int_equal(client_wait_end(deaf), CLIENT_EOF);
	serving_stop(s);
}

/* A handler may be kept from going on for long while it holds a lock of its context; here the test
 * holds all of them. */
static void
the_loop_waits_for_no_lock_of_a_context(void **state)
{
	const struct linger now = {.l_onoff = 1};
	struct gate *g = gate_new();
	struct http_server *s = server(g, NULL);
	struct client *c, *quick;
	bool answered = false;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = ask(port, "/gate");
	quick = ask(port, "/");
	expect_answer(quick, 200, NULL);
	wait_until("it waits in its handler", atomic_load(&g->entered) == 1);
	for (int i = 0; i < CTXI_STRIPES; i++)
		ctxi_lock((uint8_t)i);
	setsockopt(client_fd(c), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(c);
	for (int i = 0; i < 10; i++) { /* in one of these turns the loop notices */
		client_send(quick, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		answered = !client_is_quiet(quick, PATIENCE_MS);
		if (!answered)
			break;
		(void)client_read(quick, "GET");
	}
	for (int i = 0; i < CTXI_STRIPES; i++)
		ctxi_unlock((uint8_t)i);
	assert_true(answered);
	wait_until("it has left", atomic_load(&g->left) == 1);
	assert_ptr_equal(atomic_load(&g->cause), &http_client_gone);
	serving_stop(s);
}

/* ---- The handler returned --------------------------------------------------------------------- */

struct left {
	atomic_int watched, ended;
	struct ctx_after *watch[50];
};

static void
on_end(void *data)
{
	atomic_fetch_add((atomic_int *)data, 1);
}

/* What outlives the request on purpose. */
static int
leave_a_watch(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct left *l = data;
	struct ctx_after *watch = ctx_after_func(NULL, ctx, on_end, &l->ended);

	(void)req;
	if (watch == NULL)
		return -ENOMEM;
	l->watch[atomic_fetch_add(&l->watched, 1)] = watch;
	return http_response_printf(res, 200, "left");
}

static void
what_a_handler_left_behind_is_told_that_it_returned(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	struct left l = {0};
	struct http_server *s = server(NULL, NULL);
	struct client *c;

	(void)state;
	log_open();
	http_server_handle(s, "/leave", leave_a_watch, &l);
	http_server_handle_with(s, "/away", leave_a_watch, &l, &blocking);
	c = client_open(serving_start(s));
	for (size_t i = 0; i < COUNT(l.watch); i++)
		assert_string_equal(client_get(c, i % 2 ? "/leave" : "/away")->body, "left");
	serving_stop(s);
	wait_until("all were told", atomic_load(&l.ended) == COUNT(l.watch));
	for (size_t i = 0; i < COUNT(l.watch); i++)
		talloc_free(l.watch[i]);
}

/* ---- The server ends --------------------------------------------------------------------------- */

static void
the_drain_deadline_tells_the_handlers(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s = server(g, NULL);
	struct client *c;

	(void)state;
	log_open();
	http_server_set(s, "drain_timeout_ms", "100");
	c = ask(serving_start(s), "/gate");
	wait_until("it is in its handler", atomic_load(&g->entered) == 1);
	serving_stop(s);
	assert_int_equal(atomic_load(&g->left), 1);
	assert_ptr_equal(atomic_load(&g->cause), &http_draining);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
}

/* Those that wait for a thread never get one, and nothing of them is left. */
static void
the_drain_deadline_ends_the_queue(void **state)
{
	static const struct http_route_options blocking = {.flags = HTTP_BLOCKING};
	static const char *const modes[] = {"preemptive", "serial"};

	(void)state;
	log_open();
	for (size_t m = 0; m < COUNT(modes); m++) {
		struct gate *g = gate_new();
		struct http_server *s = server(g, NULL);
		struct client *c[30];
		uint16_t port;

		http_server_handle_with(s, "/away", gate_pass, g, &blocking);
		http_server_set(s, "drain_timeout_ms", "100");
		http_server_set(s, "threads_max", "4");
		http_server_set(s, "concurrency", modes[m]);
		port = serving_start(s);
		for (size_t i = 0; i < COUNT(c); i++)
			c[i] = ask(port, i % 2 ? "/away" : "/gate");
		wait_until(
		    "all have come", http_server_counter(s, "requests") == (int64_t)COUNT(c));
		serving_stop(s);
		assert_true(atomic_load(&g->entered) < 10);
		assert_int_equal(atomic_load(&g->left), atomic_load(&g->entered));
		for (size_t i = 0; i < COUNT(c); i++)
			client_close(c[i]);
	}
}

static void
a_handler_that_never_ends_makes_waiting_fail(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(NULL, h);
	struct log *log = log_open();
	struct client *c;

	(void)state;
	http_server_set(s, "drain_timeout_ms", "100");
	c = ask(serving_start(s), "/hold");
	wait_until("it is held", atomic_load(&h->entered) == 1);
	http_server_drain(s);
	assert_int_equal(http_server_wait(s), -EBUSY);
	log_expect(log, "still running after the drain deadline");
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	/* One may wait again. */
	hold_open(h);
	assert_int_equal(http_server_wait(s), 0);
	assert_ptr_equal(atomic_load(&h->cause), &http_draining);
}

/* A handler whose client has left is in flight as long as it runs. */
static void
a_drain_waits_for_handlers_whose_clients_left(void **state)
{
	struct hold *h = hold_new();
	struct http_server *s = server(NULL, h);
	struct log *log = log_open();
	struct client *c;

	(void)state;
	c = ask(serving_start(s), "/hold");
	wait_until("it is held", atomic_load(&h->entered) == 1);
	client_shutdown(c);
	client_close(c);
	http_server_drain(s);
	wait_until("it drains", log_has(log, "draining"));
	assert_int_equal(poll(&(struct pollfd){h->fd, POLLIN, 0}, 1, 100), 0);
	assert_false(log_has(log, "drained"));
	hold_open(h);
	assert_int_equal(http_server_wait(s), 0);
	assert_int_equal(atomic_load(&h->left), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_client_that_resets_is_noticed_in_the_handler),
	    e2e_test(a_client_that_says_no_more_is_noticed_and_answered),
	    e2e_test(the_loop_waits_for_no_lock_of_a_context),
	    e2e_test(what_a_handler_left_behind_is_told_that_it_returned),
	    e2e_test(the_drain_deadline_tells_the_handlers),
	    e2e_test(the_drain_deadline_ends_the_queue),
	    e2e_test(a_handler_that_never_ends_makes_waiting_fail),
	    e2e_test(a_drain_waits_for_handlers_whose_clients_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
