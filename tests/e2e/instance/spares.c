/* SPDX-License-Identifier: MIT */
/*
 * Spares: warm processes that take the place of an instance that crashes. What happens to the
 * clients, and what a spare gets of the one in whose place it is.
 */
#include "tests/e2e/instance/spares.h"

static void
a_spare_is_the_instance_at_once(void **state)
{
	struct scene s = scene_new(2, "good",
	    "spares = 1\nbackoff_first_ms = 600000\n"
	    "backoff_max_ms = 600000\n");
	struct load *l = load_start(
	    &(struct load_spec){.port = s.port, .oneshot = 4, .keepalive = 4, .gap_ms = 1});
	struct load *other = load_start(&(struct load_spec){.port = (uint16_t)(s.port + 1),
	    .oneshot = 2,
	    .keepalive = 4,
	    .gap_ms = 1,
	    .post_bytes = 500});
	struct load_result r;

	(void)state;
	/* Without spares the second crash in a row would wait for ten minutes. */
	for (int i = 0; i < 4; i++) {
		struct baton_who victim, heir;
		int spare;

		load_wait_ok(l, 50);
		scene_wait(&s, WARM);
		spare = pid_of(&s, "s.spare.0");
		victim = kill_instance(s.port);
		heir = baton_who(s.port);
		assert_int_equal(heir.pid, spare);
		assert_int_equal(heir.instance, 0);
		assert_int_equal(heir.generation, victim.generation + 1);
		proc_expect(s.baton.proc, PROC_ERR, "a spare \\(pid [0-9]+\\) takes its place$");
	}
	r = load_stop(l);
	assert_int_equal(r.refused + r.other + r.wrong, 0);
	assert_true(r.failed <= 4 * 8); /* what was in flight died with its process */
	r = load_stop(other);
	load_assert_clean(&r);
	assert_int_equal(r.reopened, 0);
	baton_stop(&s.baton);
}

/* It gives its connections to a successor like any other, and is replaced itself. */
static void
what_was_a_spare_is_restarted_like_any_instance(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 1");
	struct client *c;
	struct proc *p;
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	kill_instance(s.port);
	c = client_open(s.port);
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 2\n"));
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	p = proc_finish(baton_command(&s.baton, "restart", NULL), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "^restarted 2 instances in .*1 connec"));
	assert_non_null(strstr(client_get(c, "/pid")->body, "instance 0 generation 3\n"));
	stage_wait_gone(spare);
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	kill_instance(s.port);
	assert_int_equal(baton_who(s.port).pid, spare);
	baton_stop(&s.baton);
}

