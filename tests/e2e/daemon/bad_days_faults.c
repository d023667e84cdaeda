/* SPDX-License-Identifier: MIT */
/*
 * Bad days of the machine: calls of the supervisor fail, each one of those that a restart or a
 * start after a crash makes, in turn. It tells the reason, tries again, and never ends. The
 * calls fail by way of tests/fixtures/faults.so, which is preloaded into it.
 *
 * BAD_DAYS_STRIDE (17): of the calls that take memory every so many-th is made to fail.
 */
#include "tests/e2e/daemon/bad_days_preload.h"
#include "tests/e2e/upgrade/versions.h"

#include <errno.h>
#include <sys/stat.h>

static const struct {
	const char *name;
	enum fault fault;
	int error;
	bool harmless; /* it goes on by other means, and has nothing to tell */
	const char *why;
} days[] = {
    {"fork fails", FAULT_FORK, EAGAIN, false, "cannot start .*Resource temporarily unavailable"},
    {"exec fails", FAULT_EXEC, ENOMEM, false, "cannot execute .*Cannot allocate memory"},
    {"killed before exec", FAULT_EXEC, FAULT_KILL, false, "SIGKILL.* before it was ready"},
    {"pidfd_open fails", FAULT_PIDFD, EMFILE, false, "cannot start .*Too many open files"},
    {"pipe fails", FAULT_PIPE, EMFILE, false, "cannot start .*Too many open files"},
    {"epoll fails", FAULT_EPOLL, ENOMEM, true, "generation 2"},
};

/* A restart, and a start after a crash, each time with one more call that succeeds first. */
static void
each_call(struct day *d, size_t n)
{
	bool hit = true;

	for (int after = 0; hit; after++) {
		preload_arm(days[n].fault, after, 1, days[n].error);
		proc_wait(stage_cli(d->s, "restart", "w.0"));
		hit = atomic_load(&preload->of[days[n].fault].count) <= 0;
		preload_disarm();
		if (hit && !days[n].harmless)
			assert_true(day_told(d, days[n].why));
	}
	for (int after = 0; after < 2; after++) {
		stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
		preload_arm(days[n].fault, after, 2, days[n].error);
		day_kill(d, stage_ask(d->s->port).pid);
		stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
		preload_disarm();
	}
}

static void
calls_fail(void **state)
{
	const size_t n = *(const size_t *)*state;
	struct stage *s;
	struct day d;

	preload_or_skip();
	harness_setup(NULL);
	s = preload_begin("probation_time_ms = 0\ncrashes_max = 0\nbackoff_first_ms = 1\n"
			  "backoff_max_ms = 5\n");
	d = day_begin(s);
	each_call(&d, n);
	day_end(&d, days[n].why);
}

/* Whatever becomes of the order, its client gets an end. */
static void
memory_fails_in(struct day *d, const char *command, const char *arg, int stride)
{
	bool hit = true;

	for (int after = 0; hit; after += stride) {
		struct proc *p;

		preload_arm(FAULT_MEMORY, after, 1, ENOMEM);
		p = proc_start(&(struct proc_spec){
		    .argv = (const char *const[]){"baton", command, "-c", d->s->conf, arg, NULL}});
		proc_wait(p);
		talloc_free(p);
		hit = preload_was_hit(FAULT_MEMORY);
		preload_still_there(d, command, after);
	}
}

static void
memory_fails_after_a_crash(struct day *d, int stride)
{
	bool hit = true;

	for (int after = 0; hit; after += stride) {
		stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
		preload_arm(FAULT_MEMORY, after, 1, ENOMEM);
		day_kill(d, stage_ask(d->s->port).pid);
		/* Whoever answers now is its successor; to ask baton would take memory. */
		load_wait_ok(d->load, DAY_CLIENTS);
		hit = preload_was_hit(FAULT_MEMORY);
		preload_still_there(d, "a crash", after);
	}
}

static void
memory_fails(void **state)
{
	static const char *const commands[][2] = {{"restart", "w.0"}, {"restart", NULL},
	    {"status", "--json"}, {"events", "--no-follow"}, {"logs", NULL}, {"stop", "w.1"},
	    {"start", "w.1"}, {"reset", NULL}};
	const char *given = getenv("BAD_DAYS_STRIDE");
	const int stride = given == NULL ? 17 : atoi(given);
	struct stage *s;
	struct day d;

	(void)state;
	preload_or_skip();
	harness_setup(NULL);
	s = preload_begin("probation_time_ms = 0\ncrashes_max = 0\nbackoff_first_ms = 1\n"
			  "backoff_max_ms = 5\n");
	d = day_begin_at(s, s->port, 1); /* the other one is stopped, and refuses */
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		memory_fails_in(&d, commands[i][0], commands[i][1], stride);
	memory_fails_after_a_crash(&d, stride);
	proc_finish(stage_cli(s, "start", "w.1"), 0);
	day_end(&d, "there is no memory|Cannot allocate memory");
}

