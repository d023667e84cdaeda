/* SPDX-License-Identifier: MIT */
/*
 * Health checks: a process that serves is asked over HTTP now and then, and replaced when it
 * fails several times in a row. Without `health` there is no timer, and nothing is asked.
 */
#include "supervisor/instance/instances.h"

static void arm(struct generation *g);

static bool
serves(const struct generation *g)
{
	return g == g->instance->current && !g->instance->spare && g->ready_ms >= 0 && !g->told &&
	       !g->stopping && !g->doomed;
}

static void
failed(struct generation *g, const char *why)
{
	const struct service_config *c = g->instance->service->config;

	g->health_failures++;
	if ((long)g->health_failures < c->health_failures)
		return;
	g->events->unwell(g, SICK_UNHEALTHY,
	    talloc_asprintf(g, "has failed %u health check%s in a row (GET %s: %s)",
		g->health_failures, g->health_failures == 1 ? "" : "s", c->health, why));
}

static void
blind(struct generation *g, const char *why)
{
	if (!g->health_blind)
		output_warn(g->instance->all->base->out,
		    "%s: generation %u (pid %d): no health checks while others have its sockets, "
		    "for it cannot be found out who answers: %s",
		    g->instance->name, g->number, (int)g->pid, why);
	g->health_blind = true;
}

static void
checked(enum probe_verdict verdict, const char *why, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);

	g->health_check = NULL;
	arm(g);
	if (!serves(g) || g->instance->service->config->health == NULL)
		return;
	talloc_free(g->health_last);
	g->health_last = talloc_strdup(g, why);
	g->check_width = check_next_width(g->check_width, verdict);
	switch (verdict) {
	case PROBE_WELL:
		g->health_failures = g->instance->unwell = 0;
		g->events->well(g, SICK_UNHEALTHY, "passes its health checks again");
		break;
	case PROBE_SICK:
	case PROBE_IGNORED:
		failed(g, why);
		break;
	case PROBE_BLIND:
		blind(g, why);
		break;
	case PROBE_OTHER: /* it says nothing about this one */
		break;
	}
}

static void
look(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	const struct service_config *c = g->instance->service->config;

	g->health_timer = NULL;
	if (!serves(g) || c->health == NULL)
		return;
	g->health_check =
	    check_begin(g, c->health, c->health_timeout_ms, g->check_width, checked, g);
	if (g->health_check == NULL)
		arm(g);
}

static void
arm(struct generation *g)
{
	const struct service_config *c = g->instance->service->config;

	if (c->health != NULL && serves(g))
		g->health_timer =
		    timer_after(g, g->instance->all->base->timers, c->health_interval_ms, look, g);
}

void
health_begin(struct generation *g)
{
	TALLOC_FREE(g->health_timer);
	TALLOC_FREE(g->health_check);
	g->health_failures = 0;
	if (g->instance->service->config->health == NULL)
		g->events->well(g, SICK_UNHEALTHY, "has no health checks any more");
	arm(g);
}

void
health_resume(struct generation *g)
{
	arm(g);
}

void
health_configured(struct service *s)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		if (s->instances[i]->current != NULL)
			health_begin(s->instances[i]->current);
	}
}
