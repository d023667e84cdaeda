/* SPDX-License-Identifier: MIT */
/*
 * What is told about a rolling restart: its progress while it is under way, and one verdict at
 * its end, to all who wait for it, and if it failed, on baton's stderr.
 */
#include <string.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/roll.h"
#include "supervisor/deploy/version.h"

size_t
roll_count(const struct roll *r, enum turn_stage stage)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->turns[i].stage == stage;
	return n;
}

void
roll_tell_begin(const struct roll *r)
{
	event_emit(r->deploy->all, NULL, NULL, "restart-begin",
	    json_pack("{s:s s:i}", "what", r->task.what, "instances", (int)r->count),
	    "%s of %zu instance%s", r->task.what, r->count, r->count == 1 ? "" : "s");
}

void
roll_tell_end(const struct roll *r)
{
	const char *error = r->failed ? r->error : r->cancelled;
	bool ok = !r->failed && r->cancelled == NULL;
	size_t done = roll_count(r, TURN_DONE);

	event_emit(r->deploy->all, NULL, NULL, "restart-end",
	    json_pack("{s:s s:b s:i s:i}", "what", r->task.what, "ok", ok, "restarted", (int)done,
		"of", (int)r->count),
	    "%s: %zu of %zu done%s%s", r->task.what, done, r->count,
	    error == NULL ? "" : "; it failed: ", error == NULL ? "" : error);
}

void
roll_tell(struct roll *r, struct asker *asker)
{
	struct waiter *w;

	/* Places of those who went away are used again: there may be many, one after the other. */
	STAILQ_FOREACH(w, &r->waiters, entry) {
		if (w->asker == NULL)
			break;
	}
	if (w == NULL) {
		w = talloc_zero(r, struct waiter);
		if (w == NULL) {
			asker_error(asker, "there is no memory to wait for the %s", r->task.what);
			return;
		}
		STAILQ_INSERT_TAIL(&r->waiters, w, entry);
	}
	asker_later(asker, &w->asker);
}

void
roll_progress(struct roll *r, struct turn *t, char *text)
{
	struct waiter *w;

	if (text == NULL)
		return;
	if (t != NULL && t->said != NULL && strcmp(t->said, text) == 0) {
		talloc_free(text);
		return;
	}
	STAILQ_FOREACH(w, &r->waiters, entry)
		asker_progress(w->asker, text);
	if (t != NULL) {
		talloc_free(t->said);
		t->said = talloc_strdup(r, text);
	}
	talloc_free(r->where);
	r->where = talloc_steal(r, text);
}

/* What serves now is part of the verdict: the reader's next question. */
static char *
what_is_left(TALLOC_CTX *mem, const struct instance *inst)
{
	if (inst->life.state == LIFE_RECALLING && inst->old != NULL)
		return talloc_asprintf(mem, "generation %u (pid %d) is called back",
		    inst->old->number, (int)inst->old->pid);
	if (inst->current != NULL && inst->life.state == LIFE_READY)
		return talloc_asprintf(mem, "generation %u (pid %d) serves on",
		    inst->current->number, (int)inst->current->pid);
	if (inst->life.state == LIFE_STOPPING || inst->life.state == LIFE_DOWN)
		return talloc_strdup(mem, "it is not started again");
	return talloc_strdup(mem, "nothing serves; baton goes on trying");
}

/* Whoever waits is told at once; that others are still waited for needs an explanation. */
static void
say_what_is_waited_for(struct roll *r, const struct turn *failed)
{
	char *names = talloc_strdup(r, "");

	for (size_t i = 0; i < r->count; i++) {
		if (roll_under_way(&r->turns[i]))
			names = talloc_asprintf_append(names, "%s%s",
			    names != NULL && names[0] != '\0' ? ", " : "", r->turns[i].inst->name);
	}
	if (names != NULL && names[0] != '\0')
		roll_progress(r, NULL,
		    talloc_asprintf(r, "%s failed; no other instance is begun, waiting for %s",
			failed->inst->name, names));
	talloc_free(names);
}

