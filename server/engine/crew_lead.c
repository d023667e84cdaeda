/* SPDX-License-Identifier: MIT */
/*
 * The crew's lead: who has it, who takes it over from a job that takes long, and the spare
 * that waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "server/engine/crew.h"

uint64_t
crew_begin(struct crew *c)
{
	uint64_t mine = (atomic_load_explicit(&c->lead, memory_order_relaxed) + 2) | 1;

	/* Only the leader writes here while nothing runs. Sequentially consistent: either the
	 * monitor sees this before it falls asleep, or we see that it sleeps. */
	atomic_store(&c->lead, mine);
	if (atomic_load(&c->monitor_asleep))
		crew_wake_monitor(c);
	return mine;
}

pid_t
crew_leader(const struct crew *c)
{
	return c->leader;
}

bool
crew_end(struct crew *c, uint64_t mine)
{
	uint64_t lead = mine;

	return atomic_compare_exchange_strong(&c->lead, &lead, mine & ~UINT64_C(1));
}

/* Called by the monitor: the job begun as `seen` has taken too long. */
bool
crew_take_over(struct crew *c, uint64_t seen)
{
	if (atomic_load(&c->spares) == 0)
		return false;
	if (!atomic_compare_exchange_strong(&c->lead, &seen, (seen + 2) & ~UINT64_C(1)))
		return false; /* it has just ended */
	seat_taken_over(c->leader_seat);
	atomic_fetch_sub(&c->spares, 1);
	/* Whoever leads knows from the beginning whether somebody can take over from him. */
	(void)crew_spare(c);
	sem_post(&c->spare);
	return true;
}

bool
crew_has_spare(const struct crew *c)
{
	if (atomic_load(&c->spares) > 0)
		return true;
	/* It comes, unless this is one more attempt after others that failed. */
	return atomic_load(&c->spare_coming) && atomic_load(&c->rest_until_ms) == 0;
}

bool
crew_relieves(struct crew *c)
{
	if (crew_has_spare(c) || c->config.debug || atomic_load(&c->threads) == 1)
		return true;
	/* Whoever parks meanwhile has been seen, or sees this. */
	atomic_store(&c->relief_wanted, true);
	return atomic_load(&c->spares) > 0;
}

void
crew_finish(struct crew *c)
{
	int threads;

	atomic_store(&c->over, true);
	threads = atomic_load(&c->threads); /* whoever comes now sees that it is over */
	for (int i = 0; i < threads; i++) {
		sem_post(&c->work);
		sem_post(&c->spare);
	}
	sem_post(&c->monitor_sem);
	sem_post(&c->led);
}

/* For who looks at the threads: it goes on with its job, and cannot do this itself. */
static void
name_worker(pid_t tid)
{
	static const char name[] = "baton/worker";
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)tid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* it has no consequence */
	(void)!write(fd, name, sizeof(name) - 1);
	close(fd);
}

static void
lead(struct crew *c)
{
	pid_t before = c->leader;

	crew_enter_role("leader");
	seat_lead(c);
	c->leader = gettid();
	(void)pthread_getcpuclockid(pthread_self(), &c->leader_clock);
	if (before != 0) {
		/* It computes or blocks; either way it is a worker from now on. */
		name_worker(before);
		c->config.jobs->taken_over(c->config.data);
	}
	crew_signals_work(c);
	if (!c->config.jobs->lead(c->config.data))
		return;
	crew_signals_wait(c);
	crew_finish(c);
}

/* Leads, and when it was taken over and its job is done, works. */
static void
lead_then_work(struct crew *c)
{
	lead(c);
	if (!atomic_load(&c->over)) {
		crew_enter_role("worker");
		crew_work(c, true);
	}
}

/* The first leader. */
void *
crew_run_leader(void *arg)
{
	struct crew *c = arg;

	crew_thread_begins(c);
	lead_then_work(c);
	crew_thread_ends(c);
	return NULL;
}

static void *
run_spare(void *arg)
{
	struct crew *c = arg;

	crew_enter_role("spare");
	crew_thread_begins(c);
	atomic_fetch_add(&c->spares, 1);
	atomic_store(&c->spare_coming, false);
	if (atomic_exchange(&c->relief_wanted, false))
		c->config.jobs->wake(c->config.data);
	if (!atomic_load(&c->over) && crew_wait_for(&c->spare) == 0 && !atomic_load(&c->over))
		lead_then_work(c);
	crew_thread_ends(c);
	return NULL;
}

int
crew_spare(struct crew *c)
{
	int err;

	/* In this order: the spare is counted before it has come. */
	if (atomic_load(&c->spare_coming) || atomic_load(&c->spares) > 0)
		return 0;
	atomic_store(&c->spare_coming, true);
	err = crew_spawn(c, run_spare);
	if (err != 0)
		atomic_store(&c->spare_coming, false);
	/* There are as many threads as may be. If one of them is idle, it makes way. */
	if (err == -EUSERS)
		crew_dismiss(c);
	return err;
}
