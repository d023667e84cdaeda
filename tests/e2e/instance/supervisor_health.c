/* SPDX-License-Identifier: MIT */
/* Health checks over HTTP: who answers badly, or not, is replaced; nobody else is. */
#include "tests/e2e/supervisor_stage.h"

#include <unistd.h>

#define CHECKS "health = http:/well\nhealth_interval_ms = 20\n"

/* What the worker answers to checks: "STATUS", or "STATUS PID" for one process. */
static void
answers(struct stage *s, const char *text)
{
	/* At once: it is read while it is written. */
	const char *made = tempdir_write(s->dir, "new", "%s\n", text);

	assert_int_equal(rename(made, tempdir_path(s->dir, "mode.status")), 0);
}

static const char *
only(const char *status, int pid)
{
	return talloc_asprintf(harness_mem(), "%s %d", status, pid);
}

static void
one_that_is_sick_is_replaced_successor_first(void **state)
{
	struct stage *s = stage_new(CHECKS);
	struct who sick, other;

	(void)state;
	stage_start(s);
	sick = stage_ask(s->port);
	other = stage_ask((uint16_t)(s->port + 1));
	answers(s, only("500", sick.pid));
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 \\(pid [0-9]+\\) has failed 3 health checks in a row "
	    "\\(GET /well: status 500\\); replacing it$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 2$");
	stage_wait_gone(sick.pid);
	stage_wait_status(s, "^w +w\\.0 +2 .* has failed 3 health checks in a row "
			     "\\(GET /well: status 500\\) and exited with status 0$");
	assert_int_equal(stage_ask(s->port).generation, 2);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	stage_stop(s);
}

/* It accepts nothing; SIGTERM does not reach it either. */
static void
one_that_is_stopped_is_replaced_and_then_killed(void **state)
{
	struct stage *s = stage_new(
	    CHECKS "health_timeout_ms = 300\nhealth_failures = 2\ndrain_timeout_ms = 200\n");
	struct who sick;

	(void)state;
	stage_start(s);
	sick = stage_ask(s->port);
	assert_int_equal(kill(sick.pid, SIGSTOP), 0);
	proc_expect(s->baton, PROC_ERR,
	    "has failed 2 health checks in a row \\(GET /well: no answer within 300 ms\\); "
	    "replacing it$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 2$");
	proc_expect(s->baton, PROC_ERR, "did not end within 200 ms of SIGTERM and was killed");
	stage_wait_gone(sick.pid);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
one_that_recovers_while_its_successor_fails_stays(void **state)
{
	struct stage *s = stage_new(CHECKS);
	struct who sick;

	(void)state;
	stage_start(s);
	sick = stage_ask(s->port);
	stage_mode(s, "exit 1");
	answers(s, only("404", sick.pid));
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: .*status 404\\); replacing it$");
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 2 exited with .*; generation 1 serves on$");
	assert_true(
	    stage_matches(stage_status(s), "^w\\.0: generation 1 has failed 3 health checks"));
	answers(s, "302");
	proc_expect(s->baton, PROC_OUT,
	    "^w\\.0  generation 1  pid [0-9]+  passes its health checks again$");
	assert_int_equal(stage_ask(s->port).pid, sick.pid);
	stage_stop(s);
}

/* What makes all of them sick is elsewhere: there is no storm of starts. */
static void
those_that_are_never_well_are_replaced_later_and_later(void **state)
{
	struct stage *s = stage_new(CHECKS "backoff_first_ms = 10\nbackoff_max_ms = 40\n");

	(void)state;
	answers(s, "500");
	stage_start(s);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 1 .*; replacing it$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 2 .*; replacing it in 10 ms$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 3 .*; replacing it in 20 ms$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 4 .*; replacing it in 40 ms$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 5 .*; replacing it in 40 ms$");
	stage_stop(s);
}

