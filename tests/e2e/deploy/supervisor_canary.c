/* SPDX-License-Identifier: MIT */
/* A restart pauses after its canary: it goes on by itself or when it is told to, and fails when
 * the canary does. */
#include "tests/e2e/supervisor_stage.h"

#include <signal.h>

#define FOR_EVER "canary = yes\ncanary_time_ms = 0\n"
#define FOR_LONG "canary = yes\ncanary_time_ms = 3600000\n"

/* A restart that pauses after w.0. */
static struct proc *
paused(struct stage *s, const char *pauses)
{
	struct proc *p = stage_cli(s, "restart");

	proc_expect(p, PROC_OUT,
	    talloc_asprintf(harness_mem(),
		"^w\\.0: the canary; the restart pauses %s`baton continue`$", pauses));
	assert_int_equal(stage_ask(s->port).generation, 2);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	return p;
}

static void
it_goes_on_when_it_is_told_to(void **state)
{
	struct stage *s = stage_new(FOR_EVER "surge = 2\n");
	struct proc *p, *cli;

	(void)state;
	stage_start(s);
	p = paused(s, "until ");
	assert_true(stage_matches(stage_status(s),
	    "^a restart is under way: paused for [0-9.]+ m?s after w\\.0, the canary; it goes on with "
	    "`baton continue`$"));
	cli = proc_finish(stage_cli(s, "continue", "w"), 0);
	assert_string_equal(proc_text(cli, PROC_OUT), "the restart goes on\n");
	proc_expect(p, PROC_OUT, "^w\\.0: `baton continue`; the restart goes on$");
	proc_expect(p, PROC_OUT, "^restarted 2 instances");
	proc_finish(p, 0);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 2);
	cli = proc_finish(stage_cli(s, "events", "--no-follow", "-n", "all"), 0);
	assert_true(stage_matches(proc_text(cli, PROC_OUT), "w\\.0 .*restart-paused .*the canary"));
	assert_true(stage_matches(
	    proc_text(cli, PROC_OUT), "w\\.0 .*restart-continued .*`baton continue`"));
	proc_expect(s->baton, PROC_OUT, "^w\\.0: the canary; the restart pauses until ");
	proc_expect(s->baton, PROC_OUT, "^w\\.0  `baton continue`; the restart goes on$");
	stage_stop(s);
}

static void
it_goes_on_by_itself_after_its_time(void **state)
{
	struct stage *s = stage_new("canary = yes\ncanary_time_ms = 300\n");
	struct proc *p;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT,
	    "^w\\.0: the canary; the restart pauses for 300 ms, or until `baton continue`$");
	proc_expect(p, PROC_OUT, "^w\\.0: nothing has gone wrong with it; the restart goes on$");
	proc_expect(p, PROC_OUT, "^w\\.1: generation 2 started");
	proc_finish(p, 0);
	/* The pause is a part of it: it is not shorter than it was said to be. */
	assert_false(
	    stage_matches(proc_text(p, PROC_OUT), "^restarted 2 instances in [12]?[0-9]?[0-9] ms"));
	stage_stop(s);
}

static void
one_that_crashes_ends_the_restart(void **state)
{
	struct stage *s = stage_new(FOR_LONG);
	struct proc *p;

	(void)state;
	stage_start(s);
	p = paused(s, "for 60 min 0 s, or until |for 1 h 0 min, or until ");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: restart failed: w\\.0: generation 2 was ended by signal 9 \\(SIGKILL\\), [0-9.]+ m?s "
	    "after it was ready, while it was the canary; .*; 0 of 2 instances restarted$"));
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	assert_false(stage_matches(stage_status(s), "restart is under way"));
	proc_finish(stage_cli(s, "continue"), 1);
	stage_stop(s);
}

/* It has not ended, and its successor may be well: that is no reason to trust the program. */
static void
one_that_hangs_ends_the_restart(void **state)
{
	struct stage *s = stage_new(FOR_LONG "watchdog_ms = 4000\n");
	struct proc *p;
	int pid;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: the canary; ");
	pid = stage_ask(s->port).pid;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: restart failed: w\\.0: generation 2 .*WATCHDOG=1 .*, while it was the canary; "));
	stage_wait_gone(pid);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	stage_stop(s);
}

static void
nothing_to_continue_is_an_error(void **state)
{
	struct stage *s = stage_new(FOR_EVER);
	const char *go = tempdir_path(s->dir, "go");
	struct proc *p, *cli;

	(void)state;
	s->conf = tempdir_write(s->dir, "conf", "%s[service v]\ncommand = %s %s\n",
	    tempdir_read(s->conf), tempdir_path(s->dir, "worker"), s->mode);
	stage_start(s);
	cli = proc_finish(stage_cli(s, "continue"), 1);
	assert_string_equal(proc_text(cli, PROC_ERR),
	    "baton: continue failed: nothing is paused, and no restart is under way\n");
	stage_mode(s, talloc_asprintf(harness_mem(), "hold %s", go));
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started");
	cli = proc_finish(stage_cli(s, "continue"), 1);
	assert_true(stage_matches(proc_text(cli, PROC_ERR),
	    "continue failed: nothing is paused; a restart is under way \\(w\\.0: generation 2 "));
	tempdir_write(s->dir, "go", "\n");
	proc_expect(p, PROC_OUT, "^w\\.0: the canary; ");
	cli = proc_finish(stage_cli(s, "continue", "v"), 1);
	assert_true(stage_matches(
	    proc_text(cli, PROC_ERR), "continue failed: the restart is paused at w, not at v$"));
	cli = proc_finish(stage_cli(s, "continue", "u"), 1);
	assert_true(stage_matches(proc_text(cli, PROC_ERR), "there is no service \"u\""));
	proc_finish(stage_cli(s, "continue"), 0);
	proc_finish(p, 0);
	/* v has no canary, and one instance alone is none. */
	proc_finish(stage_cli(s, "restart", "v"), 0);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	stage_stop(s);
}

