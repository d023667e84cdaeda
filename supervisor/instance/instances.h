/* SPDX-License-Identifier: MIT */
/*
 * All instances of a baton, with what they have in common. This room starts processes, watches
 * them, and decides what follows from their ends; daemon/ puts it together and says who hears of
 * what happens here. It never knows who asked for anything: no clients, no restart that is under
 * way, no order of services.
 */
#ifndef SUPERVISOR_INSTANCES_H
#define SUPERVISOR_INSTANCES_H

#include "supervisor/instance/instance.h"

/* Who hears of what happens to an instance. G is the process that it is about, or NULL; it lives
 * until all have heard. */
struct instance_hearer {
	const char *name;
	void (*news)(struct instance *inst, struct generation *g, enum instance_news news);
};

struct instances {
	const struct instance_hearer *hearers; /* in their order; the last one has no name */
};

/* --- news.c ------------------------------------------------------------------------------- */

/* Tells all who hear, one after the other. */
void instance_news(struct instance *inst, struct generation *g, enum instance_news news);

#endif
