/* SPDX-License-Identifier: MIT */
/*
 * What a crash of one instance means for the others of its service, in Erlang's words: nothing
 * (one_for_one), or that all of them (one_for_all), or those behind it (rest_for_one), are
 * ended from the last to the first, one after the other, and started again in their order.
 *
 * The crash is counted once, for the one that has crashed, and its back-off is that of all. If
 * it has failed for good, so have the others.
 */
#include "supervisor/base/state.h"
#include "supervisor/deploy/roll.h"

#define NOBODY (~0U)

struct strategy {
	struct service *service;
	enum { ENDING, STARTING } phase;
	unsigned first;  /* the instances from this one on */
	unsigned next;   /* STARTING: the one whose turn it is */
	unsigned failed; /* from this one on they have failed; NOBODY: none has */
	int64_t start_ms;
	struct timer *timer;
};

static void look(void *data);

/* From the loop, never from the middle of an instance's own code. */
static void
look_after(struct strategy *st, int64_t ms)
{
	TALLOC_FREE(st->timer);
	st->timer = timer_after(st, deploy_of(st->service)->base->timers, ms, look, st);
	if (st->timer == NULL)
		output_warn(deploy_of(st->service)->base->out,
		    "%s: no memory for a timer; `baton reset %s` starts what is held",
		    st->service->config->name, st->service->config->name);
}

/* Ends the last that is not held yet. Whether all are. */
static bool
end_the_last(const struct strategy *st)
{
	for (unsigned i = st->service->ninstances; i-- > st->first;) {
		struct instance *inst = st->service->instances[i];

		instance_event(inst, LIFE_EV_HOLD);
		if (inst->life.state == LIFE_STOPPING)
			return false;
	}
	return true;
}

static bool
is_coming(const struct instance *inst)
{
	return inst->life.state == LIFE_STARTING || inst->life.state == LIFE_LATE ||
	       inst->life.state == LIFE_BECOMING;
}

static void
give_up(struct instance *inst)
{
	if (inst->life.state != LIFE_HELD)
		return;
	instance_event(inst, LIFE_EV_GIVE_UP);
	instance_news(inst, NULL, NEWS_GAVE_UP);
}

/* Starts the next that is held. Whether all are through; a crash meanwhile ends the phase. */
static bool
start_the_next(struct strategy *st)
{
	for (; st->next < st->service->ninstances; st->next++) {
		struct instance *inst = st->service->instances[st->next];

		if (st->next >= st->failed)
			give_up(inst);
		else
			instance_event(inst, LIFE_EV_AGAIN);
		if (st->phase != STARTING || is_coming(inst))
			return false;
	}
	return true;
}

/* A restart or rollback replaces them anyway, and judges crashes itself. */
static bool
is_rolled(const struct service *s)
{
	const struct roll *r = deploy_of(s)->roll;

	return r != NULL && !r->over && roll_is_about(r, s);
}

static void
look(void *data)
{
	struct strategy *st = talloc_get_type_abort(data, struct strategy);
	int64_t left = st->start_ms - timer_now_ms();

	st->timer = NULL;
	if (is_rolled(st->service)) {
		/* What it does not start is started when it is over. */
		if (st->phase == ENDING)
			st->next = st->first;
		st->phase = STARTING;
		return;
	}
	if (st->phase == ENDING) {
		if (!end_the_last(st))
			return; /* news will come of it */
		if (left > 0) {
			look_after(st, left);
			return;
		}
		st->phase = STARTING;
		st->next = st->first;
	}
	if (!start_the_next(st))
		return;
	st->service->deploy->strategy = NULL;
	st->service->in_order = false;
	talloc_free(st);
}

