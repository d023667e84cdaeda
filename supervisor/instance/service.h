/* SPDX-License-Identifier: MIT */
/* What the instances of one service have in common: their number, spares, and what has proved
 * good. */
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

struct asker;
struct generation;
struct proved;
struct proved_copy;
struct instances;
struct logfile;
struct state;
struct strategy;
struct supervisor;
struct undo;

/* Those of one service. */
struct spares {
	struct instance **places;
	unsigned count;
	unsigned epoch;     /* raised by each replacement: a lower one may be an older program */
	struct timer *look; /* runs while there is something to settle */
	bool known;         /* one of them has said that it knows what it is */
	unsigned failures;  /* so many have ended before one had said so */
	bool refused;       /* the program does not know spares … */
	unsigned refused_epoch; /* … as it was then */
};

struct service {
	struct supervisor *sup;
	struct instances *all;
	struct logfile *out, *err; /* where lines go; NULL: not to a file */
	const struct service_config *config;
	struct life_policy policy;
	struct instance **instances;
	unsigned ninstances;
	bool shrinks;              /* instances are being removed (scale.c): */
	unsigned keep;             /* … those from this one on; 0: and the service with them */
	struct strategy *strategy; /* instances are started again together; NULL: none are */
	struct spares spares;

	unsigned config_number;  /* another one after each change that needs new processes */
	unsigned config_numbers; /* so many have been given */
	struct proved *proved[GOOD_MAX]; /* what has proved good, the latest first */
	unsigned nproved;
	struct proved_copy *copying; /* what becomes the next; or NULL */
	char *not_kept; /* why the last generation that proved good was not kept; or NULL */
	const struct proved *from; /* processes are started from it; NULL: from the file */
	bool from_file_before;     /* so it was before somebody asked for a rollback */
	char *back_why;            /* why it went back by itself the last time; NULL: it did not */
	int64_t back_unix_ms;
	/* What was read last, which counts again after a rollback has made another one count. */
	const struct service_config *wanted;
	unsigned wanted_number;

	int64_t read_unix_ms; /* when what counts was read */
	char *refused_why;    /* why what was read after it does not count; NULL: nothing was */
	int64_t refused_unix_ms;
	struct undo *undo; /* what counted before the reload that is under way; or NULL */
	bool runs_refused; /* instances that run what was refused are to be replaced */
	bool fresh;        /* the reload that is under way has made it … */
	bool refused;      /* … and it is to go again, for it is in another one's way */
};

/* --- logs.c ------------------------------------------------------------------------------ */

/* Opens those that the service's section names. Returns 0, or -errno with *WHY set. */
int logs_open_service(struct service *s, TALLOC_CTX *mem, char **why);
/* Opens those of a section before it counts. */
int
logs_open_named(struct instances *all, const struct service_config *c, TALLOC_CTX *mem, char **why);
/* Closes those to which no service writes any more: after a reload, good or failed, and the like. */
void logs_close_unused(struct instances *all);

/* --- scale.c: how many instances a service has ------------------------------------------ */

/* ASKER is told how it went, at once or later. */
void scale_service(struct supervisor *sup, const char *name, long instances, struct asker *asker);
/* Stops and removes the instances from KEEP on, or all with the service; nobody waits. */
void scale_shrink(struct service *s, unsigned keep);
void scale_remove(struct service *s);
bool scale_removes(const struct instance *inst); /* it is one of those */
/* Whether instances are being removed, which a restart would get into the way of; then *WHY is
 * set. */
bool scale_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why);

/* --- undo.c: what counts if a reload fails --------------------------------------------- */

/* Whether C may count again. */
bool undo_uses(const struct service *s, const struct service_config *c);
/* Whether it is that one which undo_apply would make count again: nothing is to be opened for it. */
bool undo_would_bring(const struct service *s, unsigned config_number);
void undo_apply(struct service *s);
/* Remembers, and says, that what was read last does not count. */
void undo_refused(struct service *s, const char *why);
/* A roll is over: instances that waited for its outcome start or end; those that run what was
 * refused are replaced, now or when the next roll is over. */
void reload_settle(struct supervisor *sup);
void reload_revert(struct supervisor *sup);

/* --- strategy.c: what a crash means for the others of the service -------------------------- */

/* INST is down by a crash, and waits for its next start or has failed. */
void strategy_crashed(struct instance *inst);
/* A restart of its instances is over: those that wait may go on. */
void strategy_look(struct service *s);
/* Something has happened to INST. */
void strategy_news(struct instance *inst, struct generation *g, enum instance_news news);
void strategy_state(struct state *s, struct service *service);

/* --- proved.c: executables and configurations that have proved good ------------------------- */

/* G has proved good: what it runs is copied, unless there is a copy already. */
void proved_keep(struct generation *g);
/* The one that S is to be started from, with the file of which it is a copy; -1: none. */
int proved_copy_for(const struct service *s, struct executable *exe);
/* No more copies than keep_good. */
void proved_trim(struct service *s);
/* Whether the copies, or one that is being made, need this configuration. */
bool proved_uses(const struct service *s, const struct service_config *c);
/* Drops what has proved good with that configuration, which is refused now. */
void proved_forget(struct service *s, unsigned config_number);
/* What the copies take in memory. */
uint64_t proved_bytes(const struct service *s);
/* For status: a list, the latest first. */
json_t *proved_json(const struct service *s);

/* --- trial.c -------------------------------------------------------------------------- */

/* It ends then. */
void trial_rearm(struct generation *g, int64_t due_ms);
void trial_news(struct instance *inst, struct generation *g, enum instance_news news);
/* For checks of those that live: G, which is to serve, does not do so well: WHY, such as "does
 * not answer". If it has not proved good yet, its service goes back to what has. */
void trial_failed(struct generation *g, const char *why);

/* --- version.c: from the file to what has proved good, and from there to the file -------- */

/* For a roll of TARGET's services (NULL: all) back: what they are started from now on is what
 * proved good before. Returns 0, or a negative errno with *WHY set and nothing changed. */
int version_go_back(struct supervisor *sup, const char *target, TALLOC_CTX *mem, char **why);
/* For a roll of these instances to the file: that, and what was read last, counts again. */
int version_newest(struct instance **list, size_t count, TALLOC_CTX *mem, char **why);
/* A roll back that somebody asked for has failed: what is still there goes on. */
void version_back_failed(struct service *s);
/* Whether G may serve: no rollback has given up what it was started from. */
bool version_fits(const struct generation *g);
/* In a roll back: whether the instance serves from what its service is started from now. */
bool version_runs(const struct instance *inst);
/* From now on its processes are started from the last one that has proved good. Returns 0, or a
 * negative errno with *WHY set: why that cannot be. */
int version_start_from_proved(struct service *s, TALLOC_CTX *mem, char **why);
/* "the executable of generation 1 of hello.0, which proved good 2026-11-21 10:15:00" */
char *version_text(TALLOC_CTX *mem, const struct proved *good);

/* --- revert.c: services that go back by themselves ---------------------------------- */

/* S is started from what has proved good, for that reason: its instances that run something
 * else are replaced as soon as nothing else is under way. */
void revert_due(struct service *s, const char *why);
/* Whether one waits for its turn; then *WHY is set. */
bool revert_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why);
/* Begins the next one, unless something else is under way. */
void revert_next(struct supervisor *sup);
/* The supervisor stops. */
void revert_cancel(struct supervisor *sup, const char *why);

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
