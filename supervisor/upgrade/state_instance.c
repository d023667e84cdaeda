/* SPDX-License-Identifier: MIT */
/* One instance in the document: its life, its sockets, its processes, its timers. */
#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/upgrade/state_tree.h"

static const struct state_field fields[] = {
    STATE_NUMBER(struct instance, last_number),
    STATE_NUMBER(struct instance, restarts),
    STATE_NUMBER(struct instance, epoch),
    STATE_NUMBER(struct instance, refreshed),
    STATE_STRING(struct instance, last_exit),
    STATE_NUMBER(struct instance, last_drain_number),
    STATE_NUMBER(struct instance, last_drain.moved),
    STATE_NUMBER(struct instance, last_drain.finished),
    STATE_NUMBER(struct instance, last_drain.ended),
    STATE_NUMBER(struct instance, last_drain.cut),
    STATE_NUMBER(struct instance, last_config_number),
    STATE_NUMBER(struct instance, down_since_ms),
    STATE_NUMBER(struct instance, unwell),
};

static const struct state_field life_fields[] = {
    STATE_NUMBER(struct life, crashes),
    STATE_NUMBER(struct life, total),
    STATE_NUMBER(struct life, ready_ms),
    STATE_FLAG(struct life, hold),
};

static const struct state_word states[] = {
    {"down", LIFE_DOWN, 0},
    {"starting", LIFE_STARTING, 1},
    {"late", LIFE_LATE, 2},
    {"becoming", LIFE_BECOMING, 3},
    {"ready", LIFE_READY, 4},
    {"replacing", LIFE_REPLACING, 5},
    {"aborting", LIFE_ABORTING, 6},
    {"relieving", LIFE_RELIEVING, 7},
    {"recalling", LIFE_RECALLING, 8},
    {"backoff", LIFE_BACKOFF, 9},
    {"failed", LIFE_FAILED, 10},
    {"held", LIFE_HELD, 11},
    {"stopping", LIFE_STOPPING, 12},
};

static const struct state_word roles[] = {
    {"current", LIFE_CURRENT, 1},
    {"successor", LIFE_NEXT, 2},
    {"old", LIFE_OLD, 4},
};

static const struct state_field socket_fields[] = {
    STATE_FLAG(struct socket_set, refusing),
};

static const struct state_field listener_fields[] = {
    STATE_NEEDED_STRING(struct listener, name),
    STATE_NEEDED_FD(struct listener, fd),
    STATE_FLAG(struct listener, chosen),
    STATE_FLAG(struct listener, given),
};

static void
life(struct state *s, struct life *l)
{
	struct state sub = state_object(s, "life");

	l->state = STATE_WORD(&sub, "state", l->state, states);
	l->alive = STATE_WORDS(&sub, "alive", l->alive, roles);
	STATE_FIELDS(&sub, l, life_fields);
	state_numbers(&sub, "crashed_ms", l->crashed_ms, LIFE_CRASHES_KEPT);
}

static void
sockets(struct state *s, struct socket_set *set)
{
	unsigned n;

	STATE_FIELDS(s, set, socket_fields);
	n = state_array(s, "listeners", set->nlisteners);

	if (!state_saving(s)) {
		socket_set_use(set, listener_new(set, n));
		if (set->listeners == NULL) {
			state_fail(s, "listeners", "there is no memory");
			return;
		}
	}
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "listeners", i);
		struct listener *l = &set->listeners[i];

		STATE_FIELDS_OF(&sub, set->listeners, l, listener_fields);
		address_state(&sub, "address", &l->address);
		state_socket_file(&sub, "file", &l->file);
	}
}

void
state_instance(struct state *s, struct instance *inst)
{
	int64_t due, old_due, refuse_due;

	STATE_FIELDS(s, inst, fields);
	state_executable(s, "last_exe", &inst->last_exe);
	life(s, &inst->life);
	sockets(s, inst->sockets);
	state_generation(s, "current", inst, &inst->current);
	state_generation(s, "successor", inst, &inst->successor);
	state_generation(s, "old", inst, &inst->old);
	state_channel(s, "left", &inst->left);
	due = state_timer(s, "timer", inst->timer);
	old_due = state_timer(s, "old_timer", inst->old_timer);
	refuse_due = state_timer(s, "refuse_timer", inst->refuse_timer);
	if (state_saving(s) || !state_ok(s))
		return;
	/* Without its timer, for which there was no memory, it would wait for ever. */
	if (inst->life.state == LIFE_BACKOFF && due < 0)
		due = timer_now_ms();
	instance_rearm(inst, due, old_due);
	if (refuse_due >= 0)
		refuse_rearm(inst, refuse_due);
}
