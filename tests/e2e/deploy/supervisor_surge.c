/* SPDX-License-Identifier: MIT */
/* Several instances are replaced at a time: never more than `surge`, and what one of them does
 * wrong stops the others that have not begun. */
#include "tests/e2e/supervisor_stage.h"

#include <signal.h>

/* Four instances of w, with more lines; the stage's port is of the first. */
static struct stage *
four(const char *more)
{
	struct stage *s = stage_new("");

	s->port = port_free(4);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 4\n"
	    "listen = 127.0.0.1:%d\n%s",
	    s->control, tempdir_path(s->dir, "worker"), s->mode, s->port, more);
	return s;
}

static const char *
path_in(struct stage *s, const char *name)
{
	return tempdir_path(s->dir, name);
}

static void
mode_with_file(struct stage *s, const char *mode, const char *file)
{
	stage_mode(s, talloc_asprintf(harness_mem(), "%s %s", mode, path_in(s, file)));
}

static void
let_go(struct stage *s, const char *file)
{
	tempdir_write(s->dir, file, "\n");
}

static void
begin(struct stage *s)
{
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
}

static int
generation(struct stage *s, int instance)
{
	return stage_ask((uint16_t)(s->port + instance)).generation;
}

/* How many were begun and had not finished, at most; from the lines of progress. */
static int
most_at_a_time(const char *progress)
{
	int now = 0, most = 0;

	for (const char *line = progress; line != NULL; line = strchr(line, '\n')) {
		size_t len = strcspn(line += *line == '\n', "\n");
		const char *text = talloc_strndup(harness_mem(), line, len);

		now += stage_matches(text, "^w\\.[0-9]: generation [0-9]+ started");
		now -= stage_matches(text, "^w\\.[0-9]: generation [0-9]+ exited");
		most = now > most ? now : most;
	}
	assert_int_equal(now, 0);
	return most;
}

static void
two_of_four_are_replaced_at_a_time(void **state)
{
	struct stage *s = four("surge = 2\n");
	struct proc *p;

	(void)state;
	begin(s);
	mode_with_file(s, "hold", "go");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started");
	proc_expect(p, PROC_OUT, "^w\\.1: generation 2 started");
	/* They are not ready, so the old ones serve, and the others must wait. */
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +1 +[0-9]+ +replacing "));
	assert_true(stage_matches(stage_status(s), "^w +w\\.1 +1 +[0-9]+ +replacing "));
	assert_true(stage_matches(stage_status(s), "^w +w\\.2 +1 +[0-9]+ +ready "));
	assert_true(stage_matches(stage_status(s), "^w +w\\.3 +1 +[0-9]+ +ready "));
	for (int i = 0; i < 4; i++)
		assert_int_equal(generation(s, i), 1);
	let_go(s, "go");
	proc_expect(p, PROC_OUT, "^restarted 4 instances");
	proc_finish(p, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(generation(s, i), 2);
	assert_int_equal(most_at_a_time(proc_text(p, PROC_OUT)), 2);
	stage_stop(s);
}

/* A draining old one counts too: its successor and it are two processes for one instance. */
static void
one_that_drains_keeps_its_place(void **state)
{
	struct stage *s = four("surge = 3\n");
	struct proc *p;

	(void)state;
	mode_with_file(s, "linger", "end");
	begin(s);
	stage_mode(s, "good");
	p = stage_cli(s, "restart");
	for (int i = 0; i < 3; i++)
		proc_expect(p, PROC_OUT, "^w\\.[012]: generation 2 ready in .* drains$");
	for (int i = 0; i < 3; i++)
		wait_until("the successor serves", generation(s, i) == 2);
	assert_int_equal(generation(s, 3), 1);
	assert_true(stage_matches(stage_status(s), "^w +w\\.3 +1 +[0-9]+ +ready "));
	let_go(s, "end");
	proc_finish(p, 0);
	assert_int_equal(most_at_a_time(proc_text(p, PROC_OUT)), 3);
	assert_int_equal(generation(s, 3), 2);
	stage_stop(s);
}

static void
surge_is_of_one_service_and_may_be_more_than_it_has(void **state)
{
	struct stage *s = four("surge = 256\n");
	uint16_t port = port_free(2);
	struct proc *p;
	const char *text;

	(void)state;
	tempdir_write(s->dir, "conf",
	    "%s[service v]\ncommand = %s\ninstances = 2\nlisten = 127.0.0.1:%d\nsurge = 2\n",
	    tempdir_read(s->conf), path_in(s, "worker"), port);
	begin(s);
	mode_with_file(s, "hold", "go");
	p = stage_cli(s, "restart");
	for (int i = 0; i < 4; i++)
		proc_expect(p, PROC_OUT, "^w\\.[0-3]: generation 2 started");
	/* One service after the other: the second may depend on the first. */
	assert_true(stage_matches(stage_status(s), "^v +v\\.0 +1 +[0-9]+ +ready "));
	let_go(s, "go");
	proc_finish(p, 0);
	text = proc_text(p, PROC_OUT);
	assert_true(stage_matches(text, "^restarted 6 instances"));
	for (int i = 0; i < 4; i++) {
		const char *ends =
		    strstr(text, talloc_asprintf(harness_mem(), "w.%d: generation 1 exited", i));

		assert_non_null(ends);
		assert_true(ends < strstr(text, "v.0: generation 2 started"));
	}
	stage_stop(s);
}

static void
a_failure_in_the_middle_lets_the_others_finish(void **state)
{
	struct stage *s = four("surge = 2\n");
	struct proc *p, *again;

	(void)state;
	mode_with_file(s, "linger", "end");
	begin(s);
	stage_mode(s, "only 1 exit 3");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.1 failed; no other instance is begun, waiting for w\\.0$");
	wait_until("w.0 is replaced", generation(s, 0) == 2);
	/* There is nothing to join any more: who asks now wants another attempt. */
	again = proc_finish(stage_cli(s, "restart"), 1);
	assert_true(stage_matches(
	    proc_text(again, PROC_ERR), "a restart has failed, but is under way already \\("));
	let_go(s, "end");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: restart failed: w\\.1: generation 2 exited with status 3 before it was ready; "
	    "generation 1 \\(pid [0-9]+\\) serves on; 1 of 4 instances restarted$"));
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "^  w\\.1 \\| worker: told to exit with 3$"));
	assert_false(stage_matches(proc_text(p, PROC_OUT), "w\\.[23]: generation 2 started"));
	assert_int_equal(generation(s, 0), 2);
	for (int i = 1; i < 4; i++)
		assert_int_equal(generation(s, i), 1);
	/* And the next one has all of them. */
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(generation(s, 0), 3);
	assert_int_equal(generation(s, 1), 3);
	assert_int_equal(generation(s, 3), 2);
	stage_stop(s);
}

