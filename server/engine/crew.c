/* SPDX-License-Identifier: MIT */
/*
 * The threads and their roles. One leads; one spare is parked to lead next; workers run what
 * is handed out. A leader whose handler takes long is taken over: the spare leads, and the
 * thread becomes a worker when its handler is done; a new spare is made for each takeover. Who
 * computes for long is made nice (crew_seat.c).
 *
 * Leader and workers never wait for each other: what goes to workers goes through a ring with
 * a semaphore (ring.c), what comes back through a list without a lock. A worker that is preempted at
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

#include "server/engine/crew.h"

/* When the system refuses a thread: until the next attempt, and between two lines of log. */
#define RETRY_MS    100
#define COMPLAIN_MS 10000

int
crew_wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

void
crew_enter_role(const char *name)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "baton/%s", name);
	pthread_setname_np(pthread_self(), text);
}

/* ---- Making threads -------------------------------------------------------------------------- */

static void
thread_refused(struct crew *c, int err)
{
	int64_t now = clock_now_ms(), last = atomic_load(&c->complained_ms);

	atomic_store(&c->rest_until_ms, now + RETRY_MS);
	if ((last == 0 || now - last >= COMPLAIN_MS) &&
	    atomic_compare_exchange_strong(&c->complained_ms, &last, now))
		log_line(LOG_ERR, "cannot make a thread: %s; requests wait for one, trying again",
		    strerror(err));
}

int
crew_spawn(struct crew *c, void *(*run)(void *))
{
	int64_t rest = atomic_load(&c->rest_until_ms);
	pthread_t thread;
	int err;

	if (rest != 0 && clock_now_ms() < rest)
		return -EAGAIN;
	if (atomic_fetch_add(&c->threads, 1) >= c->threads_max || atomic_load(&c->over)) {
		atomic_fetch_sub(&c->threads, 1);
		return -EUSERS;
	}
	atomic_fetch_add(&c->made, 1);
	err = pthread_create(&thread, &c->attr, run, c);
	if (err != 0) {
		atomic_fetch_sub(&c->made, 1);
		atomic_fetch_sub(&c->threads, 1);
		thread_refused(c, err);
		return -err;
	}
	atomic_store(&c->rest_until_ms, 0);
	return 0;
}

void
crew_thread_begins(struct crew *c)
{
	seat_take(c);
	if (c->server->thread_start != NULL)
		c->server->thread_start(c->server->thread_data);
}

/* The last that a thread does: when all have, the crew may be freed. */
void
crew_thread_ends(struct crew *c)
{
	if (c->server->thread_end != NULL)
		c->server->thread_end(c->server->thread_data);
	seat_leave(); /* before another thread may be made in its place */
	atomic_fetch_sub(&c->threads, 1);
	sem_post(&c->gone);
}

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
crew_new(struct http_server *s)
{
	struct crew *c = talloc_zero(s, struct crew);

	if (c == NULL)
		return NULL;
	c->server = s;
	c->threads_max = (int)s->set.threads_max;
	/* A program that is as nice itself has handlers that are no less so. */
	c->worker_nice = (int)s->set.worker_nice;
	c->gives_way = c->worker_nice > getpriority(PRIO_PROCESS, 0);
	if (ring_init(&c->handed, c, (size_t)c->threads_max) != 0 || seats_new(c) != 0) {
		talloc_free(c);
		return NULL;
	}
	pthread_attr_init(&c->attr);
	pthread_attr_setdetachstate(&c->attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&c->attr, (size_t)s->set.stack_bytes);
	pthread_attr_setsigmask_np(&c->attr, &s->signals_waiting);
	sem_init(&c->work, 0, 0);
	sem_init(&c->spare, 0, 0);
	sem_init(&c->gone, 0, 0);
	sem_init(&c->led, 0, 0);
	sem_init(&c->monitor_sem, 0, 0);
	talloc_set_destructor(c, crew_destroy);
	return c;
}

int
crew_start(struct http_server *s)
{
	struct crew *c = s->crew = crew_new(s);
	int err = c == NULL ? -ENOMEM : 0;

	if (err == 0 && !s->debug)
		err = monitor_start(c);
	if (err == 0)
		err = crew_spawn(c, crew_run_leader);
	if (err != 0 && c != NULL) {
		crew_finish(c);
		crew_join(s, 1000);
	}
	return err;
}

bool
crew_wait_until(sem_t *sem, const struct timespec *until)
{
	while (sem_clockwait(sem, CLOCK_MONOTONIC, until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* What came back when nobody led any more, and what was never taken. */
static void
drop_late(struct crew *c)
{
	struct http_request *req;

	while ((req = crew_take_back(c)) != NULL)
		request_unref(req);
	while ((req = ring_take(&c->handed)) != NULL)
		request_unref(req);
	work_drop(c->server);
}

int
crew_join(struct http_server *s, int grace_ms)
{
	struct crew *c = s->crew;
	struct timespec until;
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
	drop_late(c);
	TALLOC_FREE(s->crew);
	return 0;
}