/* The answers of one are not held against the other. */
static void
of_those_that_share_a_socket_the_sick_one_is_replaced(void **state)
{
	struct stage *s = stage_new(CHECKS "ports = shared\n");
	struct who sick, other, now;

	(void)state;
	stage_start(s);
	sick = stage_ask(s->port);
	do
		other = stage_ask(s->port);
	while (other.pid == sick.pid);
	answers(s, only("500", sick.pid));
	proc_expect(s->baton, PROC_ERR,
	    talloc_asprintf(
		harness_mem(), "^baton: w\\.%d: .* status 500\\); replacing it$", sick.instance));
	stage_wait_gone(sick.pid);
	do
		now = stage_ask(s->port);
	while (now.instance != sick.instance);
	assert_int_equal(now.generation, 2);
	do
		now = stage_ask(s->port);
	while (now.instance != other.instance);
	assert_int_equal(now.pid, other.pid);
	stage_stop(s);
}

/* A change of the checks needs no new process. */
static void
checks_come_and_go_with_a_reload(void **state)
{
	struct stage *s = stage_new("");
	const char *without = tempdir_read(s->conf);
	struct who one;

	(void)state;
	answers(s, "500");
	stage_start(s);
	one = stage_ask(s->port);
	tempdir_write(s->dir, "conf", "%s\n" CHECKS "health_failures = 5\n", without);
	stage_mode(s, "exit 1");
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(stage_ask(s->port).pid, one.pid);
	proc_expect(
	    s->baton, PROC_ERR, "^baton: w\\.0: generation 1 .* has failed 5 health checks");
	tempdir_write(s->dir, "conf", "%s\n", without);
	proc_finish(stage_cli(s, "reload"), 0);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* has no health checks any more$");
	assert_int_equal(stage_ask(s->port).pid, one.pid);
	stage_mode(s, "good");
	stage_stop(s);
}

static void
wait_ms(int ms)
{
	int64_t end = harness_now_ms() + ms;

	wait_until("time passes", harness_now_ms() >= end);
}

/* All stand still while a check is under way, as in a container that is frozen: baton wakes up
 * first, and finds that the time for the answer has passed. */
static void
a_pause_of_all_makes_nobody_sick(void **state)
{
	struct stage *s = stage_new(CHECKS "health_timeout_ms = 2000\nhealth_failures = 1\n");
	struct who one;

	(void)state;
	stage_start(s);
	one = stage_ask(s->port);
	assert_int_equal(kill(one.pid, SIGSTOP), 0);
	wait_ms(200); /* the next check has begun */
	proc_signal(s->baton, SIGSTOP);
	wait_ms(3000);
	proc_signal(s->baton, SIGCONT);
	stage_status(s); /* it has looked at its clock */
	assert_int_equal(kill(one.pid, SIGCONT), 0);
	wait_ms(2500);
	assert_int_equal(stage_ask(s->port).pid, one.pid);
	stage_stop(s);
	assert_null(strstr(proc_text(s->baton, PROC_ERR), "health"));
}

static long
switches(pid_t pid)
{
	const char *status =
	    tempdir_read(talloc_asprintf(harness_mem(), "/proc/%d/status", (int)pid));
	const char *line = strstr(status, "\nvoluntary_ctxt_switches:");
	long n = -1;

	assert_int_equal(sscanf(line, "\nvoluntary_ctxt_switches: %ld", &n), 1);
	return n;
}

static void
without_checks_an_idle_baton_does_nothing(void **state)
{
	struct stage *s = stage_new("ready = http:/up\n");
	long before;

	(void)state;
	stage_start(s);
	stage_ask(s->port);
	wait_until("it rests", (before = switches(proc_pid(s->baton))) > 0 && usleep(300000) == 0 &&
				   before == switches(proc_pid(s->baton)));
	usleep(1000000);
	assert_int_equal(switches(proc_pid(s->baton)), before);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_that_is_sick_is_replaced_successor_first),
	    e2e_test(one_that_is_stopped_is_replaced_and_then_killed),
	    e2e_test(one_that_recovers_while_its_successor_fails_stays),
	    e2e_test(those_that_are_never_well_are_replaced_later_and_later),
	    e2e_test(of_those_that_share_a_socket_the_sick_one_is_replaced),
	    e2e_test(checks_come_and_go_with_a_reload),
	    e2e_test(a_pause_of_all_makes_nobody_sick),
	    e2e_test(without_checks_an_idle_baton_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