static void
all_that_fail_together_are_told(void **state)
{
	struct stage *s = four("surge = 2\n");
	struct proc *p;

	(void)state;
	begin(s);
	stage_mode(s, "exit 4");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	for (int i = 0; i < 2; i++)
		assert_true(stage_matches(
		    proc_text(p, PROC_ERR), talloc_asprintf(harness_mem(),
						"w\\.%d: generation 2 exited with status 4", i)));
	assert_true(stage_matches(proc_text(p, PROC_ERR), "; 0 of 4 instances restarted$"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(generation(s, i), 1);
	stage_stop(s);
}

static void
one_that_crashes_after_its_turn_ends_the_roll(void **state)
{
	struct stage *s = four("");
	struct proc *p;

	(void)state;
	begin(s);
	mode_with_file(s, "only 1 hold", "go");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.1: generation 2 started");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(p, PROC_OUT, "^w\\.0 failed; no other instance is begun, waiting for w\\.1$");
	let_go(s, "go");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "restart failed: w\\.0: generation 2 was ended by signal 9 \\(SIGKILL\\), .* after it was "
	    "ready; .*; 1 of 4 instances restarted$"));
	assert_int_equal(generation(s, 1), 2);
	assert_int_equal(generation(s, 2), 1);
	stage_stop(s);
}

/* What a restart has left that failed: its old one lingers beside the next that was started. */
static void
a_drain_from_before_is_waited_for_or_cut(void **state)
{
	struct stage *s = four("");
	struct proc *p, *now;
	int lingers;

	(void)state;
	mode_with_file(s, "only 0 linger", "end");
	begin(s);
	lingers = stage_ask(s->port).pid;
	stage_mode(s, "ready-then-die");
	proc_finish(stage_cli(s, "restart"), 1);
	stage_mode(s, "good");
	stage_wait_status(s, "^w +w\\.0 +[3-9] +[0-9]+ +ready ");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT,
	    "^w\\.0: waiting, generation 1 \\(pid [0-9]+\\) still drains; `baton restart --now` cuts "
	    "that$");
	now = stage_cli(s, "restart", "--now");
	proc_finish(now, 0);
	proc_finish(p, 0);
	stage_wait_gone(lingers);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^restarted 4 instances"));
	stage_stop(s);
}

static void
now_lets_nothing_drain(void **state)
{
	struct stage *s = four("surge = 4\n");
	struct proc *p, *now;

	(void)state;
	mode_with_file(s, "linger", "end");
	begin(s);
	/* First a restart that waits, which another one joins; then one that never waits. */
	p = stage_cli(s, "restart");
	for (int i = 0; i < 4; i++)
		proc_expect(p, PROC_OUT, "^w\\.[0-3]: generation 2 ready in .* drains$");
	now = stage_cli(s, "restart", "--now");
	for (int i = 0; i < 4; i++)
		proc_expect(p, PROC_OUT, "^w\\.[0-3]: generation 1 was killed: its drain was cut$");
	proc_finish(p, 0);
	proc_finish(now, 0);
	now = proc_finish(stage_cli(s, "restart", "--now", "w"), 0);
	assert_true(stage_matches(
	    proc_text(now, PROC_OUT), "^w\\.3: generation 2 was killed: its drain was cut$"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(generation(s, i), 3);
	let_go(s, "end");
	stage_stop(s);
}

static void
stopping_a_service_ends_the_roll(void **state)
{
	struct stage *s = four("surge = 2\n");
	struct proc *p;

	(void)state;
	begin(s);
	mode_with_file(s, "hold", "go");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.1: generation 2 started");
	proc_finish(stage_cli(s, "stop", "w"), 0);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "w\\.0: it was told to stop; "));
	assert_true(stage_matches(proc_text(p, PROC_ERR), "0 of 4 instances restarted$"));
	let_go(s, "go");
	proc_finish(stage_cli(s, "start", "w"), 0);
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(two_of_four_are_replaced_at_a_time),
	    e2e_test(one_that_drains_keeps_its_place),
	    e2e_test(surge_is_of_one_service_and_may_be_more_than_it_has),
	    e2e_test(a_failure_in_the_middle_lets_the_others_finish),
	    e2e_test(all_that_fail_together_are_told),
	    e2e_test(one_that_crashes_after_its_turn_ends_the_roll),
	    e2e_test(a_drain_from_before_is_waited_for_or_cut),
	    e2e_test(now_lets_nothing_drain),
	    e2e_test(stopping_a_service_ends_the_roll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
