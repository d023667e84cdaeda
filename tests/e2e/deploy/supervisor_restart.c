/* SPDX-License-Identifier: MIT */
/* The rolling restart as a transaction: each way to succeed and to fail. */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void
every_instance_is_replaced_and_progress_is_shown(void **state)
{
	struct stage *s = stage_new("");
	struct who before[2];
	struct proc *p;

	(void)state;
	stage_start(s);
	for (int i = 0; i < 2; i++)
		before[i] = stage_ask((uint16_t)(s->port + i));
	p = stage_cli(s, "restart");
	for (int i = 0; i < 2; i++) {
		proc_expect(p, PROC_OUT, "^w\\.[01]: generation 2 started, pid [0-9]+$");
		proc_expect(p, PROC_OUT,
		    "^w\\.[01]: generation 2 ready in [0-9]+ ms; generation 1 \\(pid [0-9]+\\) drains$");
		proc_expect(p, PROC_OUT, "^w\\.[01]: generation 1 exited with status 0$");
	}
	proc_expect(p, PROC_OUT, "^restarted 2 instances in [0-9.]+ m?s$");
	proc_finish(p, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stage_ask((uint16_t)(s->port + i)).generation, 2);
		assert_int_equal(kill(before[i].pid, 0), -1);
	}
	stage_stop(s);
}

static const struct {
	const char *mode, *reason, *last_words;
} failures[] = {
    {"exit 3", "generation 2 exited with status 3 before it was ready",
	"worker: told to exit with 3"},
    {"hang", "generation 2 was not ready within 500 ms \\(no READY=1 on NOTIFY_SOCKET\\)", NULL},
    {"hang-on",
	"generation 2 was not ready within 500 ms \\(no READY=1 on NOTIFY_SOCKET\\) and was killed",
	NULL},
};

static void
a_successor_that_fails_leaves_the_old_one_serving(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 500\ndrain_timeout_ms = 300\n");
	struct who before, after;

	(void)state;
	stage_start(s);
	before = stage_ask(s->port);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct proc *p;
		char *regex = talloc_asprintf(harness_mem(),
		    "^baton: restart failed: w\\.0: generation %zu%s; generation 1 \\(pid %d\\) serves "
		    "on; 0 of 2 instances restarted$",
		    i + 2, failures[i].reason + strlen("generation 2"), before.pid);

		stage_mode(s, failures[i].mode);
		p = stage_cli(s, "restart");
		proc_finish(p, 1);
		if (!stage_matches(proc_text(p, PROC_ERR), regex))
			harness_fail("%s\ndoes not match %s", proc_text(p, PROC_ERR), regex);
		if (failures[i].last_words != NULL)
			assert_non_null(strstr(proc_text(p, PROC_ERR), failures[i].last_words));
		/* baton itself says it as well, for those who did not ask. */
		proc_expect(s->baton, PROC_ERR, regex);
		after = stage_ask(s->port);
		assert_int_equal(after.pid, before.pid);
		assert_int_equal(after.generation, 1);
		assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	}
	/* And it can be put right. */
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "restart", "w"), 0);
	assert_int_equal(stage_ask(s->port).generation, 5);
	stage_stop(s);
}

static void
a_successor_that_says_ready_and_dies_ends_the_roll(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_start(s);
	/* The old one takes its time, so that the new one's end is seen before. */
	stage_mode(s, "slow-exit 600");
	proc_finish(stage_cli(s, "restart"), 0);
	stage_mode(s, "ready-then-die");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "restart failed: w\\.0: generation 3 said that it was ready, and exited with status 7"));
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 2);
	stage_mode(s, "good");
	stage_wait_status(s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
	stage_stop(s);
}

static void
a_program_that_is_gone_or_no_program_fails_the_roll(void **state)
{
	struct stage *s = stage_new("");
	const char *program =
	    tempdir_copy(s->dir, "program", harness_built("tests/fixtures/worker"));
	struct proc *p;

	(void)state;
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\n",
	    s->control, program, s->port);
	stage_start(s);
	unlink(program);
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "generation 2 cannot start .*/program: no such "
						  "file; generation 1 .* serves on"));
	tempdir_write(s->dir, "program", "#!/no/such/interpreter\n");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "not executable by this user"));
	assert_int_equal(chmod(program, 0755), 0);
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "cannot execute .*/program: No such file or directory \\(the file, or the interpreter"));
	tempdir_write(s->dir, "program", "neither script nor ELF\n");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "cannot execute .*/program: Exec format error"));
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
an_old_one_that_ignores_sigterm_is_killed_at_the_deadline(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 300\n");
	struct proc *p;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	p = stage_cli(s, "restart");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT),
	    "^w\\.0: generation 1 did not end within 300 ms of SIGTERM and was killed$"));
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

