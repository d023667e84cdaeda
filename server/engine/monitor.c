/* SPDX-License-Identifier: MIT */
/*
 * The monitor sees to it that a job that takes long does not keep the loop waiting. While
 * the leader works it looks every takeover_after_us, or twice that while it finds the leader in
 * no job, whether the same job is still running. When nothing has happened for a while
 * it sleeps until it is woken, so that an idle server makes no wake-ups and a busy one pays
 * nothing for a request.
 *
 * A job that is still there may just not have got a processor, or the whole machine may have
 * stood still. So it is taken over when its thread blocks, or has really run for some time:
 * else any pause would make a quick route count as one that blocks.
 *
 * It also makes nice whose job has computed for long (crew_seat.c), makes spares and, if those
 * that are there do not, workers: at the nice value of the program, which the threads inherit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/engine/crew.h"

/* Looks without news before it sleeps: waking it costs the leader a system call. */
#define QUIET_LOOKS 50

bool
crew_debugging(void)
{
	const char *debug = getenv("BATON_DEBUG");
	char line[128];
	int tracer = 0;
	FILE *f;

	if (debug != NULL)
		return strcmp(debug, "1") == 0;
	f = fopen("/proc/self/status", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return tracer != 0;
}

/* Everything is quiet: sleeps until the leader or the end wakes it. */
static void
sleep_until_woken(struct crew *c, uint64_t seen)
{
	atomic_store(&c->monitor_asleep, true);
	if (atomic_load(&c->lead) != seen || !crew_settled(c) || atomic_load(&c->over)) {
		/* Something began in between; who saw us asleep has posted or will. */
		if (atomic_exchange(&c->monitor_asleep, false))
			return;
	}
	while (sem_wait(&c->monitor_sem) != 0 && errno == EINTR)
		;
}

/* Lets takeover_after_us pass, unless the end comes first. */
static void
tick(struct crew *c, bool watching)
{
	/* Each look costs the leader a thread switch where they share a processor: half as many
	 * do as long as none has found it in a job. */
	int64_t us = c->config.takeover_after_us * (watching ? 1 : 2);
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += us / 1000000;
	until.tv_nsec += us % 1000000 * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)crew_wait_until(&c->monitor_sem, &until);
}

/* How long the leader's thread has run. While it leads it cannot end, and only we end that. */
static int64_t
leader_ran_us(const struct crew *c)
{
	struct timespec ts;

	if (clock_gettime(c->leader_clock, &ts) != 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* True if the thread runs, or would if it had a processor. */
static bool
is_runnable(pid_t tid)
{
	char path[64], state = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	/* The name, in parentheses, is the leader's own: no other parenthesis is in it. */
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state == 'R';
}

/* The job was seen when the leader had run for SEEN_US, and is there still. */
static bool
takes_long(const struct crew *c, int64_t seen_us)
{
	return 2 * (leader_ran_us(c) - seen_us) >= c->config.takeover_after_us ||
	       !is_runnable(c->leader);
}

static void *
run_monitor(void *arg)
{
	struct crew *c = arg;
	int64_t seen_us = 0;
	uint64_t last = 0;
	int quiet = 0;

	crew_enter_role("monitor");
	while (!atomic_load(&c->over)) {
		uint64_t now;
		bool computes;

		tick(c, (last & 1) != 0);
		now = atomic_load(&c->lead);
		computes = c->gives_way && seats_look(c);
		if (!crew_settled(c))
			crew_settle(c);
		else if (computes || now != last)
			quiet = 0;
		else if ((now & 1) == 0 && ++quiet >= QUIET_LOOKS)
			sleep_until_woken(c, now);
		/* A spare is made before it is needed, and at normal priority: here. */
		(void)crew_spare(c);
		if (now != last && (now & 1) != 0)
			seen_us = leader_ran_us(c);
		else if ((now & 1) != 0 && takes_long(c, seen_us))
			crew_take_over(c, now);
		last = now;
	}
	return NULL;
}

int
monitor_start(struct crew *c)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &c->config.waiting);
	err = -pthread_create(&c->monitor, &attr, run_monitor, c);
	pthread_attr_destroy(&attr);
	c->monitored = err == 0;
	return err;
}

void
monitor_stop(struct crew *c)
{
	if (!c->monitored)
		return;
	crew_wake_monitor(c);
	pthread_join(c->monitor, NULL);
	c->monitored = false;
}
