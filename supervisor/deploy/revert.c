/* SPDX-License-Identifier: MIT */
/*
 * Rollbacks that nobody asked for: a service whose new generation has failed in its probation
 * is started from what had proved good. Instances that run something else are replaced as in
 * a restart; only one roll is done at a time, so this may have to wait. Whoever waits for the
 * verdict on the restart that has failed gets it when the rollback is over, for then it says
 * what runs.
 */
#include "supervisor/base/json_memory.h"
#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/proved.h"
#include "supervisor/deploy/roll.h"

struct revert {
	struct revert *next; /* in supervisor.rollbacks */
	struct service *service;
	char *why;
	struct waiter *waiters; /* for the verdict on … */
	json_t *verdict;        /* … the roll that has failed; NULL: none was under way */
};

static int
revert_close(struct revert *b)
{
	json_decref(b->verdict);
	return 0;
}

static void
from_the_loop(void *data)
{
	revert_next(talloc_get_type_abort(data, struct supervisor));
}

void
revert_due(struct service *s, const char *why)
{
	struct supervisor *sup = s->sup;
	struct revert *b = talloc_zero(sup, struct revert), **end = &sup->reverts_due;

	if (b == NULL)
		return; /* processes are started from what is good, at least */
	talloc_set_destructor(b, revert_close);
	b->service = s;
	b->why = talloc_strdup(b, why == NULL ? "it failed" : why);
	if (b->why == NULL) {
		talloc_free(b);
		return;
	}
	while (*end != NULL)
		end = &(*end)->next;
	*end = b;
	timer_after(b, sup->base.timers, 0, from_the_loop, sup);
}

bool
revert_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why)
{
	if (sup->reverts_due == NULL)
		return false;
	*why = talloc_asprintf(mem, "%s is about to be rolled back; ask again later",
	    sup->reverts_due->service->config->name);
	return true;
}

static void
tell(struct waiter *waiters, json_t *result)
{
	for (struct waiter *w = waiters; w != NULL; w = w->next) {
		asker_result(w->asker, json_deep_copy(result));
	}
	json_decref(result);
}

void
revert_next(struct supervisor *sup)
{
	struct revert *b = sup->reverts_due;
	struct service *s = b == NULL ? NULL : b->service;
	const struct roll_task task = {.what = "rollback",
	    .target = b == NULL ? NULL : s->config->name,
	    .why = b == NULL ? NULL : b->why,
	    .back = true,
	    .after = b};

	if (b == NULL || sup->roll != NULL || sup->all.phase == SUP_STOPPING ||
	    sup->all.phase == SUP_DONE)
		return;
	sup->reverts_due = b->next;
	if (roll_start_list(sup, &task, s->instances, s->shrinks ? s->keep : s->ninstances, NULL) ==
	    0)
		return;
	tell(b->waiters, json_pack("{s:b s:s}", "ok", 0, "error", "there is no memory"));
	talloc_free(b);
}

static void
take_waiters(TALLOC_CTX *mem, struct waiter *waiters)
{
	for (struct waiter *w = waiters; w != NULL; w = w->next)
		talloc_steal(mem, w);
}

bool
revert_adopts(struct roll *r, json_t *result)
{
	struct revert *b = r->failed && r->cancelled == NULL ? r->sup->reverts_due : NULL;

	for (; b != NULL; b = b->next) {
		for (size_t i = 0; i < r->count; i++) {
			if (r->turns[i].inst->service != b->service || b->verdict != NULL)
				continue;
			b->verdict = json_incref(result);
			b->waiters = r->waiters;
			take_waiters(b, b->waiters);
			return true;
		}
	}
	return false;
}

void
revert_begins(struct revert *b, struct roll *r)
{
	talloc_steal(r, b);
	r->waiters = b->waiters;
	take_waiters(r, r->waiters);
}

json_t *
revert_verdict(struct revert *b, json_t *result)
{
	const struct service *s = b->service;
	bool ok = json_is_true(json_object_get(result, "ok"));
	const char *error = json_string_value(json_object_get(result, "error"));
	char *outcome = ok ? talloc_asprintf(b, "rolled back to %s", version_text(b, s->from))
			   : talloc_asprintf(b, "the rollback failed: %s", error);
	json_t *both;

	if (ok)
		output_say(s->sup->base.out, "%s: %s", s->config->name, outcome);
	if (b->verdict == NULL)
		return result;
	both = json_deep_copy(b->verdict);
	error = json_string_value(json_object_get(both, "error"));
	json_object_set_new(both, "error", json_text(talloc_asprintf(b, "%s; %s", error, outcome)));
	json_object_set_new(both, "rolled_back", json_boolean(ok));
	json_object_set_new(both, "rollback", result);
	return both;
}

void
revert_cancel(struct supervisor *sup, const char *why)
{
	while (sup->reverts_due != NULL) {
		struct revert *b = sup->reverts_due;

		sup->reverts_due = b->next;
		tell(b->waiters, json_pack("{s:b s:o}", "ok", 0, "error", json_text(why)));
		talloc_free(b);
	}
}
