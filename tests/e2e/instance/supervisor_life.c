/* SPDX-License-Identifier: MIT */
/* The life of instances under the real baton: starting, crashing, ending, and what is said. */
#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void
instances_start_in_order_and_serve(void **state)
{
	struct stage *s = stage_new("");
	struct who a, b;

	(void)state;
	stage_start(s);
	a = stage_ask(s->port);
	b = stage_ask((uint16_t)(s->port + 1));
	assert_string_equal(a.service, "w");
	assert_string_equal(a.names, "w");
	assert_int_equal(a.instance, 0);
	assert_int_equal(b.instance, 1);
	assert_int_equal(a.generation, 1);
	/* The worker may not have closed what we have. */
	wait_until("it has no connection any more",
	    stage_matches(stage_status(s),
		"^w +w\\.0 +1 +[0-9]+ +ready +127\\.0\\.0\\.1:[0-9]+ +[0-9]+.* +0 +0 "
		"+[0-9.]+[KM] +[0-9.]+% +-$"));
	stage_stop(s);
	/* Ended in reverse order, and nothing is left: no process, no socket, no lock. */
	assert_true(stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.1  generation 1  pid"));
	assert_int_equal(kill(a.pid, 0), -1);
	assert_int_equal(kill(b.pid, 0), -1);
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	assert_null(tempdir_read(tempdir_path(s->dir, "control.lock")));
	assert_int_equal(access(s->control, F_OK), -1);
}

static void
output_is_prefixed_and_errors_are_apart(void **state)
{
	struct stage *s = stage_new("backoff_first_ms = 3600000\nbackoff_max_ms = 3600000\n");

	(void)state;
	stage_mode(s, "exit 3");
	stage_run(s);
	proc_expect(s->baton, PROC_ERR, "^w\\.0 \\| first line$");
	proc_expect(s->baton, PROC_ERR, "^w\\.0 \\| worker: told to exit with 3$");
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 exited with status 3 after .*, before it was ready; "
	    "starting it again at once$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.1: .*starting it again at once$");
	proc_expect(s->baton, PROC_ERR,
	    "^baton: 2 of 2 instances are not ready; baton goes on trying, `baton status -c .*` ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	stage_stop(s);
}

static void
a_crash_restarts_at_once_then_waits_longer(void **state)
{
	struct stage *s = stage_new("backoff_first_ms = 200\n");
	struct who first, second;

	(void)state;
	stage_start(s);
	first = stage_ask(s->port);
	kill(first.pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 \\(pid [0-9]+\\) was ended by signal 9 \\(SIGKILL\\), .* "
	    "after it was ready; starting it again at once$");
	/* The connection waits in the queue of the socket that baton holds. */
	second = stage_ask(s->port);
	assert_int_equal(second.generation, 2);
	assert_int_not_equal(second.pid, first.pid);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* generation 2$");
	kill(second.pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR, "generation 2 .*; starting it again in 200 ms$");
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* generation 3$");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR, "generation 3 .*; starting it again in 400 ms$");
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	assert_int_equal(stage_ask(s->port).generation, 4);
	stage_wait_status(
	    s, "^w +w\\.0 +4 +[0-9]+ +ready .* 3 .* was ended by signal 9 \\(SIGKILL\\)$");
	stage_stop(s);
}

static void
one_that_leaves_of_its_own_accord_is_started_again(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_mode(s, "leave");
	stage_start(s);
	assert_int_equal(stage_ask(s->port).generation, 1);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 .* exited with status 0, .* after it was ready; starting it "
	    "again at once$");
	assert_int_equal(stage_ask(s->port).generation, 2);
	stage_stop(s);
}

static void
one_that_fails_does_not_keep_the_others_down(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 300\n");

	(void)state;
	stage_mode(s, "hang");
	stage_run(s);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation 1 was not ready within 300 ms \\(no READY=1 on "
	    "NOTIFY_SOCKET\\); starting it again at once$");
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.1: generation 1 was not ready");
	stage_mode(s, "good");
	proc_expect(s->baton, PROC_OUT, "^w\\.[01] .* ready in ");
	proc_expect(s->baton, PROC_OUT, "^w\\.[01] .* ready in ");
	stage_stop(s);
}