void
roll_fail(struct roll *r, struct turn *t, const struct generation *g, const char *reason)
{
	char *left = what_is_left(r, t->inst);

	t->stage = TURN_FAILED;
	r->paused = NULL; /* there is nothing to wait for */
	TALLOC_FREE(r->pause_timer);
	if (!r->failed)
		r->failure = json_pack("{s:s s:o s:o s:o}", "instance", t->inst->name, "reason",
		    json_text(reason), "left", json_text(left), "stderr", report_tail_json(g));
	r->failed = true;
	r->error = talloc_asprintf_append(r->error == NULL ? talloc_strdup(r, "") : r->error,
	    "%s%s: %s; %s", r->error == NULL ? "" : "; ", t->inst->name, reason, left);
	if (g != NULL && g->not_rolled_back != NULL)
		r->error =
		    talloc_asprintf_append(r->error, "; not rolled back: %s", g->not_rolled_back);
	talloc_free(left);
	say_what_is_waited_for(r, t);
}

void
roll_take_account(struct roll *r, const struct turn *t, const struct generation *g)
{
	json_t *o = json_pack("{s:s s:i s:i s:o}", "name", t->inst->name, "from", (int)g->number,
	    "to", (int)t->number, "exit", json_text(g->failure != NULL ? g->failure : g->ended));

	if (g->drained) {
		r->drained = true;
		r->sum.moved += g->counts.moved;
		r->sum.finished += g->counts.finished;
		r->sum.ended += g->counts.ended;
		r->sum.cut += g->counts.cut;
		json_object_set_new(o, "connections", report_drained_json(&g->counts));
	}
	json_array_append_new(r->instances, o);
}

static json_t *
verdict_of(struct roll *r)
{
	size_t done = roll_count(r, TURN_DONE);
	json_t *result =
	    json_pack("{s:b s:s s:i s:i s:I s:O}", "ok", !r->failed && r->cancelled == NULL, "what",
		r->task.what, "restarted", (int)done, "of", (int)r->count, "duration_ms",
		(json_int_t)(timer_now_ms() - r->started_ms), "instances", r->instances);

	if (r->task.why != NULL)
		json_object_set_new(result, "why", json_text(r->task.why));
	if (r->drained)
		json_object_set_new(result, "connections", report_drained_json(&r->sum));
	if (r->failure != NULL)
		json_object_update(result, r->failure);
	if (r->failed || r->cancelled != NULL)
		json_object_set_new(
		    result, "error", json_text(r->failed ? r->error : r->cancelled));
	return result;
}

/* The verdict on the roll that has failed had to wait for RESULT, that on the rollback: both are
 * one now. */
static json_t *
with_failed(struct roll *r, json_t *result)
{
	const struct service *s = r->count > 0 ? r->turns[0].inst->service : NULL;
	bool ok = s != NULL && json_is_true(json_object_get(result, "ok"));
	const char *error = json_string_value(json_object_get(result, "error"));
	char *outcome =
	    ok ? talloc_asprintf(r, "rolled back to %s", version_text(r, s->deploy->from))
	       : talloc_asprintf(r, "the rollback failed: %s", error);
	json_t *both;

	if (ok)
		output_say(r->deploy->base->out, "%s: %s", s->config->name, outcome);
	if (r->task.failed == NULL)
		return result;
	both = json_deep_copy(r->task.failed);
	error = json_string_value(json_object_get(both, "error"));
	json_object_set_new(both, "error", json_text(talloc_asprintf(r, "%s; %s", error, outcome)));
	json_object_set_new(both, "rolled_back", json_boolean(ok));
	json_object_set_new(both, "rollback", result);
	return both;
}

json_t *
roll_verdict(struct roll *r)
{
	json_t *result = verdict_of(r);

	return r->task.back && r->task.why != NULL ? with_failed(r, result) : result;
}

void
roll_tell_all(struct waiters *waiters, const json_t *result)
{
	struct waiter *w;

	STAILQ_FOREACH(w, waiters, entry)
		asker_result(w->asker, json_deep_copy(result));
}

void
roll_move_waiters(TALLOC_CTX *mem, struct waiters *to, struct waiters *from)
{
	struct waiter *w;

	STAILQ_FOREACH(w, from, entry)
		talloc_steal(mem, w);
	STAILQ_CONCAT(to, from);
}
