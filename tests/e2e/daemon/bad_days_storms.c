/* SPDX-License-Identifier: MIT */
/*
 * Bad days from outside: signals by the thousand, a clock that is set, files that go, orders
 * that collide, and no descriptors left. New clients come meanwhile (bad_days.h).
 */
#include "tests/e2e/daemon/bad_days_preload.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- What happens ------------------------------------------------------------------------- */

static void
signals_come_by_the_thousand(struct day *d)
{
	static const int sigs[] = {SIGUSR1, SIGCHLD, SIGPIPE, SIGUSR1, SIGTTOU, SIGCHLD, SIGXFSZ,
	    SIGUSR1, SIGHUP, SIGWINCH, SIGCONT, SIGURG};
	const pid_t baton = proc_pid(d->s->baton);

	for (unsigned i = 0; i < 10000; i++)
		kill(baton, sigs[(i * 7 + i / 12) % (sizeof(sigs) / sizeof(sigs[0]))]);
	/* The last of them is looked at after all of the others. */
	assert_int_equal(kill(baton, SIGHUP), 0);
	proc_expect(d->s->baton, PROC_OUT, "services: 0 new, 0 gone, 0 changed$");
	assert_int_equal(stage_ask(d->s->port).generation, 1);
}

/* Tomorrow, yesterday, and now again. */
static void
the_clock_is_set(struct day *d)
{
	static const int days_off[] = {1, -1, 0};

	for (size_t i = 0; i < sizeof(days_off) / sizeof(days_off[0]); i++) {
		const char *text;
		long long said;

		atomic_store(&preload->clock_off_s, days_off[i] * 86400);
		proc_finish(stage_cli(d->s, "restart"), 0);
		day_kill(d, stage_ask(d->s->port).pid);
		/* Nobody is late, and nothing waits for a day. */
		stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready[ ,]");
		text = proc_text(
		    proc_finish(stage_cli(d->s, "events", "--no-follow", "-n", "1", "--json"), 0),
		    PROC_OUT);
		assert_int_equal(
		    sscanf(strstr(text, "\"time_unix_ms\":"), "\"time_unix_ms\":%lld", &said), 1);
		/* It has noticed; an hour for this test is enough. */
		assert_in_range(said / 1000 - time(NULL) - days_off[i] * 86400 + 3600, 0, 7200);
	}
	assert_false(stage_matches(proc_text(d->s->baton, PROC_ERR), "was not ready within"));
}

