/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: which thread runs a request, when, and who waits for one.
 *
 * It is given each request that is complete (work_ready), runs it in the leader or hands it to a
 * worker of the engine, has it dispatched there (server/http), takes it back, and says by
 * sched_events that its answer can be sent. The loop calls it in each turn. It knows no
 * connection, no descriptor, no parser and no server.
 *
 * Only the leader thread calls it and touches what it has, but for work_in_worker.
 */
#ifndef BATON_SERVER_SCHED_H
#define BATON_SERVER_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <talloc.h>

#include "server/base/base.h"
#include "server/engine/engine.h"
#include "server/http/http_internal.h"

STAILQ_HEAD(http_requests, http_request);

/* What is known of a route: how it keeps the threads busy, and which of its requests wait. */
struct route_load {
	const char *pattern;
	unsigned away;       /* its requests that run, or are about to, outside the leader */
	unsigned quick_runs; /* runs on end that would not have needed a thread */
	bool quick_here;     /* the last time it ran in the leader, it kept nobody waiting */
	bool blocking;       /* its requests go to workers at once */
	bool blocking_fixed; /* because its user said so, or said not */
	unsigned away_max;   /* 0: no limit of its own */
	int64_t timeout_ms;  /* 0: the server's; negative: none */
	struct http_requests waiting; /* for one of the others to end */
	unsigned waiting_n;
	bool listed; /* in the list of loads that have waiting ones */
	TAILQ_ENTRY(route_load) entry;
};
TAILQ_HEAD(route_loads, route_load);

struct route_load *route_load_new(TALLOC_CTX *mem, const char *pattern);

struct sched_events {
	/* REQUEST_DO_RESUME: the request's connection is held, and there is an answer for it, or none
	 * shall be waited for any longer. */
	void (*resume)(struct http_request *req);
};

struct sched {
	/* Constant while anything runs. */
	const struct http_settings *set;
	struct counters *counters;
	const struct http_dispatch *dispatch; /* what requests are dispatched to */
	const struct sched_events *events;
	const int64_t *now_ms; /* the loop's: read once a turn */
	bool debug;            /* no deadlines */
	struct crew *crew;     /* the threads; NULL: none yet, or no more */

	struct http_requests ready;      /* complete, not run yet */
	TAILQ_HEAD(, http_request) away; /* handed to other threads */
	unsigned away_n, waiting_n;
	struct route_loads waiting; /* those that have waiting requests */
	struct route_load
	    *unrouted; /* of requests without a route; if one runs at a time, of all */
	struct http_request *running; /* what the leader itself runs, for its successor */
	int64_t look_ms;              /* the earliest deadline of those that are away or wait */
};

/* With nothing in it. What it needs is set by its owner before anything runs. */
int sched_init(struct sched *sched, TALLOC_CTX *mem);

/* ---- work.c: which thread runs a request ------------------------------------------------------------ */

/* A complete request: it is run when the parser has returned. */
void work_ready(struct sched *sched, struct http_request *req);
enum work_result { WORK_NONE, WORK_SOME, WORK_LOST };
/* Runs or hands out what is ready. WORK_LOST: the caller is leader no more. */
enum work_result work_run(struct sched *sched);
/* A new leader takes note of what the old one is still running. */
void work_taken_over(struct sched *sched);
/* Takes back what has come from other threads; true if there may be more. */
bool work_collect(struct sched *sched);
/* In a worker: runs it and gives it back. */
void work_in_worker(struct sched *sched, struct crew_job *job);

/* ---- watch.c: requests that run elsewhere, or wait ---------------------------------------------------- */

/* Answers for handlers whose deadline has passed; returns when to look again. */
int64_t watch_expire(struct sched *sched);
/* Ends the contexts of all that run elsewhere, and lets their connections go. */
void watch_cut(struct sched *sched);
/* No thread is left: forgets those that have not run, or came back too late. */
void watch_drop(struct sched *sched);
/* One line for each request that runs elsewhere. */
void watch_dump(const struct sched *sched);

#endif
