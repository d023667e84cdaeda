/* SPDX-License-Identifier: MIT */
/* What the instances of one service have in common: their number, their spares, their
 * configuration. */
#ifndef SUPERVISOR_SERVICE_H
#define SUPERVISOR_SERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "supervisor/base/timer.h"
#include "supervisor/config/config.h"
#include "supervisor/instance/instance.h"
#include "supervisor/instance/life.h"

struct generation;
struct instances;
struct logfile;
struct service_deploy;
struct state;

/* Those of one service. */
struct spares {
	struct instance **places;
	unsigned count;
	unsigned epoch;     /* raised by each replacement: a lower one may be an older program */
	struct timer *look; /* runs while places are to be filled or emptied */
	bool known;         /* one of them has said that it knows what it is */
	unsigned failures;  /* so many have ended before one had said so */
	bool refused;       /* the program does not know spares … */
	unsigned refused_epoch; /* … as it was then */
};

struct service {
	struct instances *all;
	struct logfile *out, *err; /* where lines go; NULL: not to a file */
	const struct service_config *config;
	struct life_policy policy;
	struct instance **instances;
	unsigned ninstances;
	struct spares spares;

	unsigned config_number; /* another one after each change that needs new processes */
	bool in_order; /* its instances are started again one after the other: no spare steps in */
	struct service_deploy
	    *deploy; /* what deploy/ keeps of it; nothing that this room looks at */
};

/* --- logs.c ------------------------------------------------------------------------------ */

/* Opens those that the service's section names. Returns 0, or -errno with *WHY set. */
int logs_open_service(struct service *s, TALLOC_CTX *mem, char **why);
/* Opens those of a section before it counts. */
int
logs_open_named(struct instances *all, const struct service_config *c, TALLOC_CTX *mem, char **why);
/* Closes those to which no service writes any more: after a reload, good or failed, and the like. */
void logs_close_unused(struct instances *all);

/* --- spare.c: a warm process becomes an instance, in the place of a crashed one ---------------- */

/* The place of one that can be what CURRENT of INST is, or was until it ended; NULL: none. It
 * is never older; it may be newer, as one that would be started instead. */
struct instance *spare_for(const struct instance *inst);
/* The same for G, which has ended while its successor starts: what stands in is also what stays
 * if the successor fails, so it is what G was, and not of what a restart has begun to bring. */
struct instance *spare_beside(const struct generation *g);
/* LIFE_EV_SPARE of INST is about the one in PLACE. False: that is NULL. */
bool spare_call(struct instance *inst, struct instance *place);
/* That one becomes *ROLE of INST: its process is told so, and answers by READY=1. */
void spare_take(struct instance *inst, struct generation **role);
/* A replacement begins: from now on its program may be another one. */
void spare_outdated(struct instance *inst);

/* --- places.c: how many spares there are --------------------------------------------------------- */

/* Their number and state follow from the configuration and the instances: it is looked at soon
 * whether something is to be done, at the loop's next turn. */
void places_look(struct service *s);
void places_look_all(struct instances *all);
void places_news(struct instance *inst, struct generation *g, enum instance_news news);
/* G says READY=1, with or without X_BATON_SPARE=1. Returns whether it is to be believed. */
bool places_said_ready(struct generation *g, bool spare);
/* A spare has ended. */
void places_ended(const struct generation *g);
/* As many places as there are to be, at least. */
void places_add(struct service *s, unsigned want);
/* EVENT to each of them. */
void places_event_all(struct service *s, enum life_event event);
/* Whether none of them has a process, nor ever will by itself. */
bool places_all_down(const struct service *s);

#endif
