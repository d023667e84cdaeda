/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM to a server that has no successor: what is asked is answered, what is idle is told
 * to close with its next answer or closed after a silence, and the program ends with 0.
 */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"
#include "tests/harness/load.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* Settings of one server, as environment. */
#define LINGER(ms)    "BATON_HTTP_IDLE_LINGER_MS=" #ms
#define DRAIN(ms)     "BATON_HTTP_DRAIN_TIMEOUT_MS=" #ms
#define LAME_DUCK(ms) "BATON_HTTP_LAME_DUCK_MS=" #ms
#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LONG_LINGER   LINGER(600000)

static void
drain(struct hello *h)
{
	proc_signal(h->proc, SIGTERM);
	proc_expect(h->proc, PROC_ERR, "draining");
}

static void
a_server_without_clients_ends_at_once(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct hello h = hello_start(SETTINGS(LONG_LINGER));

		assert_string_equal(client_fetch(h.port, "/"), "hello\n");
		proc_signal(h.proc, signals[i]);
		proc_finish(h.proc, 0);
	}
}

/* Whether the signal comes before, between or after them. */
static void
requests_in_flight_are_answered(void **state)
{
	(void)state;
	for (int round = 0; round < 8; round++) {
		struct hello h = hello_start(NULL);
		struct client *c[8];

		for (int i = 0; i < 8; i++) {
			c[i] = client_open(h.port);
			assert_int_equal(client_get(c[i], "/")->status, 200);
		}
		for (int i = 0; i < 8; i++) {
			client_send(c[i], "GET /sleep/?duration=5ms HTTP/1.1\r\nHost: x\r\n\r\n");
			if (i == round)
				proc_signal(h.proc, SIGTERM);
		}
		for (int i = 0; i < 8; i++)
			assert_int_equal(client_read(c[i], "GET")->status, 200);
		for (int i = 0; i < 8; i++)
			client_close(c[i]);
		proc_finish(h.proc, 0);
	}
}

static void
an_idle_connection_gets_one_more_answer(void **state)
{
	struct hello h = hello_start(SETTINGS(LONG_LINGER));
	struct client *used = client_open(h.port), *fresh = client_open(h.port);
	struct client *const both[] = {used, fresh};

	(void)state;
	assert_int_equal(client_get(used, "/")->status, 200);
	/* a connection is the server's when it has accepted it: this answer came after that */
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	drain(&h);
	for (int i = 0; i < 2; i++) {
		const struct answer *a;

		assert_true(client_is_quiet(both[i], 50));
		a = client_get(both[i], "/");
		assert_int_equal(a->status, 200);
		assert_true(a->close);
		assert_int_equal(client_wait_end(both[i]), CLIENT_EOF);
		client_close(both[i]);
	}
	proc_finish(h.proc, 0);
}

/* However long it was silent before: the next request may be on its way. */
static void
a_silent_connection_is_closed_after_the_linger(void **state)
{
	static const int silent_before_ms[] = {0, 500};

	(void)state;
	for (size_t i = 0; i < sizeof(silent_before_ms) / sizeof(silent_before_ms[0]); i++) {
		struct hello h = hello_start(SETTINGS(LINGER(300)));
		struct client *c = client_open(h.port);
		int64_t start;

		assert_int_equal(client_get(c, "/")->status, 200);
		assert_true(client_is_quiet(c, silent_before_ms[i]));
		start = harness_now_ms();
		drain(&h);
		assert_int_equal(client_wait_end(c), CLIENT_EOF);
		if (harness_now_ms() - start < 299)
			harness_fail("closed %d ms after the drain began, silent for %d ms before",
			    (int)(harness_now_ms() - start), silent_before_ms[i]);
		proc_finish(h.proc, 0);
	}
}

/*
 * Any linger, many connections, just answered or not: none may be forgotten. With timeouts of
 * this length whatever is forgotten stays for longer than the test waits.
 */
static void
every_silent_connection_is_closed(void **state)
{
	static const char *const linger[] = {LINGER(1), LINGER(3), LINGER(20), LINGER(100)};

	(void)state;
	for (int round = 0; round < 5; round++)
		for (size_t i = 0; i < sizeof(linger) / sizeof(linger[0]); i++)
			for (int n = 1; n <= 16; n *= 4) {
				struct hello h = hello_start(SETTINGS(linger[i], DRAIN(600000),
				    "BATON_HTTP_IDLE_TIMEOUT_MS=86400000",
				    "BATON_HTTP_HEADER_TIMEOUT_MS=3600000"));

				for (int j = 0; j < n; j++)
					client_get(client_open(h.port), "/");
				proc_signal(h.proc, SIGTERM);
				proc_finish(h.proc, 0);
			}
}

