/* SPDX-License-Identifier: MIT */
/* Carries out what the table in life.c decides, and tells it what has happened. */
#include "supervisor/supervisor.h"

static void
stillborn_ended(void *data)
{
	instance_generation_ended(talloc_get_type_abort(data, struct generation));
}

static void
down_for_long(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);

	inst->refuse_timer = NULL;
	listener_refuse(inst);
}

/* Who is down for long, or for good, must not look alive to those who connect. */
static void
judge_sockets(struct instance *inst)
{
	bool serves = (inst->life.alive & LIFE_OLD) != 0 || inst->life.ready_ms >= 0;

	switch (inst->life.state) {
	case LIFE_FAILED:
	case LIFE_DOWN:
		TALLOC_FREE(inst->refuse_timer);
		if (!serves)
			listener_refuse(inst);
		break;
	case LIFE_STOPPING:
		TALLOC_FREE(inst->refuse_timer);
		break;
	default:
		if (serves)
			TALLOC_FREE(inst->refuse_timer);
		else if (inst->refuse_timer == NULL && !inst->refusing)
			inst->refuse_timer = timer_after(inst, inst->sup->timers,
			    inst->service->config->refuse_after_ms, down_for_long, inst);
	}
}

static struct generation *
spawn(struct instance *inst)
{
	struct generation *g;

	/* What it inherits must be listening: programs do not expect anything else. */
	listener_resume(inst);
	g = generation_start(inst);
	if (g == NULL)
		return NULL;
	if (g->pid == 0)
		/* From the loop: nobody expects news of an end while giving an order. */
		timer_after(g, inst->sup->timers, 0, stillborn_ended, g);
	else
		supervisor_news(inst, g, NEWS_STARTED);
	return g;
}

static void
timeout(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);

	inst->timer = NULL;
	instance_event(inst, LIFE_EV_TIMEOUT);
}

static void
old_timeout(void *data)
{
	struct instance *inst = talloc_get_type_abort(data, struct instance);

	inst->old_timer = NULL;
	instance_event(inst, LIFE_EV_OLD_TIMEOUT);
}

static void
term(struct generation *g)
{
	if (g == NULL)
		return;
	generation_term(g);
	if (g->hung)
		generation_kill(g, watchdog_why(g)); /* it cannot drain */
}

