/* SPDX-License-Identifier: MIT */
/* What the files of the scheduler share, and nobody else knows (sched.h). */
#ifndef BATON_SERVER_LINE_H
#define BATON_SERVER_LINE_H

#include "server/sched/sched.h"

/* ---- line.c: who waits for a thread ------------------------------------------------------------------ */

/* Joins its line; false if as many wait as may. */
bool line_join(struct sched *sched, struct http_request *req);
/* Takes the first out of a line; NULL: there is none. */
struct http_request *line_next(struct sched *sched, struct route_load *load);
/* Makes all of a line ready, before those who have just come. */
void line_make_ready(struct sched *sched, struct route_load *load);
/* Takes those whose deadline has passed out of all lines. */
void line_take_late(struct sched *sched, struct http_requests *late);
/* Has watch_expire look when the deadline of one that waits or is away has come. */
void line_note_deadline(struct sched *sched, const struct http_request *req);

/* ---- work.c ------------------------------------------------------------------------------------------ */

/* The leader answers in the handler's place: 503. */
void work_refuse(struct sched *sched, struct http_request *req, const char *why);
/* Tells what has happened to it, and does what comes of it. It may be freed then. */
void work_tell(struct sched *sched, struct http_request *req, enum request_event event);
/* The request that a job is part of. */
struct http_request *work_request(struct crew_job *job);

#endif