static void
limit_descriptors(struct day *d, rlim_t soft)
{
	struct rlimit limit;
	const pid_t pid = proc_pid(d->s->baton);

	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	limit.rlim_cur = soft == 0 ? limit.rlim_max : soft;
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* Fewer than it has already: nothing can be opened. Then some, but too few for a start. */
static void
descriptors_run_out(struct day *d)
{
	struct proc *p;

	for (rlim_t soft = 3; soft < 60; soft += soft < 12 ? 3 : 1) {
		limit_descriptors(d, soft);
		p = stage_cli(d->s, "restart", "w.0");
		/* With too few, it is not even heard. */
		wait_until("it is tried", proc_ended(p) || day_reads(d, "Too many open files"));
		limit_descriptors(d, 0);
		proc_wait(p);
	}
	limit_descriptors(d, 3);
	day_kill(d, stage_ask((uint16_t)(d->s->port + 1)).pid);
	wait_until("it cannot be started", day_reads(d, "w\\.1: .*Too many open files"));
	limit_descriptors(d, 0);
}

static void
the_configuration_cannot_be_read(struct day *d)
{
	const char *before = tempdir_read(d->s->conf);

	tempdir_write(d->s->dir, "conf", "%snonsense\n", before);
	proc_signal(d->s->baton, SIGHUP);
	wait_until("the mistake is named", day_reads(d, "conf:[0-9]+: "));
	tempdir_write(d->s->dir, "conf", "%s", before);
	proc_finish(stage_cli(d->s, "reload"), 0);
	assert_int_equal(rename(d->s->conf, tempdir_path(d->s->dir, "away")), 0);
	proc_signal(d->s->baton, SIGHUP);
	wait_until("what is missing is named", day_reads(d, "conf.*No such file or directory"));
	assert_int_equal(rename(tempdir_path(d->s->dir, "away"), d->s->conf), 0);
	proc_finish(stage_cli(d->s, "restart"), 0);
}

static void
the_working_directory_is_deleted(struct day *d)
{
	assert_int_equal(rmdir(tempdir_path(d->s->dir, "here")), 0);
	proc_finish(stage_cli(d->s, "restart"), 0);
	day_kill(d, stage_ask(d->s->port).pid);
	stage_wait_status(d->s, "^w +w\\.0 +3 +[0-9]+ +ready[ ,]");
}

static void
two_restarts_come_at_once(struct day *d)
{
	struct proc *p[8];

	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		p[i] = stage_cli(d->s, "restart");
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		proc_finish(p[i], 0);
}

static void
a_stop_comes_during_a_restart(struct day *d)
{
	struct proc *p;

	stage_mode(d->s, "hang");
	p = stage_cli(d->s, "restart", "w.0");
	proc_expect(d->s->baton, PROC_OUT, "worker hangs");
	proc_finish(stage_cli(d->s, "stop", "w.0"), 0);
	proc_finish(p, 1);
	stage_mode(d->s, "good");
	proc_finish(stage_cli(d->s, "start", "w.0"), 0);
}

static const struct {
	const char *name;
	void (*happens)(struct day *d);
	const char *lines, *why;
} days[] = {
    {"signals come by the thousand", signals_come_by_the_thousand, "", "baton +reload "},
    {"the clock is set", the_clock_is_set, "backoff_first_ms = 1\n", "SIGKILL"},
    {"descriptors run out", descriptors_run_out,
	"crashes_max = 0\nbackoff_max_ms = 200\nprobation_time_ms = 0\n", "Too many open files"},
    {"the configuration cannot be read", the_configuration_cannot_be_read, "",
	"No such file or directory"},
    {"the working directory is deleted", the_working_directory_is_deleted, "backoff_first_ms = 1\n",
	"SIGKILL"},
    {"two restarts come at once", two_restarts_come_at_once, "", "restart: 2 of 2 done"},
    {"a stop comes during a restart", a_stop_comes_during_a_restart, "", "w\\.0 +stopped"},
};

static void
run_in_a_directory(struct stage *s)
{
	const char *here = tempdir_path(s->dir, "here");

	assert_int_equal(mkdir(here, 0755), 0);
	s->baton = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", "run", "-c", s->conf, NULL}, .cwd = here});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
}

static void
one_day(void **state)
{
	const size_t n = *(const size_t *)*state;
	const bool clock = days[n].happens == the_clock_is_set;
	struct stage *s;
	struct day d;

	if (clock)
		preload_or_skip();
	harness_setup(NULL);
	s = clock ? preload_begin(days[n].lines) : stage_new(days[n].lines);
	if (!clock)
		run_in_a_directory(s);
	d = days[n].happens == a_stop_comes_during_a_restart
		? day_begin_at(s, (uint16_t)(s->port + 1), 1) /* who was stopped refuses */
		: day_begin(s);
	days[n].happens(&d);
	day_end(&d, days[n].why);
}

int
main(void)
{
	enum { N = sizeof(days) / sizeof(days[0]) };
	static size_t numbers[N];
	struct CMUnitTest tests[N];

	for (size_t i = 0; i < N; i++) {
		numbers[i] = i;
		tests[i] = (struct CMUnitTest){.name = day_name(days[i].name),
		    .test_func = one_day,
		    .teardown_func = harness_teardown,
		    .initial_state = &numbers[i]};
	}
	return _cmocka_run_group_tests("bad_days_storms", tests, N, NULL, NULL);
}
