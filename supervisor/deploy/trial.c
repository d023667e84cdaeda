/* SPDX-License-Identifier: MIT */
/*
 * The first time of a generation, in which it has to show that it is good: what crashes a
 * moment after it said that it was ready is no better than what never said so.
 */
#include "supervisor/deploy/roll.h"
#include "supervisor/deploy/version.h"

/* The file may have been replaced between the look at it and the start. */
static void
identify(struct generation *g)
{
	struct executable is = executable_of(g->pid), at;

	if (g->program == NULL || !is.known || executable_same_file(&is, &g->exe))
		return;
	at = executable_at(g->program);
	if (executable_same_file(&is, &at))
		g->exe = at;
}

static void begin(struct generation *g);

static void
passed(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	g->trial = NULL;
	if (g->sick != 0)
		begin(g); /* it may wake up */
	if (g != g->instance->current || g->told || g->stopping || g->doomed || g->sick != 0)
		return; /* if it comes back, it begins anew */
	g->proved = true;
	proved_keep(g);
}

static void
begin(struct generation *g)
{
	TALLOC_FREE(g->trial);
	if (g->proved)
		return;
	if (g->instance->service->config->probation_time_ms == 0)
		passed(g);
	else
		g->trial = timer_after(g, deploy_of(g->instance->service)->base->timers,
		    g->instance->service->config->probation_time_ms, passed, g);
}

/* Successors that are of no use any more: none of them serves yet. */
static void
kill_successors(const struct service *s)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		struct generation *next = s->instances[i]->successor;

		if (next != NULL && !proved_is(s->deploy->from, next))
			generation_kill(next, "was killed, for its service is rolled back");
	}
}

/* G of INST has failed, in words: WHY. Nothing is gained by going back from what has proved
 * good already, or has been gone back to. */
static void
go_back(struct instance *inst, struct generation *g, const char *why)
{
	struct service *s = inst->service;
	struct deploy *d = deploy_of(inst->service);
	char *reason, *text;

	if (d->all->phase == SUP_STOPPING || d->all->phase == SUP_DONE || s->deploy->from != NULL ||
	    (s->deploy->nproved > 0 && proved_is(s->deploy->proved[0], g)))
		return;
	if (version_start_from_proved(s, g, &reason) < 0) {
		g->not_rolled_back = reason;
		if (s->deploy->nproved > 0)
			output_warn(
			    d->base->out, "%s cannot be rolled back: %s", s->config->name, reason);
		return;
	}
	text = talloc_asprintf(
	    g, "%s: %s; going back to %s", inst->name, why, version_text(g, s->deploy->from));
	output_warn(d->base->out, "%s", text);
	talloc_free(s->deploy->back_why);
	s->deploy->back_why = talloc_strdup(s, text);
	s->deploy->back_unix_ms = timer_unix_ms();
	event_emit(d->all, inst, g, "rollback", NULL, "%s; going back to %s", why,
	    version_text(g, s->deploy->from));
	revert_due(s, text);
	roll_spoil(d, inst, g, why);
	kill_successors(s);
}

/* One that ended in its probation, unasked. */
static void
ended(struct instance *inst, struct generation *g)
{
	if (g->proved || g->ready_ms < 0 || g->told || inst->life.state == LIFE_DOWN ||
	    inst->life.state == LIFE_STOPPING)
		return;
	go_back(inst, g,
	    talloc_asprintf(g, "generation %u %s, %s after it was ready", g->number,
		g->failure != NULL ? g->failure : g->ended,
		report_duration(g, timer_now_ms() - g->ready_ms)));
}

/* One that was to serve, not the successor of one that does. */
static void
failed(struct instance *inst, struct generation *g)
{
	if (g->starved)
		return; /* that is not the program's doing */
	if (inst->current != NULL || inst->old != NULL ||
	    (inst->life.state != LIFE_BACKOFF && inst->life.state != LIFE_HELD &&
		inst->life.state != LIFE_FAILED))
		return;
	go_back(inst, g,
	    talloc_asprintf(g, "generation %u %s%s", g->number,
		g->failure != NULL ? g->failure : g->ended,
		g->failure != NULL ? "" : " before it was ready"));
}

void
trial_failed(struct generation *g, const char *why)
{
	const char *text;

	if (g->proved || g->ready_ms < 0 || g->told || g->doomed)
		return;
	text = talloc_asprintf(g, "generation %u %s", g->number, why);
	go_back(g->instance, g, text);
	if (g->not_rolled_back != NULL)
		roll_spoil(deploy_of(g->instance->service), g->instance, g, text);
}

void
trial_rearm(struct generation *g, int64_t due_ms)
{
	g->trial = timer_at(g, deploy_of(g->instance->service)->base->timers, due_ms, passed, g);
}

void
trial_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	if (g == NULL)
		return;
	if (news == NEWS_READY)
		identify(g);
	if ((news == NEWS_ENDED || news == NEWS_FAILED) && !g->told) {
		inst->last_exe = g->exe;
		inst->last_config_number = g->config_number;
	}
	if (inst->spare)
		return; /* who serves nobody proves nothing */
	if (news == NEWS_READY || news == NEWS_BACK)
		begin(g);
	else if (news == NEWS_ENDED)
		ended(inst, g);
	else if (news == NEWS_FAILED)
		failed(inst, g);
}
