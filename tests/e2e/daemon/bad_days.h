/* SPDX-License-Identifier: MIT */
/*
 * What holds on every bad day, checked in one place: while it lasts, new clients come all the
 * time and the supervisor's processes are watched; at its end everybody must have been let in,
 * no instance may have had more than two processes, nobody may be left, control must answer,
 * and the reason must have been told.
 */
#ifndef BATON_TESTS_BAD_DAYS_H
#define BATON_TESTS_BAD_DAYS_H

#include "tests/e2e/supervisor_stage.h"
#include "tests/harness/load.h"
#include "tests/harness/watch.h"

enum { DAY_CLIENTS = 4 };

struct day {
	struct stage *s;
	struct load *load;
	struct watch *watch;
	uint64_t may_lose; /* requests that an instance had taken when it was killed */
};

/* Its instances run; from now on clients come to that many ports from the first one on. */
static inline struct day
day_begin_at(struct stage *s, uint16_t first, int ports)
{
	struct day d = {.s = s, .watch = watch_start(proc_pid(s->baton))};

	d.load = load_start(&(struct load_spec){.port = first,
	    .ports = ports,
	    .oneshot = DAY_CLIENTS,
	    .gap_ms = 1,
	    .get = "/same",
	    .expect = "same\n"});
	load_wait_ok(d.load, DAY_CLIENTS);
	return d;
}

static inline struct day
day_begin(struct stage *s)
{
	return day_begin_at(s, s->port, 2);
}

/* An instance that serves is killed: each client may have a request with it. When this returns
 * it has been reaped, and takes no connection any more. */
static inline void
day_kill(struct day *d, pid_t pid)
{
	d->may_lose += DAY_CLIENTS;
	assert_int_equal(kill(pid, SIGKILL), 0);
	stage_wait_gone(pid);
}

/* As run.sh counts tests: "fork fails" is fork_fails. It lasts as long as the program. */
static inline const char *
day_name(const char *text)
{
	static char names[64][64];
	static size_t n;
	char *name = names[n++ % 64];

	(void)snprintf(name, sizeof(names[0]), "%s", text);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == ' ' ? '_' : *p;
	return name;
}

static inline const char *
day_events(struct day *d)
{
	struct proc *p = stage_cli(d->s, "events", "--no-follow", "-n", "all");

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

/* Whether baton itself has written it. */
static inline bool
day_reads(struct day *d, const char *why)
{
	return stage_matches(proc_text(d->s->baton, PROC_ERR), why);
}

/* Whether status, events, or what baton has written tell it. */
static inline bool
day_told(struct day *d, const char *why)
{
	return stage_matches(day_events(d), why) || day_reads(d, why) ||
	       stage_matches(stage_status(d->s), why);
}

/* Everybody was let in, and lost nothing that an instance which lives had taken. */
static inline void
day_clients(struct day *d)
{
	struct load_result r;

	load_wait_ok(d->load, 4 * DAY_CLIENTS);
	r = load_stop(d->load);
	if (r.refused > 0 || r.wrong > 0 || r.other > 0 || r.failed > d->may_lose)
		harness_fail(
		    "%ju refused, %ju of at most %ju lost, %ju wrong, %ju of another status:\n%s",
		    (uintmax_t)r.refused, (uintmax_t)r.failed, (uintmax_t)d->may_lose,
		    (uintmax_t)r.wrong, (uintmax_t)r.other, r.why);
}

/* Both instances serve again, and were not rolled back: it was not their program. WHY is a regular expression for what must have been told. */
static inline void
day_end(struct day *d, const char *why)
{
	stage_wait_status(d->s, "^w +w\\.0 +[0-9]+ +[0-9]+ +ready ");
	stage_wait_status(d->s, "^w +w\\.1 +[0-9]+ +[0-9]+ +ready ");
	wait_until(why, day_told(d, why));
	day_clients(d);
	wait_until("no zombie is left", watch_zombies(proc_pid(d->s->baton)) == 0);
	assert_in_range(watch_stop(d->watch), 1, 2);
	stage_stop(d->s);
	wait_until("no orphan is left", harness_count_children() == 0);
}

#endif
