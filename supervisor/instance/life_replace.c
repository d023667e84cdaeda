/* SPDX-License-Identifier: MIT */
/* Cells about NEXT and OLD: one process takes the place of another, or gives it back. */
#include "supervisor/instance/life_internal.h"

/* OLD serves again; what was started in its place, if anything, is its successor now. */
void
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
void
life_old_again(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	if ((s->life.alive & LIFE_OLD) != 0)
		s->orders |= LIFE_TERM_OLD | LIFE_DISARM_OLD | LIFE_ARM_OLD;
}

void
life_replace(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return; /* OLD still drains: a third process is never started */
	life_enter(s, LIFE_REPLACING, LIFE_SPAWN_NEXT);
	s->life.alive |= LIFE_NEXT;
	life_arm(s, m->policy->start_timeout_ms);
}

/* CURRENT is sick, and there is one that need not be started first. */
void
life_relieve(struct life_step *s, const struct life_moment *m)
{
	if (s->life.alive != LIFE_CURRENT)
		return;
	life_enter(s, LIFE_RELIEVING, LIFE_TAKE_SPARE_AS_NEXT);
	s->life.alive |= LIFE_NEXT;
	life_arm(s, m->policy->become_ms);
}

/* As if there had been none. */
void
life_relief_failed(struct life_step *s, const struct life_moment *m)
{
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	life_replace(s, m);
}

void
life_next_ready(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_READY, LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD);
	s->life.alive = LIFE_CURRENT | LIFE_OLD;
	s->life.ready_ms = m->now_ms;
	s->life.crashes = 0;
}

void
life_next_late(struct life_step *s, const struct life_moment *m)
{
	life_enter(s, LIFE_ABORTING, LIFE_TERM_NEXT);
	life_arm(s, m->policy->late_ms);
}

void
life_next_later(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_NEXT;
}

void
life_next_failed(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_NEXT;
	life_enter(s, LIFE_READY, LIFE_DISARM);
}

/* CURRENT ends while NEXT starts: NEXT is its replacement already; its deadline goes on. */
void
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

void
life_old_gone(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.alive &= ~(unsigned)LIFE_OLD;
	s->orders |= LIFE_DISARM_OLD;
}

void
life_recalled_gone(struct life_step *s, const struct life_moment *m)
{
	life_old_gone(s, m);
	life_back_off(s, m);
}

void
life_old_late(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_OLD;
}