/* A new version whose start fails for that is tried again; nobody goes back to the old one. */
static void
want_is_no_fault_of_the_program(void **state)
{
	struct stage *s;

	(void)state;
	preload_or_skip();
	harness_setup(NULL);
	s = stage_new("probation_time_ms = 0\nbackoff_first_ms = 1\nbackoff_max_ms = 5\n");
	version_install(s, "good");
	preload_begin_with(s, "baton");
	for (size_t n = 0; n < sizeof(days) / sizeof(days[0]); n++) {
		if (days[n].harmless || days[n].error == FAULT_KILL)
			continue;
		wait_until(
		    "the last one is kept", version_count(version_json(s), "since_unix") > 0);
		version_install(s, "good");
		proc_finish(stage_cli(s, "stop", "w.0"), 0);
		preload_arm(days[n].fault, 0, 2, days[n].error);
		proc_finish(stage_cli(s, "start", "w.0"), 1);
		stage_wait_status(s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
		assert_true(preload_was_hit(days[n].fault));
		assert_string_equal(version_of(stage_ask(s->port).pid), "file");
	}
	stage_stop(s);
}

/* Users come from a server, perhaps, and that does not answer. */
static void
a_user_that_is_looked_up_for_ever_keeps_only_its_start_waiting(void **state)
{
	struct stage *s;
	struct proc *p;

	(void)state;
	preload_or_skip();
	harness_setup(NULL);
	s = preload_begin(
	    talloc_asprintf(harness_mem(), "start_timeout_ms = 1500\nuser = %d\n", geteuid()));
	chmod(s->dir, 0755);
	preload_arm(FAULT_USERS, 0, 1, 0);
	p = stage_cli(s, "restart", "w.0");
	wait_until("it is looked up", atomic_load(&preload->of[FAULT_USERS].count) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +ready ");
	proc_finish(p, 1);
	assert_true(stage_matches(
	    proc_text(p, PROC_ERR), "its user and environment are still being looked up"));
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	stage_stop(s);
}

/* A reload looks them up to tell what is wrong before anything changes. */
static void
a_user_that_is_looked_up_for_ever_keeps_only_a_reload_waiting(void **state)
{
	const char *text;
	struct stage *s;
	struct proc *p;

	(void)state;
	preload_or_skip();
	harness_setup(NULL);
	s = preload_begin("");
	text = tempdir_read(s->conf);
	tempdir_write(s->dir, "conf", "%suser = %d\n", text, geteuid());
	preload_arm(FAULT_USERS, 0, 1, 0);
	p = stage_cli(s, "reload");
	wait_until("it is looked up", atomic_load(&preload->of[FAULT_USERS].count) == 0);
	stage_wait_status(s, "^w +w\\.0 +1 +[0-9]+ +ready ");
	proc_finish(stage_cli(s, "reload"), 1);
	proc_finish(stage_cli(s, "upgrade"), 1);
	proc_finish(stage_cli(s, "restart", "w.0"), 0);
	proc_signal(s->baton, SIGTERM);
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "baton was told to stop"));
	proc_finish(s->baton, 0);
}

int
main(void)
{
	enum { N = sizeof(days) / sizeof(days[0]) };
	static size_t numbers[N];
	struct CMUnitTest tests[N + 4];

	for (size_t i = 0; i < N; i++) {
		numbers[i] = i;
		tests[i] = (struct CMUnitTest){.name = day_name(days[i].name),
		    .test_func = calls_fail,
		    .teardown_func = harness_teardown,
		    .initial_state = &numbers[i]};
	}
	tests[N] = (struct CMUnitTest)cmocka_unit_test_teardown(memory_fails, harness_teardown);
	tests[N + 1] = (struct CMUnitTest)cmocka_unit_test_teardown(
	    want_is_no_fault_of_the_program, harness_teardown);
	tests[N + 2] = (struct CMUnitTest)cmocka_unit_test_teardown(
	    a_user_that_is_looked_up_for_ever_keeps_only_its_start_waiting, harness_teardown);
	tests[N + 3] = (struct CMUnitTest)cmocka_unit_test_teardown(
	    a_user_that_is_looked_up_for_ever_keeps_only_a_reload_waiting, harness_teardown);
	return _cmocka_run_group_tests("bad_days_faults", tests, N + 4, NULL, NULL);
}
