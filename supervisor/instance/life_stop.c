/* SPDX-License-Identifier: MIT */
/* Cells about the end: in good order, now, or to be started again with others. */
#include "supervisor/instance/life_internal.h"

/* OLD was asked already, and NEXT may be asked: it serves nobody yet. */
void
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
void
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
void
life_stop_for_good(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.hold = false;
}

void
life_give_up(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	life_enter(s, LIFE_FAILED, 0);
}

void
life_end_now(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->life.hold = false;
	if (s->life.alive == 0)
		life_enter(s, LIFE_DOWN, LIFE_DISARM);
	else
		life_enter(s, LIFE_STOPPING, LIFE_DISARM | LIFE_KILL_ALL);
}

void
life_stop_late(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	s->orders |= LIFE_KILL_ALL;
}

/* One that was called back is on its way to serving: it is told once more. */
void
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

void
life_stop_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_CURRENT);
}

void
life_stop_next_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_NEXT);
}

void
life_stop_old_exit(struct life_step *s, const struct life_moment *m)
{
	(void)m;
	stop_gone(s, LIFE_OLD);
}
