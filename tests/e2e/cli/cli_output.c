/* SPDX-License-Identifier: MIT */
/*
 * Where what a command prints cannot go: it fails and says why. And bytes that are no text, in a
 * configuration or in what programs write, which must not end whoever looks at them.
 */
#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
#include <unistd.h>

/* Of `baton WORDS` with that redirection; %s is the configuration. */
static struct proc *
redirected(const struct stage *s, const char *words, const char *where)
{
	const char *rest = strstr(words, "%s");
	const char *line = rest == NULL ? words
					: talloc_asprintf(harness_mem(), "%.*s%s%s",
					      (int)(rest - words), words, s->conf, rest + 2);

	return proc_run("/bin/sh", "-c",
	    talloc_asprintf(harness_mem(), "exec %s %s %s", harness_built("baton"), line, where));
}

static void
what_cannot_be_written_is_a_failure(void **state)
{
	static const char *const commands[] = {"help", "--help", "--version", "help config",
	    "restart --help", "check -c %s", "status -c %s", "status --json -c %s",
	    "status --watch -c %s", "events --no-follow -c %s", "events -n all -c %s", "logs -c %s",
	    "logs -f -c %s", "restart w.0 -c %s", "reload -c %s", "stop w.0 -c %s",
	    "start w.0 -c %s"};
	static const struct {
		const char *where, *why;
	} places[] = {
	    {">/dev/full", "No space left on device"},
	    {">&-", "Bad file descriptor"},
	};
	struct stage *s = stage_new("");

	(void)state;
	stage_start(s);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		for (size_t k = 0; k < 2; k++) {
			struct proc *p = redirected(s, commands[i], places[k].where);

			proc_finish(p, 1);
			if (!stage_matches(proc_text(p, PROC_ERR),
				talloc_asprintf(harness_mem(),
				    "^baton: cannot write to standard output: %s$", places[k].why)))
				harness_fail("baton %s %s: %s", commands[i], places[k].where,
				    proc_text(p, PROC_ERR));
		}
	}
	stage_stop(s);
}

/* Who has seen enough of it is no error to be told of. */
static void
a_reader_that_has_gone_is_told_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	p = proc_finish(redirected(s, "help", "| true"), 0);
	assert_string_equal(proc_text(p, PROC_ERR), "");
	/* Also where SIGPIPE is ignored. */
	p = proc_run("/bin/sh", "-c",
	    talloc_asprintf(harness_mem(), "trap '' PIPE; %s logs -f -c %s | true",
		harness_built("baton"), s->conf));
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_ERR), "");
	/* Nor does it wait for something more that it could write. */
	p = proc_finish(redirected(s, "logs -f -c %s", "| head -n 1"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^w\\.[01] \\| worker is up$"));
	assert_string_equal(proc_text(p, PROC_ERR), "");
	stage_stop(s);
}

/* Paths may have any bytes but NUL. */
static void
bytes_that_are_no_text_end_nobody(void **state)
{
	struct stage *s = stage_new("");
	const char *directory = tempdir_path(s->dir, "d\xfe\xc3"), *text = tempdir_read(s->conf);
	struct proc *p, *follower;

	(void)state;
	assert_int_equal(mkdir(directory, 0755), 0);
	tempdir_write(
	    s->dir, "conf", "%slisten = unix:%s/s%%i\ndirectory = %s\n", text, s->dir, directory);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	follower = stage_cli(s, "events", "-n", "0");
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +1 +[0-9]+ +ready "));
	/* A reason with such bytes gets through to those who wait and those who look. */
	tempdir_write(s->dir, "conf", "%slisten = unix:%s/\xff/s%%i\ndirectory = %s\xff\n", text,
	    s->dir, directory);
	p = proc_finish(stage_cli(s, "reload"), 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "directory: expected a directory, found .*/d\\\\xfe\\\\xc3\\\\xff"));
	proc_expect(follower, PROC_OUT, "/d\\\\xfe\\\\xc3\\\\xff");
	tempdir_write(s->dir, "conf", "%slisten = unix:%s/\xff%%i\n", text, s->dir);
	proc_finish(stage_cli(s, "reload"), 0);
	proc_expect(follower, PROC_OUT, "reload .*1 changed");
	p = proc_finish(stage_cli(s, "status", "--json"), 0);
	assert_non_null(strstr(proc_text(p, PROC_OUT), "/\\\\xff0\""));
	p = proc_finish(stage_cli(s, "restart", "\xff"), 2);
	assert_non_null(strstr(proc_text(p, PROC_ERR), "expected UTF-8"));
	stage_stop(s);
	proc_finish(follower, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(what_cannot_be_written_is_a_failure),
	    e2e_test(a_reader_that_has_gone_is_told_nothing),
	    e2e_test(bytes_that_are_no_text_end_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
