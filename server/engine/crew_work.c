/* SPDX-License-Identifier: MIT */
/*
 * The crew's workers: how jobs come to them and go back, and how many there are. A worker
 * that is preempted at any point holds nothing that the leader needs.
 */
#include <sched.h>

#include "server/engine/crew.h"

/* Workers that may sit idle for good; the monitor dismisses others. */
#define IDLE_WORKERS 64

static void *run_worker(void *arg);

/*
 * Makes one worker if jobs outnumber idle ones. Whoever is made makes the next before its
 * own work: so a burst costs the leader one thread.
 */
static void
grow(struct crew *c)
{
	while (atomic_load(&c->slack) < 0 && !atomic_exchange(&c->growing, true)) {
		if (atomic_load(&c->slack) >= 0) {
			atomic_store(&c->growing, false);
			continue; /* look again: a job may have come in between */
		}
		atomic_fetch_add(&c->slack, 1);
		if (crew_spawn(c, run_worker) == 0)
			return; /* the new one goes on */
		atomic_fetch_sub(&c->slack, 1);
		atomic_store(&c->growing, false);
		crew_wake_monitor(c); /* it tries again */
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
	crew_signals_wait(c);
	crew_wait_for(&c->work);
	crew_signals_work(c);
}

static struct crew_job *
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
 * A worker too many does not end by itself: when a crowd of jobs ends at once, the ends
 * of their threads would take more of the processor than what the leader makes of them.
 */
static void
become_idle(struct crew *c)
{
	if (atomic_fetch_add(&c->slack, 1) >= IDLE_WORKERS)
		crew_wake_monitor(c);
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
 * A job is done. False if it has made its thread nice, which then ends. Another in its place
 * is made by the monitor, if there must be one: made here it would be as nice.
 */
static bool
goes_on(struct crew *c)
{
	if (seat_end()) {
		crew_wake_monitor(c);
		return false;
	}
	become_idle(c);
	return true;
}

void
crew_work(struct crew *c, bool led)
{
	struct crew_job *job;

	if (led && !goes_on(c))
		return;
	crew_signals_work(c);
	while ((job = take(c)) != NULL) {
		seat_begin();
		c->config.jobs->run(c->config.data, job);
		if (!goes_on(c))
			break;
	}
	crew_signals_wait(c);
}

static void *
run_worker(void *arg)
{
	struct crew *c = arg;

	crew_enter_role("worker");
	sched_yield(); /* in a burst the leader, whom others wait for, comes first */
	atomic_store(&c->growing, false);
	grow(c);
	crew_thread_begins(c);
	crew_work(c, false);
	crew_thread_ends(c);
	return NULL;
}

void
crew_give(struct crew *c, struct crew_job *job)
{
	/* Only the leader gives. What has not come back yet is not more than crew_size, so there is
	 * room, however many threads are preempted while they take theirs. */
	ring_put(&c->handed, job);
	sem_post(&c->work);
	if (atomic_load(&c->monitor_asleep))
		crew_wake_monitor(c); /* the job may compute for long */
	if (atomic_fetch_sub(&c->slack, 1) <= 0)
		grow(c);
}

void
crew_give_back(struct crew *c, struct crew_job *job)
{
	struct crew_job *first = atomic_load(&c->done);

	do
		job->next = first;
	while (!atomic_compare_exchange_weak(&c->done, &first, job));
	if (first == NULL)
		c->config.jobs->wake(c->config.data);
}

/* Those that came first are first, though the list that nobody locks is the other way round. */
struct crew_job *
crew_take_back(struct crew *c)
{
	struct crew_job *job = c->back, *first, *next;

	if (job == NULL) {
		for (first = atomic_exchange(&c->done, NULL); first != NULL; first = next) {
			next = first->next;
			first->next = job;
			job = first;
		}
	}
	c->back = job == NULL ? NULL : job->next;
	return job;
}

unsigned
crew_size(const struct crew *c)
{
	/* All but the leader and a spare. */
	return (unsigned)c->config.threads_max - 2;
}
