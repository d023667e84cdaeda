/* SPDX-License-Identifier: MIT */
/*
 * The face of deploy/: what a service is started from, and all that changes it while baton runs:
 * start, stop, restart, canary, reload, rollback, scale. daemon/ starts and ends everything by it and
 * has it told the news of instances; control/ asks it for what clients ask for. It never knows who
 * asks (asker.h), nor a socket, nor who is told what baton as a whole does (struct deploy_calls).
 *
 * Its files stand on floors, and each calls only those below:
 *   deploy       the struct, and who hears that a roll is over
 *   sequence     the start and the end of everything
 *   reload, reload_check, reload_prepare, renew, trial
 *   outcome, revert, strategy: what follows when a roll is over
 *   scale, roll_news
 *   roll, roll_canary, roll_verdict
 *   job
 *   version, undo, service, proved: what a service is started from
 *   busy, asker
 */
#ifndef SUPERVISOR_DEPLOY_H
#define SUPERVISOR_DEPLOY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <talloc.h>

#include "supervisor/base/base.h"
#include "supervisor/config/config.h"
#include "supervisor/instance/instances.h"

struct asker;
struct job;
struct proved;
struct proved_copy;
struct reload;
struct revert;
struct roll;
struct roll_hearer;
struct strategy;
struct supervisor;
struct undo;
struct waiters;

/* What becomes of baton as a whole: filled in by who has to tell others. */
struct deploy_calls {
	void (*started)(struct supervisor *sup);   /* every instance has been started */
	void (*reloading)(struct supervisor *sup); /* the configuration is read anew … */
	void (*reloaded)(
	    struct supervisor *sup, bool good); /* … and counts, or nothing has changed */
	void (*stops)(struct supervisor *sup, const char *why);
};

/* One in the program. */
struct deploy {
	struct supervisor *sup; /* for those above who are called */
	const struct deploy_calls *calls;
	const struct roll_hearer *hearers; /* who hears that a roll is over; the last has no name */
	struct base *base;
	struct instances *all;

	struct config *config;          /* the one that counts */
	struct config **configs_before; /* read before and still in use: a talloc array */
	int64_t read_unix_ms;           /* when the file was read that counts */
	char *refused_why;              /* why a later one does not; NULL: there was none */
	int64_t refused_unix_ms;

	size_t next_service; /* which one is started (or, plus one, stopped) now */
	unsigned next_instance;
	bool stop_next_runs; /* sequence.c: it is looking at the instances already */

	LIST_HEAD(, job) jobs;         /* that wait for instances */
	struct reload *reload;         /* NULL: none is under way, or it is carried out */
	struct roll *roll;             /* NULL: no restart is under way */
	json_t *last_restart;          /* the verdict on the one before; NULL: there was none */
	STAILQ_HEAD(, revert) reverts; /* to be done when nothing else is under way */
};

/* What this room keeps of one service. */
struct service_deploy {
	struct deploy *room;
	bool shrinks;              /* instances are being removed (scale.c): */
	unsigned keep;             /* … those from this one on; 0: and the service with them */
	struct strategy *strategy; /* instances are started again together; NULL: none are */

	unsigned config_numbers;         /* so many have been given */
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
	bool goes;         /* … and it is to go again, for it is in another one's way */
};

/* NULL: no memory. Services are added by service_new. */
struct deploy *deploy_new(TALLOC_CTX *mem, struct supervisor *sup, const struct deploy_calls *calls,
    struct base *base, struct instances *all, struct config *config);

static inline struct deploy *
deploy_of(const struct service *s)
{
	return s->deploy->room;
}

/* So many of its instances stay. */
static inline unsigned
deploy_stay(const struct service *s)
{
	return s->deploy->shrinks ? s->deploy->keep : s->ninstances;
}

/* --- busy.c ---------------------------------------------------------------------------------- */

/* Whether instances are being removed, or a service is about to go back by itself: then nothing else
 * is begun, and *WHY is set. */
bool deploy_busy(const struct deploy *d, TALLOC_CTX *mem, char **why);
/* Whether INST is one of those that are being removed. */
bool deploy_removes(const struct instance *inst);

/* --- service.c ----------------------------------------------------------------------------- */

/* A service with its instances, not in the list of services yet. NULL: no memory. */
struct service *service_new(struct deploy *d, const struct service_config *config);
/* The same without instances. */
struct service *service_new_empty(struct deploy *d, const struct service_config *config);
/* From now on CONFIG counts, which outlives it. */
void service_configure(struct service *s, const struct service_config *config);
/* The same for one that counted before, under its number then. */
void service_reconfigure(struct service *s, const struct service_config *config, unsigned number);
/* NULL: there is none of that name. */
struct service *service_find(const struct deploy *d, const char *name);

/* --- sequence.c: starting one after the other, stopping in reverse ------------------------ */

void sequence_start(struct deploy *d);
void sequence_stop(struct deploy *d);
/* Ends everything now. */
void sequence_kill(struct deploy *d);
void sequence_news(struct instance *inst, struct generation *g, enum instance_news news);

