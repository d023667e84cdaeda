/* SPDX-License-Identifier: MIT */
/*
 * All instances of a baton, with what they have in common. This room starts processes, watches
 * them, and decides what follows from their ends; daemon/ puts it together and says who hears of
 * what happens here. It never knows who asked for anything: no clients, no restart that is under
 * way, no order of services.
 */
#ifndef SUPERVISOR_INSTANCES_H
#define SUPERVISOR_INSTANCES_H

#include "supervisor/base/base.h"
#include "supervisor/instance/generation.h"
#include "supervisor/instance/instance.h"
#include "supervisor/instance/life.h"
#include "supervisor/instance/service.h"

struct events;
struct owners;

/* Who hears of what happens to an instance. G is the process that it is about, or NULL; it lives
 * until all have heard. */
struct instance_hearer {
	const char *name;
	void (*news)(struct instance *inst, struct generation *g, enum instance_news news);
};

struct instances {
	struct base *base;     /* loop, clock, and baton's own output */
	struct owners *owners; /* who has accepted the connections of checks */
	struct service **services;
	size_t nservices;
	struct generation *generations; /* every process that has not been reaped */
	struct events *events;
	uint64_t lines;                        /* that they have written */
	size_t recent_long_bytes;              /* recent.c: what all its long lines take */
	const struct instance_hearer *hearers; /* in their order; the last one has no name */
};

/* --- news.c ------------------------------------------------------------------------------- */

/* Tells all who hear, one after the other. */
void instance_news(struct instance *inst, struct generation *g, enum instance_news news);

#endif
