/* SPDX-License-Identifier: MIT */
/*
 * The crew from its start to its end. One thread leads; one spare is parked to lead next; workers
 * run what is handed out. A leader whose job takes long is taken over: the spare leads, and the
 * thread becomes a worker when its job is done; a new spare is made for each takeover. Who computes
 * for long is made nice (crew_seat.c).
 *
 * Leader and workers never wait for each other: what goes to workers goes through a ring with a
 * semaphore (ring.c), what comes back through a list without a lock. A worker that is preempted at
 * any point holds nothing that the leader needs.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "server/base/base.h"
#include "server/engine/crew.h"

/* ---- Start and end --------------------------------------------------------------------------- */

static int
crew_destroy(struct crew *c)
{
	pthread_attr_destroy(&c->attr);
	sem_destroy(&c->work);
	sem_destroy(&c->spare);
	sem_destroy(&c->gone);
	sem_destroy(&c->led);
	sem_destroy(&c->monitor_sem);
	free(c->seats);
	return 0;
}

static struct crew *
crew_new(TALLOC_CTX *mem, const struct crew_config *config)
{
	struct crew *c = talloc_zero(mem, struct crew);

	if (c == NULL)
		return NULL;
	c->config = *config;
	/* A program that is as nice itself has jobs that are no less so. */
	c->gives_way = config->worker_nice > getpriority(PRIO_PROCESS, 0);
	if (ring_init(&c->handed, c, (size_t)config->threads_max) != 0 || seats_new(c) != 0) {
		talloc_free(c);
		return NULL;
	}
	pthread_attr_init(&c->attr);
	pthread_attr_setdetachstate(&c->attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&c->attr, config->stack_bytes);
	pthread_attr_setsigmask_np(&c->attr, &config->waiting);
	sem_init(&c->work, 0, 0);
	sem_init(&c->spare, 0, 0);
	sem_init(&c->gone, 0, 0);
	sem_init(&c->led, 0, 0);
	sem_init(&c->monitor_sem, 0, 0);
	talloc_set_destructor(c, crew_destroy);
	return c;
}

int
crew_start(TALLOC_CTX *mem, const struct crew_config *config, struct crew **crew)
{
	struct crew *c = crew_new(mem, config);
	int err = c == NULL ? -ENOMEM : 0;

	*crew = c; /* before its threads ask for it */
	if (err == 0 && !config->debug)
		err = monitor_start(c);
	if (err == 0)
		err = crew_spawn(c, crew_run_leader);
	if (err != 0 && c != NULL) {
		crew_finish(c);
		crew_join(c, 1000);
		TALLOC_FREE(*crew);
	}
	return err;
}

int
crew_join(struct crew *c, int grace_ms)
{
	struct timespec until;
	struct crew_job *job;
	int64_t end_ms;

	if (c == NULL)
		return 0;
	crew_wait_for(&c->led);
	sem_post(&c->led); /* one may come again */
	monitor_stop(c);
	end_ms = clock_now_ms() + grace_ms;
	until = (struct timespec){.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
	/* Whoever makes a thread ends after it has: so when all made are gone, that is all. */
	for (; c->joined < atomic_load(&c->made); c->joined++)
		if (!crew_wait_until(&c->gone, &until))
			return atomic_load(&c->made) - c->joined;
	/* The last thing that each has written; it orders all before it, which sem_clockwait(3)
	 * does as well, but ThreadSanitizer does not know that function. */
	(void)atomic_load(&c->threads);
	/* What was never taken comes back, too: nobody is there to run it. */
	while ((job = ring_take(&c->handed)) != NULL)
		crew_give_back(c, job);
	return 0;
}
