/* SPDX-License-Identifier: MIT */
/*
 * Processes that live and do nothing: one that does not say WATCHDOG=1 in time is given up as
 * sick (sick.c), and killed when its successor is ready, for it cannot drain.
 *
 * Nobody is condemned for what baton itself has missed. What has been said and was not read yet
 * counts. And the time is measured in two parts: if baton comes late to the end of one, it was
 * away itself, and so was the process perhaps (a frozen container, a stopped virtual machine, an
 * overloaded machine), so the whole time begins anew. The first part is longer than half, for
 * who speaks at half the time, as is usual, causes no wake-up by its timer; the last one leaves
 * room for a process that waits for a quarter anew when a pause has interrupted it.
 */
#include "supervisor/instance/instances.h"

static void arm(struct generation *g, bool last);

/* A part of its time; never none at all. */
static int64_t
eighths_ms(const struct generation *g, int n)
{
	return (g->watchdog_ms * n + 7) / 8;
}

static void
hung(struct generation *g)
{
	g->events->unwell(
	    g, SICK_HUNG, talloc_asprintf(g, "has not said WATCHDOG=1 for %ld ms", g->watchdog_ms));
}

static void
expired(void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	bool late = timer_now_ms() - g->watchdog_due_ms > eighths_ms(g, 1);

	g->watchdog = NULL;
	notify_drain(g->notify);
	if (g->watchdog != NULL || g->watchdog_ms == 0)
		return;
	if (late)
		arm(g, false);
	else if (!g->watchdog_last)
		arm(g, true);
	else
		hung(g);
}

static void
arm(struct generation *g, bool last)
{
	int64_t wait_ms = last ? eighths_ms(g, 3) : eighths_ms(g, 5);

	TALLOC_FREE(g->watchdog);
	g->watchdog_last = last;
	g->watchdog_due_ms = timer_now_ms() + wait_ms;
	g->watchdog = timer_after(g, g->instance->all->base->timers, wait_ms, expired, g);
}

void
watchdog_rearm(struct generation *g, int64_t due_ms)
{
	g->watchdog = timer_at(g, g->instance->all->base->timers, due_ms, expired, g);
}

void
watchdog_heard(struct generation *g)
{
	if (g->watchdog_ms == 0 || g->ready_ms < 0)
		return;
	g->events->well(g, SICK_HUNG, "says WATCHDOG=1 again");
	arm(g, false);
}

void
watchdog_change(struct generation *g, int64_t usec)
{
	g->watchdog_ms = usec <= 0 ? 0 : (usec + 999) / 1000;
	if (g->watchdog_ms == 0) {
		TALLOC_FREE(g->watchdog);
		g->events->well(g, SICK_HUNG, "wants no watchdog any more");
	}
	watchdog_heard(g);
}

void
watchdog_triggered(struct generation *g)
{
	TALLOC_FREE(g->watchdog);
	if (g->ready_ms >= 0)
		g->events->unwell(g, SICK_HUNG, talloc_strdup(g, "has said WATCHDOG=trigger"));
}
