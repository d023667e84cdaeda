/* SPDX-License-Identifier: MIT */
/*
 * What has happened, as one JSON object each: the last of them are kept for those who ask,
 * and each goes to those who follow (follow.c). What is kept is bounded, and plain data.
 */
#include <stdarg.h>
#include <string.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/base/state.h"
#include "supervisor/instance/instances.h"

struct events {
	json_t *kept;      /* an array, the oldest first */
	json_int_t number; /* of the last one */
};

static int
events_free(struct events *e)
{
	json_decref(e->kept);
	return 0;
}

struct events *
events_new(TALLOC_CTX *mem)
{
	struct events *e = talloc_zero(mem, struct events);

	if (e == NULL)
		return NULL;
	e->kept = json_array();
	talloc_set_destructor(e, events_free);
	return e;
}

static void
keep(struct events *e, json_t *event)
{
	if (json_array_size(e->kept) == EVENTS_KEPT)
		json_array_remove(e->kept, 0);
	json_array_append(e->kept, event);
}

void
event_emit(struct instances *all, const struct instance *inst, const struct generation *g,
    const char *what, json_t *more, const char *format, ...)
{
	json_t *event;
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	event = json_pack("{s:I s:I s:s s:o}", "number", ++all->events->number, "time_unix_ms",
	    (json_int_t)timer_unix_ms(), "event", what, "text",
	    json_text(text == NULL ? "" : text));
	if (inst != NULL) {
		json_object_set_new(event, "service", json_string(inst->service->config->name));
		json_object_set_new(event, "instance", json_string(inst->name));
	}
	if (g != NULL)
		json_object_set_new(event, "generation", json_integer(g->number));
	if (g != NULL && g->pid > 0)
		json_object_set_new(event, "pid", json_integer(g->pid));
	json_object_update(event, more);
	keep(all->events, event);
	all->policy->event(all, event);
	json_decref(event);
	json_decref(more);
	talloc_free(text);
}

bool
event_is_about(const json_t *event, const char *name)
{
	const char *service = json_string_value(json_object_get(event, "service"));
	const char *instance = json_string_value(json_object_get(event, "instance"));

	return name == NULL || service == NULL || strcmp(service, name) == 0 ||
	       (instance != NULL && strcmp(instance, name) == 0);
}

json_t *
event_list(const struct instances *all, const char *name, long count)
{
	const json_t *kept = all->events->kept;
	size_t first = json_array_size(kept);
	json_t *list = json_array();

	while (first > 0 && count > 0)
		count -= event_is_about(json_array_get(kept, --first), name);
	for (; first < json_array_size(kept); first++) {
		if (event_is_about(json_array_get(kept, first), name))
			json_array_append(list, json_array_get(kept, first));
	}
	return list;
}

static const char *
how(const struct generation *g)
{
	return g->failure != NULL ? g->failure : g->ended;
}

static void
became_ready(const struct instance *inst, const struct generation *g)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	int64_t ms = generation_age_ms(g);

	event_emit(inst->all, inst, g, "ready", json_pack("{s:I}", "ready_in_ms", (json_int_t)ms),
	    "generation %u, pid %d, in %s", g->number, (int)g->pid, report_duration(tmp, ms));
	if (inst->old != NULL && g == inst->current)
		event_emit(inst->all, inst, g, "replaced",
		    json_pack("{s:i}", "replaces", (int)inst->old->number),
		    "generation %u by generation %u; the old one drains", inst->old->number,
		    g->number);
	talloc_free(tmp);
}

/* One that was told to end has done what it should, as long as it did so in time. */
static void
ended(const struct instance *inst, const struct generation *g, bool was_ready)
{
	json_t *counts = g->drained ? report_drained_json(&g->counts) : NULL;
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *what = "crashed";

	if (g->told && g->failure == NULL)
		what = "drained";
	else if (g->doomed)
		what = "killed";
	else if (g->succeeded && was_ready)
		what = "exited";
	event_emit(inst->all, inst, g, what,
	    counts == NULL ? NULL : json_pack("{s:o}", "connections", counts),
	    "generation %u %s%s%s%s", g->number, how(g),
	    was_ready || g->failure != NULL ? "" : " before it was ready", g->drained ? "; " : "",
	    g->drained ? report_drained(tmp, &g->counts) : "");
	talloc_free(tmp);
}

/* What follows from an end: only a wait is worth a line, a start has one of its own. */
static void
waits(const struct instance *inst)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	int64_t ms;

	if (inst->life.state == LIFE_BACKOFF) {
		ms = life_backoff_ms(inst->life.crashes - 1, &inst->service->policy);
		if (ms > 0)
			event_emit(inst->all, inst, NULL, "backoff",
			    json_pack("{s:I}", "wait_ms", (json_int_t)ms), "started again in %s",
			    report_duration(tmp, ms));
	}
	talloc_free(tmp);
}

void
event_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	switch (news) {
	case NEWS_STARTED:
		event_emit(inst->all, inst, g, "started", NULL, "generation %u, pid %d", g->number,
		    (int)g->pid);
		break;
	case NEWS_READY:
		became_ready(inst, g);
		break;
	case NEWS_BACK:
		event_emit(inst->all, inst, g, "recalled", NULL,
		    "generation %u, pid %d, serves again", g->number, (int)g->pid);
		break;
	case NEWS_FAILED:
	case NEWS_ENDED:
		if (g == NULL)
			event_emit(inst->all, inst, NULL, "crashed", NULL,
			    "there is no memory to start it");
		else
			ended(inst, g, news == NEWS_ENDED);
		waits(inst);
		break;
	case NEWS_GAVE_UP:
		event_emit(inst->all, inst, NULL, "failed", NULL,
		    "%s, and is not started again before `baton reset %s`",
		    g != NULL ? "crashed too often" : "depends on one that has failed", inst->name);
		break;
	case NEWS_HELD:
		event_emit(inst->all, inst, NULL, "held", NULL,
		    "waits until the others of its service have ended");
		break;
	case NEWS_DOWN:
		event_emit(inst->all, inst, NULL, "stopped", NULL, "nothing runs any more");
		break;
	}
}

void
event_state(struct state *s, struct events *e)
{
	static const struct state_field fields[] = {STATE_NUMBER(struct events, number)};
	struct state sub = state_object(s, "events");
	json_t *kept = e->kept;

	STATE_FIELDS(&sub, e, fields);
	state_json(&sub, "kept", &kept);
	if (state_saving(s) || kept == NULL)
		return;
	json_decref(e->kept);
	e->kept = kept;
}