static void
once_without_configuration(void **state)
{
	struct stage *s = stage_new("canary_time_ms = 0\n");
	struct proc *p, *other;

	(void)state;
	stage_start(s);
	p = stage_cli(s, "restart", "--canary");
	proc_expect(p, PROC_OUT, "^w\\.0: the canary; the restart pauses until `baton continue`$");
	/* Who asks again joins the pause as well. */
	other = stage_cli(s, "restart");
	proc_expect(other, PROC_OUT, "^joining the restart that is under way: paused for ");
	proc_finish(stage_cli(s, "continue"), 0);
	proc_finish(p, 0);
	proc_finish(other, 0);
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
}

static void
a_reload_pauses_as_well(void **state)
{
	struct stage *s = stage_new(FOR_EVER);
	struct proc *p, *cli;

	(void)state;
	stage_start(s);
	tempdir_write(s->dir, "conf", "%senv.X = 1\n", tempdir_read(s->conf));
	p = stage_cli(s, "reload");
	proc_expect(p, PROC_OUT, "^w\\.0: the canary; the reload pauses until `baton continue`$");
	cli = proc_finish(stage_cli(s, "restart"), 1);
	assert_true(stage_matches(
	    proc_text(cli, PROC_ERR), "a reload is under way already \\(paused for "));
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	proc_finish(stage_cli(s, "continue"), 0);
	proc_finish(p, 0);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 2);
	stage_stop(s);
}

static void
programs_read_the_pause_in_status(void **state)
{
	struct stage *s = stage_new(FOR_LONG);
	struct proc *p, *status;

	(void)state;
	stage_start(s);
	status = proc_finish(stage_cli(s, "status", "--json"), 0);
	assert_true(stage_matches(proc_text(status, PROC_OUT), "^  \"pause\": null,$"));
	p = paused(s, "for 60 min 0 s, or until |for 1 h 0 min, or until ");
	status = proc_finish(stage_cli(s, "status", "--json"), 0);
	assert_true(stage_matches(proc_text(status, PROC_OUT), "^    \"instance\": \"w.0\",$"));
	assert_true(stage_matches(proc_text(status, PROC_OUT), "^    \"paused_ms\": [0-9]+,$"));
	assert_true(stage_matches(proc_text(status, PROC_OUT), "^    \"left_ms\": 3[0-9]{6}$"));
	proc_finish(stage_cli(s, "continue"), 0);
	proc_finish(p, 0);
	stage_stop(s);
}

/* Everything else that may be asked for meanwhile. */
static void
stop_wins_and_others_are_refused_while_it_pauses(void **state)
{
	struct stage *s = stage_new(FOR_EVER);
	struct proc *p, *cli;

	(void)state;
	stage_start(s);
	p = paused(s, "until ");
	cli = proc_finish(stage_cli(s, "restart", "w.1"), 1);
	assert_true(stage_matches(
	    proc_text(cli, PROC_ERR), "a restart is under way already \\(paused for "));
	cli = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(cli, PROC_ERR),
	    "nothing has changed: a restart is under way \\(paused for .* after w\\.0"));
	proc_signal(s->baton, SIGHUP);
	proc_expect(s->baton, PROC_ERR,
	    "reload failed: nothing has changed: a restart is under way \\(paused for ");
	cli = proc_finish(stage_cli(s, "scale", "w=3"), 1);
	assert_true(
	    stage_matches(proc_text(cli, PROC_ERR), "a restart is under way \\(paused for "));
	cli = proc_finish(stage_cli(s, "stop"), 0);
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "restart failed: baton was told to stop"));
	proc_finish(s->baton, 0);
}

static void
stopping_the_others_leaves_nothing_to_wait_for(void **state)
{
	struct stage *s = stage_new(FOR_EVER);
	struct proc *p;

	(void)state;
	stage_start(s);
	p = paused(s, "until ");
	proc_finish(stage_cli(s, "stop", "w.1"), 0);
	proc_expect(p, PROC_OUT, "^w\\.0: there is no other left; the restart goes on$");
	proc_expect(p, PROC_OUT, "^restarted 1 instance ");
	proc_finish(p, 0);
	stage_stop(s);
}

static void
stopping_the_canary_ends_the_pause(void **state)
{
	struct stage *s = stage_new(FOR_EVER);
	struct proc *p;

	(void)state;
	stage_start(s);
	p = paused(s, "until ");
	proc_finish(stage_cli(s, "stop", "w.0"), 0);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "restart failed: w\\.0: it was told to stop, while it was the canary; "));
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_goes_on_when_it_is_told_to),
	    e2e_test(it_goes_on_by_itself_after_its_time),
	    e2e_test(one_that_crashes_ends_the_restart),
	    e2e_test(one_that_hangs_ends_the_restart),
	    e2e_test(nothing_to_continue_is_an_error),
	    e2e_test(once_without_configuration),
	    e2e_test(a_reload_pauses_as_well),
	    e2e_test(programs_read_the_pause_in_status),
	    e2e_test(stop_wins_and_others_are_refused_while_it_pauses),
	    e2e_test(stopping_the_others_leaves_nothing_to_wait_for),
	    e2e_test(stopping_the_canary_ends_the_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
