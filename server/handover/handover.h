/* SPDX-License-Identifier: MIT */
/*
 * The face of server/handover/: how a server begins and ends. It drains; while it does, it gives
 * idle connections to a successor, as it has taken those of a predecessor; it waits as a spare until
 * it is told whose place to take; and it speaks with the service manager. What it says to, and
 * hears of, the supervisor and other generations is in supervisor/protocol.h.
 *
 * The loop calls it in each turn and when a channel has something to read; what has come of that, the
 * loop reads: drain, and what drain_hear and spare_read return. It takes connections out of net/ and
 * gives others to it. It never knows a thread, a request, a signal or a server.
 *
 * All of it is the leader's.
 */
#ifndef BATON_SERVER_HANDOVER_H
#define BATON_SERVER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

#include "server/base/base.h"
#include "server/base/source.h"
#include "server/net/net.h"
#include "server/sched/sched.h"
#include "supervisor/protocol.h"

struct notify;

/* LAME_DUCK: it is told to end, and serves as ever. CLOSING: connections leave. CUT: the deadline has
 * passed. OVER: there is nothing left to wait for. */
enum drain_state { DRAIN_NO, DRAIN_LAME_DUCK, DRAIN_CLOSING, DRAIN_CUT, DRAIN_OVER };

/* For the report at its end. */
struct drain_count {
	int64_t finished, ended, cut;
};

/* NONE also while nobody has said anything: then a drain is a polite end. AWAITED: there was
 * one, it died, and the supervisor may bring another. */
enum successor { SUCCESSOR_NONE, SUCCESSOR_READY, SUCCESSOR_AWAITED };

struct handover {
	/* Given at its beginning. */
	const struct http_settings *set;
	struct counters *counters;
	const int64_t *now_ms; /* the loop's: read once a turn */
	TALLOC_CTX *mem;       /* everything here hangs on it */
	struct net *net;       /* whose connections go, and where others come to */
	struct sched *sched;   /* whose requests are cut at the deadline */

	struct notify *notify;
	int give_fd, take_fd; /* the channels to successor and predecessor; -1: none */
	int spare_fd;         /* -1: it serves, or is about to */
	enum source source_give, source_take, source_spare;
	enum successor successor;
	bool successor_news;   /* it has come, or will never: nothing was made of that yet */
	bool called_off;       /* the same of the restart's end */
	uint64_t offer_id;     /* the last one given out */
	uint64_t *refuse_owed; /* talloc array: offers whose refusal found no room yet */
	enum drain_state drain;
	int64_t drain_next_ms;   /* lame duck or drain deadline, or end of the cut */
	struct drain_count base; /* what the counters said when the drain began */
};

/* ---- handover.c: all of it, and the channel ----------------------------------------------------------- */

/* With nothing in it. Connections that leave net are offered to it from now on. */
void handover_init(struct handover *h, struct net *net, struct sched *sched);
/* Reads and unsets what the environment says of manager and channels. */
int handover_inherit(struct handover *h);
/* Listens to its channels. */
int handover_watch(struct handover *h);
void handover_close(struct handover *h);

/* ---- drain.c: the end ------------------------------------------------------------------------------- */

void drain_begin(struct handover *h);
/* Moves the drain on; returns when to look again. Sets h->drain to DRAIN_OVER at its end. */
int64_t drain_step(struct handover *h);
/* After give_read: what the drain makes of a successor that has come or will never come, and of
 * a restart that was called off: true if it serves on then, as if nobody had asked. */
bool drain_hear(struct handover *h);

/* ---- give.c: live connections to the successor --------------------------------------------------------- */

void give_read(struct handover *h);
int64_t give_flush(struct handover *h);
/* The deadline: what was not taken yet stays here. */
void give_stop(struct handover *h);
void give_end(struct handover *h);

/* ---- take.c: live connections of the predecessor ------------------------------------------------------- */

void take_hello(struct handover *h);
void take_read(struct handover *h);
int64_t take_flush(struct handover *h);
/* Lets go of what was not given yet; the giver has it as well. */
void take_close(struct handover *h);

/* ---- spare.c: waiting to take the place of an instance that has crashed ------------------------------- */

/* Reads and unsets BATON_SPARE; if it is there, the server waits, without any socket. */
void spare_inherit(struct handover *h);
bool spare_waits(const struct handover *h);
/* Listens to the supervisor. */
int spare_watch(struct handover *h);
/* Everything is open, and served from now on, or a spare waits: tells predecessor and manager. */
void spare_announce(struct handover *h);
/* What the supervisor has said to a spare. */
enum spare_word {
	SPARE_WAITS,  /* none */
	SPARE_ALONE,  /* there is no supervisor any more: nothing to wait for */
	SPARE_SERVES, /* it is an instance from now on, with its sockets; to be announced */
	SPARE_FAILED  /* it cannot be what it shall */
};
/* *err is why it failed. */
enum spare_word spare_read(struct handover *h, int *err);
/* It waits no more. */
void spare_close(struct handover *h);

/* ---- notify.c: sd_notify(3) and sd_listen_fds(3) --------------------------------------------------- */

/* Reads LISTEN_FDS and its kin once, unsets them. *n may be 0. */
int notify_inherit(TALLOC_CTX *mem, struct inherited **out, size_t *n);
/* Reads and unsets NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; NULL only for lack of memory. */
struct notify *notify_new(TALLOC_CTX *mem);
void notify_send(const struct notify *n, const char *message);
/* Says WATCHDOG=1 when it is time to; returns when to look again. */
int64_t notify_watchdog(struct notify *n, int64_t now_ms);
/* Asks not to be watched, before anything else is said. */
void notify_no_watchdog(struct notify *n);

#endif
