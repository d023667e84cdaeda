/* SPDX-License-Identifier: MIT */
/*
 * A program and its signals while handlers run long: SIGQUIT tells of them, SIGTERM gives them
 * until the drain deadline, and BATON_DEBUG=1 leaves them alone.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/harness/client.h"
#include "tests/harness/hello.h"

static struct client *
ask(uint16_t port, const char *target)
{
	struct client *c = client_open(port);

	client_send(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	return c;
}

static void
sigquit_lists_what_runs(void **state)
{
	static const char *const env[] = {"BATON_HTTP_HANDLER_TIMEOUT_MS=300", NULL};
	struct hello h = hello_start(env);
	struct client *c[3];
	const char *line;

	(void)state;
	for (int i = 0; i < 3; i++)
		c[i] = ask(h.port, "/sleep/?duration=2s");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	/* They run until they are abandoned, and after it. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(client_read(c[i], "GET")->status, 503);
	proc_signal(h.proc, SIGQUIT);
	proc_expect(h.proc, PROC_ERR, "running=3 waiting=0 connections=[0-9]+");
	for (int i = 0; i < 3; i++) {
		line = proc_expect(h.proc, PROC_ERR,
		    "request=[0-9a-f]+-[0-9a-f]+ .*route=GET /sleep/ "
		    "target=/sleep/.* age_ms=[0-9]+ thread=[0-9]+ abandoned");
		assert_non_null(line);
	}
	/* It serves on. */
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	hello_stop(&h);
}

static void
sigquit_of_an_idle_server_says_so(void **state)
{
	struct hello h = hello_start(NULL);

	(void)state;
	proc_signal(h.proc, SIGQUIT);
	proc_expect(h.proc, PROC_ERR, "running=0 waiting=0 connections=0");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	hello_stop(&h);
}

/* A handler that does not end costs the status, and not more than a moment. */
static void
a_handler_that_never_ends_makes_it_exit_with_1(void **state)
{
	static const char *const env[] = {"BATON_HTTP_DRAIN_TIMEOUT_MS=200", NULL};
	struct hello h = hello_start(env);
	int64_t begin = harness_now_ms();

	(void)state;
	ask(h.port, "/sleep/?duration=60s");
	ask(h.port, "/sleep/?duration=60s");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	proc_signal(h.proc, SIGTERM);
	proc_finish(h.proc, 1);
	proc_expect(h.proc, PROC_ERR, "handlers are still running after the drain deadline");
	assert_true(harness_now_ms() - begin < 30000);
}

/* One that looks at its context ends in order. */
static void
a_handler_that_notices_lets_it_exit_with_0(void **state)
{
	static const char *const env[] = {"BATON_HTTP_DRAIN_TIMEOUT_MS=200", NULL};
	struct hello h = hello_start(env);

	(void)state;
	ask(h.port, "/spin/?duration=60s");
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	proc_signal(h.proc, SIGTERM);
	proc_finish(h.proc, 0);
}

/* As a debugger wants it: who stands still keeps the others waiting, and is not abandoned. */
static void
debugging_switches_takeover_and_deadlines_off(void **state)
{
	static const char *const env[] = {
	    "BATON_DEBUG=1", "BATON_HTTP_HANDLER_TIMEOUT_MS=50", NULL};
	struct hello h = hello_start(env);
	struct client *c, *other;

	(void)state;
	c = ask(h.port, "/sleep/?duration=500ms");
	assert_true(client_is_quiet(c, 100)); /* it is in its handler */
	other = ask(h.port, "/");
	assert_true(client_is_quiet(other, 100));
	assert_int_equal(client_read(c, "GET")->status, 200);
	assert_string_equal(client_read(other, "GET")->body, "hello\n");
	hello_stop(&h);
}

static void
debugging_set_to_0_is_none(void **state)
{
	static const char *const env[] = {
	    "BATON_DEBUG=0", "BATON_HTTP_HANDLER_TIMEOUT_MS=50", NULL};
	struct hello h = hello_start(env);
	struct client *c = ask(h.port, "/sleep/?duration=500ms");

	(void)state;
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	assert_int_equal(client_read(c, "GET")->status, 503);
	hello_stop(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(sigquit_lists_what_runs),
	    e2e_test(sigquit_of_an_idle_server_says_so),
	    e2e_test(a_handler_that_never_ends_makes_it_exit_with_1),
	    e2e_test(a_handler_that_notices_lets_it_exit_with_0),
	    e2e_test(debugging_switches_takeover_and_deadlines_off),
	    e2e_test(debugging_set_to_0_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
