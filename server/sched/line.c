/* SPDX-License-Identifier: MIT */
/*
 * Who waits for a thread: a line for each route, or, where requests run one at a time, a single
 * one. Lines are bounded by queue_max together, and those who stand in them keep their deadline.
 */
#include "server/sched/line.h"

/* Where it waits: for its route's turn, or, one at a time, in a single line. */
static struct route_load *
line_of(struct sched *sched, struct http_request *req)
{
	return sched->set->concurrency == CONCURRENCY_SERIAL ? sched->unrouted : req->load;
}

static void
stand_in_line(struct sched *sched, struct route_load *load, struct http_request *req)
{
	STAILQ_INSERT_TAIL(&load->waiting, req, queued);
	load->waiting_n++;
	sched->waiting_n++;
	if (!load->listed)
		TAILQ_INSERT_TAIL(&sched->waiting, load, entry);
	load->listed = true;
}

void
line_note_deadline(struct sched *sched, const struct http_request *req)
{
	if (req->deadline_ms != 0 && req->deadline_ms < sched->look_ms)
		sched->look_ms = req->deadline_ms;
}

bool
line_join(struct sched *sched, struct http_request *req)
{
	if (sched->waiting_n >= (unsigned)sched->set->queue_max)
		return false;
	stand_in_line(sched, line_of(sched, req), req);
	line_note_deadline(sched, req);
	return true;
}

/* Notes that one has been taken out of a line. */
static void
leave_line(struct sched *sched, struct route_load *load)
{
	sched->waiting_n--;
	if (--load->waiting_n > 0)
		return;
	TAILQ_REMOVE(&sched->waiting, load, entry);
	load->listed = false;
}

struct http_request *
line_next(struct sched *sched, struct route_load *load)
{
	struct http_request *req = STAILQ_FIRST(&load->waiting);

	if (req == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&load->waiting, queued);
	leave_line(sched, load);
	return req;
}

void
line_make_ready(struct sched *sched, struct route_load *load)
{
	struct http_requests line = STAILQ_HEAD_INITIALIZER(line);
	struct http_request *req;

	while ((req = line_next(sched, load)) != NULL)
		STAILQ_INSERT_TAIL(&line, req, queued);
	STAILQ_CONCAT(&line, &sched->ready);
	STAILQ_CONCAT(&sched->ready, &line);
}

static void
take_late_of(struct sched *sched, struct route_load *load, struct http_requests *late)
{
	struct http_requests line = STAILQ_HEAD_INITIALIZER(line);
	struct http_request *req;

	STAILQ_CONCAT(&line, &load->waiting);
	while ((req = STAILQ_FIRST(&line)) != NULL) {
		STAILQ_REMOVE_HEAD(&line, queued);
		if (req->deadline_ms == 0 || req->deadline_ms > *sched->now_ms) {
			STAILQ_INSERT_TAIL(&load->waiting, req, queued);
			line_note_deadline(sched, req);
			continue;
		}
		STAILQ_INSERT_TAIL(late, req, queued);
		leave_line(sched, load);
	}
}

void
line_take_late(struct sched *sched, struct http_requests *late)
{
	struct route_load *load, *next;

	for (load = TAILQ_FIRST(&sched->waiting); load != NULL; load = next) {
		next = TAILQ_NEXT(load, entry);
		take_late_of(sched, load, late);
	}
}
