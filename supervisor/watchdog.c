/* SPDX-License-Identifier: MIT */
/*
 * Processes that live and do nothing. One that does not say WATCHDOG=1 in time is replaced,
 * not just killed: it may still hold connections that it would serve if it woke up, and until
 * the successor is ready it is all there is. Then it is killed, for it cannot drain.
 */
#include "supervisor/supervisor.h"

static void arm(struct generation *g);

static void
expired(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	struct instance *inst = g->instance;

	g->watchdog = NULL;
	if (g != inst->current || g->told || g->doomed)
		return;
	if (!g->hung)
		output_warn(inst->sup->out,
		    "%s: generation %u (pid %d) has not said WATCHDOG=1 for %ld ms; replacing it",
		    inst->name, g->number, (int)g->pid, inst->service->config->watchdog_ms);
	g->hung = true;
	/* Nothing happens while another process of it drains, or a successor starts already; if
	 * that fails, it is tried again. */
	arm(g);
	instance_event(inst, LIFE_EV_RESTART);
}

static void
arm(struct generation *g)
{
	TALLOC_FREE(g->watchdog);
	g->watchdog = timer_after(
	    g, g->instance->sup->timers, g->instance->service->config->watchdog_ms, expired, g);
}

void
watchdog_heard(struct generation *g)
{
	if (g->instance->service->config->watchdog_ms == 0 || g->ready_ms < 0)
		return;
	if (g->hung)
		output_say(g->instance->sup->out,
		    "%s  generation %u  pid %d  says WATCHDOG=1 again", g->instance->name,
		    g->number, (int)g->pid);
	g->hung = false;
	arm(g);
}

char *
watchdog_why(struct generation *g)
{
	return talloc_asprintf(g, "did not say WATCHDOG=1 for %ld ms and was killed",
	    g->instance->service->config->watchdog_ms);
}