/* Why it is killed follows from where it was: not ready in time, or not ended in time. */
static void
end_by_force(struct instance *inst, struct generation *g)
{
	const struct service_config *c = inst->service->config;
	char *why;

	if (g == NULL || g->doomed)
		return;
	if (inst->sup->killing)
		why = talloc_strdup(g, "was killed: baton was told twice to end");
	else if (g->told)
		why = talloc_asprintf(
		    g, "did not end within %ld ms of SIGTERM and was killed", c->drain_timeout_ms);
	else
		why = talloc_asprintf(g,
		    "was not ready within %ld ms (no READY=1 on NOTIFY_SOCKET) and was killed",
		    c->start_timeout_ms);
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
		term(inst->current);
	if ((orders & LIFE_TERM_NEXT) != 0)
		term(inst->successor);
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

/* Returns what life must be told next: a start that memory refused is an end. */
static enum life_event
carry_out(struct instance *inst, const struct life_step *s)
{
	struct timers *timers = inst->sup->timers;
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
	if ((s->orders & LIFE_SPAWN_CURRENT) != 0) {
		inst->current = spawn(inst);
		then = inst->current == NULL ? LIFE_EV_EXIT : then;
	}
	if ((s->orders & LIFE_SPAWN_NEXT) != 0) {
		inst->successor = spawn(inst);
		then = inst->successor == NULL ? LIFE_EV_NEXT_EXIT : then;
	}
	return then;
}

void
instance_event(struct instance *inst, enum life_event event)
{
	while (event != LIFE_EVENTS) {
		enum life_state was = inst->life.state;
		struct life_step s =
		    life_step(inst->life, event, &inst->service->policy, timer_now_ms());

		if (event == LIFE_EV_TIMEOUT && (s.orders & LIFE_SPAWN_CURRENT) != 0)
			inst->restarts++;
		inst->life = s.life;
		event = carry_out(inst, &s);
		if (event != LIFE_EVENTS)
			supervisor_news(inst, NULL, NEWS_FAILED);
		judge_sockets(inst);
		if (inst->life.state == LIFE_DOWN && was != LIFE_DOWN)
			supervisor_news(inst, NULL, NEWS_DOWN);
	}
}

void
instance_generation_ready(struct generation *g)
{
	struct instance *inst = g->instance;

	instance_event(inst, g == inst->successor ? LIFE_EV_NEXT_READY : LIFE_EV_READY);
	supervisor_news(inst, g, NEWS_READY);
}

void
instance_generation_back(struct generation *g)
{
	struct instance *inst = g->instance;

	instance_event(inst, LIFE_EV_OLD_READY);
	if (g == inst->current)
		supervisor_news(inst, g, NEWS_BACK);
}

/* Each side of a handover hears of the other's death from here, and only from here. */
static void
tell_the_other_side(struct instance *inst, struct generation *g)
{
	struct generation *giver = g == inst->successor ? inst->current : inst->old;

	if (g != inst->old && giver != NULL && g->takes != NULL && g->takes == giver->gives &&
	    generation_lives(giver)) {
		channel_taker_gone(giver->gives);
		if (g == inst->successor)
			channel_called_off(giver->gives);
	}
	if (g->gives == NULL)
		return;
	channel_giver_gone(g->gives);
	if (g == inst->old && inst->current != NULL && inst->current->takes == g->gives)
		generation_giver_gone(inst->current);
	if (g == inst->current && inst->successor != NULL && inst->successor->takes == g->gives)
		generation_giver_gone(inst->successor);
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
	channel_drop(&inst->left);
	inst->left = channel_hold(c);
}

/* Whether it is not to be started again. What baton killed for being late has not ended by
 * itself, and what could not be started has not ended at all. */
static bool
is_done(const struct instance *inst, const struct generation *g)
{
	long lifetime = inst->service->config->lifetime;

	if (g->pid == 0 || g->doomed || g->failure != NULL)
		return false;
	return lifetime == LIFETIME_TEMPORARY || (lifetime == LIFETIME_TRANSIENT && g->succeeded);
}

void
instance_generation_ended(struct generation *g)
{
	struct instance *inst = g->instance;
	bool asked = g->told && g->failure == NULL;
	enum life_event event;

	tell_the_other_side(inst, g);
	keep_what_is_left(inst, g);
	if (g->drained) {
		inst->last_drain = g->counts;
		inst->last_drain_number = g->number;
	}
	talloc_free(inst->last_exit);
	inst->last_exit = talloc_strdup(inst, g->failure != NULL ? g->failure : g->ended);
	if (g == inst->successor) {
		event = LIFE_EV_NEXT_EXIT;
		inst->successor = NULL;
	} else if (g == inst->old) {
		event = LIFE_EV_OLD_EXIT;
		inst->old = NULL;
	} else {
		event = is_done(inst, g) ? LIFE_EV_DONE : LIFE_EV_EXIT;
		inst->current = NULL;
	}
	instance_event(inst, event);
	supervisor_news(inst, g, g->ready_ms < 0 && !asked ? NEWS_FAILED : NEWS_ENDED);
	if (inst->life.state == LIFE_FAILED && (event == LIFE_EV_EXIT || event == LIFE_EV_OLD_EXIT))
		supervisor_news(inst, g, NEWS_GAVE_UP);
	talloc_free(g);
}

static int
instance_close(struct instance *inst)
{
	channel_drop(&inst->left);
	return 0;
}

struct instance *
instance_new(struct service *service, unsigned index)
{
	struct instance *inst = talloc_zero(service, struct instance);

	if (inst == NULL)
		return NULL;
	talloc_set_destructor(inst, instance_close);
	inst->sup = service->sup;
	inst->service = service;
	inst->index = index;
	inst->life = life_new();
	inst->name = talloc_asprintf(inst, "%s.%u", service->config->name, index);
	inst->prefix = talloc_asprintf(inst, "%s | ", inst->name);
	if (inst->name == NULL || inst->prefix == NULL)
		TALLOC_FREE(inst);
	return inst;
}

char *
instance_urls(TALLOC_CTX *mem, const struct instance *inst)
{
	char *urls = talloc_strdup(mem, inst->nlisteners == 0 ? "-" : "");

	for (size_t i = 0; i < inst->nlisteners; i++) {
		char *url = address_url(mem, &inst->listeners[i].address);

		urls = talloc_asprintf_append(urls, "%s%s", i == 0 ? "" : " ", url);
		talloc_free(url);
	}
	return urls;
}
