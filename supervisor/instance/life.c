/* SPDX-License-Identifier: MIT */
/* The table. An empty cell: nothing happens. What stands in the others are small pure functions. */
#include "supervisor/instance/life_internal.h"

#include <stddef.h>

void
life_enter(struct life_step *s, enum life_state state, unsigned orders)
{
	s->life.state = state;
	s->orders |= orders;
}

void
life_arm(struct life_step *s, int64_t wait_ms)
{
	s->orders |= LIFE_ARM;
	s->wait_ms = wait_ms;
}

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
