/* SPDX-License-Identifier: MIT */
/*
 * The internal header of the running supervisor: what there is, who owns what, and the
 * functions of each file, in sections named after it. Everything hangs in one talloc tree:
 *
 *   supervisor → service → instance → generation (one process)
 *             → control → client
 *             → roll (while a rolling restart is under way)
 *
 * Freeing a node ends what it owns: descriptors, timers, event handlers. Processes are the
 * exception: they are ended in good order by the state machine (life.h), never by a free.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>
#include <tevent.h>

#include "supervisor/channel.h"
#include "supervisor/config.h"
#include "supervisor/identity.h"
#include "supervisor/life.h"
#include "supervisor/lines.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/timer.h"

/* The longest line of an instance's output that is kept whole. */
#define OUTPUT_LINE_MAX_BYTES 4096
/* How many of its last stderr lines a generation keeps for reports, and how much of each. */
#define TAIL_LINES            8
#define TAIL_LINE_MAX_BYTES   400

struct supervisor;
struct instance;
struct logfile;
struct op;
struct roll;
struct control;
struct client;

/* One listening socket of one instance: open from before the first start to the very end. */
struct listener {
	int fd;
	const char *name;       /* for LISTEN_FDNAMES */
	struct address address; /* as bound: a port of 0 has become the kernel's choice */
	bool chosen;            /* … and so it was */
};

/* One process. A child of its instance. */
struct generation {
	struct generation *prev, *next; /* in supervisor.generations */
	struct instance *instance;
	unsigned number; /* 1, 2, 3, … in its instance */
	pid_t pid;       /* 0: it could not be started */
	int pidfd;
	struct tevent_fd *pid_event;
	struct tevent_fd *out_event, *err_event; /* own the pipes' reading ends */
	struct lines *out_lines, *err_lines;
	struct tail *tail; /* its last lines on stderr */
	struct notify *notify;
	struct channel *gives; /* to its successors, all of them */
	struct channel *takes; /* from the one that it is to replace; NULL: from nobody */
	int exec_fd;           /* tells why execve failed; empty when it did not */
	int64_t started_ms;    /* on the monotonic clock */
	int64_t ready_ms;      /* -1: not ready yet */
	bool stopping;         /* it said STOPPING=1, of its own accord or because it was told to */
	bool told;             /* SIGTERM was sent, and it has not come back since */
	bool recalled;         /* told to serve on; it has not answered by READY=1 */
	bool drained;          /* it told how its drain went: counts */
	struct notify_drained counts;
	bool doomed;            /* SIGKILL was sent */
	bool hung;              /* its watchdog has expired */
	struct timer *watchdog; /* runs from ready on, if it has one */
	char *status;           /* its last STATUS=, cleaned; NULL: none */
	char *failure;          /* why baton gave it up, or could not start it; NULL: did not */
	bool succeeded;         /* once it has ended: with status 0 */
	char *ended;            /* once it has ended: how, in words */
};

struct instance {
	struct supervisor *sup;
	struct service *service;
	unsigned index;
	char *name;   /* "hello.0" */
	char *prefix; /* "hello.0 | " */
	struct life life;
	struct generation *current, *successor, *old; /* life.h's CURRENT, NEXT, OLD */
	struct timer *timer, *old_timer;
	struct timer *refuse_timer; /* runs while it is down and its sockets are open */
	bool refusing;              /* its TCP sockets refuse connections */
	struct listener *listeners;
	size_t nlisteners;
	unsigned last_number; /* of the youngest generation */
	unsigned restarts;    /* starts that were neither the first nor a replacement */
	char *last_exit;      /* how the last process ended, in words; NULL: none has */
	struct channel *left; /* what a dead generation offered and nobody has read; or NULL */
	unsigned last_drain_number; /* which generation told last_drain; 0: none yet */
	struct notify_drained last_drain;
};

struct service {
	struct supervisor *sup;
	struct logfile *out, *err; /* where lines go; NULL: not to a file */
	const struct service_config *config;
	struct life_policy policy;
	struct instance **instances;
	unsigned ninstances;
};

