/* SPDX-License-Identifier: MIT */
/*
 * Asking one process over HTTP, on its instance's first socket. While other processes have that
 * socket too (a predecessor or successor, or with `ports = shared` the other instances), any of
 * them may take the connection: then it is only used if this process has accepted it.
 *
 * Who accepts is the kernel's choice, and it may prefer another one for long, as with
 * EPOLLEXCLUSIVE the one that has waited longest. But who is busy with one connection is passed
 * over for the next: so if one does not do, more are opened at a time.
 */
#include "supervisor/instance/instances.h"

#define WIDTH_MAX 16

struct check {
	struct generation *g;
	bool alone; /* nobody else could accept when it began */
	unsigned pending;
	bool other; /* a connection was accepted by somebody else */
	check_fn *fn;
	void *data;
};

/* Whether O, another one, has a socket that G has. */
static bool
shares(const struct generation *g, const struct generation *o)
{
	if (o == g || o->pid <= 0 || o->instance->spare)
		return false;
	return o->instance == g->instance || (o->instance->service == g->instance->service &&
						 g->instance->service->config->shared);
}

static bool
alone(const struct generation *g)
{
	const struct generation *o;

	LIST_FOREACH(o, &g->instance->all->generations, entry) {
		if (shares(g, o))
			return false;
	}
	return true;
}

static void
finish(struct check *c, enum probe_verdict verdict, const char *why)
{
	check_fn *fn = c->fn;
	void *data = c->data;

	talloc_free(c);
	fn(verdict, why, data);
}

/* What nobody has accepted says nothing about this one if others have been accepted elsewhere;
 * and one that was alone at first may have got company meanwhile. */
static void
verdict(enum probe_verdict v, const char *why, void *data)
{
	struct check *c = talloc_get_type_abort(data, struct check);

	c->pending--;
	if (c->alone && !alone(c->g))
		v = PROBE_OTHER;
	if (v == PROBE_IGNORED && !c->other)
		v = PROBE_SICK;
	if (v == PROBE_WELL || v == PROBE_SICK || v == PROBE_BLIND) {
		finish(c, v, why);
		return;
	}
	c->other = true;
	if (c->pending == 0)
		finish(c, PROBE_OTHER, why);
}

struct check *
check_begin(struct generation *g, const char *path, int64_t timeout_ms, unsigned width,
    check_fn *fn, void *data)
{
	const struct instances *all = g->instance->all;
	struct check *c = talloc_zero(g, struct check);
	struct probe_target t = {
	    .path = path, .timeout_ms = timeout_ms, .accepted_by = all->accepted_by};

	if (c == NULL || g->instance->sockets->nlisteners == 0) {
		talloc_free(c);
		return NULL;
	}
	*c = (struct check){.g = g, .alone = alone(g), .fn = fn, .data = data};
	t.address = g->instance->sockets->listeners[0].address;
	t.session = c->alone ? 0 : g->pid;
	for (unsigned i = 0; i < (c->alone ? 1 : width); i++)
		c->pending +=
		    probe_start(c, all->base->ev, all->base->timers, &t, verdict, c) != NULL;
	if (c->pending == 0)
		TALLOC_FREE(c);
	return c;
}

unsigned
check_next_width(unsigned width, enum probe_verdict verdict)
{
	if (verdict != PROBE_OTHER)
		return width;
	return width * 2 < WIDTH_MAX ? width * 2 : WIDTH_MAX;
}
