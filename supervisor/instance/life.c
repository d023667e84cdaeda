/* SPDX-License-Identifier: MIT */
/*
 * The table, and below it what stands in its cells: small pure functions, about CURRENT, about NEXT
 * and OLD, and about the end. An empty cell: nothing happens.
 */
#include "supervisor/instance/life.h"

#include <stddef.h>

/* What every cell gets beside the life itself. */
struct life_moment {
	const struct life_policy *policy;
	int64_t now_ms;
};

typedef void life_cell_fn(struct life_step *s, const struct life_moment *m);

static life_cell_fn life_start, life_start_afresh, life_become, life_stand_in;
static life_cell_fn life_ready, life_late, life_later, life_become_late;
static life_cell_fn life_crashed, life_crashed_ready, life_become_failed, life_finished;
static life_cell_fn life_back_off;
static life_cell_fn life_replace, life_next_ready, life_next_late, life_next_later,
    life_next_failed;
static life_cell_fn life_relieve, life_relief_failed;
static life_cell_fn life_adopt, life_reinstate, life_recalled_gone;
static life_cell_fn life_old_again, life_old_gone, life_old_late;
static life_cell_fn life_stop, life_stop_for_good, life_hold, life_give_up, life_end_now;
static life_cell_fn life_stop_late, life_stop_again;
static life_cell_fn life_stop_exit, life_stop_next_exit, life_stop_old_exit;

/* clang-format off */
static life_cell_fn *const table[LIFE_STATES][LIFE_EVENTS] = {
	[LIFE_DOWN] = {
		[LIFE_EV_START] = life_start_afresh,
	},
	[LIFE_STARTING] = {
		[LIFE_EV_SPARE] = life_stand_in,
		[LIFE_EV_DONE] = life_finished,
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_READY] = life_ready,
		[LIFE_EV_EXIT] = life_crashed,
		[LIFE_EV_TIMEOUT] = life_late,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_LATE] = {
		[LIFE_EV_SPARE] = life_stand_in,
		[LIFE_EV_DONE] = life_finished,
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_TIMEOUT] = life_later,
		[LIFE_EV_EXIT] = life_crashed,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_BECOMING] = {
		[LIFE_EV_READY] = life_ready,
		[LIFE_EV_EXIT] = life_become_failed,
		[LIFE_EV_DONE] = life_become_failed,
		[LIFE_EV_TIMEOUT] = life_become_late,
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_READY] = {
		[LIFE_EV_SPARE] = life_relieve,
		[LIFE_EV_TAKEN] = life_start,
		[LIFE_EV_DONE] = life_finished,
		[LIFE_EV_EXIT] = life_crashed_ready,
		[LIFE_EV_OLD_READY] = life_old_again,
		[LIFE_EV_RESTART] = life_replace,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_REPLACING] = {
		[LIFE_EV_TAKEN] = life_adopt,
		[LIFE_EV_DONE] = life_adopt,
		[LIFE_EV_NEXT_READY] = life_next_ready,
		[LIFE_EV_NEXT_EXIT] = life_next_failed,
		[LIFE_EV_EXIT] = life_adopt,
		[LIFE_EV_TIMEOUT] = life_next_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_ABORTING] = {
		[LIFE_EV_TAKEN] = life_adopt,
		[LIFE_EV_DONE] = life_adopt,
		[LIFE_EV_NEXT_EXIT] = life_next_failed,
		[LIFE_EV_EXIT] = life_adopt,
		[LIFE_EV_TIMEOUT] = life_next_later,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_RELIEVING] = {
		[LIFE_EV_DONE] = life_adopt,
		[LIFE_EV_NEXT_READY] = life_next_ready,
		[LIFE_EV_NEXT_EXIT] = life_relief_failed,
		[LIFE_EV_EXIT] = life_adopt,
		[LIFE_EV_TIMEOUT] = life_next_later,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_RECALLING] = {
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_OLD_EXIT] = life_recalled_gone,
		[LIFE_EV_TIMEOUT] = life_back_off,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_BACKOFF] = {
		[LIFE_EV_SPARE] = life_become,
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_START] = life_start_afresh,
		[LIFE_EV_TIMEOUT] = life_start,
		[LIFE_EV_RESTART] = life_start,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_HOLD] = life_hold,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_FAILED] = {
		[LIFE_EV_START] = life_start_afresh,
		[LIFE_EV_RESTART] = life_start_afresh,
		[LIFE_EV_OLD_READY] = life_reinstate,
		[LIFE_EV_OLD_EXIT] = life_old_gone,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_HELD] = {
		[LIFE_EV_START] = life_start_afresh,
		[LIFE_EV_AGAIN] = life_start,
		[LIFE_EV_RESTART] = life_start,
		[LIFE_EV_GIVE_UP] = life_give_up,
		[LIFE_EV_STOP] = life_stop,
		[LIFE_EV_KILL] = life_end_now,
	},
	[LIFE_STOPPING] = {
		[LIFE_EV_DONE] = life_stop_exit,
		[LIFE_EV_OLD_READY] = life_stop_again,
		[LIFE_EV_EXIT] = life_stop_exit,
		[LIFE_EV_NEXT_EXIT] = life_stop_next_exit,
		[LIFE_EV_OLD_EXIT] = life_stop_old_exit,
		[LIFE_EV_TIMEOUT] = life_stop_late,
		[LIFE_EV_OLD_TIMEOUT] = life_old_late,
		[LIFE_EV_STOP] = life_stop_for_good,
		[LIFE_EV_KILL] = life_end_now,
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
	const struct life_moment m = {.policy = policy, .now_ms = now_ms};
	struct life_step s = {.life = l};
	life_cell_fn *cell = table[l.state][event];

	if (cell != NULL)
		cell(&s, &m);
	return s;
}

