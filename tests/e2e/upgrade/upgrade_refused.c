/* SPDX-License-Identifier: MIT */
/* A new program that cannot go on, whatever is wrong with it, changes nothing. */
#include "tests/e2e/supervisor_stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A baton that was called by a path of its own, at which the test can put something else. */
static struct stage *
start(const char **program)
{
	struct stage *s = stage_new("drain_timeout_ms = 2000\n");

	*program = tempdir_copy(s->dir, "baton", harness_built("baton"));
	s->baton = proc_run(*program, "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	return s;
}

/* In one step, as an installer does it; TEXT NULL: there is nothing. */
static void
put(struct stage *s, const char *program, const char *text, mode_t mode)
{
	const char *path;

	if (text == NULL) {
		assert_int_equal(unlink(program), 0);
		return;
	}
	path = tempdir_write(s->dir, "new", "%s", text);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(rename(path, program), 0);
}

/* The descriptors of a process that an exec would leave open, beside the standard ones: what the
 * test's own parent has left open is among them. */
static int
count_inheritable(pid_t pid)
{
	const char *dir = talloc_asprintf(harness_mem(), "/proc/%d/fdinfo", (int)pid);
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		const char *text = tempdir_read(tempdir_path(dir, e->d_name)), *flags;

		if (e->d_name[0] == '.' || atoi(e->d_name) <= 2 || text == NULL)
			continue;
		flags = strstr(text, "flags:");
		assert_non_null(flags);
		n += (strtol(flags + 6, NULL, 8) & O_CLOEXEC) == 0;
	}
	closedir(d);
	return n;
}

static const char *
blocked_signals(pid_t pid)
{
	const char *path = talloc_asprintf(harness_mem(), "/proc/%d/status", (int)pid);

	return talloc_strndup(harness_mem(), strstr(tempdir_read(path), "SigBlk:"), 24);
}

static const struct {
	const char *text;
	mode_t mode;
	const char *why;
} wrong[] = {
    {NULL, 0, "/baton: no such file$"},
    {"not executable", 0644, "/baton: not executable by this user"},
    {"neither a program nor a script", 0755, "/baton refuses: Exec format error$"},
    {"#!/nowhere/to/be/found\n", 0755, "/baton refuses: No such file or directory$"},
    {"#!/bin/sh\necho 'baton: no thanks, not today' >&2; echo more; exit 1\n", 0755,
	"/baton refuses: no thanks, not today$"},
    {"#!/bin/sh\nexit 3\n", 0755, "/baton refuses: it exits with status 3$"},
    {"#!/bin/sh\nexit 0\n", 0755, "/baton does not answer as a baton would$"},
    {"#!/bin/sh\necho can go on as baton 9; exit 1\n", 0755, "/baton refuses: "},
    {"#!/bin/sh\nkill -9 $$\n", 0755, "ended by signal 9 \\(SIGKILL\\)$"},
};

static void
whatever_is_there_nothing_changes(void **state)
{
	const char *program, *blocked;
	struct stage *s = start(&program);
	struct who w = stage_ask(s->port);
	struct proc *p;
	int inheritable;

	(void)state;
	blocked = blocked_signals(proc_pid(s->baton));
	inheritable = count_inheritable(proc_pid(s->baton));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put(s, program, wrong[i].text, wrong[i].mode);
		p = proc_finish(stage_cli(s, "upgrade"), 1);
		assert_true(stage_matches(
		    proc_text(p, PROC_ERR), "^baton: upgrade failed: nothing has changed: "));
		if (!stage_matches(proc_text(p, PROC_ERR), wrong[i].why))
			harness_fail("%s\ndoes not match %s", proc_text(p, PROC_ERR), wrong[i].why);
		if (wrong[i].text == NULL)
			put(s, program, "", 0755);
		assert_int_equal(stage_ask(s->port).pid, w.pid);
	}
	/* And the signal says it on baton's own stderr. */
	put(s, program, wrong[4].text, wrong[4].mode);
	proc_signal(s->baton, SIGUSR2);
	proc_expect(s->baton, PROC_ERR, "^baton: upgrade failed: nothing has changed: .* today$");
	proc_expect(s->baton, PROC_ERR, "^baton: upgrade failed: nothing has changed: .* today$");
	assert_int_equal(count_inheritable(proc_pid(s->baton)), inheritable);
	assert_string_equal(blocked_signals(proc_pid(s->baton)), blocked);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

