/* SPDX-License-Identifier: MIT */
/*
 * A process that serves, and should not: it hangs, or fails its health checks. It is replaced,
 * not just ended: it may still hold connections, and until its successor is ready it is all
 * there is. A spare that is warm is ready at once, so it is the first choice. If the successor fails, or is found unhealthy in its turn, the next one comes later
 * and later: what makes them sick may be elsewhere, and starting many does not cure it.
 */
#include "supervisor/instance/instances.h"

/* The first try that failed is repeated after so long. */
#define AGAIN_MS 1000

static void replace(struct generation *g);

static void
again(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	g->sick_timer = NULL;
	if (g->sick != 0)
		replace(g);
}

void
sick_rearm(struct generation *g, int64_t due_ms)
{
	g->sick_timer = timer_at(g, g->instance->all->base->timers, due_ms, again, g);
}

static bool
can_begin(const struct instance *inst)
{
	return inst->life.state == LIFE_READY && inst->life.alive == LIFE_CURRENT;
}

/* Nothing happens while another process of it drains, or a successor starts already. */
static void
replace(struct generation *g)
{
	struct instance *inst = g->instance;
	int64_t wait_ms = AGAIN_MS;

	if (g != inst->current || g->told || g->doomed)
		return;
	if (can_begin(inst))
		g->sick_tries++;
	for (unsigned i = 1; i < g->sick_tries && wait_ms < inst->service->policy.backoff_max_ms;
	     i++)
		wait_ms *= 2;
	TALLOC_FREE(g->sick_timer);
	g->sick_timer = timer_after(g, inst->all->base->timers, wait_ms, again, g);
	instance_event(inst,
	    can_begin(inst) && spare_call(inst, spare_for(inst)) ? LIFE_EV_SPARE : LIFE_EV_RESTART);
}

/* What comes next, for the reader. */
static const char *
what_follows(const struct generation *g, bool known, int64_t wait_ms)
{
	const struct instance *place = can_begin(g->instance) ? spare_for(g->instance) : NULL;

	if (known)
		return "it is being replaced already";
	if (wait_ms > 0)
		return talloc_asprintf(
		    g->sick_why, "replacing it in %s", report_duration(g->sick_why, wait_ms));
	if (place != NULL)
		return talloc_asprintf(
		    g->sick_why, "a spare (pid %d) takes its place", (int)place->current->pid);
	return "replacing it";
}

/* The wait before another successor, after those that have not passed a single check. */
static int64_t
unwell_ms(struct instance *inst)
{
	return life_backoff_ms(inst->unwell++, &inst->service->policy);
}

void
sick_found(struct generation *g, unsigned how, char *why)
{
	struct instance *inst = g->instance;
	bool known = g->sick != 0;
	int64_t wait_ms;

	if (g != inst->current || g->told || g->doomed || (g->sick & how) != 0) {
		talloc_free(why);
		return;
	}
	g->sick |= how;
	talloc_free(g->sick_why);
	g->sick_why = why;
	wait_ms = (how & SICK_UNHEALTHY) != 0 ? unwell_ms(inst) : 0;
	output_warn(inst->all->base->out, "%s: generation %u (pid %d) %s; %s", inst->name,
	    g->number, (int)g->pid, why == NULL ? "is sick" : why, what_follows(g, known, wait_ms));
	event_emit(inst->all, inst, g, "sick", NULL, "generation %u %s; it is replaced", g->number,
	    why == NULL ? "is sick" : why);
	if (known)
		return;
	inst->all->policy->failing(g, g->sick_why == NULL ? "is sick" : g->sick_why);
	if (wait_ms > 0)
		g->sick_timer = timer_after(g, inst->all->base->timers, wait_ms, again, g);
	else
		replace(g);
}

void
sick_over(struct generation *g, unsigned how, const char *what)
{
	if ((g->sick & how) == 0)
		return;
	g->sick &= ~how;
	output_say(g->instance->all->base->out, "%s  generation %u  pid %d  %s", g->instance->name,
	    g->number, (int)g->pid, what);
	event_emit(
	    g->instance->all, g->instance, g, "well", NULL, "generation %u %s", g->number, what);
	if (g->sick != 0)
		return;
	TALLOC_FREE(g->sick_why);
	TALLOC_FREE(g->sick_timer);
	g->sick_tries = 0;
}
