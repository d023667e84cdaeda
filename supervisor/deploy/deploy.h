/* SPDX-License-Identifier: MIT */
/*
 * The face of deploy/: what a service is started from, and all that changes it while baton runs:
 * start, stop, restart, canary, reload, rollback, scale. daemon/ starts and ends everything by it and
 * has it told the news of instances; control/ asks it for what clients ask for. It never knows who
 * asks (asker.h), nor a socket, nor who is told what baton as a whole does (struct deploy_calls).
 */
#ifndef SUPERVISOR_DEPLOY_H
#define SUPERVISOR_DEPLOY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "supervisor/config/config.h"
#include "supervisor/instance/instances.h"

struct asker;
struct roll;
struct revert;
struct supervisor;

/* What becomes of baton as a whole: filled in by who has to tell others. */
struct deploy_calls {
	void (*started)(struct supervisor *sup);   /* every instance has been started */
	void (*reloading)(struct supervisor *sup); /* the configuration is read anew … */
	void (*reloaded)(
	    struct supervisor *sup, bool good); /* … and counts, or nothing has changed */
	void (*stops)(struct supervisor *sup, const char *why);
};

/* --- service.c ----------------------------------------------------------------------------- */

/* A service with its instances, not in the list of services yet. NULL: no memory. */
struct service *service_new(struct supervisor *sup, const struct service_config *config);
/* From now on CONFIG counts, which outlives it. */
void service_configure(struct service *s, const struct service_config *config);
/* The same for one that counted before, under its number then. */
void service_reconfigure(struct service *s, const struct service_config *config, unsigned number);

/* --- job.c: orders about single services, and waiting for what comes of them ------------ */

/* Each tells ASKER how it went, at once or later; the asker may go away at any time. NAME is
 * a service or an instance. */
void job_start(struct supervisor *sup, const char *name, struct asker *asker);
void job_stop(struct supervisor *sup, const char *name, struct asker *asker);
/* Starts what has failed, and what waits for its next start; the crashes are forgotten. */
void job_reset(struct supervisor *sup, const char *name, struct asker *asker);
/* For others: instances that were made already, with sockets and all; ASKER may be NULL. They
 * are started in any case: without memory all at once, and the asker is told so. */
void
job_start_list(struct supervisor *sup, struct instance **list, size_t count, struct asker *asker);
/* Stops them for good: who waits for their start is told. When nothing of them lives any more,
 * THEN(DATA) is called from the loop. False: no memory, nothing happens, and ASKER has not been
 * told. */
typedef void job_then_fn(void *data);
bool job_stop_list(struct supervisor *sup, struct instance **list, size_t count,
    struct asker *asker, job_then_fn *then, void *data);
void job_news(struct instance *inst, struct generation *g, enum instance_news news);
/* They are about to be freed. */
void job_forget(struct supervisor *sup, struct instance **list, size_t count);
/* The supervisor stops: whoever waits is told. */
void job_cancel_all(struct supervisor *sup, const char *why);

/* --- sequence.c: starting one after the other, stopping in reverse ------------------------ */

void sequence_start(struct supervisor *sup);
void sequence_stop(struct supervisor *sup);
/* Ends everything now. */
void sequence_kill(struct supervisor *sup);
/* hints.c: all is started: what to try next. */
void hints_say(struct supervisor *sup);
void sequence_news(struct instance *inst, struct generation *g, enum instance_news news);

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

	struct revert *after; /* … by itself, after a failure: the roll's own then; or NULL */
};

/* Begins one, or joins the one that is under way if that does the same. ASKER (may be NULL)
 * hears of progress and verdict; it may go away at any time. Returns 0, or a negative errno
 * with *WHY set (child of MEM): -EBUSY if another one is under way, -ENOENT, -ENOMEM. */
int roll_start(struct supervisor *sup, const struct roll_task *task, struct asker *asker,
    TALLOC_CTX *mem, char **why);
/* The same about these instances, when nothing stands against it and none is under way. Returns
 * 0 or -ENOMEM, and ASKER has not been told. */
int roll_start_list(struct supervisor *sup, const struct roll_task *task, struct instance **list,
    size_t count, struct asker *asker);
/* A no-op when no roll is under way, or it is not about this instance. (roll_news.c) */
void roll_news(struct instance *inst, struct generation *g, enum instance_news news);
/* G of INST has failed in a way that roll_news does not see, or at another time: a roll about
 * its service, if one is under way, fails for that REASON. (roll_news.c) */
void roll_spoil(struct supervisor *sup, const struct instance *inst, const struct generation *g,
    const char *reason);
/* Ends the roll with a verdict: the supervisor stops. */
void roll_cancel(struct supervisor *sup, const char *why);
/* "hello.0" and what is waited for, or NULL: for status. */
const char *roll_where(const struct supervisor *sup);
/* Ends the pause after a canary, of SERVICE if that is not NULL. Returns 0, or -EINVAL with
 * *WHY set (child of MEM) if there is none. (roll_canary.c) */
int roll_continue(struct supervisor *sup, const char *service, TALLOC_CTX *mem, char **why);
/* Whether one that is under way, and about S, had begun at SINCE_MS: what was started then may
 * be what it brings. */
bool roll_had_begun(const struct service *s, int64_t since_ms);
/* The pause, or null: for status. (roll_canary.c) */
json_t *roll_pause_json(const struct supervisor *sup);

/* --- renew.c ------------------------------------------------------------------------------ */

/* Makes files of Unix sockets anew that were removed, unless something else is under way: then the
 * next call does it. */
void renew_sockets(struct supervisor *sup);

/* --- reload.c --------------------------------------------------------------------------- */

/* Reads the configuration anew and applies the difference, or changes nothing and says why, to
 * ASKER (NULL: nobody waits) and on baton's stderr. The file is looked at by another process first,
 * while the loop goes on. */
void reload(struct supervisor *sup, struct asker *asker);
/* One that has not begun to apply anything is given up. */
void reload_cancel(struct supervisor *sup, const char *why);

#endif
