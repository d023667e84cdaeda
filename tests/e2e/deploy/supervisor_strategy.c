/* SPDX-License-Identifier: MIT */
/* What a crash of one instance means for the others of its service: strategy. */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"

#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <unistd.h>

#define N 3

struct scene {
	struct baton b;
	uint16_t port;
	struct who was[N];
};

static void
mode(const struct scene *s, const char *text)
{
	tempdir_write(s->b.dir, "mode", "%s\n", text);
}

static void
look(struct scene *s)
{
	for (int i = 0; i < N; i++)
		s->was[i] = stage_ask((uint16_t)(s->port + i));
}

/* A service "w" of the worker, of which all instances are ready. */
static struct scene
scene_new(const char *lines)
{
	struct scene s = {.port = port_free(N)};
	const char *dir = tempdir_new();

	tempdir_write(dir, "mode", "good\n");
	s.b = baton_start(&(struct baton_spec){
	    .dir = dir,
	    .services = talloc_asprintf(harness_mem(),
		"[service w]\ncommand = %s %s/mode\ninstances = %d\nlisten = 127.0.0.1:%d\n%s\n",
		tempdir_copy(dir, "worker", harness_built("tests/fixtures/worker")), dir, N, s.port,
		lines),
	});
	baton_wait_ready(&s.b, N);
	proc_expect(s.b.proc, PROC_OUT, "^Ctrl-C ");
	look(&s);
	return s;
}

static void
end(struct scene *s)
{
	proc_signal(s->b.proc, SIGTERM);
	proc_finish(s->b.proc, 0);
	assert_int_equal(harness_count_children(), 0);
}

static void
expect_line(struct scene *s, enum proc_stream stream, const char *format, int i)
{
	char line[128];

	snprintf(line, sizeof(line), format, i);
	proc_expect(s->b.proc, stream, line);
}

static bool
is(struct scene *s, const char *regex)
{
	struct proc *p = proc_finish(baton_command(&s->b, "status", NULL), 0);

	return stage_matches(proc_text(p, PROC_OUT), regex);
}

/* From the last to the first, each when the one behind it has ended; and then in order. A
 * connection made meanwhile waits. */
static void
expect_restarted(struct scene *s, int first, int crashed)
{
	for (int i = N - 1; i >= first; i--)
		if (i != crashed)
			expect_line(s, PROC_OUT,
			    "^w\\.%d  generation [0-9]+  pid [0-9]+  exited with status 0$", i);
	for (int i = first; i < N; i++)
		expect_line(s, PROC_OUT, "^w\\.%d  .* ready in ", i);
	for (int i = 0; i < N; i++) {
		struct who now = stage_ask((uint16_t)(s->port + i));

		assert_int_equal(now.instance, i);
		if (i < first)
			assert_int_equal(now.pid, s->was[i].pid);
		else
			assert_int_equal(now.generation, s->was[i].generation + 1);
	}
}

static void
as_many_as_the_strategy_says_are_started_again(void **state)
{
	static const struct {
		const char *line;
		int crashes, first;
	} rows[] = {
	    {"strategy = one_for_all", 1, 0},
	    {"strategy = one_for_all", 2, 0},
	    {"strategy = one_for_all", 0, 0},
	    {"strategy = rest_for_one", 1, 1},
	    {"strategy = rest_for_one", 0, 0},
	    {"strategy = rest_for_one", 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene s = scene_new(rows[i].line);

		kill(s.was[rows[i].crashes].pid, SIGKILL);
		for (int k = 0; k < N; k++)
			assert_int_equal(client_try((uint16_t)(s.port + k)), 0);
		expect_restarted(&s, rows[i].first, rows[i].crashes);
		end(&s);
	}
}

static void
nobody_else_is_concerned_if_nothing_is_said(void **state)
{
	struct scene s = scene_new("");

	(void)state;
	kill(s.was[1].pid, SIGKILL);
	proc_expect(s.b.proc, PROC_OUT, "^w\\.1  .* ready in ");
	assert_int_equal(stage_ask((uint16_t)(s.port + 1)).generation, 2);
	assert_int_equal(stage_ask(s.port).pid, s.was[0].pid);
	assert_int_equal(stage_ask((uint16_t)(s.port + 2)).pid, s.was[2].pid);
	end(&s);
}

/* They cannot be started: all wait together, as long as the one that has crashed must. */
static void
crashes_in_between_begin_it_anew(void **state)
{
	struct scene s =
	    scene_new("strategy = one_for_all\nbackoff_first_ms = 20\ncrashes_max = 0");

	(void)state;
	mode(&s, "exit 3");
	kill(s.was[2].pid, SIGKILL);
	/* The first to be started again crashes each time, so no other one ever is. */
	for (int i = 2; i < 5; i++) {
		expect_line(&s, PROC_ERR, "w\\.0: generation %d exited with status 3", i);
		proc_expect(s.b.proc, PROC_ERR, "^baton: w: w\\.0 has crashed; one_for_all: ");
	}
	wait_until("they are held", is(&s, "^w +w\\.1 +1 +- +held "));
	assert_true(is(&s, "^w +w\\.2 +1 +- +held "));
	mode(&s, "good");
	for (int i = 0; i < N; i++)
		expect_line(&s, PROC_OUT, "^w\\.%d  .* ready in ", i);
	assert_int_equal(stage_ask((uint16_t)(s.port + 2)).generation, 2);
	end(&s);
}

/* The second crash is one too many, and counted for the one that has crashed. */
static void
who_depends_on_one_that_has_failed_has_failed(void **state)
{
	struct scene s = scene_new("strategy = rest_for_one\ncrashes_max = 2\nquiet_time_ms = 0");
	struct proc *p;

	(void)state;
	kill(s.was[0].pid, SIGKILL);
	expect_restarted(&s, 0, 0);
	look(&s);
	kill(s.was[1].pid, SIGKILL);
	expect_restarted(&s, 1, 1);
	look(&s);
	kill(s.was[1].pid, SIGKILL);
	proc_expect(s.b.proc, PROC_ERR,
	    "^baton: w: w\\.1 has failed; rest_for_one: from w\\.2 to w\\.1 all are ended, and "
	    "have failed as well$");
	wait_until("w.2 has failed", is(&s, "^w +w\\.2 +[0-9]+ +- +failed "));
	assert_true(is(&s, "^w +w\\.1 +[0-9]+ +- +failed "));
	assert_int_equal(client_try((uint16_t)(s.port + 2)), ECONNREFUSED);
	assert_int_equal(stage_ask(s.port).pid, s.was[0].pid);
	p = proc_finish(baton_command(&s.b, "reset", "w"), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "w\\.1: generation [0-9]+ ready"));
	assert_true(is(&s, "^w +w\\.2 +[0-9]+ +[0-9]+ +ready "));
	assert_int_equal(stage_ask(s.port).pid, s.was[0].pid);
	end(&s);
}

