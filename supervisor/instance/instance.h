/* SPDX-License-Identifier: MIT */
/* One instance: its sockets, its life, and the processes in their roles. */
#ifndef SUPERVISOR_INSTANCE_H
#define SUPERVISOR_INSTANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "supervisor/base/timer.h"
#include "supervisor/config/config.h"
#include "supervisor/instance/life.h"
#include "supervisor/process/channel.h"
#include "supervisor/process/executable.h"
#include "supervisor/process/notify.h"
#include "supervisor/sockets/socket_file.h"

struct generation;
struct instances;
struct recent;
struct service;
struct state;
struct supervisor;

/* What is kept of the last lines of each instance. */
#define RECENT_MAX_BYTES          (64U * 1024)
/* Longer lines are kept beside that, so much of them for each instance and for all together; what
 * would be too much is cut to this length. */
#define RECENT_SHORT_MAX_BYTES    (16U * 1024)
#define RECENT_LONG_MAX_BYTES     (1024UL * 1024)
#define RECENT_LONG_ALL_MAX_BYTES (16UL * 1024 * 1024)
/* … of which no more are told at once: it takes the loop's time. */
#define RECENT_TOLD_MAX           5000

/* One listening socket of one instance: open from before the first start to the very end. */
struct listener {
	int fd;
	const char *name;         /* for LISTEN_FDNAMES */
	struct address address;   /* as bound: a port of 0 has become the kernel's choice */
	bool chosen;              /* … and so it was */
	bool given;               /* it belongs to baton's own manager, which bound it */
	struct socket_file *file; /* of a Unix socket; NULL: it is none */
};

struct instance {
	struct supervisor *sup;
	struct instances *all; /* with the others */
	struct service *service;
	unsigned index;
	unsigned epoch;     /* of the last CURRENT that has ended */
	bool spare;         /* it is none of the instances, but the place of a spare (spare.c) */
	unsigned refreshed; /* a spare's: for which epoch it was tried to replace it */
	char *name;         /* "hello.0", "hello.spare.0" */
	char *prefix;       /* "hello.0 | " */
	struct life life;
	struct generation *current, *successor, *old; /* life.h's CURRENT, NEXT, OLD */
	struct instance *relief; /* the place of the spare that LIFE_EV_SPARE is about */
	struct timer *timer, *old_timer;
	struct timer *refuse_timer; /* runs while it is down and its sockets are open */
	int64_t down_since_ms;      /* nothing serves since then; 0: something does */
	bool refusing;              /* its sockets refuse connections */
	struct listener *listeners;
	size_t nlisteners;
	unsigned last_number;  /* of the youngest generation */
	unsigned unwell;       /* of its generations in a row, none has passed a health check */
	unsigned restarts;     /* starts that were neither the first nor a replacement */
	struct recent *recent; /* its last lines; NULL: it has written none */
	char *last_exit;       /* how the last process ended, in words; NULL: none has */
	struct channel *left;  /* what a dead generation offered and nobody has read; or NULL */
	unsigned last_drain_number; /* which generation told last_drain; 0: none yet */
	struct notify_drained last_drain;
	struct executable last_exe; /* of what ended last, unasked, with its config_number */
	unsigned last_config_number;
};

/* What happens to an instance, for those who wait: the order of starting, a restart. */
enum instance_news {
	NEWS_STARTED, /* a generation was started */
	NEWS_READY,   /* it became ready; it is current now */
	NEWS_BACK,    /* one that was told to end was called back, and serves again */
	NEWS_FAILED,  /* it ended before it was ready, or could not be started */
	NEWS_ENDED,   /* a generation that had been ready has ended */
	NEWS_GAVE_UP, /* it, or another that it depends on, crashed too often: it has failed */
	NEWS_DOWN,    /* told to stop, and nothing is left */
	NEWS_HELD,    /* nothing is left either, but it is to be started again with others */
};

/* --- listener.c: binding ------------------------------------------------------------- */

/* Binds every socket of every service. On failure everything bound so far is closed again,
 * and *WHY is one line naming address, service, and remedy. Returns 0 or a negative errno. */
