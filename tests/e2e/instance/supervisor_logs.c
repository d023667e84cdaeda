/* SPDX-License-Identifier: MIT */
/*
 * Where lines go: files that are rotated, disks that are full, readers that stop or go. None of
 * them stops or ends baton or an instance.
 */
#include "tests/e2e/supervisor_stage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* How many descriptors of baton lead to the file. */
static unsigned
count_open(const struct stage *s, const char *file)
{
	const char *dir = talloc_asprintf(harness_mem(), "/proc/%d/fd", (int)proc_pid(s->baton));
	struct proc *p = proc_finish(proc_run("/bin/ls", "-l", dir), 0);
	unsigned n = 0;

	for (const char *t = proc_text(p, PROC_OUT); (t = strstr(t, file)) != NULL; t++)
		n += t[strlen(file)] == '\n';
	return n;
}

static void
files_that_nobody_writes_to_any_more_are_closed(void **state)
{
	struct stage *s = stage_new("");
	const char *a = tempdir_path(s->dir, "a.log"), *b = tempdir_path(s->dir, "b.log");
	const char *other = tempdir_path(s->dir, "other.log"), *text = tempdir_read(s->conf);

	(void)state;
	tempdir_write(s->dir, "conf",
	    "%sstdout = %s\nstderr = %s\n[service other]\ncommand = %s %s\nstdout = %s\n", text, a,
	    a, tempdir_path(s->dir, "worker"), s->mode, other);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(count_open(s, a), 1);
	assert_int_equal(count_open(s, other), 1);
	/* The other service is gone, and this one writes elsewhere. */
	tempdir_write(s->dir, "conf", "%sstdout = %s\n", text, b);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_int_equal(count_open(s, a), 0);
	assert_int_equal(count_open(s, b), 1);
	wait_until("the other service has gone", count_open(s, other) == 0);
	/* Of a reload that fails nothing stays, and nothing is missing. */
	tempdir_write(s->dir, "conf", "%sstdout = %s\nstderr = /nowhere/log\n", text, a);
	proc_finish(stage_cli(s, "reload"), 1);
	assert_int_equal(count_open(s, a), 0);
	assert_int_equal(count_open(s, b), 1);
	stage_stop(s);
}

/* As long as it may be, by all the ways that lines go. */
static void
a_long_line_arrives_whole(void **state)
{
	enum { LONG = 1024 * 1024 };
	struct stage *s = stage_new("");
	const char *log = tempdir_path(s->dir, "log"), *line;
	struct proc *p, *follower;

	(void)state;
	line = talloc_asprintf(
	    harness_mem(), "head -c %d /dev/zero | tr '\\0' y; echo; echo after", LONG);
	tempdir_write(s->dir, "script",
	    "%s\ntrap \"%s; exit 0\" TERM\n{ %s; } >&2; while :; do sleep 0.01; done\n", line, line,
	    line);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = /bin/sh %s/script\nstderr = %s\n"
	    "ready = delay:1ms\n",
	    s->control, s->dir, log);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| after$");
	wait_until("the file has it", strlen(tempdir_read(log)) == LONG + 7);
	follower = stage_cli(s, "logs", "-n", "all", "-f");
	proc_expect(follower, PROC_OUT, "^w\\.0 \\| after$");
	proc_expect(follower, PROC_OUT, "^w\\.0 \\| after$");
	/* The first has made room for the one on standard error. */
	p = proc_finish(stage_cli(s, "logs", "-n", "2"), 0);
	assert_int_equal(strlen(proc_text(p, PROC_OUT)), LONG + 12 + 1 + 6);
	proc_signal(s->baton, SIGTERM);
	proc_finish(s->baton, 0);
	assert_int_equal(strlen(strstr(proc_text(s->baton, PROC_OUT), "w.0 | yyy")) > 2 * LONG, 1);
	proc_finish(follower, 0);
	assert_true(strlen(proc_text(follower, PROC_OUT)) > 2 * LONG);
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

/* `exec "$0" run -c "$1"` is what these commands end with; $2 is the stage's directory. */
static void
run_by_shell(struct stage *s, const char *command, const int *fds, int nfds)
{
	s->baton =
	    proc_start(&(struct proc_spec){.argv = (const char *const[]){"/bin/sh", "-c", command,
					       harness_built("baton"), s->conf, s->dir, NULL},
		.fds = fds,
		.fds_n = nfds});
}