enum supervisor_phase {
	SUP_STARTING, /* instance by instance, in order */
	SUP_RUNNING,
	SUP_STOPPING, /* service by service, in reverse order */
	SUP_DONE,
};

struct supervisor {
	struct tevent_context *ev;
	struct timers *timers;
	struct output *out;
	struct config *config;
	struct config *config_before; /* what is being stopped may still use it */
	const char *argv0;            /* as baton was called, for lines that say what to type */
	const char *how_to_reach;     /* " -c FILE" or " --control PATH" for such lines, or "" */
	const char *manager;          /* baton's own NOTIFY_SOCKET, or NULL */
	struct service **services;
	size_t nservices;
	struct generation *generations; /* every process that has not been reaped */
	struct control *control;
	struct logfile *logfiles; /* all that are open */
	struct op *ops;           /* waiting for instances; NULL: none is */
	struct roll *roll;        /* NULL: no restart is under way */
	json_t *last_restart;     /* the verdict on the one before; NULL: there was none */
	enum supervisor_phase phase;
	size_t next_service; /* which one is started (or, plus one, stopped) now */
	unsigned next_instance;
	bool stop_next_runs; /* order.c: it is looking at the instances already */
	bool killing;        /* told twice to end */
	int64_t started_ms;
};

/* What happens to an instance, for those who wait: the order of starting, a restart. */
enum instance_news {
	NEWS_STARTED, /* a generation was started */
	NEWS_READY,   /* it became ready; it is current now */
	NEWS_BACK,    /* one that was told to end was called back, and serves again */
	NEWS_FAILED,  /* it ended before it was ready, or could not be started */
	NEWS_ENDED,   /* a generation that had been ready has ended */
	NEWS_GAVE_UP, /* it crashed too often and is not started again */
	NEWS_DOWN,    /* told to stop, and nothing is left */
};

/* --- listener.c: binding ------------------------------------------------------------- */

/* Binds every socket of every service. On failure everything bound so far is closed again,
 * and *WHY is one line naming address, service, and remedy. Returns 0 or a negative errno. */
int listener_open_all(struct supervisor *sup, TALLOC_CTX *mem, char **why);

/* Binds the sockets of one more instance, as listener_open_all does. */
int listener_open_instance(struct instance *inst, TALLOC_CTX *mem, char **why);
/* Its sockets as C wants them, in MEM: those that BEFORE (or NULL) has are shared, others are
 * bound. NULL with *WHY set (in WHY_MEM) if that fails. */
struct listener *listener_open(TALLOC_CTX *mem, const struct instance *inst,
    const struct service_config *c, const struct listener *before, TALLOC_CTX *why_mem, char **why);
/* Makes its TCP sockets refuse connections (those that wait are reset), or take them again. */
void listener_refuse(struct instance *inst);
void listener_resume(struct instance *inst);

/* --- logfile.c ------------------------------------------------------------------------- */

/* The one of that path, opened if it is new; NULL with *ERROR set if it cannot be. */
struct logfile *logfile_get(struct supervisor *sup, const char *path, int *error);
/* Opens those that the service's section names. Returns 0, or -errno with *WHY set. */
int logfile_open_service(struct service *s, TALLOC_CTX *mem, char **why);
/* Opens those of a section before it counts. */
int logfile_open_named(
    struct supervisor *sup, const struct service_config *c, TALLOC_CTX *mem, char **why);
void logfile_line(struct logfile *l, const char *text, size_t len);
/* For SIGUSR1: whoever rotates logs has moved them away. */
void logfile_reopen_all(struct supervisor *sup);
uint64_t logfile_dropped(const struct supervisor *sup);

/* --- op.c: orders about single services, and waiting for what comes of them ------------ */

/* Each tells CLIENT how it went, at once or later; the client may go away at any time. NAME is
 * a service or an instance. */
