/* SPDX-License-Identifier: MIT */
/* What fails soon after it was ready is rolled back by itself: what runs then, and what happens
 * when what has proved good fails as well. */
#include "tests/e2e/deploy/probation.h"

static void
a_restart_to_what_says_ready_and_dies_is_rolled_back(void **state)
{
	struct stage *s = begin_lingering("");
	struct load_spec spec = {.port = s->port, .ports = 2, .oneshot = 4, .get = "/"};
	struct load_result r;
	struct load *l = load_start(&spec);
	struct proc *p;

	(void)state;
	version_install(s, "ready-then-die");
	p = stage_cli(s, "restart");
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 2 exited with status 7, .* after it was ready; going back "
	    "to " BACK "$");
	let_end(s);
	fails(p,
	    "^baton: restart failed: w\\.0: generation 2 exited with status 7, .* after it was "
	    "ready; .*; 0 of 2 instances restarted; rolled back to " BACK "$");
	expect_version(s, 0, "memory");
	expect_version(s, 1, "deleted");
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +3 +[0-9]+ +ready, rolled back "));
	assert_true(stage_matches(version_json(s), "\"rolled_back\": true"));
	assert_true(
	    stage_matches(version_json(s), "\"rollback_why\": \"w\\.0: generation 2 exited"));
	r = load_stop(l);
	assert_int_equal(r.refused, 0);
	/* The file is tried again when somebody says so. */
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	expect_version(s, 0, "file");
	expect_version(s, 1, "file");
	assert_true(stage_matches(version_json(s), "\"rolled_back\": false"));
	stage_stop(s);
}

static void
a_crash_after_the_verdict_rolls_all_instances_back(void **state)
{
	struct stage *s = begin("");
	struct proc *p;

	(void)state;
	version_install(s, "good");
	p = stage_cli(s, "restart");
	proc_finish(p, 0);
	expect_version(s, 0, "file");
	kill(pid_of(s, 1), SIGKILL);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.1: generation 2 was ended by signal 9 \\(SIGKILL\\), .* after it was "
	    "ready; going back to " BACK "$");
	wait_all_back(s);
	expect_version(s, 0, "memory");
	expect_version(s, 1, "memory");
	assert_true(stage_matches(version_json(s), "\"what\": \"rollback\""));
	p = stage_cli(s, "events", "--no-follow", "-n", "all");
	proc_expect(p, PROC_OUT,
	    " w\\.1 +rollback +generation 2 was ended by signal 9 .*; going back to " BACK "$");
	stage_stop(s);
}

static void
one_that_hangs_in_its_probation_is_rolled_back(void **state)
{
	struct stage *s = begin("watchdog_ms = 2000\n");
	int pid;

	(void)state;
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	pid = pid_of(s, 0);
	kill(pid, SIGSTOP);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 2 has not said WATCHDOG=1 for 2000 ms; going back to " BACK
	    "$");
	wait_all_back(s);
	stage_wait_gone(pid);
	expect_version(s, 0, "memory");
	expect_version(s, 1, "memory");
	stage_stop(s);
}

static void
a_crash_when_the_file_is_gone_starts_what_was_good(void **state)
{
	struct stage *s = begin("");

	(void)state;
	unlink(version_path(s));
	kill(pid_of(s, 0), SIGKILL);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 2 cannot start .*/worker: no such file; going back to " BACK
	    "$");
	wait_all_back(s);
	expect_version(s, 0, "memory");
	expect_version(s, 1, "deleted"); /* it was good, and nothing is wrong with it */
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	stage_stop(s);
}

static void
what_was_good_is_not_left_again_when_it_crashes(void **state)
{
	struct stage *s = begin("crashes_max = 4\nbackoff_first_ms = 1\n");

	(void)state;
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	kill(pid_of(s, 0), SIGKILL);
	wait_all_back(s);
	/* From now on the kept one, which does as the mode says, fails; the file would not. */
	stage_mode(s, "exit 3");
	kill(pid_of(s, 0), SIGKILL);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: .* it has failed; `baton reset w\\.0`");
	stage_wait_status(s, "^w +w\\.0 +[0-9]+ +- +failed ");
	assert_true(stage_matches(version_json(s), "\"rolled_back\": true"));
	assert_int_equal(version_count(proc_text(s->baton, PROC_ERR), "going back to"), 1);
	/* And the file is only a word away. */
	proc_finish(stage_cli(s, "restart"), 0);
	expect_version(s, 0, "file");
	expect_version(s, 1, "file");
	stage_stop(s);
}

static void
what_is_replaced_in_the_middle_of_a_restart_takes_the_rest_with_it(void **state)
{
	struct stage *s = begin_lingering("only 1 ");
	struct proc *p = replace_in_the_middle(s);

	(void)state;
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.1: .*; going back to ");
	let_end(s);
	fails(p, "^baton: restart failed: w\\.1: generation 2 exited with status 7, .*; 1 of 2 "
		 "instances restarted; rolled back to " BACK "$");
	expect_version(s, 0, "memory");
	expect_version(s, 1, "memory");
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_restart_to_what_says_ready_and_dies_is_rolled_back),
	    e2e_test(a_crash_after_the_verdict_rolls_all_instances_back),
	    e2e_test(one_that_hangs_in_its_probation_is_rolled_back),
	    e2e_test(a_crash_when_the_file_is_gone_starts_what_was_good),
	    e2e_test(what_was_good_is_not_left_again_when_it_crashes),
	    e2e_test(what_is_replaced_in_the_middle_of_a_restart_takes_the_rest_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