/* --- What a cell does to a step ---------------------------------------- */

static void
life_enter(struct life_step *s, enum life_state state, unsigned orders)
{
	s->life.state = state;
	s->orders |= orders;
}

static void
life_arm(struct life_step *s, int64_t wait_ms)
{
	s->orders |= LIFE_ARM;
	s->wait_ms = wait_ms;
}

/* Cells about CURRENT: how it starts, and what its end means for the next start. */

static void
life_start(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_STARTING, LIFE_DISARM | LIFE_SPAWN_CURRENT);
	s->life.alive |= LIFE_CURRENT;
	s->life.ready_ms = -1;
	life_arm(s, m->policy->start_timeout_ms);
}

static void
life_become(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_BECOMING, LIFE_DISARM | LIFE_TAKE_SPARE);
	s->life.alive |= LIFE_CURRENT;
	life_arm(s, m->policy->become_ms);
}

/* Somebody asks for it: what was before does not count any more. */
static void
life_start_afresh(struct life_step *s, const struct life_moment *m)
{
	s->life.crashes = s->life.total = 0;
	life_start(s, m);
}

static void
life_ready(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_READY, LIFE_DISARM);
	s->life.ready_ms = m->now_ms;
}

/* It may hold locks, or files that are half written: it is asked first. */
static void
life_late(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_LATE, LIFE_TERM_CURRENT);
	life_arm(s, m->policy->late_ms);
}

static void
life_later(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_CURRENT;
}

/* So many crashes in so little time that the next start would be no better? */
static bool
too_often(const struct life *l, const struct life_moment *m)
{
	unsigned max = m->policy->crashes_max;

	if (max == 0 || l->total < max)
		return false;
	return m->now_ms - l->crashed_ms[(l->total - max) % LIFE_CRASHES_KEPT] <=
	       m->policy->crashes_time_ms;
}

/* The wait follows from the crashes before the one that has just been counted. */
static void
life_back_off(struct life_step *s, const struct life_moment *m)
{
	if (too_often(&s->life, m)) {
		life_enter(s, LIFE_FAILED, LIFE_DISARM);
		return;
	}
	life_enter(s, LIFE_BACKOFF, LIFE_DISARM);
	life_arm(s, life_backoff_ms(s->life.crashes - 1, m->policy));
}

/* It never was what it was to become: the wait does not grow by it, and what comes next is no
 * better reason to wait. But of too many it is one. */
