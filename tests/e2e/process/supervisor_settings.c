/* SPDX-License-Identifier: MIT */
/* As whom, where, and with what a program runs: what its service's section says of it. */
#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
#include <unistd.h>

/* One service that is a shell script, which says what it sees and never becomes ready. */
static struct stage *
run_script(const char *script, const char *more)
{
	struct stage *s = stage_new("");

	chmod(s->dir, 0755); /* also for another user */
	tempdir_write(s->dir, "script", "%s\nexec sleep 1000\n", script);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = /bin/sh %s/script\n%s\n",
	    s->control, s->dir, more);
	stage_run(s);
	return s;
}

static void
end(struct stage *s)
{
	proc_signal(s->baton, SIGTERM);
	proc_finish(s->baton, 0);
}

static void
the_sections_settings_are_the_programs(void **state)
{
	struct stage *s = run_script(
	    "pwd; umask; ulimit -n; ulimit -Hn; nice; echo $X:$BATON_HTTP_WORKER_NICE:$HOME:\nwhoami; "
	    "grep NoNewPrivs /proc/self/status",
	    "directory = /usr\numask = 027\nlimit.nofile = 123:456\nnice = 3\nenv.X = a b\n"
	    "http.worker_nice = 5\nenv_inherit = no\nno_new_privs = yes\n");

	(void)state;
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| /usr$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| 0027$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| 123$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| 456$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| 3$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| a b:5::$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| NoNewPrivs:\t1$");
	end(s);
}

static void
it_is_told_to_end_by_the_signal_that_it_knows(void **state)
{
	struct stage *s = run_script("trap 'echo told by USR1; exit 0' USR1\ntrap '' TERM\n"
				     "echo up; while :; do sleep 0.01; done",
	    "stop_signal = USR1\n");

	(void)state;
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| up$");
	end(s);
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.0 \\| told by USR1$"));
	s = run_script("trap '' QUIT; echo up; while :; do sleep 0.01; done",
	    "stop_signal = SIGQUIT\ndrain_timeout_ms = 50\n");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| up$");
	proc_signal(s->baton, SIGTERM);
	proc_expect(s->baton, PROC_ERR, "did not end within 50 ms of SIGQUIT and was killed");
	proc_finish(s->baton, 0);
	s = run_script("", "stop_signal = KILL\n");
	proc_finish(s->baton, 2);
	proc_expect(s->baton, PROC_ERR,
	    "stop_signal: expected HUP, INT, QUIT, TERM, USR1, USR2 or WINCH, found \"KILL\"$");
}

static void
the_privileges_are_dropped(void **state)
{
	struct stage *s;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	s = run_script("id -un; id -gn; id -G; echo $HOME; kill -0 1 || echo no rights\n"
		       "echo opened >/proc/self/fd/1 || echo not opened",
	    "user = daemon\ngroup = mail\n");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| daemon$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| mail$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| [1-9][0-9]*( [1-9][0-9]*)*$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| /usr/sbin$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| no rights$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| opened$"); /* what root has made for it */
	end(s);
}

/* The notification of another user counts, and its socket is there before. */
static void
another_user_serves_on_a_port_that_root_has_bound(void **state)
{
	struct stage *s = stage_new("user = daemon\n");

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	chmod(s->dir, 0755);
	stage_start(s);
	assert_int_equal(stage_ask(s->port).instance, 0);
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
}

static const struct {
	const char *lines, *error;
} wrong[] = {
    {"user = nobody-of-that-name",
	"conf:4: \\[service w\\] user: there is no user \"nobody-of-that-name\""},
    {"group = nobody-of-that-name",
	"conf:4: \\[service w\\] group: there is no group \"nobody-of-that-name\""},
    {"directory = /nowhere", "directory: expected a directory, found \"/nowhere\""},
    {"umask = 088", "umask: expected an octal number from 0 to 777, found \"088\""},
    {"nice = 20", "nice: expected a number from -20 to 19, found \"20\""},
    {"no_new_privs = 1", "no_new_privs: expected yes or no, found \"1\""},
    {"limit.nofile = 5:4", "expected N or SOFT:HARD, numbers or \"unlimited\", found \"5:4\""},
    {"limit.wings = 4", "the key is limit.NAME, with one of as, core"},
    {"limit.core = 0\nlimit.core = 1", "limit.core: .*it is set twice"},
    {"env.LISTEN_FDS = 3", "env.LISTEN_FDS: .*baton sets this variable itself"},
    {"env.A = 3\nenv.A = 4", "env.A: .*it is set twice"},
    {"env = 3", "the key is env.NAME, with the variable's name"},
    {"http.Body = 3", "the key is http.NAME, with the setting's name in lower case"},
    {"env_file = /nowhere", "env_file: /nowhere: No such file or directory"},
};

static void
what_cannot_be_is_told_before_anything_starts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *dir = tempdir_new();
		const char *conf = tempdir_write(
		    dir, "conf", "[service w]\ncommand = /bin/true\n\n%s\n", wrong[i].lines);
		struct proc *p = proc_run("baton", "check", "-c", conf);

		proc_finish(p, 2);
		if (!stage_matches(proc_text(p, PROC_ERR), wrong[i].error))
			harness_fail(
			    "%s\ndoes not match %s", proc_text(p, PROC_ERR), wrong[i].error);
	}
}

static void
what_goes_wrong_at_the_start_is_told_then(void **state)
{
	struct stage *s = stage_new("");
	const char *dir = tempdir_path(s->dir, "work"), *text;
	struct proc *p;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	text = tempdir_read(s->conf);
	tempdir_write(s->dir, "conf", "%sdirectory = %s\n", text, dir);
	stage_start(s);
	assert_int_equal(rmdir(dir), 0);
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "w\\.0: generation 2 cannot change to its directory: No such file or directory; "
	    "generation 1 .* serves on"));
	stage_stop(s);
}

static void
an_environment_file_that_is_gone_fails_the_start(void **state)
{
	struct stage *s = stage_new("");
	const char *file = tempdir_write(s->dir, "environment", "A=1\n"), *text;
	struct proc *p;

	(void)state;
	text = tempdir_read(s->conf);
	tempdir_write(s->dir, "conf", "%senv_file = %s\n", text, file);
	stage_start(s);
	/* One that nobody writes to: who opened it to read would wait for that. */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "w\\.0: generation 2 cannot start .*: env_file: .*/environment: expected a regular "
	    "file, found a FIFO; generation 1 .* serves on"));
	p = stage_cli(s, "check");
	proc_finish(p, 2);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "conf:[0-9]+: \\[service w\\] env_file: .*/environment: expected a regular file"));
	stage_stop(s);
}

static void
the_process_of_the_watchdog_is_named(void **state)
{
	struct stage *s = run_script(
	    "[ \"$WATCHDOG_PID\" = $$ ] && echo mine: $WATCHDOG_USEC", "watchdog_ms = 60000\n");

	(void)state;
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| mine: 60000000$");
	end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_sections_settings_are_the_programs),
	    e2e_test(it_is_told_to_end_by_the_signal_that_it_knows),
	    e2e_test(the_privileges_are_dropped),
	    e2e_test(another_user_serves_on_a_port_that_root_has_bound),
	    e2e_test(what_cannot_be_is_told_before_anything_starts),
	    e2e_test(what_goes_wrong_at_the_start_is_told_then),
	    e2e_test(an_environment_file_that_is_gone_fails_the_start),
	    e2e_test(the_process_of_the_watchdog_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
