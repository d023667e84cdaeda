/* SPDX-License-Identifier: MIT */
/* WATCHDOG=1: who hangs is replaced, successor first; who was only not heard is left alone. */
#include "tests/e2e/supervisor_stage.h"
#include "tests/harness/baton.h"

/* It is stopped, as a program that spins or waits for ever would be, and comes to nothing. */
static void
one_that_hangs_is_replaced_and_then_killed(void **state)
{
	struct stage *s = stage_new("watchdog_ms = 1000\n");
	struct who hung, other;

	(void)state;
	stage_start(s);
	hung = stage_ask(s->port);
	other = stage_ask((uint16_t)(s->port + 1));
	assert_int_equal(kill(hung.pid, SIGSTOP), 0);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 \\(pid [0-9]+\\) has not said WATCHDOG=1 for 1000 ms; "
	    "replacing it$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 2$");
	proc_expect(s->baton, PROC_ERR, "has not said WATCHDOG=1 for 1000 ms and was killed");
	stage_wait_gone(hung.pid);
	assert_int_equal(stage_ask(s->port).generation, 2);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	stage_wait_status(s, "^w +w\\.0 +2 .* has not said WATCHDOG=1 for 1000 ms and was killed$");
	stage_stop(s);
}

/* While its successor does not come up, the one that hangs is not killed: it may wake up. */
static void
one_that_hangs_lives_until_its_successor_is_ready(void **state)
{
	struct stage *s = stage_new("watchdog_ms = 300\n");
	struct who hung;

	(void)state;
	stage_start(s);
	hung = stage_ask(s->port);
	stage_mode(s, "exit 1");
	assert_int_equal(kill(hung.pid, SIGSTOP), 0);
	proc_expect(s->baton, PROC_ERR, "has not said WATCHDOG=1 for 300 ms; replacing it$");
	assert_true(stage_matches(
	    stage_status(s), "^w\\.0: generation 1 has not said WATCHDOG=1 for 300 ms$"));
	/* It is tried again. */
	for (int i = 2; i <= 3; i++)
		proc_expect(s->baton, PROC_ERR,
		    talloc_asprintf(harness_mem(),
			"^baton: w\\.0: generation %d exited with .*; generation 1 serves on$", i));
	assert_int_equal(kill(hung.pid, SIGCONT), 0);
	proc_expect(s->baton, PROC_OUT, "^w\\.0  generation 1  pid [0-9]+  says WATCHDOG=1 again$");
	assert_int_equal(stage_ask(s->port).pid, hung.pid);
	stage_mode(s, "good");
	stage_stop(s);
}

static void
wait_ms(int ms)
{
	int64_t end = harness_now_ms() + ms;

	wait_until("time passes", harness_now_ms() >= end);
}

/* What they said meanwhile is read before anybody is condemned. */
static void
a_baton_that_was_stopped_condemns_nobody(void **state)
{
	struct stage *s = stage_new("watchdog_ms = 300\n");
	struct who one, other;

	(void)state;
	stage_start(s);
	one = stage_ask(s->port);
	other = stage_ask((uint16_t)(s->port + 1));
	for (int i = 0; i < 3; i++) {
		proc_signal(s->baton, SIGSTOP);
		wait_ms(900);
		proc_signal(s->baton, SIGCONT);
		stage_status(s);
	}
	assert_int_equal(stage_ask(s->port).pid, one.pid);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	stage_stop(s);
	assert_null(strstr(proc_text(s->baton, PROC_ERR), "WATCHDOG=1"));
}

/* As when a container is frozen, or a virtual machine stands still. */
static void
a_pause_of_all_condemns_nobody(void **state)
{
	struct stage *s = stage_new("watchdog_ms = 2000\n");
	struct who one, other;

	(void)state;
	stage_start(s);
	one = stage_ask(s->port);
	other = stage_ask((uint16_t)(s->port + 1));
	kill(one.pid, SIGSTOP);
	kill(other.pid, SIGSTOP);
	proc_signal(s->baton, SIGSTOP);
	wait_ms(4500);
	proc_signal(s->baton, SIGCONT); /* the first to look at its clock */
	kill(one.pid, SIGCONT);
	kill(other.pid, SIGCONT);
	wait_ms(4500);
	assert_int_equal(stage_ask(s->port).pid, one.pid);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	stage_stop(s);
	assert_null(strstr(proc_text(s->baton, PROC_ERR), "WATCHDOG=1"));
}

static void
a_server_of_the_library_that_hangs_is_replaced(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1, harness_built("hello"), "watchdog_ms = 1000\n");
	struct baton_who hung = baton_who(port);

	(void)state;
	assert_int_equal(kill(hung.pid, SIGSTOP), 0);
	proc_expect(b.proc, PROC_ERR, "has not said WATCHDOG=1 for 1000 ms; replacing it$");
	baton_wait_ready(&b, 1);
	proc_expect(b.proc, PROC_ERR, "has not said WATCHDOG=1 for 1000 ms and was killed");
	stage_wait_gone(hung.pid);
	assert_int_equal(baton_who(port).generation, 2);
	proc_signal(b.proc, SIGTERM);
	proc_finish(b.proc, 0);
}

/* All its threads compute, each for longer than the watchdog's time; the loop goes on. */
static void
handlers_that_spin_do_not_make_a_server_hang(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1, harness_built("hello"),
	    "watchdog_ms = 1500\nhttp.threads_max = 4\nhttp.worker_nice = 0\n");
	struct baton_who before = baton_who(port);
	struct client *c[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		c[i] = client_open(port);
		client_send(c[i], "GET /spin/?duration=1600ms HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(client_read(c[i], "GET")->status, 200);
	assert_int_equal(baton_who(port).pid, before.pid);
	baton_stop(&b);
	assert_null(strstr(proc_text(b.proc, PROC_ERR), "WATCHDOG=1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_that_hangs_is_replaced_and_then_killed),
	    e2e_test(one_that_hangs_lives_until_its_successor_is_ready),
	    e2e_test(a_baton_that_was_stopped_condemns_nobody),
	    e2e_test(a_pause_of_all_condemns_nobody),
	    e2e_test(a_server_of_the_library_that_hangs_is_replaced),
	    e2e_test(handlers_that_spin_do_not_make_a_server_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
