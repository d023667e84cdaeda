/* SPDX-License-Identifier: MIT */
/*
 * Every command of the command line: its help, its exit status in each case, and that it
 * answers whatever the instances are doing.
 */
#include "tests/e2e/supervisor_stage.h"

/* What each needs to make sense to a supervisor, and to be refused by it. */
static const struct command {
	const char *name, *good, *bad;
	bool waits; /* for what was asked for, on purpose */
	int status; /* of the good one, when instances have just started */
} commands[] = {
    {"status", NULL, NULL, false, 0},
    {"events", "--no-follow", NULL, false, 0},
    {"logs", "w.0", "nobody", false, 0},
    {"restart", "w.0", "nobody", true, 0},
    {"continue", NULL, NULL, true, 1},
    {"rollback", NULL, "nobody", true, 1},
    {"upgrade", NULL, NULL, true, 0},
    {"start", "w", "nobody", true, 0},
    {"reset", "w", "nobody", true, 0},
    {"reload", NULL, NULL, true, 0},
    {"scale", "w=2", "nobody=2", true, 0},
    {"stop", "w.1", "nobody", true, 0},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static struct proc *
run(const struct stage *s, const char *command, const char *argument)
{
	return argument == NULL ? stage_cli(s, command) : stage_cli(s, command, argument);
}

/* All that `baton help` lists, one by one. */
static void
every_command_has_help(void **state)
{
	struct proc *all = proc_run("baton", "--help"), *p;
	const char *at;
	unsigned n = 0;

	(void)state;
	proc_finish(all, 0);
	p = proc_run("baton", "help");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), proc_text(all, PROC_OUT));
	for (at = proc_text(all, PROC_OUT); (at = strstr(at, "\n  baton ")) != NULL; n++) {
		const char *name, *usage;

		at += strlen("\n  baton ");
		name = talloc_strndup(harness_mem(), at, strcspn(at, " \n"));
		usage =
		    talloc_asprintf(harness_mem(), "usage: baton %.*s", (int)strcspn(at, "\n"), at);
		p = proc_run("baton", name, "--help");
		proc_finish(p, 0);
		if (strncmp(proc_text(p, PROC_OUT), usage, strlen(usage)) != 0)
			harness_fail("baton %s --help: expected \"%s\" first, found\n%s", name,
			    usage, proc_text(p, PROC_OUT));
		proc_finish(proc_run("baton", "help", name), 0);
		proc_finish(proc_run("baton", name, "-h", "--", "x", "y"), 0);
		p = proc_run("baton", name, "--nonsense");
		proc_finish(p, 2);
		assert_true(
		    stage_matches(proc_text(p, PROC_ERR), "--nonsense is no option of it; "));
		/* The manual tells about each, too. */
		if (!stage_matches(tempdir_read("etc/man/baton.1"),
			talloc_asprintf(harness_mem(), "^\\.It Nm Cm %s$", name)))
			harness_fail("baton.1 does not tell about \"%s\"", name);
	}
	assert_true(n >= COMMANDS + 3);
}

static void
every_command_has_its_exit_status(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	for (int i = 0; i < COMMANDS; i++) {
		struct proc *p = run(s, commands[i].name, commands[i].good);

		proc_finish(p, 3); /* nobody answers */
		assert_true(
		    stage_matches(proc_text(p, PROC_ERR), "^baton: no supervisor answers "));
		proc_finish(stage_cli(s, commands[i].name, "w=1", "w=2"), 2);
	}
	stage_start(s);
	for (int i = 0; i < COMMANDS; i++) {
		struct proc *p;

		proc_finish(run(s, commands[i].name, commands[i].good), commands[i].status);
		if (commands[i].bad == NULL)
			continue;
		p = run(s, commands[i].name, commands[i].bad);
		proc_finish(p, 1);
		assert_true(stage_matches(proc_text(p, PROC_ERR),
		    talloc_asprintf(harness_mem(),
			"^baton: %s failed: there is no service \"nobody\"; there is: w$",
			commands[i].name)));
	}
	proc_finish(stage_cli(s, "check"), 0);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_finish(s->baton, 0);
}

/* Those that wait for nothing answer at once; of those that wait, whoever is interrupted
 * changes nothing. */
static void
ask_everything(struct stage *s)
{
	for (int i = 0; i < COMMANDS; i++) {
		struct proc *p;

		if (!commands[i].waits) {
			proc_finish(run(s, commands[i].name, commands[i].good), 0);
			continue;
		}
		if (commands[i].bad != NULL)
			proc_finish(run(s, commands[i].name, commands[i].bad), 1);
		p = run(s, commands[i].name, "w.0");
		proc_signal(p, SIGINT);
		proc_wait(p);
	}
	stage_status(s);
}

static void
commands_answer_while_instances_start(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 3600000\n");

	(void)state;
	stage_mode(s, "hang");
	stage_run(s);
	wait_until("it is there", proc_wait(stage_cli(s, "status")) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +starting ");
	for (int i = 0; i < COMMANDS; i++)
		if (!commands[i].waits)
			proc_finish(run(s, commands[i].name, commands[i].good), 0);
	proc_finish(stage_cli(s, "scale", "w=3"), 1);
	proc_finish(stage_cli(s, "reload"), 1);
	proc_signal(s->baton, SIGTERM);
	proc_signal(s->baton, SIGINT);
	proc_finish(s->baton, 0);
}

static void
commands_answer_while_instances_fail(void **state)
{
	struct stage *s = stage_new("crashes_max = 3\nbackoff_first_ms = 1\n");
	struct proc *p;

	(void)state;
	stage_mode(s, "exit 3");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stage_wait_status(s, "^w +w\\.0 +3 +- +failed ");
	stage_wait_status(s, "^w +w\\.1 +3 +- +failed ");
	/* The verdict has the last lines, for orders as for restarts. */
	p = stage_cli(s, "start", "w.1");
	proc_finish(p, 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "^baton: start failed: w\\.1: exited with status 3$"));
	assert_non_null(strstr(proc_text(p, PROC_ERR),
	    "its last lines on stderr:\n  w.1 | first line\n  w.1 | worker: told to exit with 3\n"));
	ask_everything(s);
	stage_stop(s);
}

static void
commands_answer_while_instances_drain(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 3600000\n");
	struct proc *waits;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	waits = stage_cli(s, "restart", "w.0");
	proc_expect(waits, PROC_OUT, "^w\\.0: generation 2 ready in .* drains$");
	for (int i = 0; i < COMMANDS; i++)
		if (!commands[i].waits)
			proc_finish(run(s, commands[i].name, commands[i].good), 0);
	proc_finish(stage_cli(s, "scale", "w=3"), 1);
	/* Whoever waits may be interrupted: the restart goes on. */
	proc_signal(waits, SIGINT);
	assert_int_equal(proc_wait(waits), 128 + SIGINT);
	assert_true(
	    stage_matches(stage_status(s), "^a restart is under way: w\\.0: generation 2 "));
	proc_signal(s->baton, SIGINT);
	proc_expect(s->baton, PROC_OUT, "^SIGINT: ending in good order");
	for (int i = 0; i < COMMANDS; i++)
		if (!commands[i].waits)
			proc_finish(run(s, commands[i].name, commands[i].good), 0);
	proc_finish(stage_cli(s, "start", "w"), 1);
	proc_signal(s->baton, SIGINT);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_command_has_help),
	    e2e_test(every_command_has_its_exit_status),
	    e2e_test(commands_answer_while_instances_start),
	    e2e_test(commands_answer_while_instances_fail),
	    e2e_test(commands_answer_while_instances_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
