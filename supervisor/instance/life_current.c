/* SPDX-License-Identifier: MIT */
/* Cells about CURRENT: how it starts, and what its end means for the next start. */
#include "supervisor/instance/life_internal.h"

void
life_start(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_STARTING, LIFE_DISARM | LIFE_SPAWN_CURRENT);
	s->life.alive |= LIFE_CURRENT;
	s->life.ready_ms = -1;
	life_arm(s, m->policy->start_timeout_ms);
}

void
life_become(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_BECOMING, LIFE_DISARM | LIFE_TAKE_SPARE);
	s->life.alive |= LIFE_CURRENT;
	life_arm(s, m->policy->become_ms);
}

/* Somebody asks for it: what was before does not count any more. */
void
life_start_afresh(struct life_step *s, const struct life_moment *m)
{
	s->life.crashes = s->life.total = 0;
	life_start(s, m);
}

void
life_ready(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_READY, LIFE_DISARM);
	s->life.ready_ms = m->now_ms;
}

/* It may hold locks, or files that are half written: it is asked first. */
void
life_late(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_LATE, LIFE_TERM_CURRENT);
	life_arm(s, m->policy->late_ms);
}

void
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
void
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
void
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
void
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

void
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
void
life_crashed(struct life_step *s, const struct life_moment *m)
{
	count_crash(s, m);
	life_back_off(s, m);
}

/* Its work is done. OLD, if there is one, drains on; it is not called back. */
void
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
void
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