/* --- job.c: starting, stopping single services, and waiting for what comes of it ------------ */

/* Each tells ASKER how it went, at once or later; the asker may go away at any time. NAME is
 * a service or an instance. */
void job_start(struct deploy *d, const char *name, struct asker *asker);
void job_stop(struct deploy *d, const char *name, struct asker *asker);
/* Starts what has failed, and what waits for its next start; the crashes are forgotten. */
void job_reset(struct deploy *d, const char *name, struct asker *asker);
void job_news(struct instance *inst, struct generation *g, enum instance_news news);

/* --- scale.c: how many instances a service has ------------------------------------------ */

/* ASKER is told how it went, at once or later. */
void scale_service(struct deploy *d, const char *name, long instances, struct asker *asker);

/* --- roll.c: the rolling restart ------------------------------------------------------- */

/* What is to be done; the strings are copied, but WHAT. */
struct roll_task {
	const char *what;   /* "restart", "reload", …: what messages call it */
	const char *target; /* a service, or one instance; NULL: all, or a list */
	const char *why;    /* if nobody has asked for it: the reason, for people; or NULL */
	bool canary;        /* pause after the first instance of each service in any case */
	bool now;           /* no process drains: it is killed when its successor is ready */
	bool back;          /* not to the file: to what version.c says has proved good */
	bool revert;        /* to the configuration that counts, from one that was refused */

	/* A roll back by itself: the verdict on the roll that has failed, and who waits for it. */
	json_t *failed;
	struct waiters *waiters;
};

/* Begins one, or joins the one that is under way if that does the same. ASKER (may be NULL)
 * hears of progress and verdict; it may go away at any time. Returns 0, or a negative errno
 * with *WHY set (child of MEM): -EBUSY if another one is under way, -ENOENT, -ENOMEM. */
int roll_start(struct deploy *d, const struct roll_task *task, struct asker *asker, TALLOC_CTX *mem,
    char **why);
/* A no-op when no roll is under way, or it is not about this instance. (roll_news.c) */
void roll_news(struct instance *inst, struct generation *g, enum instance_news news);
/* Ends the roll with a verdict: the supervisor stops. */
void roll_cancel(struct deploy *d, const char *why);
/* "hello.0" and what is waited for, or NULL: for status. */
const char *roll_where(const struct deploy *d);
/* Ends the pause after a canary, of SERVICE if that is not NULL. Returns 0, or -EINVAL with
 * *WHY set (child of MEM) if there is none. (roll_canary.c) */
int roll_continue(struct deploy *d, const char *service, TALLOC_CTX *mem, char **why);
/* Whether one that is under way, and about S, had begun at SINCE_MS: what was started then may
 * be what it brings. */
bool roll_had_begun(const struct service *s, int64_t since_ms);
/* The pause, or null: for status. (roll_canary.c) */
json_t *roll_pause_json(const struct deploy *d);

/* --- trial.c, revert.c: a generation that has not proved good yet -------------------------- */

/* For checks of those that live: G, which is to serve, does not do so well: WHY, such as "does
 * not answer". If it has not proved good yet, its service goes back to what has. */
void trial_failed(struct generation *g, const char *why);
void trial_news(struct instance *inst, struct generation *g, enum instance_news news);
/* It ends then. */
void trial_rearm(struct generation *g, int64_t due_ms);

/* --- strategy.c: what a crash means for the others of the service -------------------------- */

/* INST is down by a crash, and waits for its next start or has failed. */
void strategy_crashed(struct instance *inst);
/* Something has happened to INST. */
void strategy_news(struct instance *inst, struct generation *g, enum instance_news news);
/* A roll is over: instances of its services that wait may go on. */
void strategy_after_roll(struct deploy *d);
void strategy_state(struct state *s, struct service *service);

/* --- proved.c, version.c: what a service is started from ------------------------------------ */

/* The one that S is to be started from, with the file of which it is a copy; -1: none. */
int proved_copy_for(const struct service *s, struct executable *exe);
/* G has proved good: what it runs is copied, unless there is a copy already. */
void proved_keep(struct generation *g);
/* What the copies take in memory. */
uint64_t proved_bytes(const struct service *s);
/* For status: a list, the latest first. */
json_t *proved_json(const struct service *s);
/* Whether G may serve: no rollback has given up what it was started from. */
bool version_fits(const struct generation *g);

/* --- renew.c ------------------------------------------------------------------------------ */

/* Makes files of Unix sockets anew that were removed, unless something else is under way: then the
 * next call does it. */
void renew_sockets(struct deploy *d);

/* --- reload.c --------------------------------------------------------------------------- */

/* Reads the configuration anew and applies the difference, or changes nothing and says why, to
 * ASKER (NULL: nobody waits) and on baton's stderr. The file is looked at by another process first,
 * while the loop goes on. */
void reload(struct deploy *d, struct asker *asker);

#endif
