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
#include "supervisor/deploy/roll.h"
#include "supervisor/deploy/version.h"

struct revert {
	STAILQ_ENTRY(revert) entry;
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
	revert_next(talloc_get_type_abort(data, struct deploy));
}

void
revert_due(struct service *s, const char *why)
{
	struct deploy *d = deploy_of(s);
	struct revert *b = talloc_zero(d, struct revert);

	if (b == NULL)
		return; /* processes are started from what is good, at least */
	talloc_set_destructor(b, revert_close);
	b->service = s;
	b->why = talloc_strdup(b, why == NULL ? "it failed" : why);
	if (b->why == NULL) {
		talloc_free(b);
		return;
	}
	STAILQ_INSERT_TAIL(&d->reverts, b, entry);
	timer_after(b, d->base->timers, 0, from_the_loop, d);
}

bool
revert_busy(const struct deploy *d, TALLOC_CTX *mem, char **why)
{
	if (STAILQ_EMPTY(&d->reverts))
		return false;
	*why = talloc_asprintf(mem, "%s is about to be rolled back; ask again later",
	    STAILQ_FIRST(&d->reverts)->service->config->name);
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
revert_next(struct deploy *d)
{
	struct revert *b = STAILQ_FIRST(&d->reverts);
	struct service *s = b == NULL ? NULL : b->service;
	const struct roll_task task = {.what = "rollback",
	    .target = b == NULL ? NULL : s->config->name,
	    .why = b == NULL ? NULL : b->why,
	    .back = true,
	    .after = b};

	if (b == NULL || d->roll != NULL || d->all->phase == SUP_STOPPING ||
	    d->all->phase == SUP_DONE)
		return;
	STAILQ_REMOVE_HEAD(&d->reverts, entry);
	if (roll_start_list(d, &task, s->instances,
		s->deploy->shrinks ? s->deploy->keep : s->ninstances, NULL) == 0)
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
	struct revert *b =
	    r->failed && r->cancelled == NULL ? STAILQ_FIRST(&r->deploy->reverts) : NULL;

	for (; b != NULL; b = STAILQ_NEXT(b, entry)) {
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
	char *outcome =
	    ok ? talloc_asprintf(b, "rolled back to %s", version_text(b, s->deploy->from))
	       : talloc_asprintf(b, "the rollback failed: %s", error);
	json_t *both;

	if (ok)
		output_say(deploy_of(s)->base->out, "%s: %s", s->config->name, outcome);
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
revert_cancel(struct deploy *d, const char *why)
{
	while (!STAILQ_EMPTY(&d->reverts)) {
		struct revert *b = STAILQ_FIRST(&d->reverts);

		STAILQ_REMOVE_HEAD(&d->reverts, entry);
		tell(b->waiters, json_pack("{s:b s:o}", "ok", 0, "error", json_text(why)));
		talloc_free(b);
	}
}
