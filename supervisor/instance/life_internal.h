/* SPDX-License-Identifier: MIT */
/* What the files of life.h share: the functions in the cells of its table, by file. */
#ifndef SUPERVISOR_LIFE_INTERNAL_H
#define SUPERVISOR_LIFE_INTERNAL_H

#include "supervisor/instance/life.h"

/* What every cell gets beside the life itself. */
struct life_moment {
	const struct life_policy *policy;
	int64_t now_ms;
};

typedef void life_cell_fn(struct life_step *s, const struct life_moment *m);

/* --- life.c: what a cell does to a step ------------------------------------------------- */

void life_enter(struct life_step *s, enum life_state state, unsigned orders);
void life_arm(struct life_step *s, int64_t wait_ms);

/* --- life_current.c ------------------------------------------------------------------------ */

life_cell_fn life_start, life_start_afresh, life_become, life_stand_in;
life_cell_fn life_ready, life_late, life_later, life_become_late;
life_cell_fn life_crashed, life_crashed_ready, life_become_failed, life_finished;
life_cell_fn life_back_off;

/* --- life_replace.c ------------------------------------------------------------------------ */

life_cell_fn life_replace, life_next_ready, life_next_late, life_next_later, life_next_failed;
life_cell_fn life_relieve, life_relief_failed;
life_cell_fn life_adopt, life_reinstate, life_recalled_gone;
life_cell_fn life_old_again, life_old_gone, life_old_late;

/* --- life_stop.c --------------------------------------------------------------------------- */

life_cell_fn life_stop, life_stop_for_good, life_hold, life_give_up, life_end_now;
life_cell_fn life_stop_late, life_stop_again;
life_cell_fn life_stop_exit, life_stop_next_exit, life_stop_old_exit;

#endif
