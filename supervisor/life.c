/* SPDX-License-Identifier: MIT */
/* The table, and the small pure functions in its cells. An empty cell: nothing happens. */
#include "supervisor/life.h"

#include <stdbool.h>
#include <stddef.h>

/* What every cell gets beside the life itself. */
struct moment {
	const struct life_policy *policy;
	int64_t now_ms;
};

typedef void cell_fn(struct life_step *s, const struct moment *m);

static void
enter(struct life_step *s, enum life_state state, unsigned orders)
{
	s->life.state = state;
	s->orders |= orders;
}

static void
arm(struct life_step *s, int64_t wait_ms)
{
	s->orders |= LIFE_ARM;
	s->wait_ms = wait_ms;
}

static void
start(struct life_step *s, const struct moment *m)
{
	enter(s, LIFE_STARTING, LIFE_DISARM | LIFE_SPAWN_CURRENT);
	s->life.alive |= LIFE_CURRENT;
	s->life.ready_ms = -1;
	arm(s, m->policy->start_timeout_ms);
}

/* Somebody asks for it: what was before does not count any more. */
static void
start_afresh(struct life_step *s, const struct moment *m)
{
	s->life.crashes = s->life.total = 0;
	start(s, m);
}

static void
ready(struct life_step *s, const struct moment *m)
{
	enter(s, LIFE_READY, LIFE_DISARM);
	s->life.ready_ms = m->now_ms;
}

static void
late(struct life_step *s, const struct moment *m)
{
	(void)m;
	enter(s, LIFE_LATE, LIFE_KILL_CURRENT);
}

/* So many crashes in so little time that the next start would be no better? */
static bool
too_often(const struct life *l, const struct moment *m)
{
	unsigned max = m->policy->crashes_max;

	if (max == 0 || l->total < max)
		return false;
	return m->now_ms - l->crashed_ms[(l->total - max) % LIFE_CRASHES_KEPT] <=
	       m->policy->crashes_time_ms;
}

/* The wait follows from the crashes before the one that has just been counted. */
static void
back_off(struct life_step *s, const struct moment *m)
{
	if (too_often(&s->life, m)) {
		enter(s, LIFE_FAILED, LIFE_DISARM);
		return;
	}
	enter(s, LIFE_BACKOFF, LIFE_DISARM);
	arm(s, life_backoff_ms(s->life.crashes - 1, m->policy));
}

static void
count_crash(struct life_step *s, const struct moment *m)
{
	if (s->life.ready_ms >= 0 && m->now_ms - s->life.ready_ms >= m->policy->quiet_ms)
		s->life.crashes = 0;
	s->life.alive &= ~(unsigned)LIFE_CURRENT;
	s->life.crashes++;
	s->life.crashed_ms[s->life.total++ % LIFE_CRASHES_KEPT] = m->now_ms;
	s->life.ready_ms = -1;
}

/* CURRENT has ended without being asked to. */
static void
crashed(struct life_step *s, const struct moment *m)
{
	count_crash(s, m);
	back_off(s, m);
}

/* Its work is done. OLD, if there is one, drains on; it is not called back. */
static void
finished(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_CURRENT;
	s->life.ready_ms = -1;
	if (s->life.alive == 0)
		enter(s, LIFE_DOWN, LIFE_DISARM);
	else
		enter(s, LIFE_STOPPING, LIFE_DISARM);
}

/* … after it was ready. Is there one that can go on at once? */
static void
crashed_ready(struct life_step *s, const struct moment *m)
{
	count_crash(s, m);
	if ((s->life.alive & LIFE_OLD) == 0) {
		back_off(s, m);
		return;
	}
	enter(s, LIFE_RECALLING, LIFE_DISARM | LIFE_RECALL_OLD);
	arm(s, m->policy->recall_ms);
}

/* OLD serves again; what was started in its place, if anything, is its successor now. */
static void
reinstate(struct life_step *s, const struct moment *m)
{
	bool starting = (s->life.alive & LIFE_CURRENT) != 0;

	if ((s->life.alive & LIFE_OLD) == 0)
		return;
	s->life.alive = LIFE_CURRENT | (starting ? (unsigned)LIFE_NEXT : 0);
	s->life.ready_ms = m->now_ms;
	if (s->life.state == LIFE_STARTING)
		enter(s, LIFE_REPLACING, LIFE_REINSTATE | LIFE_DISARM_OLD);
	else if (s->life.state == LIFE_LATE)
		enter(s, LIFE_ABORTING, LIFE_REINSTATE | LIFE_DISARM_OLD);
	else
		enter(s, LIFE_READY, LIFE_REINSTATE | LIFE_DISARM | LIFE_DISARM_OLD);
}

