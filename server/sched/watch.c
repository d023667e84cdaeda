/* SPDX-License-Identifier: MIT */
/*
 * Requests that run elsewhere, or wait: their deadlines, the end that a drain makes of them, and
 * a look at them for whoever asks.
 */
#include <syslog.h>

#include "server/sched/line.h"

/*
 * The client gets an answer, and the handler, which goes on until it notices, the rest of its
 * life without one: what it writes is its request's own and is never sent.
 */
static void
abandon(struct sched *sched, struct http_request *req)
{
	enum handler_phase runs = HANDLER_RUNS;
	int status = atomic_load(&req->timeout_status);
	static const char text[] = "the handler took too long\n";

	req->deadline_ms = 0;
	if (!atomic_compare_exchange_strong(&req->handler, &runs, HANDLER_OVERDUE))
		return; /* it has just ended */
	counter_add(sched->counters, COUNTER_ABANDONED);
	if (req->ctx != NULL) /* whoever else tells it of its deadline may be late */
		ctxi_soon_over(req->ctx);
	req->late = (struct http_response){.req = req,
	    .status = status != 0 ? status : 503,
	    .type = "text/plain; charset=utf-8",
	    .content = text,
	    .content_len = sizeof(text) - 1};
	req->answer = &req->late;
	log_request(LOG_WARNING, req, "handler of %s outran its deadline; the client got %d",
	    req->load->pattern, req->late.status);
	work_tell(sched, req, REQUEST_EV_DEADLINE);
}

/* They have waited until their deadline, and not even begun. */
static void
refuse_late(struct sched *sched)
{
	struct http_requests late = STAILQ_HEAD_INITIALIZER(late);
	struct http_request *req;

	line_take_late(sched, &late);
	while ((req = STAILQ_FIRST(&late)) != NULL) {
		STAILQ_REMOVE_HEAD(&late, queued);
		counter_add(sched->counters, COUNTER_ABANDONED);
		work_refuse(sched, req, "it waited too long for its turn");
	}
}

int64_t
watch_expire(struct sched *sched)
{
	struct http_request *req;

	if (*sched->now_ms < sched->look_ms)
		return sched->look_ms;
	sched->look_ms = INT64_MAX;
	TAILQ_FOREACH(req, &sched->away, away) {
		if (req->deadline_ms != 0 && req->deadline_ms <= *sched->now_ms)
			abandon(sched, req);
		line_note_deadline(sched, req);
	}
	refuse_late(sched);
	return sched->look_ms;
}

void
watch_cut(struct sched *sched)
{
	struct http_request *req;
	struct route_load *load;

	TAILQ_FOREACH(req, &sched->away, away)
		work_tell(sched, req, REQUEST_EV_CUT);
	STAILQ_FOREACH(req, &sched->ready, queued)
		work_tell(sched, req, REQUEST_EV_CUT);
	TAILQ_FOREACH(load, &sched->waiting, entry)
		STAILQ_FOREACH(req, &load->waiting, queued)
			work_tell(sched, req, REQUEST_EV_CUT);
}

void
watch_drop(struct sched *sched)
{
	struct crew_job *job;
	struct route_load *load;
	struct http_request *req;

	while (sched->crew != NULL && (job = crew_take_back(sched->crew)) != NULL)
		work_tell(sched, work_request(job), REQUEST_EV_BACK);
	while ((load = TAILQ_FIRST(&sched->waiting)) != NULL)
		line_make_ready(sched, load);
	while ((req = STAILQ_FIRST(&sched->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&sched->ready, queued);
		work_refuse(sched, req, "the server ends");
	}
}

void
watch_dump(const struct sched *sched)
{
	const struct http_request *req;

	TAILQ_FOREACH(req, &sched->away, away)
		log_request(LOG_INFO, req, "route=%s target=%s age_ms=%lld thread=%d%s",
		    req->load->pattern, req->target, (long long)(*sched->now_ms - req->started_ms),
		    (int)atomic_load(&req->tid),
		    atomic_load(&req->handler) == HANDLER_OVERDUE ? " abandoned" : "");
}
