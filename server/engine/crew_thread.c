/* SPDX-License-Identifier: MIT */
/*
 * The threads of the crew, whatever they do: how one is made, what it does first and last, how
 * it waits, and with which signals.
 *
 * The program's signals are for the program's threads, so ours block them while they wait for
 * work. While a thread of ours may run a job, its mask is the one that the program was given, for
 * the programs that a job starts (by popen, posix_spawn, fork) have it from that thread. A signal
 * to the process goes to its main thread even then, unless that one blocks it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "server/base/base.h"
#include "server/engine/crew.h"

/* When the system refuses a thread: until the next attempt, and between two lines of log. */
#define RETRY_MS    100
#define COMPLAIN_MS 10000

/* ---- Waiting --------------------------------------------------------------------------------- */

int
crew_wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

bool
crew_wait_until(sem_t *sem, const struct timespec *until)
{
	while (sem_clockwait(sem, CLOCK_MONOTONIC, until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

void
crew_signals_wait(const struct crew *c)
{
	pthread_sigmask(SIG_SETMASK, &c->config.waiting, NULL);
}

void
crew_signals_work(const struct crew *c)
{
	pthread_sigmask(SIG_SETMASK, &c->config.working, NULL);
}

void
crew_wake_monitor(struct crew *c)
{
	if (atomic_exchange(&c->monitor_asleep, false))
		sem_post(&c->monitor_sem);
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
	if (atomic_fetch_add(&c->threads, 1) >= c->config.threads_max || atomic_load(&c->over)) {
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
	if (c->config.thread_start != NULL)
		c->config.thread_start(c->config.thread_data);
}

/* The last that a thread does: when all have, the crew may be freed. */
void
crew_thread_ends(struct crew *c)
{
	if (c->config.thread_end != NULL)
		c->config.thread_end(c->config.thread_data);
	seat_leave(); /* before another thread may be made in its place */
	atomic_fetch_sub(&c->threads, 1);
	sem_post(&c->gone);
}

void
crew_enter_role(const char *name)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "baton/%s", name);
	pthread_setname_np(pthread_self(), text);
}
