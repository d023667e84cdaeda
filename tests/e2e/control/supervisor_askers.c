/* SPDX-License-Identifier: MIT */
/* Those who ask for a restart: two at once, one that wants it to stop, one that goes away. */
#include "tests/e2e/supervisor_stage.h"

#include <signal.h>

static void
a_second_restart_joins_the_first(void **state)
{
	struct stage *s = stage_new("");
	const char *go = tempdir_path(s->dir, "go");
	struct proc *first, *second, *other;

	(void)state;
	stage_start(s);
	stage_mode(s, talloc_asprintf(harness_mem(), "hold %s", go));
	first = stage_cli(s, "restart");
	proc_expect(first, PROC_OUT, "^w\\.0: generation 2 started");
	second = stage_cli(s, "restart");
	proc_expect(second, PROC_OUT,
	    "^joining the restart that is under way: w\\.0: generation 2 started");
	assert_true(stage_matches(stage_status(s), "^a restart is under way: w\\.0: generation 2"));
	assert_true(stage_matches(stage_status(s), "^ +2 +[0-9]+ +starting "));
	/* What is not the same is refused: it would be done only in part. */
	other = proc_finish(stage_cli(s, "restart", "w.1"), 1);
	assert_true(stage_matches(proc_text(other, PROC_ERR),
	    "restart failed: a restart is under way already \\(w\\.0: generation 2 started.*; only one "
	    "is done at a time$"));
	tempdir_write(s->dir, "go", "\n");
	proc_expect(first, PROC_OUT, "^restarted 2 instances");
	proc_expect(second, PROC_OUT, "^restarted 2 instances");
	proc_finish(first, 0);
	proc_finish(second, 0);
	/* Once, not twice. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(stage_ask((uint16_t)(s->port + i)).generation, 2);
	stage_stop(s);
}

static void
stop_wins_over_restart(void **state)
{
	struct stage *s = stage_new("");
	struct proc *restart, *stop;

	(void)state;
	stage_start(s);
	stage_mode(s, "hang");
	restart = stage_cli(s, "restart");
	proc_expect(restart, PROC_OUT, "^w\\.0: generation 2 started");
	stop = stage_cli(s, "stop");
	proc_finish(stop, 0);
	assert_true(stage_matches(proc_text(stop, PROC_OUT), "^stopped$"));
	proc_finish(restart, 1);
	assert_true(
	    stage_matches(proc_text(restart, PROC_ERR), "restart failed: baton was told to stop"));
	proc_finish(s->baton, 0);
	/* SIGKILL was sent to each group; the kernel may still be at it. */
	wait_until("no process is left", harness_count_children() == 0);
}

static void
an_interrupted_client_changes_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_mode(s, "slow-exit 400");
	stage_start(s);
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 ready");
	proc_signal(p, SIGINT);
	assert_int_equal(proc_wait(p), 128 + SIGINT);
	assert_string_equal(proc_text(p, PROC_ERR),
	    "baton: interrupted; what was asked for goes on, `baton status` shows it\n");
	/* The restart goes on by itself. */
	proc_expect(s->baton, PROC_OUT, "^w\\.1 .* generation 2$");
	stage_wait_status(s, "^w +w\\.1 +2 +[0-9]+ +ready ");
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_second_restart_joins_the_first),
	    e2e_test(stop_wins_over_restart),
	    e2e_test(an_interrupted_client_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