static void
life_become_failed(struct life_step *s, const struct life_moment *m)
{
	s->life.alive &= ~(unsigned)LIFE_CURRENT;
	s->life.crashed_ms[s->life.total++ % LIFE_CRASHES_KEPT] = m->now_ms;
	if (s->life.crashes == 0)
		s->life.crashes = 1; /* of the sick one in whose place it was to be */
	life_back_off(s, m);
}

/* CURRENT was NEXT until now, and is not ready: a spare serves meanwhile. One after the other
 * could crash in this time, so there is a limit to that as well. */
static void
life_stand_in(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return;
	s->life.crashed_ms[s->life.total++ % LIFE_CRASHES_KEPT] = m->now_ms;
	if (too_often(&s->life, m))
		return;
	s->life.alive |= LIFE_OLD;
	s->orders |= LIFE_TAKE_SPARE_AS_OLD;
}

static void
life_become_late(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_CURRENT;
}

static void
count_crash(struct life_step *s, const struct life_moment *m)
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
life_crashed(struct life_step *s, const struct life_moment *m)
{
	count_crash(s, m);
	life_back_off(s, m);
}

/* Its work is done. OLD, if there is one, drains on; it is not called back. */
static void
life_finished(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_CURRENT;
	s->life.ready_ms = -1;
	if (s->life.alive == 0)
		life_enter(s, LIFE_DOWN, LIFE_DISARM);
	else
		life_enter(s, LIFE_STOPPING, LIFE_DISARM);
}

/* … after it was ready. Is there one that can go on at once? */
static void
life_crashed_ready(struct life_step *s, const struct life_moment *m)
{
	count_crash(s, m);
	if ((s->life.alive & LIFE_OLD) == 0) {
		life_back_off(s, m);
		return;
	}
	life_enter(s, LIFE_RECALLING, LIFE_DISARM | LIFE_RECALL_OLD);
	life_arm(s, m->policy->recall_ms);
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

unsigned
life_crashes_within(int64_t time_ms, const struct life_policy *policy)
{
	int64_t at_ms = 0;
	unsigned n = 0;

	/* The first one is followed by no wait, and so is at the same time as the second. */
	while (n <= LIFE_CRASHES_KEPT && at_ms <= time_ms)
		at_ms += life_backoff_ms(n++, policy);
	return n;
}

/* Cells about NEXT and OLD: one process takes the place of another, or gives it back. */

/* OLD serves again; what was started in its place, if anything, is its successor now. */
static void
life_reinstate(struct life_step *s, const struct life_moment *m)
{
	bool starting = (s->life.alive & LIFE_CURRENT) != 0;

	if ((s->life.alive & LIFE_OLD) == 0)
		return;
	s->life.alive = LIFE_CURRENT | (starting ? (unsigned)LIFE_NEXT : 0);
	s->life.ready_ms = m->now_ms;
	if (s->life.state == LIFE_STARTING || s->life.state == LIFE_BECOMING)
		life_enter(s, LIFE_REPLACING, LIFE_REINSTATE | LIFE_DISARM_OLD);
	else if (s->life.state == LIFE_LATE)
		life_enter(s, LIFE_ABORTING, LIFE_REINSTATE | LIFE_DISARM_OLD);
	else
		life_enter(s, LIFE_READY, LIFE_REINSTATE | LIFE_DISARM | LIFE_DISARM_OLD);
}

/* OLD comes back, but it is not needed any more. */
static void
life_old_again(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	if ((s->life.alive & LIFE_OLD) != 0)
		s->orders |= LIFE_TERM_OLD | LIFE_DISARM_OLD | LIFE_ARM_OLD;
}

static void
life_replace(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return; /* OLD still drains: a third process is never started */
	life_enter(s, LIFE_REPLACING, LIFE_SPAWN_NEXT);
	s->life.alive |= LIFE_NEXT;
	life_arm(s, m->policy->start_timeout_ms);
}

/* CURRENT is sick, and there is one that need not be started first. */
static void
life_relieve(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return;
	life_enter(s, LIFE_RELIEVING, LIFE_TAKE_SPARE_AS_NEXT);
	s->life.alive |= LIFE_NEXT;
	life_arm(s, m->policy->become_ms);
}

/* As if there had been none. */
static void
life_relief_failed(struct life_step *s, const struct life_moment *m)
{
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	life_replace(s, m);
}

static void
life_next_ready(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_READY, LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD);
	s->life.alive = LIFE_CURRENT | LIFE_OLD;
	s->life.ready_ms = m->now_ms;
	s->life.crashes = 0;
}