int listener_open_all(struct supervisor *sup, TALLOC_CTX *mem, char **why);

/* Nothing runs any more: whoever wants the addresses may have them. */
void listener_close_all(struct supervisor *sup);

/* Binds the sockets of one more instance, as listener_open_all does. */
int listener_open_instance(struct instance *inst, TALLOC_CTX *mem, char **why);
/* Its sockets as C wants them, in MEM: those that BEFORE (or NULL) has are shared, others are
 * bound. NULL with *WHY set (in WHY_MEM) if that fails. */
struct listener *listener_open(TALLOC_CTX *mem, const struct instance *inst,
    const struct service_config *c, const struct listener *before, TALLOC_CTX *why_mem, char **why);
/* The same for a reload, in which an address may come from another instance: its socket comes with
 * it, and both have it until listener_let_go. */
struct listener *listener_take(TALLOC_CTX *mem, const struct instance *inst,
    const struct service_config *c, const struct listener *before, TALLOC_CTX *why_mem, char **why);
/* N of them, not open. NULL: no memory. */
struct listener *listener_new(TALLOC_CTX *mem, size_t n);
/* Makes its sockets refuse connections (those that wait are reset), or take them again. */
void listener_refuse(struct instance *inst);
void listener_resume(struct instance *inst);
/* Its sockets may be others, or the configuration is: they refuse or take connections as they are
 * to, and their queues are as long as they are to be. */
void listener_settle(struct instance *inst);
/* One of a list, which is a hole in it then. */
void listener_close(struct listener *l);
/* The files of its Unix sockets get the owner and mode that the configuration says now. */
void listener_own(struct instance *inst);
void listener_own_all(struct supervisor *sup);
/* INST is to go: it keeps no socket that another instance has, too, for it is that one's now. */
void listener_let_go(struct instance *inst);

/* --- listener_find.c: which of baton's sockets is it ------------------------------------- */

/* The one of LIST (a talloc array, or NULL) that listens on A already, or where the kernel chose
 * for C's name. NULL: none. */
const struct listener *
listener_find(const struct listener *list, const struct listen_config *c, const struct address *a);
/* The same among those of all instances. */
const struct listener *listener_find_anyones(const struct supervisor *sup, const struct address *a);
/* The first one beside which A cannot be bound, with whose it is. NULL: none. */
const struct listener *listener_in_the_way(
    const struct supervisor *sup, const struct address *a, const struct instance **whose);
/* Whether both lists have the same sockets in the same order. */
bool
listener_same_sockets(const struct listener *a, size_t na, const struct listener *b, size_t nb);
/* Whether an instance other than INST has the socket L, too. */
bool listener_is_anothers(const struct instance *inst, const struct listener *l);

/* --- listener_explain.c ---------------------------------------------------------------- */

/* Why INST's line L could not be bound to A, in one line with what to do; REMEDY may be NULL. */
char *listener_explain(TALLOC_CTX *mem, const struct instance *inst, const struct listen_config *l,
    const struct address *a, int error, const char *remedy);

/* --- instance_orders.c: carries out what life.c decides ------------------------------- */

void instance_event(struct instance *inst, enum life_event event);
/* The old process is killed, if it drains and another one serves. */
void instance_cut_drain(struct instance *inst);
/* Its timers, due then; -1: none. */
void instance_rearm(struct instance *inst, int64_t due_ms, int64_t old_due_ms);

/* --- recent.c: the last lines of each instance ------------------------------------------- */

void recent_add(struct instance *inst, bool err, const char *text, size_t len);
/* The last COUNT lines of a service or an instance, or of all (NULL), as an array. */
json_t *recent_list(struct instances *all, const char *name, long count);
/* {"instance":…,"stream":"stdout","text":…} */
json_t *recent_line_json(const char *instance, bool err, const char *text, size_t len);

/* --- refuse.c ----------------------------------------------------------------------------- */

/* The life of INST has moved on: sees to it that its sockets refuse when nothing serves. */
void refuse_judge(struct instance *inst);
/* They do then. */
void refuse_rearm(struct instance *inst, int64_t due_ms);

#endif