/* A busy machine is no fault of the program's. */
static void
readiness_that_baton_was_too_late_to_hear_of_counts(void **state)
{
	enum { TIMEOUT_MS = 3000 };
	struct stage *s =
	    stage_new(talloc_asprintf(harness_mem(), "start_timeout_ms = %d\n", TIMEOUT_MS));
	int64_t began;

	(void)state;
	stage_mode(s, talloc_asprintf(harness_mem(), "hold %s/go", s->dir));
	stage_run(s);
	wait_until("it listens", client_try(s->port) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +starting ");
	began = harness_now_ms();
	proc_signal(s->baton, SIGSTOP);
	wait_until("its deadline has passed", harness_now_ms() > began + TIMEOUT_MS);
	tempdir_write(s->dir, "go", "now\n");
	assert_int_equal(stage_ask(s->port).generation, 1); /* it has said READY=1 before */
	proc_signal(s->baton, SIGCONT);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in [^ ]+ [^ ]+$");
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
one_that_ignores_sigterm_is_killed_at_the_deadline(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 300\n");
	struct who a;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	a = stage_ask(s->port);
	stage_stop(s);
	assert_true(stage_matches(proc_text(s->baton, PROC_ERR),
	    "^baton: w\\.0: generation 1 \\(pid [0-9]+\\) did not end within 300 ms of SIGTERM and was "
	    "killed"));
	assert_int_equal(kill(a.pid, 0), -1);
}

static void
a_second_signal_ends_at_once(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 3600000\n");

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	proc_signal(s->baton, SIGINT);
	proc_expect(
	    s->baton, PROC_OUT, "^SIGINT: ending in good order; once more ends it at once$");
	proc_signal(s->baton, SIGINT);
	proc_finish(s->baton, 0);
	assert_true(stage_matches(proc_text(s->baton, PROC_ERR), "SIGINT while ending: killing"));
}

/* As from `timeout make run`: once by way of the process group, once from make. */
static void
a_signal_that_comes_doubled_is_one(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 1000\n");
	int64_t begin;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	begin = harness_now_ms();
	proc_signal(s->baton, SIGTERM);
	proc_expect(s->baton, PROC_OUT, "^SIGTERM: ending in good order");
	proc_signal(s->baton, SIGTERM);
	/* On a machine that is too slow for that the second one counts, and rightly so. */
	if (harness_now_ms() - begin < 300) {
		proc_expect(s->baton, PROC_OUT, "^SIGTERM: ending already$");
		proc_expect(s->baton, PROC_ERR, "did not end within 1000 ms of SIGTERM");
	}
	proc_finish(s->baton, 0);
}

static void
it_can_be_ended_while_it_starts(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_mode(s, "hang");
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 \\| worker hangs$");
	stage_stop(s);
	/* The second instance was not started any more. */
	assert_null(strstr(proc_text(s->baton, PROC_OUT), "w.1"));
}

static void
helpers_end_with_their_instance(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_mode(s, "helper");
	stage_start(s);
	stage_mode(s, "good");
	/* The helpers ignore SIGTERM and hold the listening sockets: they must not go on. */
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
	/* SIGKILL was sent to each group; the kernel may still be at it. */
	wait_until("no process is left", harness_count_children() == 0);
	assert_int_equal(client_try(s->port), ECONNREFUSED);
}

/* Whether baton has a child that has ended and was not waited for. */
static bool
has_zombie(pid_t parent)
{
	const char *text = talloc_asprintf(harness_mem(),
	    "for p in /proc/[0-9]*; do while read -r k v; do case $k in State:) st=$v;; "
	    "PPid:) [ \"$v\" = %d ] && echo $st;; esac; done <$p/status; done 2>/dev/null",
	    (int)parent);
	struct proc *p = proc_run("/bin/sh", "-c", text);

	proc_wait(p);
	return strchr(proc_text(p, PROC_OUT), 'Z') != NULL;
}

static void
orphans_are_reaped(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_mode(s, "orphan");
	stage_start(s);
	wait_until("no zombie is left", !has_zombie(proc_pid(s->baton)));
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
last_words_without_a_newline_are_printed(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_mode(s, "last-words");
	stage_start(s);
	stage_stop(s);
	assert_true(
	    stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.0 \\| these are my last words$"));
	assert_true(
	    stage_matches(proc_text(s->baton, PROC_OUT), "^w\\.1 \\| these are my last words$"));
}

static void
what_an_instance_says_of_itself_is_cleaned_and_checked(void **state)
{
	struct stage *s = stage_new("");
	struct proc *p;

	(void)state;
	stage_mode(s, "tell");
	stage_start(s);
	/* A stranger's STATUS= came first; only the instance's own counts. */
	for (;;) {
		p = stage_cli(s, "status", "--json");
		proc_finish(p, 0);
		if (stage_matches(
			proc_text(p, PROC_OUT), "\"status\": \"busy \\?\\[31mwith tests\""))
			break;
		assert_false(stage_matches(proc_text(p, PROC_OUT), "stranger"));
	}
	stage_stop(s);
}

static void
signals_to_baton_itself_do_not_end_it(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	stage_start(s);
	proc_signal(s->baton, SIGHUP);
	proc_expect(s->baton, PROC_OUT, "services: 0 new, 0 gone, 0 changed$");
	proc_signal(s->baton, SIGUSR1);
	proc_expect(s->baton, PROC_OUT, "^SIGUSR1: 0 log files opened anew$");
	proc_signal(s->baton, SIGUSR2);
	proc_expect(s->baton, PROC_OUT, "^baton was upgraded from .*, 2 instances kept$");
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
a_program_without_a_file_works_too(void **state)
{
	const char *dir = tempdir_new(), *control = tempdir_path(dir, "c");
	uint16_t port = port_free(2);
	struct proc *p = proc_run("baton", "run", "--control", control, "--instances", "2",
	    "--listen", port_address(port), "--", harness_built("tests/fixtures/worker"));
	struct proc *q;

	(void)state;
	proc_expect(p, PROC_OUT, "^worker\\.0  http");
	proc_expect(p, PROC_OUT, "^worker\\.1  http");
	proc_expect(p, PROC_OUT, "^  baton restart --control ");
	assert_string_equal(stage_ask((uint16_t)(port + 1)).service, "worker");
	q = proc_run("baton", "stop", "--control", control);
	proc_finish(q, 0);
	assert_true(stage_matches(proc_text(q, PROC_OUT), "^stopped$"));
	proc_finish(p, 0);
}

static void
the_kernel_may_choose_the_port(void **state)
{
	const char *control = tempdir_path(tempdir_new(), "c"), *line;
	struct proc *p = proc_run("baton", "run", "--control", control, "--listen", "127.0.0.1:0",
	    "--listen", "[::1]:0", "--name", "x", harness_built("tests/fixtures/worker"));
	struct who w;

	(void)state;
	line = proc_expect(p, PROC_OUT, "^x\\.0  http://127.0.0.1:[1-9]");
	w = stage_ask((uint16_t)atoi(strstr(line, "127.0.0.1:") + 10));
	assert_string_equal(w.names, "x:x");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(instances_start_in_order_and_serve),
	    e2e_test(output_is_prefixed_and_errors_are_apart),
	    e2e_test(a_crash_restarts_at_once_then_waits_longer),
	    e2e_test(one_that_leaves_of_its_own_accord_is_started_again),
	    e2e_test(one_that_fails_does_not_keep_the_others_down),
	    e2e_test(readiness_that_baton_was_too_late_to_hear_of_counts),
	    e2e_test(one_that_ignores_sigterm_is_killed_at_the_deadline),
	    e2e_test(a_second_signal_ends_at_once),
	    e2e_test(a_signal_that_comes_doubled_is_one),
	    e2e_test(it_can_be_ended_while_it_starts),
	    e2e_test(helpers_end_with_their_instance),
	    e2e_test(orphans_are_reaped),
	    e2e_test(last_words_without_a_newline_are_printed),
	    e2e_test(what_an_instance_says_of_itself_is_cleaned_and_checked),
	    e2e_test(signals_to_baton_itself_do_not_end_it),
	    e2e_test(a_program_without_a_file_works_too),
	    e2e_test(the_kernel_may_choose_the_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
