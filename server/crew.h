/* SPDX-License-Identifier: MIT */
/* The crew of threads, shared by crew.c and the monitor that watches the leader. */
#ifndef BATON_SERVER_CREW_H
#define BATON_SERVER_CREW_H

#include <semaphore.h>

#include "server/internal.h"

struct crew {
	struct http_server *server;
	pthread_attr_t attr; /* of every thread: detached, stack_bytes */
	int threads_max;
	int worker_nice;
	atomic_int threads;            /* that exist, the monitor not counted */
	atomic_int made;               /* ever */
	sem_t gone;                    /* posted by each as it ends */
	int joined;                    /* so many of them have been seen to end */
	sem_t led;                     /* posted when there is no leader any more */
	atomic_bool over;              /* everybody ends */
	_Atomic int64_t rest_until_ms; /* no thread is made before: the last attempt failed */
	_Atomic int64_t complained_ms; /* when that was last logged */

	/*
	 * The lead: odd while the leader runs a handler itself, and another number each time.
	 * Whoever changes it from odd to even by compare-and-exchange is, or names, the leader.
	 */
	_Atomic uint64_t lead;
	pid_t leader;             /* the leader's; 0 before the first */
	atomic_int spares;        /* parked threads that can lead */
	atomic_bool spare_coming; /* one is being made */
	sem_t spare;

	/* Work handed out: written by the leader at head, read by workers at tail. */
	_Atomic(struct http_request *) *ring;
	size_t ring_size; /* a power of 2 */
	size_t head;
	atomic_size_t tail;
	sem_t work;       /* how much there is */
	atomic_int slack; /* workers idle or in the making, less work not taken yet */
	atomic_bool growing;
	atomic_int dismissed; /* idle workers that shall end, so that a spare can be made */
	_Atomic(struct http_request *) done; /* what has come back */

	atomic_bool monitor_asleep;
	sem_t monitor_sem;
	pthread_t monitor;
	bool monitored;
};

/* Makes one that can lead, unless there is one or it is on its way; -EUSERS: there are as many
 * threads as there may be. The monitor's. */
int crew_spare(struct crew *c);
bool crew_take_over(struct crew *c, uint64_t seen);
void crew_retry(struct crew *c);

/* Waits for a semaphore, until such a moment of the monotonic clock; false if it passed. */
bool crew_wait_until(sem_t *sem, const struct timespec *until);

int monitor_start(struct crew *c);
void monitor_stop(struct crew *c);
void monitor_wake(struct crew *c);

#endif