/* Both instances are ready, told by the control socket alone. */
static void
wait_until_ready(struct stage *s)
{
	wait_until("the control socket is there", access(s->control, F_OK) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +ready ");
	stage_wait_status(s, "^w +w\\.1 +1 +[0-9]+ +ready ");
}

static void
when_there_is_room_again_lines_are_written_again(void **state)
{
	struct stage *s = stage_new("");
	const char *disk = tempdir_path(s->dir, "disk"), *log, *filler;

	(void)state;
	if (proc_wait(proc_run("/usr/bin/unshare", "-m", "true")) != 0)
		harness_skip("it takes root, or the right to a mount namespace");
	s->conf = tempdir_write(s->dir, "conf", "%sstdout = %s/log\n", tempdir_read(s->conf), disk);
	assert_int_equal(mkdir(disk, 0755), 0);
	s->baton = proc_run("/usr/bin/unshare", "-m", "/bin/sh", "-c",
	    "mount -t tmpfs -o size=64k none \"$2\"/disk || exit 1; "
	    "head -c 100000 /dev/zero 2>/dev/null >\"$2\"/disk/filler; exec \"$0\" run -c \"$1\"",
	    harness_built("baton"), s->conf, s->dir);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: .*/log: No space left on device; lines are dropped until there is room$");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	proc_finish(stage_cli(s, "restart"), 0);
	/* What only baton sees. */
	log = talloc_asprintf(harness_mem(), "/proc/%d/root%s/log", (int)proc_pid(s->baton), disk);
	filler =
	    talloc_asprintf(harness_mem(), "/proc/%d/root%s/filler", (int)proc_pid(s->baton), disk);
	assert_string_equal(tempdir_read(log), "");
	assert_int_equal(unlink(filler), 0);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	wait_until("it is written on", count_lines(log, "worker is up\n") >= 1);
	assert_true(stage_matches(tempdir_read(log), "^baton: [1-4] lines were dropped here$"));
	stage_stop(s);
	assert_null(strstr(strstr(proc_text(s->baton, PROC_ERR), "No space") + 1, "No space"));
}

static void
a_limit_on_files_ends_nobody(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	s->conf =
	    tempdir_write(s->dir, "conf", "%sstdout = %s/log\n", tempdir_read(s->conf), s->dir);
	stage_mode(s, "flood");
	run_by_shell(s, "ulimit -f 8; exec \"$0\" run -c \"$1\"", NULL, 0);
	proc_expect(s->baton, PROC_ERR, "^baton: .*/log: File too large; lines are dropped ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
}

static bool
has_dropped(struct stage *s)
{
	struct proc *p = stage_cli(s, "status", "--json");

	proc_finish(p, 0);
	return stage_matches(proc_text(p, PROC_OUT), "\"lines_dropped\": [1-9]");
}

static void
a_reader_that_stops_or_goes_ends_nobody(void **state)
{
	struct stage *s = stage_new("");
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	stage_mode(s, "flood");
	run_by_shell(s, "exec \"$0\" run -c \"$1\" >&3 2>&3 3>&-", &fds[1], 1);
	wait_until_ready(s);
	/* The pipe's description is ours as well: its flags must stay as they are. */
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	close(fds[1]);
	proc_finish(stage_cli(s, "restart"), 0);
	wait_until("lines were dropped", has_dropped(s));
	close(fds[0]);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

static void
closed_output_ends_nobody(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	run_by_shell(s, "exec \"$0\" run -c \"$1\" <&- >&- 2>&-", NULL, 0);
	wait_until_ready(s);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

/* In the background of a terminal that stops those who write from there. */
static void
a_terminal_stops_nobody(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	s->baton = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/usr/bin/script", "-qec",
		talloc_asprintf(harness_mem(),
		    "/bin/bash -c 'stty tostop; set -m; %s run -c %s & echo waits; wait $!'",
		    harness_built("baton"), s->conf),
		"/dev/null", NULL},
	    .in = true});
	proc_expect(s->baton, PROC_OUT, "^waits");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	proc_finish(stage_cli(s, "restart"), 0);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_finish(s->baton, 0);
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
	    e2e_test(a_long_line_arrives_whole),
	    e2e_test(files_that_nobody_writes_to_any_more_are_closed),
	    e2e_test(a_full_disk_stops_nobody),
	    e2e_test(when_there_is_room_again_lines_are_written_again),
	    e2e_test(a_limit_on_files_ends_nobody),
	    e2e_test(a_reader_that_stops_or_goes_ends_nobody),
	    e2e_test(closed_output_ends_nobody),
	    e2e_test(a_terminal_stops_nobody),
	    e2e_test(inherited_output_is_not_touched),
	    e2e_test(a_file_that_cannot_be_opened_is_told_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
