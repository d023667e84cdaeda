/* SPDX-License-Identifier: MIT */
/*
 * Live connections over restarts, and the supervisor's part when somebody dies in between:
 * who is told, who goes on, and what the verdict says.
 */
#include "tests/harness/baton.h"
#include "tests/harness/load.h"

#include "tests/e2e/supervisor_stage.h"

#define IDLE 12

struct scene {
	struct baton baton;
	const char *dir;
	uint16_t port;
};

/* hello, whose next start may be a bad successor. */
static struct scene
scene_new(const char *lines)
{
	struct scene s = {.dir = tempdir_new(), .port = port_free(1)};

	tempdir_write(s.dir, "mode", "good\n");
	s.baton = baton_serve(s.port, 1,
	    talloc_asprintf(harness_mem(), "%s %s/mode %s", harness_built("tests/fixtures/taker"),
		s.dir, harness_built("hello")),
	    lines);
	return s;
}

static void
next_start(struct scene *s, const char *mode)
{
	tempdir_write(s->dir, "mode", "%s\n", mode);
}

static int
pid_by(struct client *c)
{
	int pid;

	if (sscanf(client_get(c, "/pid")->body, "pid %d", &pid) != 1)
		harness_fail("not hello");
	return pid;
}

static void
open_idle(struct scene *s, struct client **idle)
{
	for (int i = 0; i < IDLE; i++) {
		idle[i] = client_open(s->port);
		pid_by(idle[i]);
	}
}

static void
assert_served_by(struct client **clients, int pid)
{
	for (int i = 0; i < IDLE; i++)
		assert_int_equal(pid_by(clients[i]), pid);
}

/* Without white space. */
static const char *
status(struct scene *s)
{
	struct proc *p = proc_run("baton", "status", "--json", "--control", s->baton.control);
	char *text, *to;

	proc_finish(p, 0);
	text = to = talloc_strdup(harness_mem(), proc_text(p, PROC_OUT));
	for (const char *from = text; *from != '\0'; from++)
		if (*from != ' ' && *from != '\n')
			*to++ = *from;
	*to = '\0';
	return text;
}

static void
connections_are_kept_over_restarts_and_counted(void **state)
{
	struct scene s = scene_new("");
	struct load *l = load_start(&(struct load_spec){
	    .port = s.port, .keepalive = 20, .oneshot = 2, .gap_ms = 2, .post_bytes = 3000});
	struct client *idle[IDLE];
	struct load_result r;
	int moved;

	(void)state;
	open_idle(&s, idle);
	load_wait_ok(l, 100);
	for (int i = 0; i < 5; i++) {
		struct proc *p = proc_finish(baton_command(&s.baton, "restart", NULL), 0);
		const char *sum = strstr(proc_text(p, PROC_OUT), "restarted 1 instance in ");

		assert_non_null(sum);
		sum = strstr(sum, ": ");
		assert_non_null(sum);
		assert_int_equal(sscanf(sum, ": %d connections moved", &moved), 1);
		assert_true(moved >= IDLE + 20);
		assert_non_null(strstr(sum, ", 0 connections ended, 0 cut"));
		load_wait_ok(l, 100);
		assert_served_by(idle, baton_who(s.port).pid);
	}
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(r.reopened, 0);
	assert_true(stage_matches(status(&s),
	    talloc_asprintf(harness_mem(),
		"\"last_restart\":\\{\"ok\":true,\"what\":\"restart\",\"restarted\":1,.*\"instances\":\\[\\{\"name\":\"s\\.0\","
		"\"from\":5,\"to\":6,.*\\}\\],\"connections\":\\{\"moved\":%d,\"finished\":",
		moved)));
	baton_stop(&s.baton);
}

/* It dies with offers in its hands that it has not confirmed: nothing at all is lost. */
static void
a_successor_that_dies_taking_costs_nothing(void **state)
{
	static const char *const modes[] = {"offers 1", "offers 5", "offers 0", "garbage"};
	struct scene s = scene_new("");
	struct client *idle[IDLE];
	int pid = baton_who(s.port).pid;

	(void)state;
	open_idle(&s, idle);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct proc *p;

		next_start(&s, modes[i]);
		p = proc_finish(baton_command(&s.baton, "restart", NULL), 1);
		assert_true(stage_matches(proc_text(p, PROC_ERR),
		    "said that it was ready, and was ended by signal 9 .*; generation 1 \\(pid "
		    "[0-9]+\\) is called back"));
		proc_expect(
		    s.baton.proc, PROC_OUT, "^s\\.0  generation 1  pid [0-9]+  serves again$");
		assert_served_by(idle, pid);
		assert_int_equal(baton_who(s.port).pid, pid);
	}
	/* And the next good one gets them all. */
	next_start(&s, "good");
	baton_restart(&s.baton);
	assert_int_not_equal(baton_who(s.port).pid, pid);
	assert_served_by(idle, baton_who(s.port).pid);
	baton_stop(&s.baton);
}

