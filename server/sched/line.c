/* SPDX-License-Identifier: MIT */
/*
 * Who waits for a thread: a line for each route, or, where requests run one at a time, a single
 * one. Lines are bounded by queue_max together, and those who stand in them keep their deadline.
 */
#include "server/internal.h"

/* Where it waits: for its route's turn, or, one at a time, in a single line. */
static struct load *
line_of(struct http_server *s, struct http_request *req)
{
	return s->set.concurrency == CONCURRENCY_SERIAL ? s->unrouted : req->load;
}

static void
stand_in_line(struct http_server *s, struct load *load, struct http_request *req)
{
	STAILQ_INSERT_TAIL(&load->waiting, req, queued);
	load->waiting_n++;
	s->waiting_n++;
	if (!load->listed)
		TAILQ_INSERT_TAIL(&s->waiting, load, entry);
	load->listed = true;
}

void
line_join(struct http_server *s, struct http_request *req)
{
	if (s->waiting_n >= (unsigned)s->set.queue_max) {
		counter_add(&s->counters, COUNTER_QUEUE_MAX);
		work_refuse(req, "too many requests are waiting");
		return;
	}
	stand_in_line(s, line_of(s, req), req);
	work_note_deadline(s, req);
}

/* One has been taken out of it. */
static void
leave_line(struct http_server *s, struct load *load)
{
	s->waiting_n--;
	if (--load->waiting_n > 0)
		return;
	TAILQ_REMOVE(&s->waiting, load, entry);
	load->listed = false;
}

struct http_request *
line_next(struct http_server *s, struct load *load)
{
	struct http_request *req = STAILQ_FIRST(&load->waiting);

	if (req == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&load->waiting, queued);
	leave_line(s, load);
	return req;
}

void
line_make_ready(struct http_server *s, struct load *load)
{
	struct http_requests line = STAILQ_HEAD_INITIALIZER(line);
	struct http_request *req;

	while ((req = line_next(s, load)) != NULL)
		STAILQ_INSERT_TAIL(&line, req, queued);
	STAILQ_CONCAT(&line, &s->ready);
	STAILQ_CONCAT(&s->ready, &line);
}

/* They have not even begun. */
static void
expire_line(struct http_server *s, struct load *load)
{
	struct http_requests line = STAILQ_HEAD_INITIALIZER(line);
	struct http_request *req;

	STAILQ_CONCAT(&line, &load->waiting);
	while ((req = STAILQ_FIRST(&line)) != NULL) {
		STAILQ_REMOVE_HEAD(&line, queued);
		if (req->deadline_ms == 0 || req->deadline_ms > s->now_ms) {
			STAILQ_INSERT_TAIL(&load->waiting, req, queued);
			work_note_deadline(s, req);
			continue;
		}
		counter_add(&s->counters, COUNTER_ABANDONED);
		leave_line(s, load);
		work_refuse(req, "it waited too long for its turn");
	}
}

void
line_expire_all(struct http_server *s)
{
	struct load *load, *next;

	for (load = TAILQ_FIRST(&s->waiting); load != NULL; load = next) {
		next = TAILQ_NEXT(load, entry);
		expire_line(s, load);
	}
}

void
line_drop_all(struct http_server *s)
{
	struct load *load;

	while ((load = TAILQ_FIRST(&s->waiting)) != NULL)
		request_unref(line_next(s, load));
}
