/* SPDX-License-Identifier: MIT */
/*
 * Which thread runs a request. The leader runs it itself, which costs no thread switch, unless
 * its route is known to block: then a worker does. A route counts as blocking from its first
 * takeover until it has shown otherwise. No route may hold more than three quarters of the
 * threads; what is beyond waits in line (line.c).
 */
#include <errno.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "server/sched/line.h"

/* When a crowd of handlers returns, the loop goes on with others after so many answers. */
#define COLLECT_AT_ONCE 32
/* Quick runs on end after which a route is known to be quick, and no longer thought to block. */
#define QUICK_RUNS      64
/* A century and a half: what takes longer has no deadline. */
#define TIMEOUT_MAX_MS  (INT64_MAX / 2000000)

struct route_load *
route_load_new(TALLOC_CTX *mem, const char *pattern)
{
	struct route_load *load = talloc_zero(mem, struct route_load);

	if (load == NULL)
		return NULL;
	load->pattern = pattern;
	STAILQ_INIT(&load->waiting);
	return load;
}

int
sched_init(struct sched *sched, TALLOC_CTX *mem)
{
	STAILQ_INIT(&sched->ready);
	TAILQ_INIT(&sched->away);
	TAILQ_INIT(&sched->waiting);
	sched->look_ms = INT64_MAX;
	sched->unrouted = route_load_new(mem, "(none)");
	return sched->unrouted == NULL ? -ENOMEM : 0;
}

/*
 * While the leader has it, the loop looks at its deadline; the thread for deadlines, whose lock
 * every thread takes that has to do with one, is asked by whoever runs it elsewhere.
 */
static void
make_context(struct sched *sched, struct http_request *req)
{
	int64_t own = req->load->timeout_ms;
	int64_t timeout = own != 0 ? own : sched->set->handler_timeout_ms;

	if (timeout <= 0 || timeout > TIMEOUT_MAX_MS || sched->debug) {
		req->ctx = ctx_with_cancel(req, ctx_background());
	} else {
		req->deadline_ms = *sched->now_ms + timeout;
		req->ctx = ctxi_due_new(req, req->deadline_ms * 1000000);
	}
	if (req->ctx != NULL)
		ctxi_calls_count(&req->calls, req->ctx);
}

void
work_ready(struct sched *sched, struct http_request *req)
{
	dispatch_route(sched->dispatch, req);
	req->load = req->match.route != NULL ? req->match.route->load : sched->unrouted;
	req->started_ms = *sched->now_ms;
	make_context(sched, req);
	STAILQ_INSERT_TAIL(&sched->ready, req, queued);
}

static bool
is_serial(const struct sched *sched)
{
	return sched->set->concurrency == CONCURRENCY_SERIAL;
}

/* ---- Outside the leader ---------------------------------------------------------------------- */

/* True if it kept nobody waiting when it last ran here, or often enough elsewhere. */
static bool
is_quick(const struct route_load *load)
{
	return load->blocking_fixed || load->quick_here || load->quick_runs >= QUICK_RUNS;
}

enum place { PLACE_LEADER, PLACE_WORKER, PLACE_LINE };

/*
 * Where a request of a route runs now, or that it waits. In the leader it may keep everybody
 * waiting until somebody takes over; if nobody could, only what is known to be quick runs there.
 */
static enum place
place_of(const struct sched *sched, const struct route_load *load)
{
	unsigned size = crew_size(sched->crew);

	if (is_serial(sched) ? sched->away_n > 0 : load->away >= size - size / 4)
		return PLACE_LINE;
	if (!load->blocking && (is_quick(load) || crew_relieves(sched->crew)))
		return PLACE_LEADER;
	return sched->away_n < size ? PLACE_WORKER : PLACE_LINE;
}

static void
note_away(struct sched *sched, struct http_request *req)
{
	TAILQ_INSERT_TAIL(&sched->away, req, away);
	line_note_deadline(sched, req);
	sched->away_n++;
	req->load->away++;
}

