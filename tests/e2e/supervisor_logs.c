/* SPDX-License-Identifier: MIT */
/* Output of instances in files: rotation, full disks, and what is not to be touched. */
#include "tests/e2e/supervisor_stage.h"

#include <signal.h>

static struct stage *
stage_with(const char *lines)
{
	struct stage *s = stage_new("");

	s->conf = tempdir_write(s->dir, "conf", "%s%s\n", tempdir_read(s->conf), lines);
	return s;
}

static unsigned
count_lines(const char *file, const char *line)
{
	const char *text = tempdir_read(file);
	unsigned n = 0;

	for (const char *p = text; p != NULL && (p = strstr(p, line)) != NULL; p += strlen(line))
		n++;
	return n;
}

static void
files_are_opened_anew_when_they_were_moved_away(void **state)
{
	struct stage *s = stage_new("");
	const char *log = tempdir_path(s->dir, "log"), *old = tempdir_path(s->dir, "log.1");

	(void)state;
	s->conf = tempdir_write(
	    s->dir, "conf", "%sstdout = %s\nstderr = %s\n", tempdir_read(s->conf), log, log);
	tempdir_write(s->dir, "log", "what was there\n");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	wait_until("both have written", count_lines(log, "worker is up\n") == 2);
	assert_int_equal(count_lines(log, "what was there\nworker is up\n"), 1);
	assert_null(strstr(proc_text(s->baton, PROC_OUT), "worker is up"));
	assert_int_equal(rename(log, old), 0);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	wait_until("it is written on where it is", count_lines(old, "worker is up\n") == 3);
	proc_signal(s->baton, SIGUSR1);
	proc_expect(s->baton, PROC_OUT, "^SIGUSR1: 1 log file opened anew$");
	stage_mode(s, "exit 3");
	/* The last lines of stderr are in the file, and in the verdict. */
	{
		struct proc *p = stage_cli(s, "restart", "w.0");

		proc_finish(p, 1);
		assert_non_null(strstr(proc_text(p, PROC_ERR), "worker: told to exit with 3"));
	}
	assert_int_equal(count_lines(log, "first line\nworker: told to exit with 3\n"), 1);
	assert_int_equal(count_lines(old, "worker is up\n"), 3);
	stage_stop(s);
}

static void
a_full_disk_stops_nobody(void **state)
{
	struct stage *s = stage_with("stdout = /dev/full\n");
	struct proc *p;

	(void)state;
	stage_run(s);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: /dev/full: No space left on device; lines are dropped until there is room$");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stage_mode(s, "flood");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	p = stage_cli(s, "status", "--json");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "\"lines_dropped\": [1-9]"));
	stage_stop(s);
	/* It is said once, not for every line. */
	assert_null(strstr(strstr(proc_text(s->baton, PROC_ERR), "No space") + 1, "No space"));
}

static void
inherited_output_is_not_touched(void **state)
{
	struct stage *s = stage_with("stdout = inherit\n");

	(void)state;
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^worker is up$");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stage_stop(s);
}

static void
a_file_that_cannot_be_opened_is_told_at_the_start(void **state)
{
	struct stage *s = stage_with("stderr = /nowhere/log\n");

	(void)state;
	stage_run(s);
	proc_finish(s->baton, 1);
	assert_true(stage_matches(proc_text(s->baton, PROC_ERR),
	    "^baton: cannot open the log file /nowhere/log: No such file or directory$"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(files_are_opened_anew_when_they_were_moved_away),
	    e2e_test(a_full_disk_stops_nobody),
	    e2e_test(inherited_output_is_not_touched),
	    e2e_test(a_file_that_cannot_be_opened_is_told_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
