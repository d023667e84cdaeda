/* SPDX-License-Identifier: MIT */
/* SIGKILL of baton itself: what becomes of the instances, and what the next one says. */
#include "tests/e2e/supervisor_stage.h"

#include <sys/wait.h>
#include <unistd.h>

/* Kills baton; the two instances' pids are told. */
static void
kill_baton(struct stage *s, pid_t pids[2])
{
	stage_start(s);
	pids[0] = stage_ask(s->port).pid;
	pids[1] = stage_ask(s->port + 1).pid;
	proc_signal(s->baton, SIGKILL);
	proc_finish(s->baton, 128 + SIGKILL);
}

/* Orphans are the test's children by now: dead, they are zombies until they are reaped. */
static bool
is_gone(pid_t pid)
{
	waitpid(pid, NULL, WNOHANG);
	return kill(pid, 0) < 0;
}

/* They have lost the reader of their output, too: each line that they write is an error. */
static void
instances_serve_on(void **state)
{
	struct stage *s = stage_new("");
	pid_t pids[2];

	(void)state;
	stage_mode(s, "flood");
	kill_baton(s, pids);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(stage_ask(s->port).pid, pids[0]);
		assert_int_equal(stage_ask(s->port + 1).pid, pids[1]);
	}
}

static void
the_next_baton_says_what_it_finds_and_what_to_type(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p, *before;
	const char *line, *at, *type;
	pid_t pids[2];

	(void)state;
	kill_baton(s, pids);
	before = s->baton;
	p = proc_finish(stage_cli(s, "run"), 1);
	line = proc_expect(p, PROC_ERR, "Address already in use");
	for (int i = 0; i < 2; i++)
		if (strstr(line,
			talloc_asprintf(harness_mem(), "w.%d (pid %d)", i, (int)pids[i])) == NULL)
			harness_fail("w.%d (pid %d) is not named: %s", i, (int)pids[i], line);
	assert_non_null(strstr(line, ", started by a baton that has died, still serve;"));
	if (strstr(proc_text(p, PROC_ERR),
		talloc_asprintf(harness_mem(), "the baton before (pid %d) died without an end",
		    (int)proc_pid(before))) == NULL)
		harness_fail("no word of the lock: %s", proc_text(p, PROC_ERR));
	/* What it says is done, to the letter. */
	at = strstr(line, "`kill ");
	assert_non_null(at);
	type = talloc_strndup(harness_mem(), at + 1, strcspn(at + 1, "`"));
	proc_finish(proc_run("/bin/sh", "-c", type), 0);
	wait_until("they have ended", is_gone(pids[0]) && is_gone(pids[1]));
	stage_start(s);
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

/* The same for a service that has Unix sockets alone. */
static void
also_of_unix_sockets(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;
	const char *line;

	(void)state;
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 2\n"
	    "listen = unix:%s/u%%i\n",
	    s->control, harness_built("tests/fixtures/worker"), s->mode, s->dir);
	for (int i = 0; i < 2; i++) {
		stage_run(s);
		proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
		proc_signal(s->baton, SIGKILL);
		proc_finish(s->baton, 128 + SIGKILL);
		p = proc_finish(stage_cli(s, "run"), 1);
		line = proc_expect(p, PROC_ERR, "Address already in use");
		if (!stage_matches(line,
			"w\\.0 \\(pid [0-9]+\\).*w\\.1 \\(pid [0-9]+\\).*, started "
			"by a baton that has died, still serve; end them"))
			harness_fail("%s", line);
		/* The next time it replaces stale ones, by renaming. */
		harness_kill_children();
	}
}

/* However early it happens: also between fork and exec nothing is left. */
static void
nothing_outlives_it_that_is_not_to(void **state)
{
	struct stage *s = stage_new("die_with_supervisor = yes");

	(void)state;
	for (int i = 0; i < 40; i++) {
		stage_run(s);
		usleep((useconds_t)i * 250);
		proc_signal(s->baton, SIGKILL);
		proc_finish(s->baton, 128 + SIGKILL);
		wait_until("no process is left", harness_count_children() == 0);
	}
}

static void
a_port_of_a_living_baton_is_told_apart(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;
	const char *other = tempdir_path(s->dir, "other");

	(void)state;
	stage_start(s);
	p = proc_finish(proc_run("baton", "run", "-c", s->conf, "--control", other), 1);
	proc_expect(p, PROC_ERR,
	    talloc_asprintf(harness_mem(),
		"Address already in use: baton \\(pid %d\\) listens there, and runs instances;",
		(int)proc_pid(s->baton)));
	assert_null(strstr(proc_text(p, PROC_ERR), "has died"));
	stage_stop(s);
}

static void
another_program_is_named(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p, *q = proc_run("hello", "--listen", port_address(s->port));

	(void)state;
	proc_expect(q, PROC_ERR, "listening");
	p = proc_finish(stage_cli(s, "run"), 1);
	proc_expect(p, PROC_ERR,
	    talloc_asprintf(harness_mem(), "hello \\(pid %d\\) listens there;", (int)proc_pid(q)));
	proc_signal(q, SIGTERM);
	proc_finish(q, 0);
}

static void
instances_die_with_it_if_they_are_to(void **state)
{
	struct stage *s = stage_new("die_with_supervisor = yes");
	pid_t pids[2];

	(void)state;
	kill_baton(s, pids);
	wait_until("they died with baton", is_gone(pids[0]) && is_gone(pids[1]));
	stage_start(s);
	/* Only then: neither a stop nor a restart is another way to die. */
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
}

/* The change of user takes the wish away, unless it is said after that. */
static void
also_as_another_user(void **state)
{
	struct stage *s;
	pid_t pids[2];

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	s = stage_new("die_with_supervisor = yes\nuser = nobody");
	tempdir_own(s->dir, 65534);
	kill_baton(s, pids);
	wait_until("they died with baton", is_gone(pids[0]) && is_gone(pids[1]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(instances_serve_on),
	    e2e_test(the_next_baton_says_what_it_finds_and_what_to_type),
	    e2e_test(also_of_unix_sockets),
	    e2e_test(nothing_outlives_it_that_is_not_to),
	    e2e_test(a_port_of_a_living_baton_is_told_apart),
	    e2e_test(another_program_is_named),
	    e2e_test(instances_die_with_it_if_they_are_to),
	    e2e_test(also_as_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
