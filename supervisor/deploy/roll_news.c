/* SPDX-License-Identifier: MIT */
/* What the news of an instance mean for the rolling restart that replaces it. */
#include "supervisor/deploy/roll.h"

static const char *
how_it_ended(const struct generation *g)
{
	return g->failure != NULL ? g->failure : g->ended;
}

static void
news_of_next(struct roll *r, struct turn *t, const struct generation *g, enum instance_news news)
{
	const struct instance *inst = t->inst;

	if (g == NULL) {
		if (news == NEWS_FAILED)
			roll_fail(r, t, g, "there is no memory to start its successor");
		return;
	}
	if (g->number != t->number)
		return; /* the one that is being replaced ended by itself: its successor goes on */
	if (news == NEWS_STARTED) {
		roll_progress(r, t,
		    talloc_asprintf(r, "%s: generation %u started, pid %d", inst->name, g->number,
			(int)g->pid));
	} else if (news == NEWS_READY) {
		char *drains = inst->old == NULL
				   ? NULL
				   : talloc_asprintf(r, "; generation %u (pid %d) drains",
					 inst->old->number, (int)inst->old->pid);

		roll_progress(r, t,
		    talloc_asprintf(r, "%s: generation %u ready in %lld ms%s", inst->name,
			g->number, (long long)generation_age_ms(g), drains == NULL ? "" : drains));
		talloc_free(drains);
		t->stage = inst->old == NULL ? TURN_DONE : TURN_OLD;
		if (r->task.now)
			instance_cut_drain(t->inst);
	} else if (news == NEWS_FAILED) {
		roll_fail(r, t, g,
		    talloc_asprintf(r, "generation %u %s%s", g->number, how_it_ended(g),
			g->failure != NULL ? "" : " before it was ready"));
	} else if (news == NEWS_ENDED) {
		roll_fail(
		    r, t, g, talloc_asprintf(r, "generation %u %s", g->number, how_it_ended(g)));
	}
}

static void
news_of_old(struct roll *r, struct turn *t, const struct generation *g, enum instance_news news)
{
	/* A spare that was to stand in may have failed to. */
	if ((news != NEWS_ENDED && news != NEWS_FAILED) || g == NULL)
		return;
	if (g->number == t->number) {
		roll_fail(r, t, g,
		    talloc_asprintf(r, "generation %u said that it was ready, and %s", g->number,
			how_it_ended(g)));
		return;
	}
	roll_take_account(r, t, g);
	roll_progress(r, t,
	    talloc_asprintf(r, "%s: generation %u %s%s%s", t->inst->name, g->number,
		how_it_ended(g), g->drained ? "; " : "",
		g->drained ? report_drained(r, &g->counts) : ""));
	if (t->inst->old == NULL)
		t->stage = TURN_DONE;
}

/* What was replaced is still on trial: a program that crashes a little later is no better. */
static void
news_of_done(struct roll *r, struct turn *t, const struct generation *g, enum instance_news news)
{
	const char *canary = r->paused == t ? ", while it was the canary" : "";
	const struct generation *current = t->inst->current;
	enum life_state state = t->inst->life.state;

	if (r->paused == t && state == LIFE_DOWN) {
		roll_fail(r, t, NULL, talloc_asprintf(r, "it was told to stop%s", canary));
		return;
	}
	if (news == NEWS_STARTED && current != NULL && current->number == t->number &&
	    current->sick_why != NULL) {
		roll_fail(r, t, current,
		    talloc_asprintf(r, "generation %u %s%s", t->number, current->sick_why, canary));
		return;
	}
	if (news != NEWS_ENDED || g == NULL || g->number != t->number ||
	    (g->told && g->failure == NULL) || state == LIFE_DOWN || state == LIFE_STOPPING)
		return;
	roll_fail(r, t, g,
	    talloc_asprintf(r, "generation %u %s, %s after it was ready%s", g->number,
		how_it_ended(g), report_duration(r, timer_now_ms() - g->ready_ms), canary));
}

/* Whoever told it so need not tell the roll as well: stopping wins. */
static bool
was_stopped(const struct turn *t, const struct generation *g)
{
	enum life_state state = t->inst->life.state;

	if (!roll_under_way(t) || (state != LIFE_STOPPING && state != LIFE_DOWN))
		return false;
	return g == NULL || g->told || g->number != t->number; /* else its work is done */
}

void
roll_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	struct roll *r = deploy_of(inst->service)->roll;
	struct turn *t = NULL;

	for (size_t i = 0; r != NULL && !r->over && i < r->count; i++)
		t = r->turns[i].inst == inst ? &r->turns[i] : t;
	if (t == NULL)
		return;
	if (was_stopped(t, g))
		roll_fail(r, t, NULL, "it was told to stop");
	else if (t->stage == TURN_NEXT)
		news_of_next(r, t, g, news);
	else if (t->stage == TURN_OLD)
		news_of_old(r, t, g, news);
	else if (t->stage == TURN_DONE)
		news_of_done(r, t, g, news);
	roll_advance(r);
}

void
roll_spoil(
    struct deploy *d, const struct instance *inst, const struct generation *g, const char *reason)
{
	struct roll *r = d->roll;
	struct turn *t = NULL;

	/* Its own turn, or if it is not concerned, any of its service. */
	for (size_t i = 0; r != NULL && i < r->count; i++) {
		struct turn *other = &r->turns[i];

		if (other->inst == inst || (t == NULL && other->inst->service == inst->service))
			t = other;
	}
	if (t == NULL || t->stage == TURN_FAILED)
		return;
	if (t->inst != inst)
		reason = talloc_asprintf(r, "%s: %s", inst->name, reason);
	else if (r->paused == t)
		reason = talloc_asprintf(r, "%s, while it was the canary", reason);
	roll_fail(r, t, g, reason);
	roll_advance(r);
}
