/* SPDX-License-Identifier: MIT */
/* What else baton knows of its services goes along when its own program is replaced. */
#include "tests/e2e/upgrade/versions.h"

#include "tests/harness/baton.h"

#include <errno.h>

static void
upgrade(struct stage *s)
{
	proc_finish(stage_cli(s, "upgrade"), 0);
}

static void
what_has_proved_good_is_kept(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 0\n");
	int pid;

	(void)state;
	version_install(s, "good");
	stage_start(s);
	version_wait_kept(s, 1);
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	upgrade(s);
	version_wait_kept(s, 2);
	/* The copies themselves are there, whatever is in the file. */
	version_install(s, "exit 4");
	proc_finish(stage_cli(s, "rollback"), 0);
	assert_string_equal(version_of(stage_ask(s->port).pid), "memory");
	upgrade(s);
	pid = stage_ask(s->port).pid;
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +3 +[0-9]+ +ready, rolled back "));
	kill(pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.0 +4 +[0-9]+ +ready, rolled back ");
	assert_string_equal(version_of(stage_ask(s->port).pid), "memory");
	stage_stop(s);
}

/* One that is in its probation when baton is replaced, and fails afterwards. */
static void
probation_goes_on(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 2000\n");

	(void)state;
	version_install(s, "good");
	stage_start(s);
	version_wait_kept(s, 1);
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	upgrade(s);
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 2 .*going back to ");
	stage_wait_status(s, "^w +w\\.1 +3 +[0-9]+ +ready, rolled back ");
	stage_stop(s);
}

static void
a_spare_is_still_warm(void **state)
{
	const char *dir = tempdir_new();
	uint16_t port = port_free(1);
	struct stage s = {.dir = dir};
	struct baton b;
	struct baton_who before, after;
	int spare;

	(void)state;
	tempdir_write(dir, "mode", "good\n");
	b = baton_serve(port, 1,
	    talloc_asprintf(harness_mem(), "%s %s/mode %s", harness_built("tests/fixtures/spare"),
		dir, harness_built("hello")),
	    "spares = 1\nbackoff_first_ms = 600000\nbackoff_max_ms = 600000\n");
	s.conf = b.config;
	stage_wait_status(&s, "^s +s\\.spare\\.0 +[0-9]+ +[0-9]+ +warm ");
	assert_int_equal(sscanf(strstr(stage_status(&s), "s.spare.0"), "%*s %*d %d", &spare), 1);
	before = baton_who(port);
	upgrade(&s);
	kill(before.pid, SIGKILL);
	stage_wait_gone(before.pid);
	after = baton_who(port);
	assert_int_equal(after.pid, spare);
	assert_int_equal(after.generation, before.generation + 1);
	stage_wait_status(&s, "^s +s\\.spare\\.0 +[0-9]+ +[0-9]+ +warm ");
	/* Once more, with the spare that the new program has started. */
	upgrade(&s);
	kill(after.pid, SIGKILL);
	stage_wait_gone(after.pid);
	assert_int_equal(baton_who(port).generation, before.generation + 2);
	baton_stop(&b);
}

static void
unix_sockets_are_still_its_own(void **state)
{
	struct stage *s = stage_new("ports = shared\nlisten.x = unix:@DIR@/x\n");
	char *text = talloc_strdup(harness_mem(), tempdir_read(s->conf)), *at;
	const char *path = tempdir_path(s->dir, "x");

	(void)state;
	at = strstr(text, "@DIR@");
	*at = '\0';
	tempdir_write(s->dir, "conf", "%s%s%s", text, s->dir, at + strlen("@DIR@"));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(client_try_unix(path), 0);
	upgrade(s);
	assert_int_equal(client_try_unix(path), 0);
	/* Refused while nothing serves, also across an upgrade, and taken again. */
	proc_finish(stage_cli(s, "stop", "w"), 0);
	assert_int_equal(client_try_unix(path), ECONNREFUSED);
	upgrade(s);
	assert_int_equal(client_try_unix(path), ECONNREFUSED);
	proc_finish(stage_cli(s, "start", "w"), 0);
	assert_int_equal(client_try_unix(path), 0);
	stage_stop(s);
	assert_int_equal(client_try_unix(path), ENOENT);
}

/* What instances have written is not taken along, what has happened is. */
static void
who_follows_is_told_and_asks_again(void **state)
{
	struct stage *s = stage_new("");
	struct proc *events, *logs;

	(void)state;
	stage_mode(s, "halves");
	stage_start(s);
	events = stage_cli(s, "events");
	proc_expect(events, PROC_OUT, " running ");
	logs = stage_cli(s, "logs", "-f", "w.1");
	proc_expect(logs, PROC_OUT, "worker is up$");
	upgrade(s);
	proc_expect(proc_finish(events, 1), PROC_ERR, "baton replaces itself now; ask again$");
	proc_expect(proc_finish(logs, 1), PROC_ERR, "baton replaces itself now; ask again$");
	events = stage_cli(s, "events");
	proc_expect(events, PROC_OUT, " w\\.0 .*started ");
	proc_expect(events, PROC_OUT, " upgrade .*2 instances kept$");
	logs = stage_cli(s, "logs", "-f", "w.1");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(events, PROC_OUT, " w\\.0 .*crashed .*signal 9");
	stage_ask((uint16_t)(s->port + 1));
	/* The line that was begun is whole. */
	proc_expect(logs, PROC_OUT, "^w\\.1 \\| one half and the other half$");
	assert_null(strstr(proc_text(logs, PROC_OUT), "worker is up"));
	stage_stop(s);
	proc_finish(events, 0);
	proc_finish(logs, 0);
}

static void
others_are_concerned_by_a_crash_as_before(void **state)
{
	struct stage *s = stage_new(
	    "strategy = one_for_all\nbackoff_first_ms = 3000\nquiet_time_ms = 86400000\n");

	(void)state;
	stage_start(s);
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.1 +2 +[0-9]+ +ready ");
	/* The second one waits: all of them do, in the middle of which baton is replaced. */
	kill(stage_ask(s->port).pid, SIGKILL);
	stage_wait_status(s, "^w +w\\.1 +2 +- +held ");
	upgrade(s);
	stage_wait_status(s, "^w +w\\.1 +2 +- +held ");
	stage_wait_status(s, "^w +w\\.0 +3 +[0-9]+ +ready ");
	stage_wait_status(s, "^w +w\\.1 +3 +[0-9]+ +ready ");
	stage_stop(s);
}

/* Its deadline was set before, and it says nothing. */
static void
a_watchdog_still_barks(void **state)
{
	struct stage *s = stage_new("watchdog_ms = 1500\n");
	struct who w;

	(void)state;
	stage_start(s);
	upgrade(s);
	w = stage_ask(s->port);
	kill(w.pid, SIGSTOP);
	upgrade(s);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: generation 1 .*has not said WATCHDOG=1");
	stage_wait_status(s, "^w +w\\.0 +2 +[0-9]+ +ready ");
	stage_wait_gone(w.pid);
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(what_has_proved_good_is_kept),
	    e2e_test(probation_goes_on),
	    e2e_test(a_spare_is_still_warm),
	    e2e_test(unix_sockets_are_still_its_own),
	    e2e_test(who_follows_is_told_and_asks_again),
	    e2e_test(others_are_concerned_by_a_crash_as_before),
	    e2e_test(a_watchdog_still_barks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
