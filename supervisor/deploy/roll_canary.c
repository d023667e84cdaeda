/* SPDX-License-Identifier: MIT */
/*
 * The canary: the first instance of a service that a restart has replaced. It alone meets the
 * real load for a while, and the others follow only if it is well then, or when somebody who
 * has looked at it says so.
 */
#include "supervisor/deploy/roll.h"

static bool
is_wanted(const struct roll *r, const struct service *s)
{
	return !r->task.back && !r->task.revert && (r->task.canary || s->config->canary != 0);
}

void
roll_end_pause(struct roll *r, const char *why)
{
	struct turn *t = r->paused;

	output_say(
	    r->deploy->base->out, "%s  %s; the %s goes on", t->inst->name, why, r->task.what);
	event_emit(r->deploy->all, t->inst, NULL, "restart-continued", NULL, "%s", why);
	r->passed = t->inst->service;
	r->paused = NULL;
	TALLOC_FREE(r->pause_timer);
	roll_progress(
	    r, t, talloc_asprintf(r, "%s: %s; the %s goes on", t->inst->name, why, r->task.what));
}

void
roll_judge_canary(struct roll *r)
{
	struct turn *t = r->paused;

	/* One that hangs has not ended yet; its successor may have been started. */
	if (t->inst->life.state != LIFE_READY || t->inst->current == NULL ||
	    t->inst->current->number != t->number || t->inst->current->sick != 0)
		roll_fail(r, t, NULL,
		    talloc_asprintf(
			r, "generation %u is not well, while it was the canary", t->number));
	else
		roll_end_pause(r, "nothing has gone wrong with it");
}

static void
begin_pause(struct roll *r, struct turn *t)
{
	long ms = t->inst->service->config->canary_time_ms;
	char *text;

	r->paused = t;
	r->paused_ms = timer_now_ms();
	if (ms > 0)
		text = talloc_asprintf(r,
		    "%s: the canary; the %s pauses for %s, or until `baton continue`",
		    t->inst->name, r->task.what, report_duration(r, ms));
	else
		text = talloc_asprintf(r, "%s: the canary; the %s pauses until `baton continue`",
		    t->inst->name, r->task.what);
	if (text != NULL) {
		output_say(r->deploy->base->out, "%s", text);
		event_emit(r->deploy->all, t->inst, NULL, "restart-paused",
		    json_pack("{s:I}", "pause_ms", (json_int_t)ms), "%s", text);
	}
	roll_progress(r, t, text);
}

long
roll_room(struct roll *r, const struct service *s)
{
	struct turn *canary = NULL;
	bool others = false;

	if (!is_wanted(r, s) || r->passed == s)
		return s->config->surge;
	for (size_t i = 0; i < r->count; i++) {
		struct turn *t = &r->turns[i];

		if (t->inst->service != s)
			continue;
		if (t->stage == TURN_DONE && canary == NULL)
			canary = t;
		others = others || (t->stage < TURN_DONE && t->inst->life.state != LIFE_DOWN);
	}
	if (canary == NULL)
		return 1;
	if (others && r->paused == NULL)
		begin_pause(r, canary);
	else if (!others && r->paused != NULL)
		roll_end_pause(r, "there is no other left");
	return others ? 0 : s->config->surge;
}

static int64_t
left_ms(const struct roll *r)
{
	int64_t left =
	    r->paused_ms + r->paused->inst->service->config->canary_time_ms - timer_now_ms();

	return left < 0 ? 0 : left;
}

json_t *
roll_pause_json(const struct deploy *d)
{
	const struct roll *r = d->roll;

	if (r == NULL || r->paused == NULL)
		return json_null();
	return json_pack("{s:s s:s s:I s:o}", "service", r->paused->inst->service->config->name,
	    "instance", r->paused->inst->name, "paused_ms",
	    (json_int_t)(timer_now_ms() - r->paused_ms), "left_ms",
	    r->pause_timer == NULL ? json_null() : json_integer(left_ms(r)));
}

/* Anew each time, for the time goes on. */
const char *
roll_pause_text(struct roll *r)
{
	TALLOC_CTX *tmp = talloc_new(r);
	const char *since = report_duration(tmp, timer_now_ms() - r->paused_ms);

	talloc_free(r->pause_text);
	r->pause_text = talloc_asprintf(r, "paused for %s after %s, the canary; it goes on %s%s%s",
	    since, r->paused->inst->name, r->pause_timer == NULL ? "" : "in ",
	    r->pause_timer == NULL ? "" : report_duration(tmp, left_ms(r)),
	    r->pause_timer == NULL ? "with `baton continue`" : ", or with `baton continue`");
	talloc_free(tmp);
	return r->pause_text == NULL ? "paused" : r->pause_text;
}
