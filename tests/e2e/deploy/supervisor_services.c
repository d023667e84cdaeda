/* SPDX-License-Identifier: MIT */
/* Orders about single services, and instances that are given up: the others never notice. */
#include "tests/harness/baton.h"

#include "tests/e2e/supervisor_stage.h"

#include <errno.h>
#include <signal.h>

/* Crashes of instance 0 only: the other one runs already when the mode changes. */
static void
crash_until_failed(struct stage *s)
{
	stage_mode(s, "exit 3");
	kill(stage_ask(s->port).pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.0: generation [0-9]+ exited with status 3 .* it has failed; `baton reset "
	    "w\\.0` starts it again$");
}

static void
one_that_crashes_too_often_has_failed_and_refuses(void **state)
{
	struct stage *s = stage_new("crashes_max = 4\nbackoff_first_ms = 1\nbackoff_max_ms = 4\n");
	struct who other;
	struct proc *p;

	(void)state;
	stage_start(s);
	other = stage_ask((uint16_t)(s->port + 1));
	crash_until_failed(s);
	stage_wait_status(s, "^w +w\\.0 +4 +- +failed ");
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	/* Still no better: the command says so, and it is tried as often again. */
	p = stage_cli(s, "reset", "w.0");
	proc_finish(p, 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "^baton: reset failed: w\\.0: exited with status 3$"));
	stage_wait_status(s, "^w +w\\.0 +8 +- +failed ");
	stage_mode(s, "good");
	p = stage_cli(s, "reset");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^reset 1 instance$"));
	assert_int_equal(stage_ask(s->port).generation, 9);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).pid, other.pid);
	stage_stop(s);
}

static void
a_restart_starts_what_has_failed(void **state)
{
	struct stage *s = stage_new("crashes_max = 2\nbackoff_first_ms = 1\n");

	(void)state;
	stage_start(s);
	crash_until_failed(s);
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).instance, 0);
	stage_stop(s);
}

static void
one_that_is_down_for_long_refuses_until_it_is_back(void **state)
{
	struct stage *s =
	    stage_new("refuse_after_ms = 50\nbackoff_first_ms = 600000\nbackoff_max_ms = 600000\n");
	struct proc *p;

	(void)state;
	stage_start(s);
	stage_mode(s, "exit 1");
	kill(stage_ask(s->port).pid, SIGKILL);
	wait_until("it refuses", client_try(s->port) == ECONNREFUSED);
	stage_mode(s, "good");
	p = stage_cli(s, "reset");
	proc_finish(p, 0);
	assert_int_equal(stage_ask(s->port).instance, 0);
	stage_stop(s);
}

/* A process that is starting must find what it inherits listening, also after the time. */
static void
one_that_starts_slowly_lets_them_wait(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1,
	    talloc_asprintf(
		harness_mem(), "/bin/sh -c 'sleep 0.3; exec %s'", harness_built("hello")),
	    "refuse_after_ms = 1");
	const struct baton_who was = baton_who(port);

	(void)state;
	assert_int_equal(kill(was.pid, SIGKILL), 0);
	stage_wait_gone(was.pid);
	assert_int_equal(baton_who(port).generation, 2);
	baton_stop(&b);
}

/* The other service goes on; what is stopped refuses, and a restart leaves it alone. */
static void
a_service_is_stopped_and_started(void **state)
{
	struct stage *s = stage_new("");
	uint16_t port = port_free(1);
	const char *more = tempdir_read(s->conf);
	struct who other;
	struct proc *p;

	(void)state;
	tempdir_write(s->dir, "conf", "%s[service v]\ncommand = %s\nlisten = 127.0.0.1:%d\n", more,
	    harness_built("tests/fixtures/worker"), port);
	stage_start(s);
	other = stage_ask(port);
	p = stage_cli(s, "stop", "w");
	proc_finish(p, 0);
	assert_true(
	    stage_matches(proc_text(p, PROC_OUT), "^w\\.1: generation 1 exited with status 0"));
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^stopped 2 instances$"));
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +1 +- +down "));
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(client_try(s->port), ECONNREFUSED);
	assert_int_equal(stage_ask(port).generation, 2);
	assert_int_not_equal(stage_ask(port).pid, other.pid);
	p = stage_cli(s, "start", "w");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^started 2 instances$"));
	assert_int_equal(stage_ask(s->port).generation, 2);
	/* One instance alone, twice: the second time there is nothing to do. */
	for (int i = 0; i < 2; i++)
		proc_finish(stage_cli(s, "stop", "w.1"), 0);
	assert_int_equal(client_try((uint16_t)(s->port + 1)), ECONNREFUSED);
	assert_int_equal(stage_ask(s->port).generation, 2);
	for (int i = 0; i < 2; i++)
		proc_finish(stage_cli(s, "start", "w.1"), 0);
	assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 3);
	proc_finish(stage_cli(s, "start", "nothing"), 1);
	proc_finish(stage_cli(s, "start"), 2);
	stage_stop(s);
}

static void
a_stop_wins_over_a_restart(void **state)
{
	struct stage *s = stage_new("start_timeout_ms = 600000\n");
	struct proc *p;

	(void)state;
	stage_start(s);
	stage_mode(s, "hang");
	p = stage_cli(s, "restart");
	proc_expect(p, PROC_OUT, "^w\\.0: generation 2 started");
	proc_expect(s->baton, PROC_OUT, "worker hangs");
	proc_finish(stage_cli(s, "stop", "w"), 0);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "restart failed: w\\.0: "));
	stage_stop(s);
}

