/* SPDX-License-Identifier: MIT */
/* One process: what is known of it, how it is started and watched, and how it ends. */
#ifndef SUPERVISOR_GENERATION_H
#define SUPERVISOR_GENERATION_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <talloc.h>
#include <tevent.h>

#include "supervisor/base/lines.h"
#include "supervisor/base/timer.h"
#include "supervisor/config/config.h"
#include "supervisor/process/process.h"

struct check;
struct instance;
struct instances;
struct service;

/* The longest line of an instance's output that is kept whole. */
#define OUTPUT_LINE_MAX_BYTES (1024UL * 1024)
/* How many of its last stderr lines a generation keeps for reports, and how much of each. */
#define TAIL_LINES            8
#define TAIL_LINE_MAX_BYTES   400

struct generation;

/*
 * What happens to a process. Who starts and watches processes finds that out, and does not know what
 * follows from it for the instance, its spares, or those above: instance.c does, and fills this in.
 */
struct generation_events {
	/* It says READY=1, with or without X_BATON_SPARE=1. Returns whether that counts. */
	bool (*said_ready)(struct generation *g, bool spare);
	void (*ready)(struct generation *g);    /* it has shown that it is ready */
	void (*back)(struct generation *g);     /* it was told to end, recalled, and serves again */
	void (*stopping)(struct generation *g); /* it said that it ends */
	/* It hangs, or fails its health checks (SICK_…); WHY, in words ("has not …"), is taken over.
	 * Later: it is well again, as WHAT says. */
	void (*unwell)(struct generation *g, unsigned how, char *why);
	void (*well)(struct generation *g, unsigned how, const char *what);
	/* It has written a line. */
	void (*line)(struct generation *g, bool err, const char *text, size_t len);
	/* It is gone, and could say nothing more. Frees it. */
	void (*ended)(struct generation *g);
};

/* Ways to be unwell: bits of struct generation's sick. */
enum {
	SICK_HUNG = 1,      /* its watchdog has expired: it cannot drain */
	SICK_UNHEALTHY = 2, /* its health checks fail */
};

/* One process. A child of its instance. */
struct generation {
	LIST_ENTRY(generation) entry; /* in struct instances */
	struct instance *instance;
	const struct generation_events *events; /* who hears what happens to it */
	unsigned number;                        /* 1, 2, 3, … in its instance */
	pid_t pid;                              /* 0: it could not be started */
	uid_t uid; /* as whom it runs; NOTIFY_UID_UNKNOWN: it has not said so yet */
	int pidfd;
	struct tevent_fd *pid_event;
	struct tevent_fd *out_event, *err_event; /* own the pipes' reading ends */
	struct lines *out_lines, *err_lines;
	struct tail *tail; /* its last lines on stderr */
	struct notify *notify;
	struct channel *gives; /* to its successors, all of them */
	struct channel *takes; /* from the one that it is to replace; NULL: from nobody */
	int exec_fd;           /* tells as whom it runs, and why execve failed if it did */
	int64_t started_ms;    /* on the monotonic clock */
	int64_t ready_ms;      /* -1: not ready yet */
	bool stopping;         /* it said STOPPING=1, of its own accord or because it was told to */
	bool told;             /* SIGTERM was sent, and it has not come back since */
	bool told_once;        /* … or has: it may have given connections away */
	bool recalled;         /* told to serve on; it has not answered by READY=1 */
	bool drained;          /* it told how its drain went: counts */
	struct notify_drained counts;
	bool doomed;               /* SIGKILL was sent */
	bool lingers;              /* it was told to end and has ended; its process group drains */
	struct ready_config ready; /* of its service, when it was started */
	int ready_fd;              /* baton's end of `ready = fd`; -1: none, or done with */
	struct tevent_fd *ready_event;
	struct timer *ready_timer;
	struct timer *ready_tell; /* runs until it is said what is waited for */
	struct check *ready_check;
	char *ready_why;      /* what the last answer before readiness was; NULL: none yet */
	unsigned check_width; /* how many connections the next check opens */
	struct timer *health_timer;
	struct check *health_check;
	char *health_last;        /* what the last check found; NULL: nothing yet */
	unsigned health_failures; /* in a row */
	bool health_blind;        /* it was said that nothing can be found out */
	/* Numbers of descriptors in the process, after its sockets; -1: it has none. */
	int give_number, take_number, ready_number;
	ino_t *sockets;         /* those of its instance that it was given: a talloc array; NULL:
				 * it is not known which */
	int64_t watchdog_ms;    /* it must say WATCHDOG=1 at least so often; 0: it need not */
	struct timer *watchdog; /* runs from ready on, if it has one */