static void
note_back(struct sched *sched, struct http_request *req)
{
	TAILQ_REMOVE(&sched->away, req, away);
	sched->away_n--;
	req->load->away--;
}

static void
send_away(struct sched *sched, struct http_request *req)
{
	note_away(sched, req);
	req->ran_us = 0;
	work_tell(sched, req, REQUEST_EV_GIVEN);
	crew_give(sched->crew, &req->job);
}

void
work_tell(struct sched *sched, struct http_request *req, enum request_event event)
{
	unsigned todo = request_tell(req, event);

	if (todo & REQUEST_DO_CANCEL && req->ctx != NULL)
		ctxi_soon_cancel(req->ctx, &http_draining);
	if (todo & REQUEST_DO_RESUME)
		sched->events->resume(req);
	if (todo & REQUEST_DO_FREE)
		request_free(req);
}

/* Its turn has come. False if nobody waits for its answer any more: then it is freed. */
static bool
is_wanted(struct http_request *req)
{
	if ((request_tell(req, REQUEST_EV_TURN) & REQUEST_DO_FREE) == 0)
		return true;
	request_free(req);
	return false;
}

void
work_refuse(struct sched *sched, struct http_request *req, const char *why)
{
	dispatch_error(req, 503, why);
	http_response_header(&req->res, "Retry-After", "1");
	work_tell(sched, req, REQUEST_EV_ANSWERED);
}

/* True if the route has as many requests as it takes. */
static bool
is_full(const struct route_load *load)
{
	return load->away_max > 0 && load->away + load->waiting_n >= load->away_max;
}

static void
refuse_route(struct sched *sched, struct http_request *req)
{
	counter_add(sched->counters, COUNTER_ROUTE_MAX);
	work_refuse(sched, req, "this route has as many requests as it takes");
}

/* The next whose client still waits for the answer. */
static void
send_next(struct sched *sched, struct route_load *load)
{
	struct http_request *req = line_next(sched, load);

	if (is_wanted(req))
		send_away(sched, req);
}

/* True if one of the route's requests was sent, so that there may be more to send. */
static bool
send_of(struct sched *sched, struct route_load *load)
{
	switch (place_of(sched, load)) {
	case PLACE_LEADER:
		line_make_ready(sched, load);
		break;
	case PLACE_WORKER:
		send_next(sched, load);
		return true;
	case PLACE_LINE:
		break;
	}
	return false;
}