void op_start(struct supervisor *sup, const char *name, struct client *client);
void op_stop(struct supervisor *sup, const char *name, struct client *client);
/* Starts what has failed, and what waits for its next start; the crashes are forgotten. */
void op_reset(struct supervisor *sup, const char *name, struct client *client);
void op_scale(struct supervisor *sup, const char *service, long instances, struct client *client);
/* For reload.c: instances that were made for it, with sockets and all; CLIENT may be NULL. */
void
op_start_list(struct supervisor *sup, struct instance **list, size_t count, struct client *client);
/* Stops the instances from KEEP on, or all, and removes them, or the service, with nobody waiting. */
void op_shrink(struct supervisor *sup, struct service *s, unsigned keep);
void op_remove(struct supervisor *sup, struct service *s);
void op_news(struct supervisor *sup, struct instance *inst, const struct generation *g,
    enum instance_news news);
/* Whether one is under way that a restart would get into the way of; then *WHY is set. */
bool op_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why);
/* The supervisor stops: whoever waits is told. */
void op_cancel_all(struct supervisor *sup, const char *why);

/* --- environment.c ------------------------------------------------------------------- */

/* The environment for a new generation, built anew from baton's own. *PID_AT points at the
 * digits of LISTEN_PID (ENVIRONMENT_PID_DIGITS zeroes), which the child overwrites. */
#define ENVIRONMENT_PID_DIGITS 10
int environment_build(TALLOC_CTX *mem, const struct generation *g, const struct identity *id,
    char ***out, char **pid_at, const char **why);
/* Whether baton sets NAME itself, so that no configuration may. */
bool environment_is_batons(const char *name);
/* Reads an env_file for its errors. */
int environment_check_file(TALLOC_CTX *mem, const char *file, const char **why);

/* --- start.c --------------------------------------------------------------------------- */

/* Starts G's process, for which only the numbers are set. MEM is for what may be freed
 * afterwards. Returns 0, or a negative errno, with *WHY set if there is more to say. */
int start_process(struct generation *g, TALLOC_CTX *mem, const char **why);

/* --- generation.c: one process and its descriptors ----------------------------------- */

/* Starts one. NULL only for lack of memory; if it could not be started, failure is set and
 * pid is 0. The instance hears of its end by instance_generation_ended. */
struct generation *generation_start(struct instance *inst);
/* A pipe that is read into lines; returns the writing end, the caller's, or -errno. */
int generation_open_output(struct generation *g, bool err);
/* Its NOTIFY_SOCKET, for messages of UID. */
struct notify *generation_listen(struct generation *g, uid_t uid);
/* SIGTERM to the process; what it started is its own business. */
void generation_term(struct generation *g);
/* After SIGTERM: it is to serve on. It answers by READY=1, if it knows how. */
void generation_recall(struct generation *g);
/* Nothing more comes from G's predecessor: what is left is kept until G has read it. */
void generation_giver_gone(struct generation *g);
/* Whether it runs; also one that has ended and was not reaped yet does not. */
bool generation_lives(const struct generation *g);
/* SIGKILL to its whole process group. WHY is kept as the failure if none is known yet. */
void generation_kill(struct generation *g, const char *why);
/* Takes what there is to know about one that has ended (a no-op while it lives). */
void generation_check(struct generation *g);
/* Milliseconds from start to readiness, or since the start if it is not ready. */
int64_t generation_age_ms(const struct generation *g);

/* --- instance.c: carries out what life.c decides -------------------------------------- */

struct instance *instance_new(struct service *service, unsigned index);
void instance_event(struct instance *inst, enum life_event event);
void instance_generation_ready(struct generation *g);
/* A generation that was called back serves again. */
void instance_generation_back(struct generation *g);
/* G's process is gone: takes G's role away, lets life.c decide, and frees G. */
void instance_generation_ended(struct generation *g);
/* "http://127.0.0.1:8080" or several, or "-". */
char *instance_urls(TALLOC_CTX *mem, const struct instance *inst);

/* --- order.c: starting one after the other, stopping in reverse ------------------------ */