	struct channel *becomes; /* a spare's, by which it is told what it becomes; or NULL */
	unsigned epoch;          /* the service's, when it was started */

	char *group;  /* its control group's name; NULL: it has none */
	char *limits; /* … and what was written there: only with the same ones is it shared */

	char *program;          /* the path that was found for it; NULL: none was */
	struct executable exe;  /* what stood there */
	unsigned config_number; /* service.config_number when it was started */
	struct timer *trial;    /* runs from ready until it has proved good */
	bool proved;
	int64_t watchdog_due_ms;
	bool watchdog_last; /* the timer is that of the last part */
	unsigned sick;      /* SICK_…: why it is to be replaced; 0: it is well */
	char *sick_why;     /* the same in words; NULL while it is well */
	struct timer *sick_timer;
	unsigned sick_tries; /* successors that were started for that */
	char *status;        /* its last STATUS=, cleaned; NULL: none */
	char *failure;       /* why baton gave it up, or could not start it; NULL: did not */
	bool starved;        /* its program was not run, for want of memory, descriptors, … */
	bool succeeded;      /* once it has ended: with status 0 */
	char *ended;         /* once it has ended: how, in words */

	bool rolled_back;      /* it runs the copy of what had proved good before, not the file */
	char *not_rolled_back; /* it failed, and nobody can go back: why; NULL: not so */
};

/* --- sharing.c: which processes have which sockets --------------------------------------- */

/* G is given those that its instance has now. */
void sharing_note(struct generation *g);
/* G is about to be started: those that no other living process has are made to block. */
void sharing_block(const struct generation *g);

/* --- start.c --------------------------------------------------------------------------- */

/* The names of its sockets as in LISTEN_FDNAMES; NULL: no memory. */
char *start_socket_names(TALLOC_CTX *mem, const struct instance *inst);
/* The environment of G with the credentials ID. For the child, as environment_build is. */
int start_environment(TALLOC_CTX *mem, const struct generation *g, const struct credentials *id,
    char ***out, const char **why);
/* Which descriptors of its own G will have: sockets, the ends of the handover (or a spare's own),
 * the readiness pipe; if the last one's number is given, the others make way. */
void start_number(struct generation *g);
/* Begins to fill S in, and in MEM: what G is to run, with its channels. Returns 0, or a negative errno,
 * with *WHY set if there is more to say. */
int start_choose(struct generation *g, struct spawn *s, TALLOC_CTX *mem, const char **why);
/* The rest of it, and the process is started; G has its NOTIFY_SOCKET by then. The same returns. */
int start_process(struct generation *g, struct spawn *s, TALLOC_CTX *mem, const char **why);

/* G, a spare until now, goes from its place's control group into that of its instance. */
void start_move_group(struct generation *g);
/* G has left it: its control group goes, if it was the last. */
void start_leave_group(struct generation *g);

/* The channels by which G gives and takes: from the one that drains, the one that it is to
 * replace, or what the dead have left. Returns 0 or -errno. */
int start_channels(struct generation *g);

/* --- generation.c: one process and its descriptors ----------------------------------- */

/* Starts one. NULL only for lack of memory; if it could not be started, failure is set and
 * pid is 0. */
struct generation *generation_start(struct instance *inst);
/* It could not be started: that it has ended is told from the loop. */
void generation_stillborn(struct generation *g);
/* The pieces of it, for state_generation.c: one without a process (NULL: no memory), one whose
 * process is watched. */
struct generation *generation_new(struct instance *inst, unsigned number);
void generation_watch(struct generation *g);
void generation_notified(const struct notify_message *m, void *data);
/* Its NOTIFY_SOCKET, for messages of UID. */
struct notify *generation_listen(struct generation *g, uid_t uid);
/* … who that is will be told by exec_fd. */
void generation_ask_uid(struct generation *g);
/* SIGTERM to the process; what it started is its own business, until it has died of that. */
void generation_term(struct generation *g);
/* After SIGTERM: it is to serve on. It answers by READY=1, if it knows how. */
void generation_recall(struct generation *g);
/* Nothing more comes from G's predecessor: what is left is kept until G has read it. */
void generation_giver_gone(struct generation *g);
/* Whether it runs; also one that has ended and was not reaped yet does not. */
static inline bool
generation_lives(const struct generation *g)
{
	struct pollfd p = {.fd = g->pidfd, .events = POLLIN};

	return g->lingers || (g->pid > 0 && poll(&p, 1, 0) == 0);
}
/* Whether its process has found out as whom it runs, and its environment; it runs its program
 * then, or is about to. */