/* Whoever stops it has the last word, at each moment. */
static void
stopping_wins(void **state)
{
	struct scene s = scene_new("strategy = one_for_all");

	(void)state;
	/* While one drains. */
	mode(&s, "slow-exit 400");
	baton_restart(&s.b);
	mode(&s, "good");
	look(&s);
	kill(s.was[0].pid, SIGKILL);
	proc_expect(s.b.proc, PROC_ERR, "^baton: w: w\\.0 has crashed");
	proc_finish(baton_command(&s.b, "stop", "w"), 0);
	for (int i = 0; i < N; i++)
		assert_true(
		    is(&s, talloc_asprintf(harness_mem(), "^w +w\\.%d +[0-9]+ +- +down ", i)));
	proc_finish(baton_command(&s.b, "start", "w"), 0);
	look(&s);
	/* One of them alone stays down, and the others are started. */
	proc_finish(baton_command(&s.b, "stop", "w.1"), 0);
	kill(s.was[2].pid, SIGKILL);
	wait_until("w.0 is replaced", stage_ask(s.port).pid != s.was[0].pid);
	wait_until("w.2 is back", is(&s, "^w +w\\.2 +[0-9]+ +[0-9]+ +ready "));
	assert_true(is(&s, "^w +w\\.1 +[0-9]+ +- +down "));
	end(&s);
}

/* baton itself can be ended while they are held. */
static void
the_end_does_not_wait_for_them(void **state)
{
	struct scene s =
	    scene_new("strategy = one_for_all\nbackoff_first_ms = 600000\nbackoff_max_ms = 600000");

	(void)state;
	mode(&s, "exit 3");
	kill(s.was[0].pid, SIGKILL);
	proc_expect(s.b.proc, PROC_ERR, "w\\.0: generation 2 exited with status 3");
	wait_until("they are held", is(&s, "^w +w\\.2 +1 +- +held "));
	end(&s);
}

/* Ends that are no crashes, and restarts, do not concern the others. */
static void
other_ends_are_nobody_elses_business(void **state)
{
	struct scene s = scene_new("strategy = one_for_all\nlifetime = temporary");

	(void)state;
	kill(s.was[0].pid, SIGKILL);
	wait_until("it is down", is(&s, "^w +w\\.0 +1 +- +down "));
	assert_int_equal(stage_ask((uint16_t)(s.port + 1)).pid, s.was[1].pid);
	end(&s);
	s = scene_new("strategy = one_for_all");
	mode(&s, "exit 3");
	proc_finish(baton_command(&s.b, "restart", "w"), 1);
	for (int i = 0; i < N; i++)
		assert_int_equal(stage_ask((uint16_t)(s.port + i)).pid, s.was[i].pid);
	mode(&s, "good");
	proc_finish(baton_command(&s.b, "restart", "w"), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(stage_ask((uint16_t)(s.port + i)).generation, i == 0 ? 3 : 2);
	assert_null(strstr(proc_text(s.b.proc, PROC_ERR), "one_for_all"));
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(as_many_as_the_strategy_says_are_started_again),
	    e2e_test(nobody_else_is_concerned_if_nothing_is_said),
	    e2e_test(crashes_in_between_begin_it_anew),
	    e2e_test(who_depends_on_one_that_has_failed_has_failed),
	    e2e_test(stopping_wins),
	    e2e_test(the_end_does_not_wait_for_them),
	    e2e_test(other_ends_are_nobody_elses_business),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