/* OLD comes back, but it is not needed any more. */
static void
old_again(struct life_step *s, const struct moment *m)
{
	(void)m;
	if ((s->life.alive & LIFE_OLD) != 0)
		s->orders |= LIFE_TERM_OLD | LIFE_DISARM_OLD | LIFE_ARM_OLD;
}

static void
replace(struct life_step *s, const struct moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return; /* OLD still drains: a third process is never started */
	enter(s, LIFE_REPLACING, LIFE_SPAWN_NEXT);
	s->life.alive |= LIFE_NEXT;
	arm(s, m->policy->start_timeout_ms);
}

static void
next_ready(struct life_step *s, const struct moment *m)
{
	enter(s, LIFE_READY, LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD);
	s->life.alive = LIFE_CURRENT | LIFE_OLD;
	s->life.ready_ms = m->now_ms;
	s->life.crashes = 0;
}

static void
next_late(struct life_step *s, const struct moment *m)
{
	(void)m;
	enter(s, LIFE_ABORTING, LIFE_KILL_NEXT);
}

static void
next_failed(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	enter(s, LIFE_READY, LIFE_DISARM);
}

/* CURRENT ends while NEXT starts: NEXT is its replacement already; its deadline goes on. */
static void
adopt(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	s->life.ready_ms = -1;
	enter(s, s->life.state == LIFE_ABORTING ? LIFE_LATE : LIFE_STARTING, LIFE_ADOPT);
}

static void
old_gone(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_OLD;
	s->orders |= LIFE_DISARM_OLD;
}

static void
recalled_gone(struct life_step *s, const struct moment *m)
{
	old_gone(s, m);
	back_off(s, m);
}

static void
old_late(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_OLD;
}

/* OLD was asked already, and NEXT may be asked: it serves nobody yet. */
static void
stop(struct life_step *s, const struct moment *m)
{
	if (s->life.alive == 0) {
		enter(s, LIFE_DOWN, LIFE_DISARM);
		return;
	}
	enter(s, LIFE_STOPPING, LIFE_DISARM | LIFE_TERM_CURRENT | LIFE_TERM_NEXT);
	arm(s, m->policy->drain_timeout_ms);
}

static void
end_now(struct life_step *s, const struct moment *m)
{
	(void)m;
	if (s->life.alive == 0)
		enter(s, LIFE_DOWN, LIFE_DISARM);
	else
		enter(s, LIFE_STOPPING, LIFE_DISARM | LIFE_KILL_ALL);
}

static void
stop_late(struct life_step *s, const struct moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_ALL;
}

/* One that was called back is on its way to serving: it is told once more. */
static void
stop_again(struct life_step *s, const struct moment *m)
{
	(void)m;
	if ((s->life.alive & LIFE_OLD) != 0)
		s->orders |= LIFE_TERM_OLD;
}

static void
stop_gone(struct life_step *s, unsigned role)
{
	s->life.alive &= ~role;
	if (role == LIFE_OLD)
		s->orders |= LIFE_DISARM_OLD;
	if (s->life.alive == 0) {
		enter(s, LIFE_DOWN, LIFE_DISARM);
		s->life.ready_ms = -1;
		s->life.crashes = 0;
	}
}

static void
stop_exit(struct life_step *s, const struct moment *m)
{
	(void)m;
	stop_gone(s, LIFE_CURRENT);
}

static void
stop_next_exit(struct life_step *s, const struct moment *m)
{
	(void)m;
	stop_gone(s, LIFE_NEXT);
}

static void
stop_old_exit(struct life_step *s, const struct moment *m)
{
	(void)m;
	stop_gone(s, LIFE_OLD);
}