static void
the_number_of_instances_changes(void **state)
{
	struct stage *s = stage_new("");
	uint16_t port;
	struct proc *p;

	(void)state;
	port = port_free(4);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\n",
	    s->control, harness_built("tests/fixtures/worker"), s->mode, port);
	stage_start(s);
	p = stage_cli(s, "scale", "w=4");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^w has 4 instances now$"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage_ask((uint16_t)(port + i)).instance, i);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask((uint16_t)(port + 3)).generation, 2);
	p = stage_cli(s, "scale", "w=1");
	proc_finish(p, 0);
	for (int i = 1; i < 4; i++)
		assert_int_equal(client_try((uint16_t)(port + i)), ECONNREFUSED);
	assert_false(stage_matches(stage_status(s), "w\\.1"));
	assert_int_equal(stage_ask(port).generation, 2);
	/* What cannot be done changes nothing. */
	proc_finish(stage_cli(s, "scale", "w=0"), 1);
	proc_finish(stage_cli(s, "scale", "nothing=2"), 1);
	proc_finish(stage_cli(s, "scale", "w"), 2);
	proc_finish(stage_cli(s, "scale", "w=2x"), 2);
	proc_finish(stage_cli(s, "scale", "w=257"), 1);
	assert_false(stage_matches(stage_status(s), "w\\.1"));
	stage_stop(s);
}

static void
a_port_that_is_taken_stops_the_scaling(void **state)
{
	struct stage *s = stage_new("");
	uint16_t port = port_free(3);
	struct proc *p, *other;

	(void)state;
	other = proc_run("baton", "run", "--control", tempdir_path(s->dir, "other"), "--listen",
	    talloc_asprintf(harness_mem(), "127.0.0.1:%d", port + 2), "--",
	    harness_built("tests/fixtures/worker"));
	proc_expect(other, PROC_OUT, "^Ctrl-C ");
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\nlisten = 127.0.0.1:%d\n",
	    s->control, harness_built("tests/fixtures/worker"), s->mode, port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	p = stage_cli(s, "scale", "w=3");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: scale failed: w\\.2 of service w: cannot listen on .*Address already in use"));
	assert_false(stage_matches(stage_status(s), "w\\.1"));
	assert_int_equal(client_try((uint16_t)(port + 1)), ECONNREFUSED);
	proc_signal(other, SIGTERM);
	proc_finish(other, 0);
	stage_stop(s);
}

/* As long as one of them is there, nobody is refused, and nobody waits for the dead. */
static void
shared_sockets_are_served_by_whoever_is_there(void **state)
{
	struct stage *s = stage_new("ports = shared\nbackoff_first_ms = 600000\n"
				    "backoff_max_ms = 600000\nrefuse_after_ms = 0\nbacklog = 64\n");
	struct who one, other;
	struct proc *p;

	(void)state;
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(client_try((uint16_t)(s->port + 1)), ECONNREFUSED);
	one = stage_ask(s->port);
	stage_mode(s, "exit 1");
	kill(one.pid, SIGKILL);
	proc_expect(s->baton, PROC_ERR, "starting it again in 10 min");
	for (int i = 0; i < 20; i++) {
		other = stage_ask(s->port);
		assert_int_not_equal(other.instance, one.instance);
	}
	kill(other.pid, SIGKILL);
	/* It is tried once, at once: only then may the mode change. */
	proc_expect(s->baton, PROC_ERR,
	    talloc_asprintf(harness_mem(), "w\\.%d.*starting it again in 10 min", other.instance));
	wait_until("all are down", client_try(s->port) == ECONNREFUSED);
	stage_mode(s, "good");
	proc_finish(stage_cli(s, "reset"), 0);
	assert_int_equal(stage_ask(s->port).generation, 3);
	proc_finish(stage_cli(s, "restart"), 0);
	p = stage_cli(s, "scale", "w=3");
	proc_finish(p, 0);
	proc_finish(stage_cli(s, "scale", "w=1"), 0);
	assert_int_equal(stage_ask(s->port).instance, 0);
	stage_stop(s);
}

static const struct {
	const char *lifetime, *mode;
	bool again;
} lifetimes[] = {
    {"transient", "leave", false},
    {"temporary", "leave", false},
    {"transient", "ready-then-die", true},
    {"temporary", "ready-then-die", false},
    {"permanent", "leave", true},
};

static void
work_that_is_done_is_not_begun_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lifetimes) / sizeof(lifetimes[0]); i++) {
		struct stage *s = stage_new(
		    talloc_asprintf(harness_mem(), "lifetime = %s\n", lifetimes[i].lifetime));

		stage_mode(s, lifetimes[i].mode);
		stage_run(s);
		proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
		if (strcmp(lifetimes[i].mode, "leave") == 0)
			stage_ask(s->port);
		proc_expect(s->baton, PROC_ERR,
		    lifetimes[i].again ? "^baton: w\\.0: .*starting it again"
				       : "^baton: w\\.0: .*its work is done$");
		if (!lifetimes[i].again) {
			stage_wait_status(s, "^w +w\\.0 +1 +- +down ");
			stage_mode(s, "good");
			proc_finish(stage_cli(s, "start", "w.0"), 0);
			assert_int_equal(stage_ask(s->port).generation, 2);
		}
		stage_stop(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_that_crashes_too_often_has_failed_and_refuses),
	    e2e_test(a_restart_starts_what_has_failed),
	    e2e_test(one_that_is_down_for_long_refuses_until_it_is_back),
	    e2e_test(one_that_starts_slowly_lets_them_wait),
	    e2e_test(a_service_is_stopped_and_started),
	    e2e_test(a_stop_wins_over_a_restart),
	    e2e_test(the_number_of_instances_changes),
	    e2e_test(shared_sockets_are_served_by_whoever_is_there),
	    e2e_test(work_that_is_done_is_not_begun_again),
	    e2e_test(a_port_that_is_taken_stops_the_scaling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