static void
a_request_that_is_half_sent_is_answered(void **state)
{
	struct hello h = hello_start(SETTINGS(LONG_LINGER));
	struct client *c = client_open(h.port), *d = client_open(h.port);
	const struct answer *a;

	(void)state;
	client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf ");
	client_send(d, "GET / HTTP/1.1\r\nHo");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	drain(&h);
	client_send(c, "whole");
	client_send(d, "st: x\r\n\r\n");
	a = client_read(c, "POST");
	assert_string_equal(a->body, "half whole");
	assert_true(a->close);
	a = client_read(d, "GET");
	assert_string_equal(a->body, "hello\n");
	assert_true(a->close);
	client_close(c);
	client_close(d);
	proc_finish(h.proc, 0);
}

static void
no_new_connections_are_taken(void **state)
{
	struct hello h = hello_start(SETTINGS(LONG_LINGER));
	struct client *c = client_open(h.port);

	(void)state;
	assert_int_equal(client_get(c, "/")->status, 200);
	drain(&h);
	wait_until("connections are refused", client_try(h.port) == ECONNREFUSED);
	client_close(c);
	proc_finish(h.proc, 0);
}

static void
a_lame_duck_goes_on_accepting(void **state)
{
	struct hello h = hello_start(SETTINGS(LAME_DUCK(600000), LONG_LINGER));

	(void)state;
	drain(&h);
	for (int i = 0; i < 20; i++)
		assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	assert_false(proc_ended(h.proc));
	proc_signal(h.proc, SIGTERM);
	assert_int_equal(proc_wait(h.proc), 128 + SIGTERM);
}

static void
the_deadline_cuts_what_does_not_end(void **state)
{
	struct hello h = hello_start(SETTINGS(DRAIN(100), LONG_LINGER));
	struct client *c = client_open(h.port);

	(void)state;
	client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	drain(&h);
	client_wait_end(c);
	proc_finish(h.proc, 0);
}

static void
a_second_signal_ends_at_once(void **state)
{
	struct hello h = hello_start(SETTINGS(LONG_LINGER));
	struct client *c = client_open(h.port);

	(void)state;
	assert_int_equal(client_get(c, "/")->status, 200);
	drain(&h);
	proc_signal(h.proc, SIGTERM);
	assert_int_equal(proc_wait(h.proc), 128 + SIGTERM);
}

static void
a_second_signal_ends_at_once_while_a_handler_runs(void **state)
{
	struct hello h = hello_start(NULL);
	struct client *c = client_open(h.port);
	int status;

	(void)state;
	assert_int_equal(client_get(c, "/")->status, 200);
	client_send(c, "GET /sleep/?duration=60s HTTP/1.1\r\nHost: x\r\n\r\n");
	/* two different ones, since two of the same kind may be delivered as one */
	proc_signal(h.proc, SIGTERM);
	proc_signal(h.proc, SIGINT);
	status = proc_wait(h.proc);
	assert_true(status == 128 + SIGTERM || status == 128 + SIGINT);
}

/* Clients under way lose nothing: each is told to close, and only then refused. */
static void
a_drain_under_load_fails_no_request(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct hello h = hello_start(NULL);
		struct load *l = load_start(&(struct load_spec){
		    .port = h.port, .keepalive = 20, .gap_ms = 3, .post_bytes = 2000});
		struct load_result r;

		load_wait_ok(l, 300);
		proc_signal(h.proc, SIGTERM);
		proc_finish(h.proc, 0);
		r = load_stop(l);
		if (r.failed + r.other + r.wrong > 0)
			harness_fail("failed %d, other %d, wrong %d\n%s", (int)r.failed,
			    (int)r.other, (int)r.wrong, r.why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_server_without_clients_ends_at_once),
	    e2e_test(requests_in_flight_are_answered),
	    e2e_test(an_idle_connection_gets_one_more_answer),
	    e2e_test(a_silent_connection_is_closed_after_the_linger),
	    e2e_test(every_silent_connection_is_closed),
	    e2e_test(a_request_that_is_half_sent_is_answered),
	    e2e_test(no_new_connections_are_taken),
	    e2e_test(a_lame_duck_goes_on_accepting),
	    e2e_test(the_deadline_cuts_what_does_not_end),
	    e2e_test(a_second_signal_ends_at_once),
	    e2e_test(a_second_signal_ends_at_once_while_a_handler_runs),
	    e2e_test(a_drain_under_load_fails_no_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
