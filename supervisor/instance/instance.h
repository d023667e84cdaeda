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
#include "supervisor/sockets/sockets.h"

struct generation;
struct instances;
struct recent;
struct service;
struct state;

/* What is kept of the last lines of each instance. */
#define RECENT_MAX_BYTES          (64U * 1024)
/* Longer lines are kept beside that, so much of them for each instance and for all together; what
 * would be too much is cut to this length. */
#define RECENT_SHORT_MAX_BYTES    (16U * 1024)
#define RECENT_LONG_MAX_BYTES     (1024UL * 1024)
#define RECENT_LONG_ALL_MAX_BYTES (16UL * 1024 * 1024)
/* … of which no more are told at once: it takes the loop's time. */
#define RECENT_TOLD_MAX           5000

struct instance {
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
	struct socket_set *sockets;
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
