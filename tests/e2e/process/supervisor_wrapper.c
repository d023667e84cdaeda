/* SPDX-License-Identifier: MIT */
/* A command that is a shell script which starts its server without exec: told to end, the script
 * dies of the signal at once, and the server must drain all the same. */
#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
#include <unistd.h>

/* The server's pid and that it is up are its first words; ON_TERM is what it does when told. */
static struct stage *
wrapped(const char *on_term, const char *lines)
{
	struct stage *s = stage_new("");

	tempdir_write(s->dir, "server",
	    "trap '%s' TERM\necho \"server $$ of $PPID is up\"\nwhile :; do sleep 0.01; done\n",
	    on_term);
	tempdir_write(s->dir, "wrapper", "/bin/sh %s/server\necho after it\n", s->dir);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = /bin/sh %s/wrapper\n"
	    "ready = delay:1ms\n%s\n",
	    s->control, s->dir, lines);
	stage_run(s);
	return s;
}

static int
server_pid(struct stage *s)
{
	int pid = 0;

	sscanf(proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| server [0-9]+ of [0-9]+ is up$"),
	    "w.0 | server %d", &pid);
	return pid;
}

static void
its_server_drains_before_baton_ends(void **state)
{
	struct stage *s = wrapped("echo drained; exit 0", "");
	int pid = server_pid(s);

	(void)state;
	stage_stop(s);
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.0 \\| drained$"));
	stage_wait_gone(pid);
}

/* The whole time of the drain, while its successor serves already. */
static void
its_server_has_the_time_that_a_drain_has(void **state)
{
	struct stage *s = wrapped(
	    "echo drains; while [ ! -e $0.go ]; do sleep 0.01; done; echo drained; exit 0", "");
	int pid = server_pid(s);
	struct proc *p = stage_cli(s, "restart");

	(void)state;
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| drains$");
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready ");
	assert_true(stage_matches(stage_status(s), " 1 +[0-9]+ +draining "));
	assert_int_equal(kill(pid, 0), 0);
	tempdir_write(s->dir, "server.go", "go\n");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| drained$");
	proc_finish(p, 0);
	stage_wait_gone(pid);
	stage_stop(s);
}

static void
its_server_is_killed_at_the_deadline(void **state)
{
	struct stage *s = wrapped("echo no", "drain_timeout_ms = 300\n");
	int pid = server_pid(s);

	(void)state;
	proc_finish(stage_cli(s, "stop", "w"), 0);
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.0 \\| no$"));
	proc_expect(s->baton, PROC_ERR, "did not end within 300 ms of SIGTERM and was killed");
	stage_wait_gone(pid);
	stage_stop(s);
}

/* It has crashed: nobody knows what its helpers are good for, and the next one starts. */
static void
a_wrapper_that_dies_by_itself_takes_its_server_along(void **state)
{
	struct stage *s = wrapped("echo drained; exit 0", "");
	const char *line =
	    proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| server [0-9]+ of [0-9]+ is up$");
	int pid, wrapper;

	(void)state;
	assert_int_equal(sscanf(line, "w.0 | server %d of %d", &pid, &wrapper), 2);
	assert_int_equal(kill(wrapper, SIGTERM), 0);
	stage_wait_gone(pid);
	assert_int_not_equal(server_pid(s), pid);
	assert_false(stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.0 \\| drained$"));
	stage_stop(s);
}

static bool
is_zombie(int pid)
{
	char path[32], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f != NULL)
		fclose(f);
	return state == 'Z';
}

/* Nobody is left who could drain: a child that had ended before, and that the program had not
 * looked after, is none. */
static void
what_has_ended_is_not_waited_for(void **state)
{
	struct stage *s = stage_new("");
	int pid = 0;

	(void)state;
	tempdir_write(s->dir, "child",
	    "while read c </proc/$PPID/comm && [ $c != sleep ]; do :; done\necho \"child $$ ends\"\n");
	tempdir_write(s->dir, "program", "/bin/sh %s/child &\nexec sleep 1000\n", s->dir);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = /bin/sh %s/program\n"
	    "ready = none\ndrain_timeout_ms = 600000\n",
	    s->control, s->dir);
	stage_run(s);
	sscanf(proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| child [0-9]+ ends$"), "w.0 | child %d",
	    &pid);
	wait_until("it has ended", is_zombie(pid));
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(its_server_drains_before_baton_ends),
	    e2e_test(its_server_has_the_time_that_a_drain_has),
	    e2e_test(its_server_is_killed_at_the_deadline),
	    e2e_test(a_wrapper_that_dies_by_itself_takes_its_server_along),
	    e2e_test(what_has_ended_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
