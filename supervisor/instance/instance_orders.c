/* SPDX-License-Identifier: MIT */
/*
 * Asks the table in life.c what an event makes of an instance, carries out its orders about timers
 * and processes, and says what came of it.
 */
#include <string.h>

#include "supervisor/instance/instances.h"
#include "supervisor/process/cgroup.h"

#define TAKE_ANY (LIFE_TAKE_SPARE | LIFE_TAKE_SPARE_AS_NEXT | LIFE_TAKE_SPARE_AS_OLD)

static struct generation *
spawn(struct instance *inst)
{
	struct generation *g;

	/* What it inherits must be listening: programs do not expect anything else. */
	if (!inst->spare)
		socket_set_resume(inst->sockets);
	g = generation_start(inst);
	if (g == NULL)
		return NULL;
	if (g->pid == 0)
		/* From the loop: nobody expects news of an end while giving an order. */
		generation_stillborn(g);
	else
		instance_news(inst, g, NEWS_STARTED);
	return g;
}

/* Whose word the main timer waits for; NULL: nobody's. */
static struct generation *
awaited(const struct instance *inst)
{
	switch (inst->life.state) {
	case LIFE_STARTING:
	case LIFE_BECOMING:
		return inst->current;
	case LIFE_REPLACING:
	case LIFE_RELIEVING:
		return inst->successor;
	case LIFE_RECALLING:
		return inst->old;
	default:
		return NULL;
	}
}

/* What somebody has said is heard before his time is over: the loop may have been kept from that. */
static void
hear(struct generation *g)
{
	if (g != NULL)
		notify_drain(g->notify);
}

static void
timeout(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);
	enum life_state was = inst->life.state;

	inst->timer = NULL;
	hear(awaited(inst));
	if (inst->life.state == was)
		instance_event(inst, LIFE_EV_TIMEOUT);
}

static void
old_timeout(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);
	const struct generation *was = inst->old;

	inst->old_timer = NULL;
	hear(inst->old);
	if (inst->old == was)
		instance_event(inst, LIFE_EV_OLD_TIMEOUT);
}

void
instance_rearm(struct instance *inst, int64_t due_ms, int64_t old_due_ms)
{
	struct timers *timers = inst->all->base->timers;

	if (due_ms >= 0)
		inst->timer = timer_at(inst, timers, due_ms, timeout, inst);
	if (old_due_ms >= 0)
		inst->old_timer = timer_at(inst, timers, old_due_ms, old_timeout, inst);
}

static void
term(struct generation *g)
{
	if (g == NULL)
		return;
	generation_term(g);
	if ((g->sick & SICK_HUNG) != 0)
		generation_kill(g, generation_end(g, "was killed"));
}

/* It was not ready in time. */
static void
term_late(struct generation *g)
{
	if (g != NULL)
		g->failure = talloc_asprintf(g, "was not ready within %ld ms (%s)",
		    g->instance->service->config->start_timeout_ms, ready_missing(g, g));
	term(g);
}

/* Why it is killed follows from where it was: not ready in time, or not ended in time. */
static void
end_by_force(struct instance *inst, struct generation *g)
{
	const struct service_config *c = inst->service->config;
	char *why;

	if (g == NULL || g->doomed)
		return;
	if (inst->all->killing)
		why = talloc_strdup(g, "was killed: baton was told twice to end");
	else if (g->told && g->failure != NULL)
		g->failure = why = talloc_asprintf(g, "%s and was killed", g->failure);
	else if (g->told)
		why = talloc_asprintf(g, "did not end within %ld ms of SIG%s and was killed",
		    c->drain_timeout_ms, sigabbrev_np((int)c->stop_signal));
	else if (g->ready_ms < 0 && (inst->life.state == LIFE_BECOMING ||
					inst->life.state == LIFE_RELIEVING || g == inst->old))
		why = talloc_asprintf(g,
		    "was a spare, did not say within %lld ms that it serves, and was killed",
		    (long long)inst->service->policy.become_ms);
	else
		why = talloc_asprintf(g, "was not ready within %ld ms (%s) and was killed",
		    c->start_timeout_ms, ready_missing(g, g));
	generation_kill(g, why);
}

static void
change_roles(struct instance *inst, unsigned orders)
{
	if ((orders & LIFE_PROMOTE) != 0) {
		inst->old = inst->current;
		inst->current = inst->successor;
		inst->successor = NULL;
	}
	if ((orders & LIFE_REINSTATE) != 0) {
		inst->successor = inst->current;
		inst->current = inst->old;
		inst->old = NULL;
	}
	if ((orders & LIFE_ADOPT) != 0) {
		inst->current = inst->successor;
		inst->successor = NULL;
		inst->restarts++;
	}
}

