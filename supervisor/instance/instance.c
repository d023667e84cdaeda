/* SPDX-License-Identifier: MIT */
/*
 * What becomes of an instance when something happens to one of its processes. Only this file hears
 * of that (struct generation_events), so it stands at the top of the folder.
 */
#include "supervisor/instance/instances.h"

static void
ready(struct generation *g)
{
	struct instance *inst = g->instance;

	if (g == inst->old) {
		/* A spare that stands in; if it comes too late, it is told to end again. */
		instance_event(inst, LIFE_EV_OLD_READY);
		if (g == inst->current)
			instance_news(inst, g, NEWS_READY);
		return;
	}
	instance_event(inst, g == inst->successor ? LIFE_EV_NEXT_READY : LIFE_EV_READY);
	instance_news(inst, g, NEWS_READY);
}

static void
back(struct generation *g)
{
	struct instance *inst = g->instance;

	instance_event(inst, LIFE_EV_OLD_READY);
	if (g == inst->current)
		instance_news(inst, g, NEWS_BACK);
}

static void
giver_is_gone(struct instance *inst, struct generation *g)
{
	if (g->gives == NULL)
		return;
	channel_giver_gone(g->gives);
	if (g != inst->current && inst->current != NULL && inst->current->takes == g->gives)
		generation_giver_gone(inst->current);
	if (inst->successor != NULL && inst->successor->takes == g->gives)
		generation_giver_gone(inst->successor);
}

/* Each side of a handover hears of the other's death from here, and only from here. */
static void
tell_the_other_side(struct instance *inst, struct generation *g, bool stand_in)
{
	struct generation *giver = g == inst->successor ? inst->current : inst->old;

	if (g != inst->old && giver != NULL && g->takes != NULL && g->takes == giver->gives &&
	    generation_lives(giver)) {
		channel_taker_gone(giver->gives);
		if (g == inst->successor)
			channel_called_off(giver->gives);
	}
	/* As nothing has ever been offered on it, who stands in can go on with it. */
	if (!stand_in || g->told_once)
		giver_is_gone(inst, g);
}

/* CURRENT, which was NEXT, is still starting: until it is ready a spare is what serves. */
static void
let_stand_in(struct instance *inst, struct generation *dead)
{
	instance_event(inst, LIFE_EV_SPARE);
	if (inst->old == NULL && channel_give_fd(dead->gives) >= 0)
		giver_is_gone(inst, dead);
}

/* What the dead had offered and nobody read goes to the next one that is started. */
static void
keep_what_is_left(struct instance *inst, const struct generation *g)
{
	struct channel *c = g == inst->old ? g->gives : g->takes;

	if (inst->current != NULL && inst->current != g)
		return;
	if (inst->successor != NULL || c == NULL || channel_give_fd(c) >= 0 ||
	    !channel_has_unread(c))
		return;
	channel_unref(&inst->left);
	inst->left = channel_ref(c);
}

/* Whether it is not to be started again. What baton killed for being late has not ended by
 * itself, and what could not be started has not ended at all. */
static bool
is_done(const struct instance *inst, const struct generation *g)
{
	long lifetime = inst->service->config->lifetime;

	if (inst->spare || g->pid == 0 || g->doomed || g->failure != NULL)
		return false;
	return lifetime == LIFETIME_TEMPORARY || (lifetime == LIFETIME_TRANSIENT && g->succeeded);
}

static bool
waits_for_next(const struct instance *inst)
{
	return inst->life.state == LIFE_REPLACING || inst->life.state == LIFE_ABORTING;
}

static void
ended(struct generation *g)
{
	struct instance *inst = g->instance;
	bool asked = g->told && g->failure == NULL;
	bool stand_in = g == inst->current && waits_for_next(inst) && !is_done(inst, g) &&
			spare_call(inst, spare_beside(g));
	enum life_event event;

	tell_the_other_side(inst, g, stand_in);
	keep_what_is_left(inst, g);
	if (g->drained) {
		inst->last_drain = g->counts;
		inst->last_drain_number = g->number;
	}
	talloc_free(inst->last_exit);
	inst->last_exit =
	    talloc_strdup(inst, g->failure != NULL ? g->failure : generation_end(g, g->ended));
	if (inst->spare)
		places_ended(g);
	if (g == inst->successor) {
		event = LIFE_EV_NEXT_EXIT;
		inst->successor = NULL;
	} else if (g == inst->old) {
		event = LIFE_EV_OLD_EXIT;
		inst->old = NULL;
	} else {
		event = is_done(inst, g) ? LIFE_EV_DONE : LIFE_EV_EXIT;
		inst->epoch = g->epoch;
		inst->current = NULL;
	}
	instance_event(inst, event);
	if (stand_in)
		let_stand_in(inst, g);
	instance_news(inst, g, g->ready_ms < 0 && !asked ? NEWS_FAILED : NEWS_ENDED);
	if (inst->life.state == LIFE_FAILED && (event == LIFE_EV_EXIT || event == LIFE_EV_OLD_EXIT))
		instance_news(inst, g, NEWS_GAVE_UP);
	start_leave_group(g);
	talloc_free(g);
}

static void
stopping(struct generation *g)
{
	refuse_judge(g->instance);
}

static void
line(struct generation *g, bool err, const char *text, size_t len)
{
	recent_add(g->instance, err, text, len);
	g->instance->all->policy->line(g->instance, err, text, len);
}

static const struct generation_events events = {.said_ready = places_said_ready,
    .ready = ready,
    .back = back,
    .stopping = stopping,
    .unwell = sick_found,
    .well = sick_over,
    .line = line,
    .ended = ended};

void
instances_listen(struct instances *all)
{
	all->generation_events = &events;
}