/* clang-format off */
static cell_fn *const table[LIFE_STATES][LIFE_EVENTS] = {
	[LIFE_DOWN] = {
		[LIFE_EV_START] = start_afresh,
	},
	[LIFE_STARTING] = {
		[LIFE_EV_DONE] = finished,
		[LIFE_EV_OLD_READY] = reinstate,
		[LIFE_EV_READY] = ready,
		[LIFE_EV_EXIT] = crashed,
		[LIFE_EV_TIMEOUT] = late,
		[LIFE_EV_OLD_EXIT] = old_gone,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_LATE] = {
		[LIFE_EV_DONE] = finished,
		[LIFE_EV_OLD_READY] = reinstate,
		[LIFE_EV_EXIT] = crashed,
		[LIFE_EV_OLD_EXIT] = old_gone,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_READY] = {
		[LIFE_EV_DONE] = finished,
		[LIFE_EV_EXIT] = crashed_ready,
		[LIFE_EV_OLD_READY] = old_again,
		[LIFE_EV_RESTART] = replace,
		[LIFE_EV_OLD_EXIT] = old_gone,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_REPLACING] = {
		[LIFE_EV_DONE] = adopt,
		[LIFE_EV_NEXT_READY] = next_ready,
		[LIFE_EV_NEXT_EXIT] = next_failed,
		[LIFE_EV_EXIT] = adopt,
		[LIFE_EV_TIMEOUT] = next_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_ABORTING] = {
		[LIFE_EV_DONE] = adopt,
		[LIFE_EV_NEXT_EXIT] = next_failed,
		[LIFE_EV_EXIT] = adopt,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_RECALLING] = {
		[LIFE_EV_OLD_READY] = reinstate,
		[LIFE_EV_OLD_EXIT] = recalled_gone,
		[LIFE_EV_TIMEOUT] = back_off,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_BACKOFF] = {
		[LIFE_EV_OLD_READY] = reinstate,
		[LIFE_EV_START] = start_afresh,
		[LIFE_EV_TIMEOUT] = start,
		[LIFE_EV_RESTART] = start,
		[LIFE_EV_OLD_EXIT] = old_gone,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_FAILED] = {
		[LIFE_EV_START] = start_afresh,
		[LIFE_EV_RESTART] = start_afresh,
		[LIFE_EV_OLD_READY] = reinstate,
		[LIFE_EV_OLD_EXIT] = old_gone,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_STOP] = stop,
		[LIFE_EV_KILL] = end_now,
	},
	[LIFE_STOPPING] = {
		[LIFE_EV_DONE] = stop_exit,
		[LIFE_EV_OLD_READY] = stop_again,
		[LIFE_EV_EXIT] = stop_exit,
		[LIFE_EV_NEXT_EXIT] = stop_next_exit,
		[LIFE_EV_OLD_EXIT] = stop_old_exit,
		[LIFE_EV_TIMEOUT] = stop_late,
		[LIFE_EV_OLD_TIMEOUT] = old_late,
		[LIFE_EV_KILL] = end_now,
	},
};
/* clang-format on */

struct life
life_new(void)
{
	return (struct life){.state = LIFE_DOWN, .ready_ms = -1};
}

struct life_step
life_step(struct life l, enum life_event event, const struct life_policy *policy, int64_t now_ms)
{
	const struct moment m = {.policy = policy, .now_ms = now_ms};
	struct life_step s = {.life = l};
	cell_fn *cell = table[l.state][event];

	if (cell != NULL)
		cell(&s, &m);
	return s;
}

int64_t
life_backoff_ms(unsigned crashes, const struct life_policy *policy)
{
	int64_t wait = policy->backoff_first_ms;

	if (crashes == 0)
		return 0;
	while (--crashes > 0 && wait < policy->backoff_max_ms)
		wait *= 2;
	return wait < policy->backoff_max_ms ? wait : policy->backoff_max_ms;
}

const char *
life_state_name(enum life_state state)
{
	static const char *const names[LIFE_STATES] = {
	    [LIFE_DOWN] = "down",
	    [LIFE_STARTING] = "starting",
	    [LIFE_LATE] = "late",
	    [LIFE_READY] = "ready",
	    [LIFE_REPLACING] = "replacing",
	    [LIFE_ABORTING] = "aborting",
	    [LIFE_RECALLING] = "recalling",
	    [LIFE_BACKOFF] = "backoff",
	    [LIFE_FAILED] = "failed",
	    [LIFE_STOPPING] = "stopping",
	};

	return names[state];
}

const char *
life_event_name(enum life_event event)
{
	static const char *const names[LIFE_EVENTS] = {
	    [LIFE_EV_START] = "start",
	    [LIFE_EV_READY] = "ready",
	    [LIFE_EV_NEXT_READY] = "next ready",
	    [LIFE_EV_OLD_READY] = "old ready",
	    [LIFE_EV_EXIT] = "exit",
	    [LIFE_EV_DONE] = "done",
	    [LIFE_EV_NEXT_EXIT] = "next exit",
	    [LIFE_EV_OLD_EXIT] = "old exit",
	    [LIFE_EV_TIMEOUT] = "timeout",
	    [LIFE_EV_OLD_TIMEOUT] = "old timeout",
	    [LIFE_EV_RESTART] = "restart",
	    [LIFE_EV_STOP] = "stop",
	    [LIFE_EV_KILL] = "kill",
	};

	return names[event];
}
