/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: one 4-ary heap ordered by time, and one thread that ends what is due.
 *
 * The thread must not end a node that is being freed. A node cannot be freed while it is on
 * the heap (its destructor takes it off), nor while its stripe is held; so the thread reads
 * the stripe of the first node under the heap's lock, takes that stripe, then the heap's
 * lock again (the usual order), and looks anew who is first.
 */
#include <stdlib.h>
#include <time.h>

#include "ctx/ctx_internal.h"

struct entry {
	int64_t at_ns;
	struct ctxi_node *node;
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
	e.node->heap_slot = slot;
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

	timers.heap[slot].node->heap_slot = CTXI_NOT_ARMED;
	if (slot == timers.n)
		return;
	if (slot > 0 && last.at_ns < timers.heap[(slot - 1) / 4].at_ns)
		sift_up(slot, last);
	else
		sift_down(slot, last);
}

/* Ends, one by one, what was due at now_ns in this stripe and comes first. */
static void
end_due(uint8_t stripe, int64_t now_ns)
{
	struct ctxi_node *node;

	ctxi_lock(stripe);
	for (;;) {
		pthread_mutex_lock(&timers.lock);
		node = timers.n == 0 ? NULL : timers.heap[0].node;
		if (node == NULL || timers.heap[0].at_ns > now_ns || node->link.stripe != stripe) {
			pthread_mutex_unlock(&timers.lock);
			break;
		}
		take_off(0);
		pthread_mutex_unlock(&timers.lock);
		ctxi_end_locked(node, ctxi_pack(-ETIMEDOUT, node->ctx.value));
	}
	ctxi_unlock(stripe);
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

static void *
serve(void *name)
{
	int64_t now_ns, first_ns;
	uint8_t stripe;

	pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&timers.lock);
	for (;;) {
		now_ns = ctx_now_ns();
		first_ns = timers.n == 0 ? INT64_MAX : timers.heap[0].at_ns;
		if (first_ns > now_ns) {
			sleep_until(first_ns);
			continue;
		}
		stripe = timers.heap[0].node->link.stripe;
		pthread_mutex_unlock(&timers.lock);
		end_due(stripe, now_ns);
		pthread_mutex_lock(&timers.lock);
	}
	return NULL;
}

/* Under the lock: a thread, and room for one more. */
static int
make_ready(void)
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
		rc = ctxi_thread_start("ctx-deadlines", 256 << 10, serve);
		if (rc != 0)
			return rc;
		timers.started = true;
	}
	return 0;
}

int
ctxi_timer_arm(struct ctxi_node *node)
{
	struct entry e = {node->deadline_ns, node};
	int rc;

	pthread_mutex_lock(&timers.lock);
	rc = make_ready();
	if (rc == 0) {
		node->armed = true;
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
ctxi_timer_disarm(struct ctxi_node *node)
{
	if (!node->armed)
		return; /* no lock for who never had anything to do with the heap */
	pthread_mutex_lock(&timers.lock);
	if (node->heap_slot != CTXI_NOT_ARMED)
		take_off(node->heap_slot);
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