/* Threads have become free, or a spare has come: one request of each route in turn. */
static void
send_waiting(struct sched *sched)
{
	struct route_load *load, *next;
	bool sent = !is_serial(sched);

	if (is_serial(sched) && sched->away_n == 0)
		line_make_ready(sched, sched->unrouted);
	while (sent) {
		sent = false;
		for (load = TAILQ_FIRST(&sched->waiting); load != NULL; load = next) {
			next = TAILQ_NEXT(load, entry);
			sent = send_of(sched, load) || sent;
		}
	}
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
run(const struct sched *sched, struct http_request *req)
{
	dispatch_run(sched->dispatch, req->ctx, req);
	if (req->ctx != NULL)
		ctx_cancel_cause(req->ctx, &http_handler_returned);
}

/* The answer is made, unless the leader has given one meanwhile. */
static void
done(struct http_request *req)
{
	enum handler_phase runs = HANDLER_RUNS;

	atomic_compare_exchange_strong(&req->handler, &runs, HANDLER_RETURNED);
}

static int64_t
us(const struct timeval *tv)
{
	return (int64_t)tv->tv_sec * 1000000 + tv->tv_usec;
}

/*
 * How long it took, as it would have taken the leader: one that has never blocked took the time
 * that it has run, for workers give way to everybody, and wait for processors.
 */
static int64_t
ran_us(const struct rusage *before, int64_t began)
{
	struct rusage now;

	getrusage(RUSAGE_THREAD, &now);
	if (now.ru_nvcsw != before->ru_nvcsw)
		return now_us() - began;
	return us(&now.ru_utime) + us(&now.ru_stime) - us(&before->ru_utime) -
	       us(&before->ru_stime);
}

/* Its deadline comes also if the loop cannot look. */
static void
watch_deadline(struct http_request *req)
{
	if (req->ctx != NULL)
		ctxi_due_watch(req->ctx); /* if it cannot be watched, the loop alone looks */
}

struct http_request *
work_request(struct crew_job *job)
{
	return (struct http_request *)((char *)job - offsetof(struct http_request, job));
}

void
work_in_worker(struct sched *sched, struct crew_job *job)
{
	struct http_request *req = work_request(job);
	int64_t began = now_us();
	struct rusage before;

	getrusage(RUSAGE_THREAD, &before);
	atomic_store(&req->tid, gettid());
	watch_deadline(req);
	run(sched, req);
	req->ran_us = ran_us(&before, began);
	done(req);
	crew_give_back(sched->crew, &req->job);
}

/* What a run tells about its route. */
static void
learn(const struct sched *sched, struct route_load *load, int64_t ran_us)
{
	if (load->blocking_fixed)
		return;
	if (ran_us < 0 || ran_us > sched->set->takeover_after_us)
		load->quick_runs = 0;
	else if (++load->quick_runs >= QUICK_RUNS)
		load->blocking = false;
}

bool
work_collect(struct sched *sched)
{
	struct crew_job *job;
	int n;

	for (n = 0; n < COLLECT_AT_ONCE && (job = crew_take_back(sched->crew)) != NULL; n++) {
		struct http_request *req = work_request(job);

		note_back(sched, req);
		learn(sched, req->load, req->ran_us);
		work_tell(sched, req, REQUEST_EV_BACK);
	}
	send_waiting(sched);
	return n == COLLECT_AT_ONCE;
}

/* ---- In the leader --------------------------------------------------------------------------- */

void
work_taken_over(struct sched *sched)
{
	struct http_request *req = sched->running;

	sched->running = NULL;
	counter_add(sched->counters, COUNTER_TAKEOVERS);
	req->load->blocking = req->load->blocking || !req->load->blocking_fixed;
	req->load->quick_runs = 0;
	req->load->quick_here = false;
	work_tell(sched, req, REQUEST_EV_TAKEN_OVER);
	note_away(sched, req);
}

/* False if it was taken over: then nothing of the server's is touched any more. */
static bool
run_here(struct sched *sched, struct http_request *req)
{
	uint64_t begun;

	sched->running = req;
	atomic_store_explicit(&req->tid, crew_leader(sched->crew), memory_order_relaxed);
	(void)request_tell(req, REQUEST_EV_RUN);
	begun = crew_begin(sched->crew);
	if (!crew_has_spare(sched->crew))
		watch_deadline(req); /* nobody would take over, and the loop would not look */
	run(sched, req);
	if (!crew_end(sched->crew, begun)) {
		req->ran_us = -1;
		done(req);
		crew_give_back(sched->crew, &req->job);
		return false;
	}
	sched->running = NULL;
	req->load->quick_here = true;
	work_tell(sched, req, REQUEST_EV_BACK);
	return true;
}

/* False if it was taken over. */
static bool
place(struct sched *sched, struct http_request *req)
{
	switch (place_of(sched, req->load)) {
	case PLACE_LEADER:
		return run_here(sched, req);
	case PLACE_WORKER:
		send_away(sched, req);
		break;
	case PLACE_LINE:
		if (!line_join(sched, req)) {
			counter_add(sched->counters, COUNTER_QUEUE_MAX);
			work_refuse(sched, req, "too many requests are waiting");
		}
	}
	return true;
}

enum work_result
work_run(struct sched *sched)
{
	enum work_result did = WORK_NONE;
	struct http_request *req;

	while ((req = STAILQ_FIRST(&sched->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&sched->ready, queued);
		did = WORK_SOME;
		if (!is_wanted(req))
			continue;
		if (is_full(req->load))
			refuse_route(sched, req);
		else if (!place(sched, req))
			return WORK_LOST;
	}
	return did;
}
