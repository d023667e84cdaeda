/* SPDX-License-Identifier: MIT */
/*
 * Bad days of instances: killed in each phase of their life, and programs that do not do what
 * they should, or are none. New clients come meanwhile (bad_days.h).
 */
#include "tests/e2e/daemon/bad_days.h"

#include <sys/stat.h>
#include <unistd.h>

/* The process of that generation of w.0, once it was started. */
static pid_t
started(struct day *d, int generation)
{
	const char *regex = talloc_asprintf(
	    harness_mem(), "w\\.0 +started +generation %d, pid ([0-9]+)$", generation);
	const char *text;
	regmatch_t m[2];
	regex_t re;

	assert_int_equal(regcomp(&re, regex, REG_EXTENDED | REG_NEWLINE), 0);
	wait_until("it is started", (text = day_events(d), regexec(&re, text, 2, m, 0) == 0));
	regfree(&re);
	return (pid_t)atoi(text + m[1].rm_so);
}

static void
release(struct day *d)
{
	tempdir_write(d->s->dir, "release", "go on\n");
}

static void
mode_with_release(struct day *d, const char *mode)
{
	stage_mode(d->s, talloc_asprintf(harness_mem(), "%s %s/release", mode, d->s->dir));
}

/* ---- What happens ------------------------------------------------------------------------- */

static void
killed_when_ready(struct day *d)
{
	day_kill(d, stage_ask(d->s->port).pid);
	started(d, 2);
}

static void
successor_killed_before_ready(struct day *d)
{
	struct proc *p;

	mode_with_release(d, "hold");
	p = stage_cli(d->s, "restart");
	assert_int_equal(kill(started(d, 2), SIGKILL), 0);
	proc_finish(p, 1);
	assert_int_equal(stage_ask(d->s->port).generation, 1);
}

/* Its predecessor was killed, and so is it, before it is ready: nobody serves meanwhile. */
static void
killed_again_before_ready(struct day *d)
{
	mode_with_release(d, "hold");
	day_kill(d, stage_ask(d->s->port).pid);
	assert_int_equal(kill(started(d, 2), SIGKILL), 0);
	started(d, 3);
	release(d);
}

static void
killed_while_draining(struct day *d)
{
	const pid_t old = stage_ask(d->s->port).pid;
	struct proc *p = stage_cli(d->s, "restart", "w.0");

	stage_wait_status(d->s, "^w +w\\.0 +2 ");
	day_kill(d, old);
	proc_finish(p, 0);
}

static void
successor_killed_while_the_old_one_drains(struct day *d)
{
	struct proc *p = stage_cli(d->s, "restart", "w.0");

	stage_wait_status(d->s, "^w +w\\.0 +2 ");
	day_kill(d, started(d, 2));
	/* The old one is called back and does not come: this program cannot. */
	started(d, 3);
	release(d);
	proc_wait(p);
}

static void
says_ready_and_dies(struct day *d)
{
	stage_mode(d->s, "only 0 ready-then-die");
	/* Whether its end is seen before the restart's verdict or after it: both is right. */
	proc_wait(stage_cli(d->s, "restart", "w.0"));
	stage_mode(d->s, "good");
}

static void
exits_at_once(struct day *d)
{
	stage_mode(d->s, "exit 3");
	proc_finish(stage_cli(d->s, "restart"), 1);
}

static void
hangs_before_ready(struct day *d)
{
	stage_mode(d->s, "hang-on");
	proc_finish(stage_cli(d->s, "restart"), 1);
}

static void
ignores_sigterm(struct day *d)
{
	d->may_lose += 2 * DAY_CLIENTS;
	proc_finish(stage_cli(d->s, "restart"), 0);
}

static const char *
program(struct day *d)
{
	return tempdir_path(d->s->dir, "worker");
}

static void
is_missing(struct day *d)
{
	assert_int_equal(unlink(program(d)), 0);
	proc_finish(stage_cli(d->s, "restart"), 1);
}

static void
is_not_executable(struct day *d)
{
	assert_int_equal(chmod(program(d), 0644), 0);
	proc_finish(stage_cli(d->s, "restart"), 1);
}

static void
replace_by_no_program(struct day *d)
{
	assert_int_equal(unlink(program(d)), 0);
	tempdir_write(d->s->dir, "worker", "neither a script nor ELF\n");
	assert_int_equal(chmod(program(d), 0755), 0);
}

static void
is_no_program(struct day *d)
{
	replace_by_no_program(d);
	proc_finish(stage_cli(d->s, "restart"), 1);
}

/* The old file is kept by those that run; the new one is another in the middle of a restart. */
static void
is_replaced_in_the_middle(struct day *d)
{
	struct proc *p;

	mode_with_release(d, "hold");
	p = stage_cli(d->s, "restart");
	started(d, 2);
	replace_by_no_program(d);
	release(d);
	proc_finish(p, 1);
}

static const struct {
	const char *name;
	void (*happens)(struct day *d);
	const char *lines; /* of the configuration */
	const char *mode;  /* of the first generation; with %s: where it waits for the release */
	const char *why;   /* what must be told */
} days[] = {
    {"killed when ready", killed_when_ready, "", "good", "generation 1 .*SIGKILL"},
    {"a successor is killed before it is ready", successor_killed_before_ready, "", "good",
	"generation 2 .*SIGKILL.* before it was ready"},
    {"killed again before it is ready", killed_again_before_ready, "", "good",
	"generation 2 .*SIGKILL.* before it was ready"},
    {"killed while draining", killed_while_draining, "", "linger %s/release",
	"generation 1 .*SIGKILL"},
    {"the successor is killed while the old one drains", successor_killed_while_the_old_one_drains,
	"", "linger %s/release", "generation 2 .*SIGKILL"},
    {"says ready and dies", says_ready_and_dies, "probation_time_ms = 0\n", "good",
	"exited with status 7"},
    {"exits at once", exits_at_once, "", "good",
	"generation 2 .*exited with status 3.* before it was ready"},
    {"hangs before ready", hangs_before_ready, "start_timeout_ms = 300\ndrain_timeout_ms = 100\n",
	"good", "generation 2 .*was not ready within 300 ms"},
    {"ignores SIGTERM", ignores_sigterm, "drain_timeout_ms = 200\n", "ignore-term",
	"generation 1 .*did not end within 200 ms of SIGTERM"},
    {"is missing", is_missing, "", "good", "generation 2 .*no such file"},
    {"is not executable", is_not_executable, "", "good", "generation 2 .*not executable"},
    {"is no program", is_no_program, "", "good", "generation 2 .*Exec format error"},
    {"is replaced in the middle", is_replaced_in_the_middle, "probation_time_ms = 0\n", "good",
	"generation [0-9]+ .*Exec format error"},
};

static void
nobody_is_refused(void **state)
{
	const size_t n = *(const size_t *)*state;
	struct stage *s;
	struct day d;

	harness_setup(NULL);
	s = stage_new(days[n].lines);
	stage_mode(s, days[n].mode);
	if (strstr(days[n].mode, "%s") != NULL)
		stage_mode(s, talloc_asprintf(harness_mem(), "linger %s/release", s->dir));
	stage_start(s);
	d = day_begin(s);
	stage_mode(s, "good");
	days[n].happens(&d);
	release(&d);
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
		    .test_func = nobody_is_refused,
		    .teardown_func = harness_teardown,
		    .initial_state = &numbers[i]};
	}
	return _cmocka_run_group_tests("bad_days_deaths", tests, N, NULL, NULL);
}
