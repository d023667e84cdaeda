/* SPDX-License-Identifier: MIT */
/*
 * The crew's workers: how requests come to them and go back, and how many there are. A worker
 * that is preempted at any point holds nothing that the leader needs.
 */
#include <sched.h>

#include "server/engine/crew.h"

/* Workers that may sit idle for good; the monitor dismisses others. */
#define IDLE_WORKERS 64

static void *run_worker(void *arg);

/*
 * Makes one worker if requests outnumber idle ones. Whoever is made makes the next before its
 * own work: so a burst costs the leader one thread.
 */
static void
grow(struct crew *c)
{
	while (atomic_load(&c->slack) < 0 && !atomic_exchange(&c->growing, true)) {
		if (atomic_load(&c->slack) >= 0) {
			atomic_store(&c->growing, false);
			continue; /* look again: a request may have come in between */
		}
		atomic_fetch_add(&c->slack, 1);
		if (crew_spawn(c, run_worker) == 0)
			return; /* the new one goes on */
		atomic_fetch_sub(&c->slack, 1);
		atomic_store(&c->growing, false);
		monitor_wake(c); /* it tries again */
		return;
	}
}

/* Takes one from a count, if there is any. */
bool
crew_take_one(atomic_int *count)
{
	int n = atomic_load(count);

	while (n > 0)
		if (atomic_compare_exchange_weak(count, &n, n - 1))
			return true;
	return false;
}

/* Waits for work. What there is already is taken without a look at signals. */
static void
wait_for_work(struct crew *c)
{
	if (sem_trywait(&c->work) == 0)
		return;
	signals_wait(c->server);
	crew_wait_for(&c->work);
	signals_work(c->server);
}

static struct http_request *
take(struct crew *c)
{
	if (!atomic_load(&c->over))
		wait_for_work(c);
	if (atomic_load(&c->over))
		return NULL;
	if (crew_take_one(&c->dismissed))
		return NULL;
	return ring_take(&c->handed); /* the semaphore says that there is one */
}

/*
 * A worker too many does not end by itself: when a crowd of handlers returns at once, the ends
 * of their threads would take more of the processor than their answers.
 */
static void
become_idle(struct crew *c)
{
	if (atomic_fetch_add(&c->slack, 1) >= IDLE_WORKERS)
		monitor_wake(c);
}

void
crew_dismiss(struct crew *c)
{
	if (atomic_load(&c->dismissed) > 0 || !crew_take_one(&c->slack))
		return;
	atomic_fetch_add(&c->dismissed, 1);
	sem_post(&c->work);
}

bool
crew_settled(struct crew *c)
{
	int slack = atomic_load(&c->slack);

	return slack >= 0 && slack <= IDLE_WORKERS;
}

void
crew_settle(struct crew *c)
{
	if (atomic_load(&c->slack) > 0)
		crew_dismiss(c);
	else
		grow(c);
}

/*
 * A handler is done. False if it has made its thread nice, which then ends. Another in its place
 * is made by the monitor, if there must be one: made here it would be as nice.
 */
static bool
goes_on(struct crew *c)
{
	if (seat_end()) {
		monitor_wake(c);
		return false;
	}
	become_idle(c);
	return true;
}

void
crew_work(struct crew *c, bool led)
{
	struct http_request *req;

	if (led && !goes_on(c))
		return;
	signals_work(c->server);
	while ((req = take(c)) != NULL) {
		seat_begin();
		work_in_worker(c->server, req);
		if (!goes_on(c))
			break;
	}
	signals_wait(c->server);
}

static void *
run_worker(void *arg)
{
	struct crew *c = arg;

	crew_enter_role("worker");
	sched_yield(); /* in a burst the leader, who has others to answer, comes first */
	atomic_store(&c->growing, false);
	grow(c);
	crew_thread_begins(c);
	crew_work(c, false);
	crew_thread_ends(c);
	return NULL;
}

void
crew_give(struct crew *c, struct http_request *req)
{
	/* Only the leader gives. What has not come back yet is not more than crew_size, so there is
	 * room, however many threads are preempted while they take theirs. */
	ring_put(&c->handed, req);
	sem_post(&c->work);
	if (atomic_load(&c->monitor_asleep))
		monitor_wake(c); /* the handler may compute for long */
	if (atomic_fetch_sub(&c->slack, 1) <= 0)
		grow(c);
}

void
crew_give_back(struct crew *c, struct http_request *req)
{
	struct http_request *first = atomic_load(&c->done);

	do
		req->next_done = first;
	while (!atomic_compare_exchange_weak(&c->done, &first, req));
	if (first == NULL)
		loop_wake(c->server);
}

/* Those that came first are first, though the list that nobody locks is the other way round. */
struct http_request *
crew_take_back(struct crew *c)
{
	struct http_request *req = c->back, *first, *next;

	if (req == NULL) {
		for (first = atomic_exchange(&c->done, NULL); first != NULL; first = next) {
			next = first->next_done;
			first->next_done = req;
			req = first;
		}
	}
	c->back = req == NULL ? NULL : req->next_done;
	return req;
}

unsigned
crew_size(const struct crew *c)
{
	/* All but the leader and a spare. */
	return (unsigned)c->threads_max - 2;
}
