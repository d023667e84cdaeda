/* SPDX-License-Identifier: MIT */
/*
 * The life of spares themselves: when they are replaced, what orders and their own crashes make
 * of them, and programs that do not know them.
 */
#include "tests/e2e/instance/spares.h"

/* A restart of one instance: its spares may run an older program, until they are replaced. */
static void
spares_follow_a_program_that_is_newer(void **state)
{
	struct scene s = scene_new(2, "good", "spares = 2");
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	proc_finish(baton_command(&s.baton, "restart", "s.1"), 0);
	stage_wait_gone(spare);
	scene_wait(&s, "^s +s\\.spare\\.1 +2 +[0-9]+ +warm ");
	kill_instance((uint16_t)(s.port + 1));
	assert_int_equal(baton_who((uint16_t)(s.port + 1)).instance, 1);
	/* One that does not come is not tried for ever, and the one before waits on. */
	scene_wait(&s, WARM);
	next_spare(&s, "exit 5");
	proc_finish(baton_command(&s.baton, "restart", "s.0"), 0);
	proc_expect(s.baton.proc, PROC_ERR, "s\\.spare\\.0: .* status 5 .*the one before it waits");
	scene_wait(&s, WARM);
	proc_signal(s.baton.proc, SIGTERM);
	proc_finish(s.baton.proc, 0);
}

static void
a_spare_that_crashes_is_started_again_with_a_wait(void **state)
{
	struct scene s =
	    scene_new(1, "good", "spares = 1\nbackoff_first_ms = 1\ncrashes_max = 4\n");
	int pid = baton_who(s.port).pid;

	(void)state;
	scene_wait(&s, WARM);
	kill_hard(pid_of(&s, "s.spare.0"));
	scene_wait(&s, "^s +s\\.spare\\.0 +2 +[0-9]+ +warm ");
	next_spare(&s, "exit 5");
	kill_hard(pid_of(&s, "s.spare.0"));
	proc_expect(s.baton.proc, PROC_ERR,
	    "s\\.spare\\.0: .* status 5 .*has failed; `baton reset s` starts it again$");
	/* The instance is none the worse for it, and is started in the ordinary way. */
	assert_int_equal(baton_who(s.port).pid, pid);
	kill_instance(s.port);
	assert_int_equal(baton_who(s.port).generation, 2);
	next_spare(&s, "good");
	proc_finish(baton_command(&s.baton, "reset", "s"), 0);
	scene_wait(&s, WARM);
	baton_stop(&s.baton);
}

static void
orders_reach_spares_too(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 1");
	const char *conf = tempdir_read(s.baton.config);
	int spare;

	(void)state;
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	/* What is added later has it as well. */
	proc_finish(baton_command(&s.baton, "scale", "s=2"), 0);
	kill_instance((uint16_t)(s.port + 1));
	assert_int_equal(baton_who((uint16_t)(s.port + 1)).pid, spare);
	scene_wait(&s, WARM);
	spare = pid_of(&s, "s.spare.0");
	proc_finish(baton_command(&s.baton, "stop", "s"), 0);
	stage_wait_gone(spare);
	assert_int_equal(client_try(s.port), ECONNREFUSED);
	proc_finish(baton_command(&s.baton, "start", "s"), 0);
	scene_wait(&s, WARM);
	/* Another number counts at once, and concerns no instance. */
	spare = baton_who(s.port).pid;
	tempdir_write(s.baton.dir, "baton.conf", "%s",
	    talloc_asprintf(
		harness_mem(), "%.*s\nspares = 2\n", (int)(strstr(conf, "\nspares") - conf), conf));
	proc_finish(baton_command(&s.baton, "reload", NULL), 0);
	scene_wait(&s, "^s +s\\.spare\\.1 +[0-9]+ +[0-9]+ +warm ");
	assert_non_null(strstr(scene_status(&s), "s.1 "));
	tempdir_write(
	    s.baton.dir, "baton.conf", "%.*s\n", (int)(strstr(conf, "\nspares") - conf), conf);
	proc_finish(baton_command(&s.baton, "reload", NULL), 0);
	wait_until("there is none", strstr(scene_status(&s), "spare") == NULL);
	assert_int_equal(baton_who(s.port).pid, spare);
	baton_stop(&s.baton);
}

/* Nobody could ever tell them what they become. */
static void
spares_do_not_outlive_baton(void **state)
{
	struct scene s = scene_new(1, "good", "spares = 2");
	int instance = baton_who(s.port).pid;

	(void)state;
	scene_wait(&s, "^s +s\\.spare\\.1 +[0-9]+ +[0-9]+ +warm ");
	scene_wait(&s, WARM);
	proc_signal(s.baton.proc, SIGKILL);
	proc_wait(s.baton.proc);
	wait_until("the instance alone is left", harness_count_children() == 1);
	assert_int_equal(baton_who(s.port).pid, instance);
}

/* One line says so; the instances never notice, and are started in the ordinary way. */
static void
a_program_that_does_not_know_spares_does_without(void **state)
{
	struct stage *s = stage_new("spares = 1\n");
	struct who was;

	(void)state;
	stage_start(s);
	proc_expect(s->baton, PROC_ERR,
	    "^baton: w\\.spare\\.0: it said READY=1 without X_BATON_SPARE=1: .*/worker does not "
	    "seem to know spares ");
	stage_wait_status(s, "^w +w\\.spare\\.0 +1 +- +down ");
	for (int i = 0; i < 2; i++) {
		was = stage_ask(s->port);
		kill_hard(was.pid);
		assert_int_equal(stage_ask(s->port).instance, 0);
		assert_int_equal(stage_ask(s->port).generation, was.generation + 1);
	}
	/* A new program may know them: each restart asks it anew. */
	proc_finish(stage_cli(s, "restart"), 0);
	proc_expect(s->baton, PROC_ERR, "does not seem to know spares ");
	stage_stop(s);
}

/* It ends because it finds no sockets, or whatever else it lacks. */
static void
a_program_whose_spares_never_get_warm_does_without(void **state)
{
	struct scene s = scene_new(1, "exit 5", "spares = 1\nbackoff_first_ms = 1\n");

	(void)state;
	proc_expect(s.baton.proc, PROC_ERR,
	    "^baton: s\\.spare\\.0: again it has ended before it was ready: .* does not seem to ");
	scene_wait(&s, "^s +s\\.spare\\.0 +3 +- +down ");
	kill_instance(s.port);
	assert_int_equal(baton_who(s.port).generation, 2);
	next_spare(&s, "good");
	proc_finish(baton_command(&s.baton, "restart", NULL), 0);
	scene_wait(&s, WARM);
	baton_stop(&s.baton);
}

static void
stopping_does_not_wait_for_a_spare_that_hangs(void **state)
{
	struct scene s = scene_new(1, "hang", "spares = 1\n");

	(void)state;
	proc_expect(s.baton.proc, PROC_OUT, "spare hangs");
	proc_signal(s.baton.proc, SIGTERM);
	proc_finish(s.baton.proc, 0);
	assert_int_equal(harness_count_children(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(spares_follow_a_program_that_is_newer),
	    e2e_test(a_spare_that_crashes_is_started_again_with_a_wait),
	    e2e_test(orders_reach_spares_too),
	    e2e_test(spares_do_not_outlive_baton),
	    e2e_test(a_program_that_does_not_know_spares_does_without),
	    e2e_test(a_program_whose_spares_never_get_warm_does_without),
	    e2e_test(stopping_does_not_wait_for_a_spare_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