/* A slow request keeps the old one draining when its successor is killed. */
static void
the_old_one_serves_again_when_its_successor_is_killed(void **state)
{
	struct scene s = scene_new("");
	struct client *slow[IDLE];
	int pid = baton_who(s.port).pid, successor;
	struct proc *p;

	(void)state;
	for (int i = 0; i < IDLE; i++) {
		slow[i] = client_open(s.port);
		client_send(slow[i], "GET /sleep/?duration=1500ms HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	p = baton_command(&s.baton, "restart", NULL);
	proc_expect(s.baton.proc, PROC_ERR, "draining: ");
	successor = baton_who(s.port).pid;
	assert_int_not_equal(successor, pid);
	assert_int_equal(kill(successor, SIGKILL), 0);
	proc_finish(p, 1);
	assert_int_equal(baton_who(s.port).pid, pid);
	for (int i = 0; i < IDLE; i++)
		assert_int_equal(client_read(slow[i], "GET")->status, 200);
	assert_served_by(slow, pid);
	baton_restart(&s.baton);
	assert_served_by(slow, baton_who(s.port).pid);
	baton_stop(&s.baton);
}

static void
the_successor_goes_on_when_the_old_one_is_killed(void **state)
{
	struct scene s = scene_new("");
	struct client *idle[IDLE], *slow = client_open(s.port);
	int pid = baton_who(s.port).pid, successor;
	struct proc *p;

	(void)state;
	open_idle(&s, idle);
	client_send(slow, "GET /sleep/?duration=20s HTTP/1.1\r\nHost: x\r\n\r\n");
	p = baton_command(&s.baton, "restart", NULL);
	proc_expect(s.baton.proc, PROC_ERR, "draining: ");
	successor = baton_who(s.port).pid;
	wait_until("the idle ones have moved", pid_by(idle[IDLE - 1]) == successor);
	assert_served_by(idle, successor);
	assert_int_equal(kill(pid, SIGKILL), 0);
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "was ended by signal 9 \\(SIGKILL\\)"));
	assert_served_by(idle, successor);
	assert_int_not_equal(client_wait_end(slow), CLIENT_DATA);
	baton_stop(&s.baton);
}

/* Its successor has the offers, and never says so: its own deadline ends the drain. */
static void
a_successor_that_never_answers_gets_nothing(void **state)
{
	struct scene s = scene_new("drain_timeout_ms = 1500\nstart_timeout_ms = 5000\n");
	struct client *idle[IDLE];
	struct proc *p;

	(void)state;
	open_idle(&s, idle);
	next_start(&s, "deaf");
	p = baton_command(&s.baton, "restart", NULL);
	/* hello's own drain deadline is longer: baton's comes first. */
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "generation 1 did not end within"));
	proc_signal(s.baton.proc, SIGTERM);
	proc_finish(s.baton.proc, 0);
}

/* It knows nothing of handing over: it neither comes back nor stands in the way. */
static void
a_foreign_program_is_not_waited_for(void **state)
{
	struct stage *s = stage_new("drain_timeout_ms = 20000\n");
	struct who old;
	struct proc *p;

	(void)state;
	stage_mode(s, "ignore-term");
	stage_start(s);
	old = stage_ask(s->port);
	stage_mode(s, "ready-then-die");
	p = stage_cli(s, "restart");
	proc_finish(p, 1);
	stage_mode(s, "good");
	stage_wait_status(s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
	/* Beside the old one, which drains as it was told: both have the same socket. */
	assert_true(stage_matches(stage_status(s), "^ +1 +[0-9]+ +called back "));
	kill(old.pid, SIGKILL);
	stage_wait_gone(old.pid);
	assert_true(stage_ask(s->port).generation > 2);
	proc_signal(s->baton, SIGINT);
	proc_expect(s->baton, PROC_OUT, "^SIGINT: ending in good order");
	proc_signal(s->baton, SIGINT);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(connections_are_kept_over_restarts_and_counted),
	    e2e_test(a_successor_that_dies_taking_costs_nothing),
	    e2e_test(the_old_one_serves_again_when_its_successor_is_killed),
	    e2e_test(the_successor_goes_on_when_the_old_one_is_killed),
	    e2e_test(a_successor_that_never_answers_gets_nothing),
	    e2e_test(a_foreign_program_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
