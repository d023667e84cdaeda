/* SPDX-License-Identifier: MIT */
/*
 * Requests that run elsewhere, or wait: their deadlines, the end that a drain makes of them, and
 * a look at them for whoever asks.
 */
#include <syslog.h>

#include "server/internal.h"

void
work_note_deadline(struct http_server *s, const struct http_request *req)
{
	if (req->deadline_ms != 0 && req->deadline_ms < s->deadline_look_ms)
		s->deadline_look_ms = req->deadline_ms;
}

/*
 * The client gets an answer, and the handler, which goes on until it notices, the rest of its
 * life without one: what it writes is its request's own and is never sent.
 */
static void
abandon(struct http_server *s, struct http_request *req)
{
	enum request_phase running = REQUEST_RUNNING;
	int status = atomic_load(&req->timeout_status);
	static const char text[] = "the handler took too long\n";

	req->deadline_ms = 0;
	if (!atomic_compare_exchange_strong(&req->phase, &running, REQUEST_ABANDONED))
		return; /* it has just ended */
	counter_add(&s->counters, COUNTER_ABANDONED);
	if (req->ctx != NULL &&
	    !atomic_load(&req->watched)) /* it began in the leader, and was taken over */
		ctxi_due_over(req->ctx);
	req->late = (struct http_response){.req = req,
	    .status = status != 0 ? status : 503,
	    .type = "text/plain; charset=utf-8",
	    .content = text,
	    .content_len = sizeof(text) - 1};
	log_request(LOG_WARNING, req, "handler of %s outran its deadline; the client got %d",
	    req->load->pattern, req->late.status);
	parser_resume(req);
}

int64_t
work_expire(struct http_server *s)
{
	struct http_request *req;

	if (s->now_ms < s->deadline_look_ms)
		return s->deadline_look_ms;
	s->deadline_look_ms = INT64_MAX;
	TAILQ_FOREACH(req, &s->away, away) {
		if (req->deadline_ms != 0 && req->deadline_ms <= s->now_ms)
			abandon(s, req);
		work_note_deadline(s, req);
	}
	line_expire_all(s);
	return s->deadline_look_ms;
}

void
work_cut(struct http_server *s)
{
	struct http_request *req;
	struct load *load;

	TAILQ_FOREACH(req, &s->away, away) {
		if (req->ctx != NULL)
			ctx_cancel_cause(req->ctx, &http_draining);
		parser_resume(req);
	}
	STAILQ_FOREACH(req, &s->ready, queued)
		parser_resume(req);
	TAILQ_FOREACH(load, &s->waiting, entry)
		STAILQ_FOREACH(req, &load->waiting, queued)
			parser_resume(req);
}

void
work_drop(struct http_server *s)
{
	struct http_request *req;

	work_drop_back(s);
	line_drop_all(s);
	while ((req = STAILQ_FIRST(&s->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->ready, queued);
		request_unref(req);
	}
}

void
work_dump(const struct http_server *s)
{
	const struct http_request *req;

	log_line(
	    LOG_INFO, "running=%u waiting=%u connections=%zu", s->away_n, s->waiting_n, s->conns_n);
	TAILQ_FOREACH(req, &s->away, away)
		log_request(LOG_INFO, req, "route=%s target=%s age_ms=%lld thread=%d%s",
		    req->load->pattern, req->target, (long long)(s->now_ms - req->started_ms),
		    (int)atomic_load(&req->tid),
		    atomic_load(&req->phase) == REQUEST_RUNNING ? "" : " abandoned");
}