static inline bool
generation_looked_up(struct generation *g)
{
	return g->uid != NOTIFY_UID_UNKNOWN || spawn_has_looked_up(g->exec_fd, &g->uid);
}
/* HOW it ended, and why baton wanted it to; belongs to G. */
char *generation_end(struct generation *g, const char *how);
/* SIGKILL to its whole process group. WHY is kept as the failure if none is known yet. */
void generation_kill(struct generation *g, const char *why);
/* Takes what there is to know about one that has ended (a no-op while it lives). */
void generation_check(struct generation *g);
/* The same of those of which only the process group was left: a child of baton has ended. */
void generation_check_lingering(struct instances *all);
/* Milliseconds from start to readiness, or since the start if it is not ready. */
static inline int64_t
generation_age_ms(const struct generation *g)
{
	return (g->ready_ms >= 0 ? g->ready_ms : timer_now_ms()) - g->started_ms;
}

/* --- generation_output.c: its stdout and stderr ------------------------------------------ */

/* What gathers its lines. False: no memory. */
bool generation_new_output(struct generation *g);
/* A pipe that is read into lines; returns the writing end, the caller's, or -errno. */
int generation_open_output(struct generation *g, bool err);
/* A pipe's reading end, which it owns from then on; -ENOMEM: it does not. */
int generation_read_output(struct generation *g, bool err, int fd);
/* It has ended: takes what is still in the pipes. */
void generation_last_output(struct generation *g);

/* --- ready.c: how a process shows that it is ready --------------------------------------- */

/* Whether by READY=1. */
bool ready_is_notified(const struct generation *g);
/* The pipe of `ready = fd`; returns the writing end, the caller's, or -errno. */
int ready_open(struct generation *g);
/* The process runs: waits for whatever its service's kind of readiness is. False: no memory to. */
bool ready_begin(struct generation *g);
/* It has shown that it is ready. One that was told to end, or given up, cannot become the one
 * that serves: then nothing happens. */
void ready_shown(struct generation *g);
/* It has ended: takes what it said before. */
void ready_last(struct generation *g);
/* Gives up waiting. */
void ready_end(struct generation *g);
/* What was waited for in vain, in words. */
char *ready_missing(TALLOC_CTX *mem, struct generation *g);

/* --- check.c: asking a process over HTTP ---------------------------------------------------- */

typedef probe_fn check_fn;

/* Asks G for PATH, by WIDTH connections if others might accept them. FN
 * is called once, from the loop. A child of G; NULL for lack of memory, or of a socket. */
struct check *check_begin(struct generation *g, const char *path, int64_t timeout_ms,
    unsigned width, check_fn *fn, void *data);
/* How many connections to open next, after WIDTH of them came to that. */
unsigned check_next_width(unsigned width, enum probe_verdict verdict);

/* --- health.c ------------------------------------------------------------------------------- */

/* G serves, from now on or again: it is checked, if its service wants that. */
void health_begin(struct generation *g);
/* After baton's own upgrade: what was found before still counts. */
void health_resume(struct generation *g);
/* Another configuration counts for the processes of S. */
void health_configured(struct service *s);

/* --- watchdog.c ------------------------------------------------------------------------- */

/* G became ready, or said WATCHDOG=1: its time begins anew. */
void watchdog_heard(struct generation *g);
/* It is due at that moment. */
void watchdog_rearm(struct generation *g, int64_t due_ms);
/* It said WATCHDOG_USEC=: from now on that is its time; 0: none any more. */
void watchdog_change(struct generation *g, int64_t usec);
/* It said WATCHDOG=trigger: as if its time were over. */
void watchdog_triggered(struct generation *g);

/* --- sick.c: replacing what lives and does not serve -------------------------------------- */

/* Replaces G, if it is the one that serves: its successor is started, and when that is ready, G
 * is told to end. WHY, in words ("has not …"), is taken over. */
void sick_found(struct generation *g, unsigned how, char *why);
/* It is well again, as WHAT says; a successor that is on its way replaces it all the same. */
void sick_over(struct generation *g, unsigned how, const char *what);
/* The next try is due then. */
void sick_rearm(struct generation *g, int64_t due_ms);

#endif