static void
send_signals(struct instance *inst, unsigned orders)
{
	if ((orders & LIFE_TERM_CURRENT) != 0)
		(inst->life.state == LIFE_LATE ? term_late : term)(inst->current);
	if ((orders & LIFE_TERM_NEXT) != 0)
		(inst->life.state == LIFE_ABORTING ? term_late : term)(inst->successor);
	if ((orders & LIFE_TERM_OLD) != 0)
		term(inst->old);
	if ((orders & LIFE_RECALL_OLD) != 0)
		generation_recall(inst->old);
	if ((orders & LIFE_KILL_CURRENT) != 0)
		end_by_force(inst, inst->current);
	if ((orders & LIFE_KILL_NEXT) != 0)
		end_by_force(inst, inst->successor);
	if ((orders & LIFE_KILL_OLD) != 0)
		end_by_force(inst, inst->old);
}

static void
take(struct instance *inst, struct generation **role)
{
	struct instance *place = inst->relief;

	spare_take(inst, role);
	instance_event(place, LIFE_EV_TAKEN);
}

/* The one that whoever told of it has found. */
static void
take_spare(struct instance *inst, unsigned orders)
{
	struct timers *timers = inst->all->base->timers;

	if ((orders & LIFE_TAKE_SPARE) != 0)
		take(inst, &inst->current);
	if ((orders & LIFE_TAKE_SPARE_AS_NEXT) != 0)
		take(inst, &inst->successor);
	if ((orders & LIFE_TAKE_SPARE_AS_OLD) != 0) {
		TALLOC_FREE(inst->old_timer);
		inst->old_timer =
		    timer_after(inst, timers, inst->service->policy.become_ms, old_timeout, inst);
		take(inst, &inst->old);
	}
}

/* Returns what life must be told next: a start that memory refused is an end. */
static enum life_event
carry_out(struct instance *inst, const struct life_step *s)
{
	struct timers *timers = inst->all->base->timers;
	enum life_event then = LIFE_EVENTS;

	if ((s->orders & (LIFE_DISARM | LIFE_ARM)) != 0)
		TALLOC_FREE(inst->timer);
	if ((s->orders & LIFE_DISARM_OLD) != 0)
		TALLOC_FREE(inst->old_timer);
	change_roles(inst, s->orders);
	send_signals(inst, s->orders);
	if ((s->orders & LIFE_ARM) != 0)
		inst->timer = timer_after(inst, timers, s->wait_ms, timeout, inst);
	if ((s->orders & LIFE_ARM_OLD) != 0)
		inst->old_timer = timer_after(
		    inst, timers, inst->service->policy.drain_timeout_ms, old_timeout, inst);
	if ((s->orders & TAKE_ANY) != 0)
		take_spare(inst, s->orders);
	if ((s->orders & LIFE_SPAWN_CURRENT) != 0) {
		inst->current = spawn(inst);
		then = inst->current == NULL ? LIFE_EV_EXIT : then;
	}
	if ((s->orders & LIFE_SPAWN_NEXT) != 0) {
		spare_outdated(inst);
		inst->successor = spawn(inst);
		then = inst->successor == NULL ? LIFE_EV_NEXT_EXIT : then;
	}
	return then;
}

static bool
is_down_by_crash(enum life_state state)
{
	return state == LIFE_BACKOFF || state == LIFE_FAILED;
}

void
instance_event(struct instance *inst, enum life_event event)
{
	while (event != LIFE_EVENTS) {
		enum life_state was = inst->life.state;
		struct life_step s =
		    life_step(inst->life, event, &inst->service->policy, timer_now_ms());

		if ((event == LIFE_EV_TIMEOUT || event == LIFE_EV_AGAIN) &&
		    (s.orders & LIFE_SPAWN_CURRENT) != 0)
			inst->restarts++;
		inst->life = s.life;
		event = carry_out(inst, &s);
		if (event != LIFE_EVENTS)
			instance_news(inst, NULL, NEWS_FAILED);
		refuse_judge(inst);
		if (is_down_by_crash(inst->life.state) && !is_down_by_crash(was) &&
		    was != LIFE_HELD)
			inst->all->policy->crashed(inst);
		/* Where others are started again with it, all of them start in order. */
		if (event == LIFE_EVENTS && inst->life.state == LIFE_BACKOFF &&
		    was != LIFE_BACKOFF && !inst->service->in_order &&
		    spare_call(inst, spare_for(inst)))
			event = LIFE_EV_SPARE;
		if (inst->life.state == LIFE_DOWN && inst->service->config->ncgroups > 0)
			cgroup_remove(inst->name);
		if (inst->life.state == LIFE_DOWN && was != LIFE_DOWN)
			instance_news(inst, NULL, NEWS_DOWN);
		if (inst->life.state == LIFE_HELD && was != LIFE_HELD)
			instance_news(inst, NULL, NEWS_HELD);
	}
}

void
instance_cut_drain(struct instance *inst)
{
	if (inst->old != NULL && !inst->old->doomed && inst->life.state == LIFE_READY)
		generation_kill(inst->old, "was killed: its drain was cut");
}
