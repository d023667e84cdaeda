/* SPDX-License-Identifier: MIT */
/*
 * Functions called after a context's end, by worker threads. At the top; uses cancel.c, calls.c
 * and thread.c.
 *
 * The end itself only puts them on a queue, so whoever cancels never waits for them and never
 * needs memory or a thread. The worker who takes one first sees that another is idle, so that
 * a function that blocks holds nobody up, until there are WORKERS_MAX.
 *
 * Where somebody counts the functions of a context (calls.h), the memory that one uses may go
 * as soon as it is counted out: nothing of it, nor of the count, is touched after that.
 */
#include <time.h>

#include "ctx/calls.h"
#include "ctx/cancel.h"
#include "ctx/thread.h"

#define WORKERS_MAX 64
#define IDLE_S      5

enum stage { WAITING, QUEUED, RUNNING, OVER };

/* One call under way. The ctx_after may be freed meanwhile: then `after` is NULL. */
struct run {
	struct ctx_after *after;
};

struct ctx_after {
	struct ctxi_link link;
	void (*fn)(void *data);
	void *data;
	struct ctxi_calls *calls; /* counts it until it is over; NULL: nobody does */
	/* Under the workers' lock: */
	enum stage stage;
	struct ctx_after *next, *prev; /* in the queue */
	struct run *run;               /* while RUNNING */
	pthread_t worker;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, finished;
	struct ctx_after *first, *last; /* the queue */
	int n, idle;                    /* threads, and those of them without work */
} workers = {.lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER,
    .finished = PTHREAD_COND_INITIALIZER};

static void
enqueue(struct ctx_after *a)
{
	a->stage = QUEUED;
	a->next = NULL;
	a->prev = workers.last;
	if (workers.last != NULL)
		workers.last->next = a;
	else
		workers.first = a;
	workers.last = a;
}

static void
dequeue(struct ctx_after *a)
{
	if (a->prev != NULL)
		a->prev->next = a->next;
	else
		workers.first = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	else
		workers.last = a->prev;
}

static void *work(void *name);

/* Under the lock. */
static int
add_worker(void)
{
	int rc = ctxi_thread_start(NULL, "ctx-after", 0, work);

	if (rc == 0) {
		workers.n++;
		workers.idle++;
	}
	return rc;
}

/* Takes the first of the queue, under the lock, and calls it without. */
static void
run_first(void)
{
	struct ctx_after *a = workers.first;
	struct run run = {a};
	void (*fn)(void *) = a->fn;
	void *data = a->data;
	struct ctxi_calls *calls = a->calls;

	dequeue(a);
	a->stage = RUNNING;
	a->run = &run;
	a->worker = pthread_self();
	workers.idle--;
	if (workers.idle == 0 && workers.n < WORKERS_MAX)
		(void)add_worker(); /* without it, who comes next waits for this one */
	pthread_mutex_unlock(&workers.lock);

	fn(data);

	pthread_mutex_lock(&workers.lock);
	if (run.after != NULL) {
		run.after->stage = OVER;
		run.after->run = NULL;
	}
	pthread_cond_broadcast(&workers.finished);
	pthread_mutex_unlock(&workers.lock);
	ctxi_calls_out(calls);
	pthread_mutex_lock(&workers.lock);
	workers.idle++;
}

static void *
work(void *name)
{
	struct timespec until;
	int rc = 0;

	pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&workers.lock);
	/* One stays for good, lest an end find none. */
	while (workers.first != NULL || rc != ETIMEDOUT || workers.idle == 1) {
		rc = 0;
		if (workers.first != NULL) {
			run_first();
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += IDLE_S;
		rc = workers.idle == 1 ? pthread_cond_wait(&workers.more, &workers.lock)
				       : pthread_cond_clockwait(
					     &workers.more, &workers.lock, CLOCK_MONOTONIC, &until);
	}
	workers.idle--;
	workers.n--;
	pthread_mutex_unlock(&workers.lock);
	return NULL;
}

static void
after_due(struct ctxi_link *link)
{
	struct ctx_after *a = ctxi_container(link, struct ctx_after, link);

	pthread_mutex_lock(&workers.lock);
	if (a->stage == WAITING) {
		enqueue(a);
		pthread_cond_signal(&workers.more);
	}
	pthread_mutex_unlock(&workers.lock);
}

bool
ctx_after_stop(struct ctx_after *a)
{
	struct ctxi_calls *calls;
	bool prevented;

	if (a == NULL)
		ctxi_misuse(__func__, "NULL");
	calls = a->calls;
	ctxi_detach(&a->link);
	pthread_mutex_lock(&workers.lock);
	prevented = a->stage == WAITING || a->stage == QUEUED;
	if (a->stage == QUEUED)
		dequeue(a);
	if (prevented) {
		a->stage = OVER;
		pthread_cond_broadcast(&workers.finished);
	}
	pthread_mutex_unlock(&workers.lock);
	if (prevented)
		ctxi_calls_out(calls);
	return prevented;
}

void
ctx_after_wait(struct ctx_after *a)
{
	if (a == NULL)
		ctxi_misuse(__func__, "NULL");
	ctxi_overtake(&a->link); /* who has seen the end may be here before its messenger */
	pthread_mutex_lock(&workers.lock);
	while (a->stage == QUEUED || a->stage == RUNNING) {
		if (a->stage == RUNNING && pthread_equal(a->worker, pthread_self()))
			ctxi_misuse(__func__, "called by the function itself");
		pthread_cond_wait(&workers.finished, &workers.lock);
	}
	pthread_mutex_unlock(&workers.lock);
}

static int
after_free(struct ctx_after *a)
{
	ctx_after_stop(a);
	pthread_mutex_lock(&workers.lock);
	if (a->run != NULL)
		a->run->after = NULL;
	pthread_mutex_unlock(&workers.lock);
	return 0;
}

struct ctx_after *
ctx_after_func(TALLOC_CTX *mem, const struct ctx *ctx, void (*fn)(void *data), void *data)
{
	struct ctx_after *a;
	int rc;

	CTXI_CHECK(ctx);
	if (fn == NULL)
		ctxi_misuse(__func__, "NULL function");
	a = talloc_zero(mem, struct ctx_after);
	if (a == NULL)
		return NULL;
	a->fn = fn;
	a->data = data;
	a->link.due = after_due;
	pthread_mutex_lock(&workers.lock);
	rc = workers.n == 0 ? add_worker() : 0;
	pthread_mutex_unlock(&workers.lock);
	if (rc != 0) {
		talloc_free(a);
		return NULL;
	}
	talloc_set_destructor(a, after_free);
	a->calls = ctxi_calls_of(ctx->canceler);
	ctxi_calls_in(a->calls);
	if (ctxi_attach(&a->link, ctx->canceler) != 0)
		after_due(&a->link);
	return a;
}

static void
fork_workers(enum ctxi_fork when)
{
	if (when == CTXI_PREPARE) {
		pthread_mutex_lock(&workers.lock);
		return;
	}
	if (when == CTXI_CHILD) { /* the queue is the parent's work, and the threads stayed there */
		while (workers.first != NULL) {
			workers.first->stage = OVER;
			dequeue(workers.first);
		}
		workers.n = workers.idle = 0;
		workers.more = workers.finished = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	}
	pthread_mutex_unlock(&workers.lock);
}

__attribute__((constructor)) static void
guard_workers(void)
{
	ctxi_on_fork(CTXI_RANK_WORKERS, fork_workers);
}