/* It says yes, and can then not be executed: descriptors and signals are as before. */
static void
an_exec_that_fails_leaves_all_as_it_was(void **state)
{
	const char *program, *blocked;
	struct stage *s = start(&program);
	struct who w = stage_ask(s->port);
	struct proc *p;
	int inheritable;

	(void)state;
	blocked = blocked_signals(proc_pid(s->baton));
	inheritable = count_inheritable(proc_pid(s->baton));
	put(s, program,
	    talloc_asprintf(harness_mem(), "#!/bin/sh\nchmod 0 %s\nexec %s upgrade-check\n",
		program, harness_built("baton")),
	    0755);
	p = proc_finish(stage_cli(s, "upgrade"), 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "nothing has changed: .*/baton: Permission denied$"));
	assert_int_equal(count_inheritable(proc_pid(s->baton)), inheritable);
	assert_string_equal(blocked_signals(proc_pid(s->baton)), blocked);
	assert_int_equal(stage_ask(s->port).pid, w.pid);
	kill(w.pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready ");
	/* Once the right thing is there it works after all. */
	unlink(program);
	tempdir_copy(s->dir, "baton", harness_built("baton"));
	proc_finish(stage_cli(s, "upgrade"), 0);
	assert_int_equal(count_inheritable(proc_pid(s->baton)), inheritable);
	assert_string_equal(blocked_signals(proc_pid(s->baton)), blocked);
	stage_stop(s);
}

/* It never answers. Meanwhile all goes on, and at the end it is told. */
static void
one_that_hangs_holds_nobody_up(void **state)
{
	const char *program, *pidfile;
	struct stage *s = start(&program);
	struct proc *p, *q;
	int pid;

	(void)state;
	pidfile = tempdir_path(s->dir, "hanging");
	put(s, program,
	    talloc_asprintf(harness_mem(), "#!/bin/sh\necho $$ >%s\nexec sleep 1000\n", pidfile),
	    0755);
	p = stage_cli(s, "upgrade");
	wait_until("it is being asked", tempdir_read(pidfile) != NULL && tempdir_read(pidfile)[0]);
	pid = atoi(tempdir_read(pidfile));
	q = proc_finish(stage_cli(s, "upgrade"), 1);
	assert_true(stage_matches(proc_text(q, PROC_ERR), "an upgrade is under way already$"));
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready ");
	proc_finish(p, 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "did not answer within [0-9]+ ms and was killed$"));
	stage_wait_gone(pid);
	stage_stop(s);
}

static void
a_stop_wins(void **state)
{
	const char *program, *pidfile;
	struct stage *s = start(&program);
	struct proc *p;
	int pid;

	(void)state;
	pidfile = tempdir_path(s->dir, "hanging");
	put(s, program,
	    talloc_asprintf(harness_mem(), "#!/bin/sh\necho $$ >%s\nexec sleep 1000\n", pidfile),
	    0755);
	p = stage_cli(s, "upgrade");
	wait_until("it is being asked", tempdir_read(pidfile) != NULL && tempdir_read(pidfile)[0]);
	pid = atoi(tempdir_read(pidfile));
	proc_signal(s->baton, SIGTERM);
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "nothing has changed: baton was told to stop$"));
	proc_finish(s->baton, 0);
	/* It was killed; if baton had no time to reap it, it is ours now. */
	wait_until("the process is gone", kill(pid, 0) != 0 || waitpid(pid, NULL, WNOHANG) == pid);
}

/* Restarts and orders first: they would not know how to go on. */
static void
what_is_under_way_comes_first(void **state)
{
	const char *program;
	struct stage *s = start(&program);
	struct proc *p, *q;

	(void)state;
	stage_mode(s, "hang");
	p = stage_cli(s, "restart", "w.0");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started");
	q = proc_finish(stage_cli(s, "upgrade"), 1);
	assert_true(stage_matches(proc_text(q, PROC_ERR),
	    "nothing has changed: a restart is under way \\(w\\.0: generation 2 started"));
	kill(atoi(strstr(proc_text(p, PROC_OUT), "pid ") + 4), SIGKILL);
	proc_finish(p, 1);
	proc_finish(stage_cli(s, "stop", "w.1"), 0);
	p = stage_cli(s, "start", "w.1");
	stage_wait_status(s, "^w +w\\.1 +2 +[0-9]+ +starting ");
	q = proc_finish(stage_cli(s, "upgrade"), 1);
	assert_true(stage_matches(
	    proc_text(q, PROC_ERR), "instances are being started or stopped; ask again later$"));
	proc_finish(stage_cli(s, "stop", "w.1"), 0);
	proc_finish(p, 1);
	proc_finish(stage_cli(s, "upgrade"), 0);
	stage_wait_status(s, "^w +w\\.1 +2 +- +down ");
	stage_stop(s);
}

/* What stands in the environment, or is typed by a person, is not taken for a state. */
static void
nobody_is_fooled(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p = proc_run("baton", "upgrade-check");

	(void)state;
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "cannot go on from here: it is not the sealed state of a baton$"));
	s->baton = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", "run", "-c", s->conf, NULL},
		.env = (const char *const[]){"BATON_UPGRADE=1:3:4", NULL}});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", "status", "-c", s->conf, NULL},
	    .env = (const char *const[]){"BATON_UPGRADE=rubbish", NULL}});
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^w +w\\.1 +1 +[0-9]+ +ready "));
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(whatever_is_there_nothing_changes),
	    e2e_test(an_exec_that_fails_leaves_all_as_it_was),
	    e2e_test(one_that_hangs_holds_nobody_up),
	    e2e_test(a_stop_wins),
	    e2e_test(what_is_under_way_comes_first),
	    e2e_test(nobody_is_fooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
