/* SPDX-License-Identifier: MIT */
/*
 * What the files of server/ share: the structures, with their invariants, and each file's
 * functions in a section of its own, here or, by layer, in the headers that are included. A
 * function's prefix names its file.
 *
 * Threads: at any time one thread is the leader. It runs the loop, and it alone touches
 * connections, lists, counters and the HTTP parser, so none of these has a lock. It runs
 * handlers too; one that takes long is taken over: the thread goes on with its handler and is
 * leader no more, another one is (crew.c). A handler that runs elsewhere shares with the leader
 * only how its request's handler stands, and comes back by a list (http/request_life.h, work.c).
 */
#ifndef BATON_SERVER_INTERNAL_H
#define BATON_SERVER_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include <baton/ctx.h>
#include <baton/http.h>

#include "server/base/base.h"
#include "server/handover/handover.h"
#include "server/http/http_internal.h"
#include "server/net/net.h"
#include "server/sched/sched.h"

/* ---- loop.c: the leader ------------------------------------------------------------------------------ */

int loop_open(struct http_server *s);
void loop_close(struct http_server *s);
/* Leads until it has drained (true), or until another thread leads (false). */
bool loop_run(struct http_server *s);
void loop_wake(struct http_server *s);
/* Asks for a drain, or a line for each running request; also from signal handlers. */
void loop_drain(struct http_server *s);
void loop_dump(struct http_server *s);

/* ---- signals.c: what the program was given, and its handlers' children get -------------------------- */

/* The masks of our threads, from the one that the program was given: handlers run with it. */
void signals_masks(struct http_server *s, const sigset_t *given);
/* Signals to stop end this server, and what our files do with others is set, until
 * signals_release; false if that is so for another server. */
bool signals_take(struct http_server *s);
void signals_release(void);

/* ---- server.c --------------------------------------------------------------------------------------- */

struct http_server {
	/* One of each folder. All but the first are the leader's. */
	struct http_dispatch dispatch; /* constant from the start on */
	struct net net;
	struct handover handover;
	struct wire wire;
	struct sched sched;
	/* Set up before the start, constant afterwards. */
	struct http_settings set;
	struct crew_config threads;
	char *setup_error; /* the first one, in words; NULL: none */
	int setup_errno;
	bool debug;   /* no takeover, no deadlines */
	bool used;    /* it has been started: a server runs once */
	bool started; /* and has not ended */
	/* The leader's. */
	int64_t now_ms; /* monotonic; read once a turn */
	int epoll_fd, wake_fd;
	enum source source_wake, source_parser; /* what epoll points to for these two */
	bool collect;                           /* something may have come back from workers */
	bool announced;                         /* manager and predecessor know that it serves */
	int failed;                             /* why it stopped without draining; 0 */
	/* Written by the leader, read by anyone. */
	struct counters counters;
	/* Anyone's. */
	atomic_bool drain_wanted, dump_wanted;
	atomic_int stop_signals; /* so many have come since it was last told to serve */
};

#endif