static void
life_next_late(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_ABORTING, LIFE_TERM_NEXT);
	life_arm(s, m->policy->late_ms);
}

static void
life_next_later(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_NEXT;
}

static void
life_next_failed(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	life_enter(s, LIFE_READY, LIFE_DISARM);
}

/* CURRENT ends while NEXT starts: NEXT is its replacement already; its deadline goes on. */
static void
life_adopt(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	s->life.ready_ms = -1;
	life_enter(s,
	    s->life.state == LIFE_ABORTING    ? LIFE_LATE
	    : s->life.state == LIFE_RELIEVING ? LIFE_BECOMING
					      : LIFE_STARTING,
	    LIFE_ADOPT);
}

static void
life_old_gone(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_OLD;
	s->orders |= LIFE_DISARM_OLD;
}

static void
life_recalled_gone(struct life_step *s, const struct life_moment *m)
{
	life_old_gone(s, m);
	life_back_off(s, m);
}

static void
life_old_late(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_OLD;
}

/* Cells about the end: in good order, now, or to be started again with others. */

/* OLD was asked already, and NEXT may be asked: it serves nobody yet. */
static void
life_stop(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive == 0) {
		life_enter(s, LIFE_DOWN, LIFE_DISARM);
		return;
	}
	life_enter(s, LIFE_STOPPING, LIFE_DISARM | LIFE_TERM_CURRENT | LIFE_TERM_NEXT);
	life_arm(s, m->policy->drain_timeout_ms);
}

/* As stop, but it is to be started again. */
static void
life_hold(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive == 0) {
		life_enter(s, LIFE_HELD, LIFE_DISARM);
		return;
	}
	life_stop(s, m);
	s->life.hold = true;
}

/* Whoever wants it to be down has the last word. */
static void
life_stop_for_good(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.hold = false;
}

static void
life_give_up(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	life_enter(s, LIFE_FAILED, 0);
}

static void
life_end_now(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.hold = false;
	if (s->life.alive == 0)
		life_enter(s, LIFE_DOWN, LIFE_DISARM);
	else
		life_enter(s, LIFE_STOPPING, LIFE_DISARM | LIFE_KILL_ALL);
}

static void
life_stop_late(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_ALL;
}

/* One that was called back is on its way to serving: it is told once more. */
static void
life_stop_again(struct life_step *s, const struct life_moment *m)
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
	if (s->life.alive != 0)
		return;
	s->life.ready_ms = -1;
	if (s->life.hold) {
		life_enter(s, LIFE_HELD, LIFE_DISARM);
		s->life.hold = false;
		return;
	}
	life_enter(s, LIFE_DOWN, LIFE_DISARM);
	s->life.crashes = 0;
}

static void
life_stop_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_CURRENT);
}

static void
life_stop_next_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_NEXT);
}

static void
life_stop_old_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_OLD);
}

/* --- The words for states and events ---------------------------------- */

const char *
life_state_name(enum life_state state)
{
	static const char *const names[LIFE_STATES] = {
	    [LIFE_DOWN] = "down",
	    [LIFE_STARTING] = "starting",
	    [LIFE_LATE] = "late",
	    [LIFE_BECOMING] = "becoming",
	    [LIFE_READY] = "ready",
	    [LIFE_REPLACING] = "replacing",
	    [LIFE_ABORTING] = "aborting",
	    [LIFE_RELIEVING] = "relieving",
	    [LIFE_RECALLING] = "recalling",
	    [LIFE_BACKOFF] = "backoff",
	    [LIFE_FAILED] = "failed",
	    [LIFE_HELD] = "held",
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
	    [LIFE_EV_SPARE] = "spare",
	    [LIFE_EV_TAKEN] = "taken",
	    [LIFE_EV_HOLD] = "hold",
	    [LIFE_EV_AGAIN] = "again",
	    [LIFE_EV_GIVE_UP] = "give up",
	    [LIFE_EV_STOP] = "stop",
	    [LIFE_EV_KILL] = "kill",
	};

	return names[event];
}