void order_start(struct supervisor *sup);
void order_stop(struct supervisor *sup);
/* Ends everything now. */
void order_kill(struct supervisor *sup);
void order_news(struct supervisor *sup, struct instance *inst, enum instance_news news);

/* --- report.c: what people read while baton runs ---------------------------------------- */

void report_news(struct instance *inst, const struct generation *g, enum instance_news news);
/* All is started: what to try next. */
void report_hints(struct supervisor *sup);
/* "4.2 s", "3 min", "2 h": durations for people. */
char *report_duration(TALLOC_CTX *mem, int64_t ms);

/* "12 connections moved, 3 requests finished, 0 connections ended, 0 cut". */
char *report_drained(TALLOC_CTX *mem, const struct notify_drained *d);

/* --- status.c: for programs -------------------------------------------------------------- */

/* Everything, as `baton status --json` prints it. */
json_t *status_json(const struct supervisor *sup);
/* {"moved":12,…} */
json_t *status_drained(const struct notify_drained *d);

/* --- roll.c: the rolling restart ------------------------------------------------------- */

/* Begins one, of every service when SERVICE is NULL. CLIENT hears of progress and verdict; it
 * may go away at any time. Returns 0, or -EBUSY / -ENOENT with *WHY set (child of MEM). */
int roll_start(struct supervisor *sup, const char *service, struct client *client, TALLOC_CTX *mem,
    char **why);
/* The same about these instances, when nothing stands against it; CLIENT may be NULL. */
void roll_start_list(
    struct supervisor *sup, struct instance **list, size_t count, struct client *client);
/* A no-op when no roll is under way, or it is not about this instance now. */
void roll_news(struct supervisor *sup, struct instance *inst, const struct generation *g,
    enum instance_news news);
/* Ends the roll with a verdict: the supervisor stops. */
void roll_cancel(struct supervisor *sup, const char *why);
/* "hello.0" and what is waited for, or NULL: for status. */
const char *roll_where(const struct supervisor *sup);

/* --- reload.c --------------------------------------------------------------------------- */

/* Reads the configuration anew and applies the difference, or changes nothing and says why, to
 * CLIENT (NULL: nobody waits) and on baton's stderr. */
void reload(struct supervisor *sup, struct client *client);

/* --- watchdog.c ------------------------------------------------------------------------- */

/* G became ready, or said WATCHDOG=1: its time begins anew. */
void watchdog_heard(struct generation *g);
/* Why a hung one is killed, in words; belongs to G. */
char *watchdog_why(struct generation *g);

/* --- signals.c ------------------------------------------------------------------------- */

/* Blocks the signals that baton takes and reads them in the loop. Returns 0 or -errno. */
int signals_start(struct supervisor *sup);

/* --- supervisor.c ----------------------------------------------------------------------- */

struct supervisor *supervisor_new(TALLOC_CTX *mem, struct config *config, const char *argv0);
/* A service with its instances, not in the list of services yet. NULL: no memory. */
struct service *supervisor_service_new(struct supervisor *sup, const struct service_config *config);
/* From now on CONFIG counts, which outlives it. */
void supervisor_service_configure(struct service *s, const struct service_config *config);
/* Runs until all is ended. Returns the exit status for main. */
int supervisor_run(struct supervisor *sup);
/* Finds the instance's process among generations by pid, NULL if it is none of ours. */
struct generation *supervisor_generation(struct supervisor *sup, pid_t pid);
/* The instances of the service NAME, or the one instance of that name, or all for NULL, as an
 * array in MEM. Returns how many there are. */
size_t supervisor_select(
    struct supervisor *sup, const char *name, TALLOC_CTX *mem, struct instance ***list);
/* "there is no service …", with those that there are. */
char *supervisor_no_such(TALLOC_CTX *mem, const struct supervisor *sup, const char *name);
/* Spreads the word: report, roll, order, op. */
void supervisor_news(struct instance *inst, const struct generation *g, enum instance_news news);

#endif
