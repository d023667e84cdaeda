/* SPDX-License-Identifier: MIT */
/* `baton upgrade` while instances end, wait for their start, are started, or have failed. */
#include "tests/e2e/upgrade/upgrade.h"

#include <sys/stat.h>

static const struct {
	const char *how, *noticed;
} meanwhile[] = {
    {"kill -9 %d; while read -r a b c d </proc/%d/stat && [ $c != Z ]; do :; done",
	"was ended by signal 9"},
    /* A shell takes the ends of all children, its own or not. */
    {"kill -9 %d; while [ -e /proc/%d ]; do /bin/true; done",
	"has ended, and somebody else was told how"},
};

/* A new program that does something before it is baton. */
static void
install_script(struct stage *s, const char *program, const char *text)
{
	const char *real = harness_built("baton");
	const char *path = tempdir_write(s->dir, "new",
	    "#!/bin/sh\nif [ \"$1\" != upgrade-check ]; then\n%s\nfi\nexec %s \"$@\"\n", text,
	    real);

	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(rename(path, program), 0);
}

static void
ends_meanwhile(const char *how, const char *noticed)
{
	struct stage *s = stage_new("");
	const char *program = tempdir_copy(s->dir, "baton", harness_built("baton"));
	char script[256];
	struct who w;

	s->baton = proc_run(program, "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	w = stage_ask(s->port);
	/* The old program is gone, the new one not there yet, and the process dead. */
	snprintf(script, sizeof(script), how, w.pid, w.pid);
	install_script(s, program, script);
	upgrade(s);
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready ");
	assert_non_null(strstr(stage_status(s), noticed));
	stage_wait_gone(w.pid);
	install_script(s, program, ":");
	upgrade(s);
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
a_process_that_ends_meanwhile_is_noticed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(meanwhile) / sizeof(meanwhile[0]); i++)
		ends_meanwhile(meanwhile[i].how, meanwhile[i].noticed);
}

static void
a_start_that_waits_waits_on(void **state)
{
	struct stage *s = stage_new("backoff_first_ms = 1500\nbackoff_max_ms = 3600000\n");

	(void)state;
	stage_start(s);
	stage_mode(s, "exit 5");
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[-0-9]+ +backoff ");
	stage_mode(s, "good");
	upgrade(s);
	/* By itself, and neither sooner than it was to be nor never. */
	stage_wait_status(s, "^w +w\\.0 +3 +[0-9]+ +ready ");
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

static void
what_has_failed_stays_failed(void **state)
{
	struct stage *s = stage_new("crashes_max = 2\nbackoff_first_ms = 1\n");

	(void)state;
	stage_start(s);
	stage_mode(s, "exit 5");
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +2 +[-0-9]+ +failed ");
	upgrade(s);
	stage_wait_status(s, "^w +w\\.0 +2 +[-0-9]+ +failed ");
	assert_int_equal(client_try(s->port), 111);
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "reset"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

/* The service manager has gone, or was never there: that is said, and is no reason to stay. */
static void
a_manager_that_is_gone_stands_against_nothing(void **state)
{
	struct stage *s = stage_new("");
	const char *variable = talloc_asprintf(
	    harness_mem(), "NOTIFY_SOCKET=%s", tempdir_path(s->dir, "nobody-listens"));

	(void)state;
	s->baton = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){harness_built("baton"), "run", "-c", s->conf, NULL},
	    .env = (const char *const[]){variable, NULL}});
	proc_expect(
	    s->baton, PROC_ERR, "^baton: NOTIFY_SOCKET .*; the service manager is told nothing$");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	upgrade(s);
	proc_expect(
	    s->baton, PROC_ERR, "^baton: NOTIFY_SOCKET .*; the service manager is told nothing$");
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

/* What a library of the new program has to say comes before its answer. */
static void
an_answer_need_not_be_the_first_line(void **state)
{
	struct stage *s = stage_new("");
	const char *program = tempdir_copy(s->dir, "baton", harness_built("baton"));
	const char *script = tempdir_write(s->dir, "new",
	    "#!/bin/sh\necho a word of warning >&2\nexec %s \"$@\"\n", harness_built("baton"));

	(void)state;
	s->baton = proc_run(program, "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(chmod(script, 0755), 0);
	assert_int_equal(rename(script, program), 0);
	upgrade(s);
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
starting_goes_on(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 8000\nbackoff_first_ms = 3600000\n"
				    "backoff_max_ms = 3600000\nrefuse_after_ms = 86400000\n");

	(void)state;
	stage_mode(s, "hang");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| worker hangs$");
	upgrade(s);
	assert_false(stage_matches(stage_status(s), "^w +w\\.1 +[0-9]+ +[0-9]+ "));
	stage_mode(s, "good");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 1 was not ready within 8000 ms");
	proc_expect(s->baton, PROC_OUT, "^w\\.1  .*ready in ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_process_that_ends_meanwhile_is_noticed),
	    e2e_test(a_start_that_waits_waits_on),
	    e2e_test(what_has_failed_stays_failed),
	    e2e_test(a_manager_that_is_gone_stands_against_nothing),
	    e2e_test(an_answer_need_not_be_the_first_line),
	    e2e_test(starting_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
