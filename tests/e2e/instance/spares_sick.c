/* SPDX-License-Identifier: MIT */
/*
 * Spares in the place of what hangs, and of what crashes while its successor starts. Programs
 * take as long to start as the test wants: only a spare can be there before.
 */
#include "tests/e2e/instance/spares.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKS                                          \
	"health = http:/pid\nhealth_interval_ms = 20\n" \
	"health_timeout_ms = 2000\nhealth_failures = 1\n"

/* From now on instances wait at their start. */
static const char *
gate_close(struct scene *s)
{
	const char *path = tempdir_path(s->dir, "gate");

	assert_true(mkfifo(path, 0600) == 0 || errno == EEXIST);
	next_spare(s, talloc_asprintf(harness_mem(), "gate %s", path));
	return path;
}

/* The one that waits goes on. */
static void
gate_open(const char *path)
{
	int fd = -1;

	wait_until("one waits", (fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0);
	close(fd);
}

static void
expect(struct scene *s, const char *format, int pid)
{
	proc_expect(s->baton.proc, PROC_ERR, talloc_asprintf(harness_mem(), format, pid));
}

/* ---- What is sick --------------------------------------------------------------------------- */

static void
what_hangs_is_relieved_by_a_spare_at_once(void **state)
{
	struct scene s = scene_new(2, "good", "spares = 1\nwatchdog_ms = 2000\n");
	const struct baton_who other = baton_who((uint16_t)(s.port + 1));

	(void)state;
	gate_close(&s);
	for (int i = 2; i <= 3; i++) {
		const struct baton_who hung = baton_who(s.port);
		struct baton_who heir;
		int spare;

		scene_wait(&s, WARM);
		spare = pid_of(&s, "s.spare.0");
		assert_int_equal(kill(hung.pid, SIGSTOP), 0);
		expect(&s,
		    "s\\.0: generation [0-9]+ .* has not said WATCHDOG=1 for 2000 ms; a spare "
		    "\\(pid %d\\) takes its place$",
		    spare);
		heir = baton_who(s.port);
		assert_int_equal(heir.pid, spare);
		assert_int_equal(heir.instance, 0);
		assert_int_equal(heir.generation, i);
		expect(&s, "s\\.0: generation [0-9]+ \\(pid %d\\) .* and was killed", hung.pid);
		stage_wait_gone(hung.pid);
	}
	/* It is a replacement, no restart after a crash. */
	assert_true(stage_matches(scene_status(&s), "^s +s\\.0 +3 .* [0-9.]+ m?s +0 "));
	assert_int_equal(baton_who((uint16_t)(s.port + 1)).pid, other.pid);
	baton_stop(&s.baton);
}

/* It wakes up when the spare serves already: it gives its connections to the spare. */
static void
a_spare_gets_the_connections_of_what_is_unhealthy(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 1\n" CHECKS);
	const struct baton_who sick = baton_who(s.port);
	struct client *c = client_open(s.port);
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	gate_close(&s);
	client_get(c, "/pid");
	assert_int_equal(kill(sick.pid, SIGSTOP), 0);
	expect(&s, "failed 1 health check .*; a spare \\(pid %d\\) takes its place$", spare);
	assert_int_equal(baton_who(s.port).pid, spare);
	assert_int_equal(kill(sick.pid, SIGCONT), 0);
	stage_wait_gone(sick.pid);
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 2\n"));
	baton_stop(&s.baton);
}

/* As if there had been none: nothing but the time that it took is lost. */
static void
a_spare_that_fails_to_relieve_it_costs_no_wait(void **state)
{
	static const struct {
		const char *mode, *says;
	} table[] = {
	    {"dies", "s\\.0: generation 2 was ended by signal 9 .* before it was ready; "},
	    {"deaf", "s\\.0: generation 2 was a spare, did not say within .*killed; "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct scene s =
		    scene_new(1, table[i].mode, "spares = 1\n" CHECKS "drain_timeout_ms = 3000\n");
		const struct baton_who hung = baton_who(s.port);

		scene_wait(&s, WARM);
		next_spare(&s, "good");
		assert_int_equal(kill(hung.pid, SIGSTOP), 0);
		proc_expect(s.baton.proc, PROC_ERR, table[i].says);
		stage_wait_gone(hung.pid);
		assert_int_equal(baton_who(s.port).generation, 3);
		baton_stop(&s.baton);
	}
}

/* A new program that hangs is not replaced by the one before, which is all that is warm. */
static void
an_older_spare_does_not_relieve_a_newer_program(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 1\nwatchdog_ms = 2000\n");
	struct baton_who hung;
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	next_spare(&s, "exit 5"); /* of the spares, none comes any more */
	proc_finish(baton_command(&s.baton, "restart", "s.0"), 0);
	proc_expect(s.baton.proc, PROC_ERR, "s\\.spare\\.0: .* status 5 .*the one before it waits");
	scene_wait(&s, WARM);
	assert_int_equal(pid_of(&s, "s.spare.0"), spare);
	hung = baton_who(s.port);
	assert_int_equal(kill(hung.pid, SIGSTOP), 0);
	proc_expect(s.baton.proc, PROC_ERR, "for 2000 ms; replacing it$");
	stage_wait_gone(hung.pid);
	assert_int_not_equal(baton_who(s.port).pid, spare);
	assert_int_equal(pid_of(&s, "s.spare.0"), spare);
	baton_stop(&s.baton);
}

/* ---- What crashes while its successor starts ------------------------------------------------- */

struct rolling {
	struct scene s;
	struct proc *restart;
	const char *gate;
	int next; /* the successor, which waits */
	int spare;
};

/* A restart whose first successor waits; then what serves is killed. */
static struct rolling
rolling_new(const char *mode, const char *lines)
{
	struct rolling r = {.s = scene_new(1, mode, lines)};
	const char *line;

	scene_wait(&r.s, WARM);
	r.spare = pid_of(&r.s, "s.spare.0");
	r.gate = gate_close(&r.s);
	r.restart = baton_command(&r.s.baton, "restart", NULL);
	line = proc_expect(r.restart, PROC_OUT, "^s\\.0: generation 2 started, pid [0-9]+$");
	assert_int_equal(sscanf(strstr(line, "pid "), "pid %d", &r.next), 1);
	proc_expect(r.s.baton.proc, PROC_OUT, "s\\.0 \\| waits at the gate$");
	return r;
}

static void
a_spare_stands_in_until_the_successor_is_ready(void **state)
{
	struct rolling r = rolling_new("good", "spares = 1\n");
	struct baton_who heir;
	struct client *c;

	(void)state;
	kill_instance(r.s.port);
	expect(&r.s, "a spare \\(pid %d\\) takes its place until its successor is ready$", r.spare);
	c = client_open(r.s.port);
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 3\n"));
	heir = baton_who(r.s.port);
	assert_int_equal(heir.pid, r.spare);
	gate_open(r.gate);
	proc_finish(r.restart, 0);
	/* And its connection has moved on. */
	assert_true(stage_matches(
	    proc_text(r.restart, PROC_OUT), "^restarted 2 instances in .*1 connection moved"));
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 2\n"));
	stage_wait_gone(heir.pid);
	/* One crash, one restart; the numbers go on from the highest. */
	assert_true(stage_matches(scene_status(&r.s), "^s +s\\.0 +2 .* [0-9.]+ m?s +1 "));
	next_spare(&r.s, "good");
	proc_finish(baton_command(&r.s.baton, "restart", NULL), 0);
	assert_int_equal(baton_who(r.s.port).generation, 4);
	baton_stop(&r.s.baton);
}

static void
what_stands_in_stays_if_the_successor_fails(void **state)
{
	struct rolling r = rolling_new("good", "spares = 1\n");
	struct client *c;

	(void)state;
	kill_instance(r.s.port);
	assert_int_equal(baton_who(r.s.port).pid, r.spare);
	c = client_open(r.s.port);
	client_get(c, "/pid");
	next_spare(&r.s, "good");
	scene_wait(&r.s, "^s +s\\.0 +3 +[0-9]+ +replacing ");
	assert_int_equal(kill(r.next, SIGKILL), 0);
	proc_finish(r.restart, 1);
	assert_true(stage_matches(proc_text(r.restart, PROC_ERR), "generation 2 was ended by"));
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 3\n"));
	/* It is replaced like any other, and nothing of the dead is in the way. */
	proc_finish(baton_command(&r.s.baton, "restart", NULL), 0);
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 4\n"));
	baton_stop(&r.s.baton);
}

/* What was started since the restart began is perhaps what it brings, and not tried yet. */
static void
a_newer_spare_does_not_stand_in_for_an_older_program(void **state)
{
	struct rolling r = rolling_new("good", "spares = 1\n");
	int newer;

	(void)state;
	kill_instance(r.s.port);
	assert_int_equal(baton_who(r.s.port).pid, r.spare);
	scene_wait(&r.s, WARM);
	newer = pid_of(&r.s, "s.spare.0");
	assert_int_not_equal(newer, r.spare);
	kill_hard(r.spare);
	expect(&r.s, "s\\.0: generation 3 \\(pid %d\\) .*; its successor takes over$", r.spare);
	gate_open(r.gate);
	assert_int_equal(baton_who(r.s.port).generation, 2);
	next_spare(&r.s, "good");
	proc_finish(r.restart, 0);
	baton_stop(&r.s.baton);
}

/* The restart goes on as if there had been none. */
static void
a_spare_that_fails_to_stand_in_spoils_nothing(void **state)
{
	static const char *const modes[] = {"dies", "deaf"};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(modes) / sizeof(modes[0]); i++) {
		struct rolling r = rolling_new(modes[i / 2], "spares = 1\n");

		kill_instance(r.s.port);
		/* It ends before the successor is ready, or afterwards. */
		if (i % 2 == 0)
			stage_wait_gone(r.spare);
		gate_open(r.gate);
		next_spare(&r.s, "good");
		assert_int_equal(baton_who(r.s.port).generation, 2);
		proc_finish(r.restart, 0);
		stage_wait_gone(r.spare);
		baton_stop(&r.s.baton);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(what_hangs_is_relieved_by_a_spare_at_once),
	    e2e_test(a_spare_gets_the_connections_of_what_is_unhealthy),
	    e2e_test(a_spare_that_fails_to_relieve_it_costs_no_wait),
	    e2e_test(an_older_spare_does_not_relieve_a_newer_program),
	    e2e_test(a_spare_stands_in_until_the_successor_is_ready),
	    e2e_test(what_stands_in_stays_if_the_successor_fails),
	    e2e_test(a_newer_spare_does_not_stand_in_for_an_older_program),
	    e2e_test(a_spare_that_fails_to_stand_in_spoils_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
