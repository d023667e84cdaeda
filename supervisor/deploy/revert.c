/* SPDX-License-Identifier: MIT */
/*
 * Rollbacks that nobody asked for: a service whose new generation has failed in its probation
 * is started from what had proved good. Instances that run something else are replaced as in
 * a restart; only one roll is done at a time, so this may have to wait. Whoever waits for the
 * verdict on the restart that has failed gets it when the rollback is over, for then it says
 * what runs.
 */
#include "supervisor/base/json_memory.h"
#include "supervisor/deploy/roll.h"

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
	STAILQ_INIT(&b->waiters);
	b->service = s;
	b->why = talloc_strdup(b, why == NULL ? "it failed" : why);
	if (b->why == NULL) {
		talloc_free(b);
		return;
	}
	STAILQ_INSERT_TAIL(&d->reverts, b, entry);
	timer_after(b, d->base->timers, 0, from_the_loop, d);
}

/* The end of B: those who wait for it are told RESULT, taken over. */
static void
end(struct revert *b, json_t *result)
{
	roll_tell_all(&b->waiters, result);
	json_decref(result);
	talloc_free(b);
}

void
revert_next(struct deploy *d)
{
	struct revert *b = STAILQ_FIRST(&d->reverts);
	struct service *s;
	struct roll_task task;

	if (b == NULL || d->roll != NULL || d->all->phase == SUP_STOPPING ||
	    d->all->phase == SUP_DONE)
		return;
	STAILQ_REMOVE_HEAD(&d->reverts, entry);
	s = b->service;
	task = (struct roll_task){.what = "rollback",
	    .target = s->config->name,
	    .why = b->why,
	    .back = true,
	    .waiters = &b->waiters,
	    .failed = b->verdict};
	if (roll_start_list(d, &task, s->instances, deploy_stay(s), NULL) == 0)
		talloc_free(b); /* the roll has those who wait */
	else
		end(b, json_pack("{s:b s:s}", "ok", 0, "error", "there is no memory"));
}

void
revert_adopt(struct roll *r, json_t *result)
{
	struct revert *b;

	if (!r->failed || r->cancelled != NULL)
		return;
	STAILQ_FOREACH(b, &r->deploy->reverts, entry) {
		if (b->verdict != NULL || !roll_is_about(r, b->service))
			continue;
		b->verdict = json_incref(result);
		roll_move_waiters(b, &b->waiters, &r->waiters);
		return;
	}
}

void
revert_cancel(struct deploy *d, const char *why)
{
	while (!STAILQ_EMPTY(&d->reverts)) {
		struct revert *b = STAILQ_FIRST(&d->reverts);

		STAILQ_REMOVE_HEAD(&d->reverts, entry);
		end(b, json_pack("{s:b s:o}", "ok", 0, "error", json_text(why)));
	}
}