/* While its instances are started for the first time, each goes on trying by itself. */
static bool
counts(const struct instance *inst)
{
	const struct service *s = inst->service;
	const struct deploy *d = deploy_of(s);

	if (s->config->strategy == STRATEGY_ONE_FOR_ONE || is_rolled(s))
		return false;
	if (inst->index >= s->ninstances || s->instances[inst->index] != inst)
		return false;
	return d->all->phase == SUP_RUNNING ||
	       (d->all->phase == SUP_STARTING && d->all->services[d->next_service] != s);
}

static struct strategy *
strategy_of(struct service *s)
{
	struct strategy *st = s->deploy->strategy;

	if (st != NULL)
		return st;
	st = talloc(s, struct strategy);
	if (st != NULL)
		*st = (struct strategy){.service = s, .first = NOBODY, .failed = NOBODY};
	s->deploy->strategy = st;
	s->in_order = st != NULL;
	return st;
}

static void
say_what_follows(const struct strategy *st, const struct instance *inst)
{
	const struct service *s = st->service;
	unsigned last = s->ninstances - 1;
	bool failed = inst->life.state == LIFE_FAILED;

	if (st->first == last)
		return; /* there are no others */
	output_warn(deploy_of(s)->base->out,
	    "%s: %s has %s; %s: from %s.%u to %s.%u all are ended, and %s", s->config->name,
	    inst->name, failed ? "failed" : "crashed",
	    s->config->strategy == STRATEGY_ONE_FOR_ALL ? "one_for_all" : "rest_for_one",
	    s->config->name, last, s->config->name, st->first,
	    failed ? "have failed as well" : "started again in order");
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

void
strategy_crashed(struct instance *inst)
{
	struct service *s = inst->service;
	unsigned first = s->config->strategy == STRATEGY_ONE_FOR_ALL ? 0 : inst->index;
	struct strategy *st = counts(inst) ? strategy_of(s) : NULL;
	int64_t start_ms = timer_now_ms();

	if (st == NULL)
		return; /* without memory it is started alone */
	/* Those that are held for the sake of another one stay so. */
	if (st->first != NOBODY)
		first = least(first, st->phase == ENDING ? st->first : st->next);
	if (inst->life.state == LIFE_FAILED)
		st->failed = least(st->failed, first);
	else
		start_ms += life_backoff_ms(inst->life.crashes - 1, &s->policy);
	if (st->first == NOBODY || st->phase == STARTING || st->start_ms < start_ms)
		st->start_ms = start_ms;
	st->first = first;
	st->phase = ENDING;
	say_what_follows(st, inst);
	instance_event(inst, LIFE_EV_HOLD);
	look_after(st, 0);
}

void
strategy_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	(void)g;
	(void)news;
	if (inst->service->deploy->strategy != NULL)
		look_after(inst->service->deploy->strategy, 0);
}

void
strategy_after_roll(struct deploy *d)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		if (d->all->services[i]->deploy->strategy != NULL)
			look_after(d->all->services[i]->deploy->strategy, 0);
	}
}

void
strategy_state(struct state *s, struct service *service)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct strategy, first),
	    STATE_NUMBER(struct strategy, next),
	    STATE_NUMBER(struct strategy, failed),
	    STATE_NUMBER(struct strategy, start_ms),
	};
	static const struct state_word phases[] = {
	    {"ending", ENDING, 0}, {"starting", STARTING, 1}};
	struct strategy *st = service->deploy->strategy;
	struct state sub;
	int64_t due;

	if (state_saving(s) ? st == NULL : !state_has(s, "strategy"))
		return;
	sub = state_object(s, "strategy");
	if (!state_saving(s))
		st = strategy_of(service);
	if (st == NULL) {
		state_fail(&sub, "phase", "there is no memory");
		return;
	}
	st->phase = STATE_WORD(&sub, "phase", st->phase, phases);
	STATE_FIELDS(&sub, st, fields);
	due = state_timer(&sub, "timer", st->timer);
	if (!state_saving(s) && due >= 0)
		st->timer = timer_at(st, deploy_of(service)->base->timers, due, look, st);
}