/* It dies, or does not answer: the instance is started as if there had been no spare. */
static void
a_spare_that_fails_to_become_it_costs_no_wait(void **state)
{
	static const struct {
		const char *mode, *says;
	} table[] = {
	    {"dies", "s\\.0: generation 2 was ended by signal 9 .* before it was ready; "},
	    {"deaf", "s\\.0: generation 2 was a spare, did not say within .*killed; "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct scene s = scene_new(1, table[i].mode,
		    "spares = 1\n"
		    "backoff_first_ms = 600000\n"
		    "backoff_max_ms = 600000\n");
		struct baton_who heir;

		scene_wait(&s, WARM);
		next_spare(&s, "good");
		kill_instance(s.port);
		heir = baton_who(s.port);
		proc_expect(s.baton.proc, PROC_ERR, table[i].says);
		assert_int_equal(heir.instance, 0);
		assert_true(heir.generation >= 3);
		baton_stop(&s.baton);
	}
}

/* The second one is started in the ordinary way, at once. */
static void
two_that_crash_at_once_share_one_spare(void **state)
{
	struct scene s = scene_new(2, "good", "spares = 1");
	struct baton_who was[2];
	int spare, heirs = 0;

	(void)state;
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	for (int i = 0; i < 2; i++)
		was[i] = baton_who((uint16_t)(s.port + i));
	for (int i = 0; i < 2; i++)
		assert_int_equal(kill(was[i].pid, SIGKILL), 0);
	for (int i = 0; i < 2; i++)
		stage_wait_gone(was[i].pid);
	for (int i = 0; i < 2; i++) {
		const struct baton_who heir = baton_who((uint16_t)(s.port + i));

		assert_int_equal(heir.instance, i);
		assert_int_equal(heir.generation, 2);
		heirs += heir.pid == spare;
	}
	assert_int_equal(heirs, 1);
	scene_wait(&s, WARM);
	baton_stop(&s.baton);
}

/* Several sockets, of every kind, with their names. */
static void
it_gets_all_sockets_of_the_instance(void **state)
{
	const char *dir = tempdir_new(), *path = tempdir_path(dir, "admin");
	uint16_t port = port_free(1);
	struct scene s = {.dir = dir, .port = port};
	struct client *c;
	struct proc *p;
	int spare;

	(void)state;
	s.baton = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service s]\ncommand = %s\nports = shared\nspares = 1\nlisten.web = %s\n"
		"listen.admin = unix:%s\n",
		harness_built("hello"), port_address(port), path),
	});
	s.stage.conf = s.baton.config;
	baton_wait_ready(&s.baton, 1);
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	kill_instance(port);
	assert_int_equal(baton_who(port).pid, spare);
	c = client_open_unix(path);
	assert_non_null(strstr(client_get(c, "/pid")->body,
	    talloc_asprintf(harness_mem(), "pid %d instance 0", spare)));
	proc_expect(s.baton.proc, PROC_ERR, "instance 0, generation 2, from now on");
	proc_expect(s.baton.proc, PROC_ERR, "listening: web on port ");
	proc_expect(s.baton.proc, PROC_ERR, "listening: admin on a Unix socket");
	/* And gives its connections on, by name. */
	p = proc_finish(baton_command(&s.baton, "restart", NULL), 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT), "1 connection moved"));
	assert_non_null(strstr(client_get(c, "/pid")->body, "generation 3\n"));
	client_close(c);
	baton_stop(&s.baton);
}

/* What a dead process had offered, and its dead successor had not read, is the spare's. */
static void
it_gets_what_the_dead_have_left(void **state)
{
	struct scene s = {.dir = tempdir_new(), .port = port_free(1)};
	struct client *idle[8], *slow;
	struct baton_who old;
	struct proc *p;

	(void)state;
	next_spare(&s, "good");
	s.baton = baton_serve(s.port, 1,
	    talloc_asprintf(harness_mem(), "%s %s/mode %s", harness_built("tests/fixtures/taker"),
		s.dir, harness_built("hello")),
	    "spares = 1\n");
	s.stage.conf = s.baton.config;
	scene_wait(&s, WARM);
	old = baton_who(s.port);
	for (int i = 0; i < 8; i++) {
		idle[i] = client_open(s.port);
		client_get(idle[i], "/pid");
	}
	/* One that is in the middle of a request, and the server has said that it knows. */
	slow = client_open(s.port);
	client_send(slow, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
			  "Expect: 100-continue\r\n\r\n");
	assert_int_equal(client_read_any(slow, "POST")->status, 100);
	next_spare(&s, "deaf");
	p = baton_command(&s.baton, "restart", NULL);
	proc_expect(s.baton.proc, PROC_ERR, "draining: 9 connections, to the successor");
	/* The same thread has offered the idle ones before. */
	client_send(slow, "body");
	assert_int_equal(client_read(slow, "POST")->status, 200);
	next_spare(&s, "good");
	kill_hard(old.pid);
	proc_finish(p, 0);
	kill_hard(pid_of(&s, "s.0"));
	for (int i = 0; i < 8; i++)
		assert_non_null(strstr(client_get(idle[i], "/pid")->body, "generation 3\n"));
	assert_int_equal(baton_who(s.port).generation, 3);
	baton_stop(&s.baton);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_spare_is_the_instance_at_once),
	    e2e_test(what_was_a_spare_is_restarted_like_any_instance),
	    e2e_test(a_spare_that_fails_to_become_it_costs_no_wait),
	    e2e_test(two_that_crash_at_once_share_one_spare),
	    e2e_test(it_gets_all_sockets_of_the_instance),
	    e2e_test(it_gets_what_the_dead_have_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
