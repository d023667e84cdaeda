/* SPDX-License-Identifier: MIT */
/*
 * Timers: one 4-ary heap ordered by time, and the wait of one thread for what is first. Below
 * cancel.c, which takes off what has ended; uses lock.c, clock.c and thread.c.
 *
 * That thread must not end what is being freed. Nothing can be freed while it is on the heap (its
 * destructor takes it off), nor while its stripe is held; so the thread reads the stripe of the
 * first under the heap's lock, takes that stripe, then the heap's lock again (the usual order),
 * and looks anew who is first.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <baton/ctx.h>

#include "ctx/thread.h"
#include "ctx/timer.h"

struct entry {
	int64_t at_ns;
	struct ctxi_timer *timer;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t earlier; /* there is a deadline before sleeping_until */
	struct entry *heap;
	uint32_t n, room;
	bool started;
	int64_t sleeping_until; /* INT64_MIN: the thread is awake and will look by itself */
} timers = {.lock = PTHREAD_MUTEX_INITIALIZER, .earlier = PTHREAD_COND_INITIALIZER};

static void
put(uint32_t slot, struct entry e)
{
	timers.heap[slot] = e;
	e.timer->slot = slot;
}

static void
sift_up(uint32_t slot, struct entry e)
{
	while (slot > 0) {
		uint32_t up = (slot - 1) / 4;

		if (timers.heap[up].at_ns <= e.at_ns)
			break;
		put(slot, timers.heap[up]);
		slot = up;
	}
	put(slot, e);
}

static void
sift_down(uint32_t slot, struct entry e)
{
	for (;;) {
		uint32_t first = slot * 4 + 1, end = first + 4, least = first;

		if (first >= timers.n)
			break;
		if (end > timers.n)
			end = timers.n;
		for (uint32_t i = first + 1; i < end; i++) {
			if (timers.heap[i].at_ns < timers.heap[least].at_ns)
				least = i;
		}
		if (timers.heap[least].at_ns >= e.at_ns)
			break;
		put(slot, timers.heap[least]);
		slot = least;
	}
	put(slot, e);
}

static void
take_off(uint32_t slot)
{
	struct entry last = timers.heap[--timers.n];

	timers.heap[slot].timer->slot = CTXI_NOT_ARMED;
	if (slot == timers.n)
		return;
	if (slot > 0 && last.at_ns < timers.heap[(slot - 1) / 4].at_ns)
		sift_up(slot, last);
	else
		sift_down(slot, last);
}

struct ctxi_timer *
ctxi_timer_take(uint8_t stripe, int64_t now_ns)
{
	struct ctxi_timer *first;

	pthread_mutex_lock(&timers.lock);
	first = timers.n == 0 ? NULL : timers.heap[0].timer;
	if (first != NULL && (timers.heap[0].at_ns > now_ns || first->stripe != stripe))
		first = NULL;
	if (first != NULL)
		take_off(0);
	pthread_mutex_unlock(&timers.lock);
	return first;
}

/* Under the lock. */
static void
sleep_until(int64_t at_ns)
{
	struct timespec at = {at_ns / 1000000000, at_ns % 1000000000};

	timers.sleeping_until = at_ns;
	if (at_ns == INT64_MAX)
		pthread_cond_wait(&timers.earlier, &timers.lock);
	else
		pthread_cond_clockwait(&timers.earlier, &timers.lock, CLOCK_MONOTONIC, &at);
	timers.sleeping_until = INT64_MIN;
}

uint8_t
ctxi_timer_wait(int64_t *now_ns)
{
	int64_t first_ns;
	uint8_t stripe;

	pthread_mutex_lock(&timers.lock);
	for (;;) {
		*now_ns = ctx_now_ns();
		first_ns = timers.n == 0 ? INT64_MAX : timers.heap[0].at_ns;
		if (first_ns <= *now_ns)
			break;
		sleep_until(first_ns);
	}
	stripe = timers.heap[0].timer->stripe;
	pthread_mutex_unlock(&timers.lock);
	return stripe;
}

/* Under the lock: a thread, and room for one more. */
static int
make_ready(void *(*serve)(void *name))
{
	uint32_t room = timers.room == 0 ? 256 : timers.room * 2;
	struct entry *heap;
	int rc;

	if (timers.n == timers.room) {
		heap = room < timers.room ? NULL : reallocarray(timers.heap, room, sizeof(*heap));
		if (heap == NULL)
			return -ENOMEM;
		timers.heap = heap;
		timers.room = room;
	}
	if (!timers.started) {
		timers.sleeping_until = INT64_MIN;
		rc = ctxi_thread_start(NULL, "ctx-deadlines", 256 << 10, serve);
		if (rc != 0)
			return rc;
		timers.started = true;
	}
	return 0;
}

int
ctxi_timer_arm(struct ctxi_timer *timer, int64_t at_ns, void *(*serve)(void *name))
{
	struct entry e = {at_ns, timer};
	int rc;

	pthread_mutex_lock(&timers.lock);
	rc = make_ready(serve);
	if (rc == 0) {
		timer->armed = true;
		sift_up(timers.n++, e);
		if (e.at_ns < timers.sleeping_until) {
			timers.sleeping_until = e.at_ns;
			pthread_cond_signal(&timers.earlier);
		}
	}
	pthread_mutex_unlock(&timers.lock);
	return rc;
}

void
ctxi_timer_take_off(struct ctxi_timer *timer)
{
	pthread_mutex_lock(&timers.lock);
	if (timer->slot != CTXI_NOT_ARMED)
		take_off(timer->slot);
	pthread_mutex_unlock(&timers.lock);
}

void
ctxi_timer_fork(enum ctxi_fork when)
{
	if (when == CTXI_PREPARE) {
		pthread_mutex_lock(&timers.lock);
		return;
	}
	if (when == CTXI_CHILD) { /* the thread stayed behind; the next deadline starts one */
		timers.started = false;
		timers.earlier = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	}
	pthread_mutex_unlock(&timers.lock);
}

__attribute__((constructor)) static void
guard_timers(void)
{
	ctxi_on_fork(CTXI_RANK_TIMERS, ctxi_timer_fork);
}
