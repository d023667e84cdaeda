/* SPDX-License-Identifier: MIT */
/* Which thread runs a request, and who waits for one. */
#ifndef BATON_SERVER_WORK_H
#define BATON_SERVER_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <talloc.h>

#include <baton/http.h>

#include "server/engine/engine.h"

struct http_request;

/* ---- work.c: which thread runs a request ------------------------------------------------------------ */

STAILQ_HEAD(http_requests, http_request);

/* How busy a route keeps the threads. The leader's. */
struct load {
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
	bool listed; /* in the server's list of loads that have waiting ones */
	TAILQ_ENTRY(load) entry;
};
TAILQ_HEAD(loads, load);

struct load *load_new(TALLOC_CTX *mem, const char *pattern);
/* A complete request: it is run when the parser has returned. */
void work_ready(struct http_server *s, struct http_request *req);
enum work_result { WORK_NONE, WORK_SOME, WORK_LOST };
/* Runs or hands out what is ready. WORK_LOST: the caller is leader no more. */
enum work_result work_run(struct http_server *s);
/* A new leader takes note of what the old one is still running. */
void work_taken_over(struct http_server *s);
/* Takes back what has come from other threads; true if there may be more. */
bool work_collect(struct http_server *s);
/* Nobody leads any more, and no thread is left: forgets what comes back. */
void work_drop_back(struct http_server *s);
/* In a worker: runs it and gives it back. */
void work_in_worker(struct http_server *s, struct crew_job *job);
/* The leader answers in the handler's place: 503. */
void work_refuse(struct http_request *req, const char *why);

/* ---- work_watch.c: requests that run elsewhere, or wait ----------------------------------------------- */

/* Its deadline is looked at in time. */
void work_note_deadline(struct http_server *s, const struct http_request *req);
/* Ends the contexts of all that run elsewhere, and lets their connections go. */
void work_cut(struct http_server *s);
/* Nobody leads any more: forgets those that have not run. */
void work_drop(struct http_server *s);
/* One line for each request that runs elsewhere. */
void work_dump(const struct http_server *s);
/* Answers for handlers whose deadline has passed; returns when to look again. */
int64_t work_expire(struct http_server *s);

/* ---- line.c: who waits for a thread ------------------------------------------------------------------ */

/* Joins its line, or is refused. */
void line_join(struct http_server *s, struct http_request *req);
/* Takes the first out of a line; NULL: there is none. */
struct http_request *line_next(struct http_server *s, struct load *load);
/* All of a line are ready, before those who have just come. */
void line_make_ready(struct http_server *s, struct load *load);
/* Refuses those whose deadline has passed. */
void line_expire_all(struct http_server *s);
/* Forgets them all. */
void line_drop_all(struct http_server *s);

#endif
