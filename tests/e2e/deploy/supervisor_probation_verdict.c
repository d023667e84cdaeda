/* SPDX-License-Identifier: MIT */
/* What is said when something fails on probation, in the verdict of a restart or a reload, and
 * when it cannot be rolled back. */
#include "tests/e2e/deploy/probation.h"

static void
a_rollback_that_fails_is_part_of_the_verdict(void **state)
{
	struct stage *s = begin_lingering("only 1 ");
	struct proc *p;

	(void)state;
	/* What is kept does as the mode says, and cannot take over any more. */
	stage_mode(s, "exit 3");
	p = replace_in_the_middle(s);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.1: .*; going back to ");
	let_end(s);
	fails(p,
	    "^baton: restart failed: w\\.1: generation 2 exited with status 7, .*; 1 of 2 "
	    "instances restarted; the rollback failed: w\\.0: generation 3 exited with status 3 "
	    "before it was ready; generation 2 .* serves on; ");
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
nothing_good_yet_is_said_in_the_verdict(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	let_linger(s, "");
	configure(s, usual_command(s), "probation_time_ms = 3600000\n");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_install(s, "ready-then-die");
	fails(stage_cli(s, "restart"),
	    "^baton: restart failed: w\\.0: generation 2 .*exited with status 7.*; not rolled back: "
	    "w: nothing of it has proved good yet, by being ready and well for 1 h 0 min; 0 of 2 "
	    "instances restarted$");
	assert_true(stage_matches(version_json(s), "\"rolled_back\": false"));
	let_end(s);
	stage_stop(s);
}

static void
a_script_is_not_rolled_back_and_the_verdict_says_why(void **state)
{
	struct stage *s = stage_new("");
	const char *script = tempdir_write(
	    s->dir, "script", "#!/bin/sh\nexec '%s' '%s'\n", version_path(s), s->mode);

	(void)state;
	assert_int_equal(chmod(script, 0755), 0);
	let_linger(s, "");
	settle(s, script, "", 0);
	version_install(s, "ready-then-die");
	fails(stage_cli(s, "restart"),
	    "generation 2 .*exited with status 7.*; not rolled back: w: nothing is kept: its "
	    "command is no ELF program but a script or the like; 0 of 2 instances restarted$");
	let_end(s);
	stage_stop(s);
}

static void
fails_to_reload(struct stage *s)
{
	struct proc *p;

	unlink(tempdir_path(s->dir, "end"));
	p = stage_cli(s, "reload");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: .*; going back to ");
	let_end(s);
	fails(p,
	    "^baton: reload failed: w\\.0: generation [0-9]+ exited with status 7, .*; rolled back "
	    "to " BACK "$");
}

static void
a_configuration_that_fails_is_rolled_back(void **state)
{
	struct stage *s = begin_lingering("");
	const char *bad = tempdir_write(s->dir, "bad", "ready-then-die\n");

	(void)state;
	configure(s, talloc_asprintf(harness_mem(), "%s %s", version_path(s), bad),
	    "probation_time_ms = 3600000\n");
	fails_to_reload(s);
	/* It runs with the arguments of then, and so does what is started after a crash. */
	expect_version(s, 0, "memory");
	kill(pid_of(s, 1), SIGKILL);
	proc_expect(s->baton, PROC_OUT, "^w\\.1 .* ready in .* generation [0-9]+$");
	expect_version(s, 1, "memory");
	/* Asked again, it is tried again; and what was right comes back by a reload, too. */
	fails_to_reload(s);
	configure(s, usual_command(s), "probation_time_ms = 3600000\n");
	proc_finish(stage_cli(s, "reload"), 0);
	proc_finish(stage_cli(s, "restart"), 0);
	expect_version(s, 0, "file");
	stage_stop(s);
}

static void
stop_wins_over_a_rollback(void **state)
{
	struct stage *s = begin("drain_timeout_ms = 60000\n");
	const char *end = tempdir_path(s->dir, "end");
	struct proc *p;

	(void)state;
	version_install(s, talloc_asprintf(harness_mem(), "linger %s", end));
	proc_finish(stage_cli(s, "restart"), 0);
	kill(pid_of(s, 0), SIGKILL);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 3$");
	/* w.1 has a successor, and lingers. */
	proc_expect(s->baton, PROC_OUT, "^w\\.1 .* ready in .* generation 3$");
	p = stage_cli(s, "restart");
	fails(p, "a rollback of w is under way already");
	p = stage_cli(s, "stop");
	proc_expect(p, PROC_OUT, "^ending in good order$");
	tempdir_write(s->dir, "end", "\n");
	proc_finish(p, 0);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_rollback_that_fails_is_part_of_the_verdict),
	    e2e_test(nothing_good_yet_is_said_in_the_verdict),
	    e2e_test(a_script_is_not_rolled_back_and_the_verdict_says_why),
	    e2e_test(a_configuration_that_fails_is_rolled_back),
	    e2e_test(stop_wins_over_a_rollback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
