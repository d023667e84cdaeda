/* SPDX-License-Identifier: MIT */
/*
 * When the sockets of an instance refuse: who is down for long, or for good, must not look alive
 * to those who connect. How they do is the business of sockets/.
 */
#include "supervisor/instance/instances.h"

/* Of those that share its sockets; and it is not about to end for good. */
static bool
another_lives(const struct instance *inst)
{
	const struct service *s = inst->service;

	for (unsigned i = 0; s->config->shared && i < s->ninstances; i++) {
		const struct life *l = &s->instances[i]->life;

		if (s->instances[i] != inst && l->alive != 0 &&
		    (l->state != LIFE_STOPPING || l->hold))
			return true;
	}
	return false;
}

/* Unless another instance has the same sockets, and serves. */
static void
refuse(struct instance *inst)
{
	if (!another_lives(inst))
		socket_set_refuse(inst->sockets);
}

static void
down_for_long(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);

	inst->refuse_timer = NULL;
	refuse(inst);
}

void
refuse_rearm(struct instance *inst, int64_t due_ms)
{
	inst->refuse_timer = timer_at(inst, inst->all->base->timers, due_ms, down_for_long, inst);
}

/* Who is told to end takes what it has accepted, and perhaps what is in the queue: so soon nobody
 * else may come. */
#define STOP_MS 100

/* A process that ends, and is not to be started again, serves nobody new. When it says that it ends,
 * it has taken whom it takes; one that does not say so has a moment. */
static void
refuse_while_stopping(struct instance *inst)
{
	const struct generation *g = inst->current != NULL ? inst->current : inst->old;

	if (inst->sockets->refusing || (inst->refuse_timer != NULL && (g == NULL || !g->stopping)))
		return;
	TALLOC_FREE(inst->refuse_timer);
	if (g == NULL || g->stopping)
		refuse(inst);
	else
		inst->refuse_timer =
		    timer_after(inst, inst->all->base->timers, STOP_MS, down_for_long, inst);
}

/* When baton itself ends, the next one finds the sockets in the manager's store. */
static bool
next_baton_listens(const struct instance *inst)
{
	return inst->all->phase == SUP_STOPPING && inst->all->keeps_sockets;
}

/* Nothing serves. A process that is starting must find its sockets listening, however long it
 * takes; while there is none, they refuse as soon as the time is over. */
static void
wait_to_refuse(struct instance *inst)
{
	int64_t now = timer_now_ms(), wait;

	TALLOC_FREE(inst->refuse_timer);
	if (inst->down_since_ms == 0)
		inst->down_since_ms = now;
	if ((inst->life.alive & LIFE_CURRENT) != 0 || inst->sockets->refusing)
		return;
	wait = inst->down_since_ms + inst->service->config->refuse_after_ms - now;
	inst->refuse_timer =
	    timer_after(inst, inst->all->base->timers, wait < 0 ? 0 : wait, down_for_long, inst);
}

void
refuse_judge(struct instance *inst)
{
	bool serves = (inst->life.alive & LIFE_OLD) != 0 || inst->life.ready_ms >= 0;

	if (inst->spare)
		return; /* it has none */
	if (serves)
		inst->down_since_ms = 0;
	if (inst->life.state == LIFE_STOPPING && !inst->life.hold && !next_baton_listens(inst)) {
		refuse_while_stopping(inst);
	} else if (inst->life.state == LIFE_FAILED || inst->life.state == LIFE_DOWN) {
		TALLOC_FREE(inst->refuse_timer);
		if (!serves && !next_baton_listens(inst))
			refuse(inst);
	} else if (serves || inst->life.state == LIFE_STOPPING) {
		TALLOC_FREE(inst->refuse_timer);
	} else {
		wait_to_refuse(inst);
	}
}