/* It may hold locks and have temporary files, although it serves nobody yet. */
static void
one_that_is_late_is_asked_to_end_first(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 500\n");

	(void)state;
	stage_start(s);
	stage_mode(s, "hang-tidy");
	proc_finish(stage_cli(s, "restart"), 1);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| worker tidies up$");
	stage_stop(s);
}

static void
the_old_one_may_die_while_its_successor_starts(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 1000\n");
	struct proc *p;

	(void)state;
	stage_start(s);
	stage_mode(s, "hang");
	p = stage_cli(s, "restart");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| worker hangs$");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR, "generation 1 .*SIGKILL.*; its successor takes over$");
	stage_mode(s, "good");
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "generation 2 was not ready within 1000 ms"));
	/* Nothing was left to serve on, so baton starts another one by itself. */
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

static void
a_restart_does_not_wait_for_a_backoff(void **state)
{
	struct stage *s = stage_new("backoff_first_ms = 3600000\nbackoff_max_ms = 3600000\n");

	(void)state;
	stage_mode(s, "exit 3");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stage_wait_status(s, "^w +w\\.0 +2 +- +backoff ");
	stage_wait_status(s, "^w +w\\.1 +2 +- +backoff ");
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	stage_stop(s);
}

static void
a_restart_waits_for_an_instance_that_starts(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 1500\n");
	struct proc *p;

	(void)state;
	stage_mode(s, "hang");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| worker hangs$");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: waiting, it is starting$");
	stage_mode(s, "good");
	/* It was late and is killed: what the restart starts then is the first that is ready. */
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 ready in [0-9]+ ms$");
	proc_expect(p, PROC_OUT, "^restarted 2 instances");
	proc_finish(p, 0);
	stage_stop(s);
}

static void
services_are_restarted_one_or_all(void **state)
{
	struct stage *s = stage_new("");
	uint16_t other = port_free(1);
	struct proc *p;
	const char *text;

	(void)state;
	s->conf = tempdir_write(s->dir, "conf",
	    "%s[service v]\ncommand = %s\nlisten.admin = 127.0.0.1:%d\n", tempdir_read(s->conf),
	    harness_built("tests/fixtures/worker"), other);
	stage_start(s);
	proc_finish(stage_cli(s, "restart", "v"), 0);
	assert_int_equal(stage_ask(s->port).generation, 1);
	assert_int_equal(stage_ask(other).generation, 2);
	assert_string_equal(stage_ask(other).names, "admin");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	assert_int_equal(stage_ask(other).generation, 3);
	p = stage_cli(s, "restart", "u");
	proc_finish(p, 1);
	assert_true(
	    stage_matches(proc_text(p, PROC_ERR), "there is no service \"u\"; there is: w, v"));
	stage_stop(s);
	/* The last service is the first to end. */
	text = proc_text(s->baton, PROC_OUT);
	assert_true(
	    strstr(text, "v.0  generation 3  pid") < strstr(text, "w.0  generation 2  pid"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_instance_is_replaced_and_progress_is_shown),
	    e2e_test(a_successor_that_fails_leaves_the_old_one_serving),
	    e2e_test(a_successor_that_says_ready_and_dies_ends_the_roll),
	    e2e_test(a_program_that_is_gone_or_no_program_fails_the_roll),
	    e2e_test(an_old_one_that_ignores_sigterm_is_killed_at_the_deadline),
	    e2e_test(one_that_is_late_is_asked_to_end_first),
	    e2e_test(the_old_one_may_die_while_its_successor_starts),
	    e2e_test(a_restart_does_not_wait_for_a_backoff),
	    e2e_test(a_restart_waits_for_an_instance_that_starts),
	    e2e_test(services_are_restarted_one_or_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
