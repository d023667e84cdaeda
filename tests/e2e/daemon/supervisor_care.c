/* SPDX-License-Identifier: MIT */
/* What baton takes care of unseen: descriptors, limits, readers that stop. */
#include "tests/e2e/supervisor_stage.h"

#include <dirent.h>

/* How many descriptors a process has open; *HIGHEST is the greatest of them. */
static int
count_descriptors(pid_t pid, int *highest)
{
	char path[64];
	int count = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	*highest = -1;
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (e->d_name[0] == '.')
			continue;
		count++;
		*highest = atoi(e->d_name) > *highest ? atoi(e->d_name) : *highest;
	}
	closedir(d);
	return count;
}

static void
instances_inherit_their_sockets_and_nothing_else(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "exec 8</dev/null 9</dev/null; exec %s run -c %s", harness_built("baton"), s->conf);
	int highest;
	pid_t pid;

	(void)state;
	/* baton itself has inherited descriptors that are not close-on-exec. */
	s->baton = proc_run("/bin/sh", "-c", script);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	/* 0, 1, 2, the listening socket, the giving end of the handover, for which it does not
	 * care, and the signalfd that the worker opens itself; for a moment also the connection on which it was asked. */
	pid = stage_ask(s->port).pid;
	wait_until("it has these six only", count_descriptors(pid, &highest) == 6);
	assert_int_equal(highest, 5);
	stage_stop(s);
}

static void
nothing_accumulates_over_restarts(void **state)
{
	struct stage *s = stage_new("");
	int before, highest;

	(void)state;
	stage_start(s);
	stage_status(s);
	before = count_descriptors(proc_pid(s->baton), &highest);
	for (int i = 0; i < 10; i++)
		proc_finish(stage_cli(s, "restart"), 0);
	stage_mode(s, "exit 1");
	for (int i = 0; i < 3; i++)
		proc_finish(stage_cli(s, "restart"), 1);
	stage_status(s);
	/* A client's connection may not have been closed on baton's side yet, before as after. */
	wait_until("no descriptor is left over",
	    count_descriptors(proc_pid(s->baton), &highest) <= before);
	stage_stop(s);
}

static void
a_reader_that_stops_holds_nobody_up(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "{ %s run -c %s; echo ended with $? >&2; } | { read -r line; echo \"$line\" >&2; "
	    "read -r stop <%s/fifo; }",
	    harness_built("baton"), s->conf, s->dir);
	struct proc *p;

	(void)state;
	proc_finish(
	    proc_run("/bin/sh", "-c", talloc_asprintf(harness_mem(), "mkfifo %s/fifo", s->dir)), 0);
	stage_mode(s, "flood");
	p = proc_run("/bin/sh", "-c", script);
	proc_expect(p, PROC_ERR, "^w\\.[01] \\| ");
	/* Nobody reads any more, and the workers write without end. */
	for (;;) {
		struct proc *q = stage_cli(s, "status", "--json");

		proc_finish(q, 0);
		if (stage_matches(proc_text(q, PROC_OUT), "\"lines_dropped\": [1-9][0-9]{3}"))
			break;
	}
	stage_wait_status(s, "^w +w\\.1 +1 +[0-9]+ +ready ");
	proc_finish(stage_cli(s, "restart"), 0);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_expect(p, PROC_ERR, "^ended with 0$");
	tempdir_write(s->dir, "fifo", "stop\n");
	proc_wait(p);
}

static void
a_reader_that_goes_away_ends_nobody(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "{ %s run -c %s; echo ended with $? >&2; } | { read -r line; }", harness_built("baton"),
	    s->conf);
	struct proc *p = proc_run("/bin/sh", "-c", script);

	(void)state;
	wait_until("both serve", client_try(s->port) == 0);
	stage_wait_status(s, "^w +w\\.1 +1 +[0-9]+ +ready ");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_expect(p, PROC_ERR, "^ended with 0$");
	proc_wait(p);
}

static void
limits_are_passed_on_as_they_were_given(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "ulimit -S -n 200; exec %s run --control %s --name x -- /bin/sh -c 'ulimit -S -n >&2; exec "
	    "sleep 600'",
	    harness_built("baton"), s->control);
	struct proc *p = proc_run("/bin/sh", "-c", script);

	(void)state;
	proc_expect(p, PROC_ERR, "^x\\.0 \\| 200$");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

static void
many_instances_fit(void **state)
{
	struct stage *s = stage_new("");
	const char *script = talloc_asprintf(harness_mem(),
	    "ulimit -S -n 100; exec %s run --control %s --instances 40 --name x --listen 127.0.0.1:0 %s",
	    harness_built("baton"), s->control, harness_built("tests/fixtures/worker"));
	struct proc *p = proc_run("/bin/sh", "-c", script), *q;

	(void)state;
	proc_expect(p, PROC_OUT, "^x\\.39 +http");
	q = proc_run("baton", "restart", "--control", s->control);
	proc_finish(q, 0);
	assert_true(stage_matches(proc_text(q, PROC_OUT), "^restarted 40 instances"));
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(instances_inherit_their_sockets_and_nothing_else),
	    e2e_test(nothing_accumulates_over_restarts),
	    e2e_test(a_reader_that_stops_holds_nobody_up),
	    e2e_test(a_reader_that_goes_away_ends_nobody),
	    e2e_test(limits_are_passed_on_as_they_were_given),
	    e2e_test(many_instances_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
