/* SPDX-License-Identifier: MIT */
/* A server of baton's library that is rolled back: its connections, and its spares. */
#include "tests/e2e/upgrade/versions.h"

#include "tests/harness/load.h"

/* Connections move to what was kept, as to any successor. */
static void
clients_notice_nothing(void **state)
{
	struct stage *s = stage_new("");
	struct load_spec spec = {.keepalive = 8, .oneshot = 2, .ports = 2, .post_bytes = 2000};
	struct load_result r;
	struct load *l;

	(void)state;
	unlink(version_path(s));
	tempdir_copy(s->dir, "worker", harness_built("hello"));
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen.web = 127.0.0.1:%d\nprobation_time_ms = 0\n",
	    s->control, version_path(s), s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_wait_kept(s, 1);
	assert_int_equal(
	    rename(tempdir_copy(s->dir, "fresh", harness_built("hello")), version_path(s)), 0);
	spec.port = s->port;
	l = load_start(&spec);
	load_wait_ok(l, 200);
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	load_wait_ok(l, 200);
	proc_finish(stage_cli(s, "rollback"), 0);
	load_wait_ok(l, 200);
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(r.reopened, 0);
	assert_true(stage_matches(version_json(s), "\"rolled_back\": true"));
	stage_stop(s);
}

static int
pid_of_line(struct stage *s, const char *name)
{
	const char *line = strstr(stage_status(s), name);
	int pid = 0;

	if (line != NULL)
		sscanf(line, "%*s %*d %d", &pid);
	return pid;
}

/* Ready, and from there: also the spare, which stands in for the next that crashes. */
static void
expect_all(struct stage *s, const char *version)
{
	static const char *const names[] = {"w.0 ", "w.1 ", "w.spare.0 "};

	for (size_t i = 0; i < 3; i++) {
		wait_until("it runs what it should",
		    strcmp(version_of(pid_of_line(s, names[i])), version) == 0);
	}
	stage_wait_status(s, "^w +w\\.spare\\.0 +[0-9]+ +[0-9]+ +warm");
}

static void
spares_go_back_as_well(void **state)
{
	struct stage *s = stage_new("");
	int pid;

	(void)state;
	unlink(version_path(s));
	tempdir_copy(s->dir, "worker", harness_built("hello"));
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen.web = 127.0.0.1:%d\nprobation_time_ms = 0\nspares = 1\n",
	    s->control, version_path(s), s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_wait_kept(s, 1);
	expect_all(s, "file");
	assert_int_equal(
	    rename(tempdir_copy(s->dir, "fresh", harness_built("hello")), version_path(s)), 0);
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	expect_all(s, "file");
	proc_finish(stage_cli(s, "rollback"), 0);
	expect_all(s, "memory");
	pid = pid_of_line(s, "w.spare.0 ");
	kill(pid_of_line(s, "w.0 "), SIGKILL);
	wait_until("the spare is w.0", pid_of_line(s, "w.0 ") == pid);
	expect_all(s, "memory");
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(clients_notice_nothing),
	    e2e_test(spares_go_back_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
