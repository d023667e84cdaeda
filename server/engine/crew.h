/* SPDX-License-Identifier: MIT */
/* The crew of threads: what the files of the engine share, and nobody else knows (engine.h). */
#ifndef BATON_SERVER_CREW_H
#define BATON_SERVER_CREW_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "server/engine/engine.h"
#include "server/engine/ring.h"

struct crew {
	struct crew_config config;
	pthread_attr_t attr;           /* of every thread: detached, stack_bytes, without signals */
	bool gives_way;                /* worker_nice is more than the program's own nice value */
	atomic_int threads;            /* that exist, the monitor not counted */
	atomic_int made;               /* ever */
	sem_t gone;                    /* posted by each as it ends */
	int joined;                    /* so many of them have been seen to end */
	sem_t led;                     /* posted when there is no leader any more */
	atomic_bool over;              /* everybody ends */
	_Atomic int64_t rest_until_ms; /* no thread is made before: the last attempt failed */
	_Atomic int64_t complained_ms; /* when that was last logged */

	/*
	 * The lead: odd while the leader runs a job itself, and another number each time.
	 * Whoever changes it from odd to even by compare-and-exchange is, or names, the leader.
	 */
	_Atomic uint64_t lead;
	pid_t leader;              /* its thread's id; 0 before the first */
	clockid_t leader_clock;    /* of the time that its thread has run */
	atomic_int spares;         /* parked threads that can lead */
	atomic_bool spare_coming;  /* one is being made */
	atomic_bool relief_wanted; /* there was none: the leader is to be woken when one comes */
	sem_t spare;

	struct ring handed; /* jobs, from the leader to workers */
	sem_t work;         /* how many there are */
	atomic_int slack;   /* workers idle or in the making, less work not taken yet */
	atomic_bool growing;
	atomic_int dismissed; /* idle workers that shall end, so that a spare can be made */
	_Atomic(struct crew_job *) done; /* what has come back */
	struct crew_job *back;           /* what the leader has fetched of it */

	struct seat *seats;       /* of every thread, threads_max */
	atomic_int seats_used;    /* those beyond were never taken */
	unsigned seats_at;        /* where the monitor looks next */
	struct seat *leader_seat; /* only the leader touches it */

	atomic_bool monitor_asleep;
	sem_t monitor_sem;
	pthread_t monitor;
	bool monitored;
};

/* ---- crew_thread.c: threads, and how they wait ------------------------------------------------- */

/* Makes a thread; -EUSERS: there are as many as there may be. */
int crew_spawn(struct crew *c, void *(*run)(void *));
/* The first and the last that a thread does. */
void crew_thread_begins(struct crew *c);
void crew_thread_ends(struct crew *c);
/* Names the calling thread. */
void crew_enter_role(const char *name);
/* The calling thread's signal mask: while it waits for work, and while it may run a job. */
void crew_signals_wait(const struct crew *c);
void crew_signals_work(const struct crew *c);
int crew_wait_for(sem_t *sem);
/* Waits for a semaphore, until such a moment of the monotonic clock; false if it passed. */
bool crew_wait_until(sem_t *sem, const struct timespec *until);
/* Makes the monitor look, if it sleeps. */
void crew_wake_monitor(struct crew *c);

/* ---- crew_work.c: workers --------------------------------------------------------------------- */

/* Works until it shall end, after a first job if it has led before. */
void crew_work(struct crew *c, bool led);
/* Ends an idle worker, if there is one and none is about to end. The monitor calls it. */
void crew_dismiss(struct crew *c);
/* True if there are as many workers as there should be; if not, crew_settle makes a step towards it.
 * The monitor calls them. */
bool crew_settled(struct crew *c);
void crew_settle(struct crew *c);
/* Takes one from a count, if there is any. */
bool crew_take_one(atomic_int *count);

/* ---- crew_seat.c: who computes for long ---------------------------------------------------------- */

int seats_new(struct crew *c);
/* For the calling thread, which has one from its first act to its last. */
void seat_take(struct crew *c);
void seat_leave(void);
/* It leads; a job begins elsewhere than in the leader; one ends, or a leader is leader no more:
 * true if it is nice now, so that it shall end. */
void seat_lead(struct crew *c);
void seat_begin(void);
bool seat_end(void);
/* The monitor says that the leader goes on with its job, as a worker. */
void seat_taken_over(struct seat *leader);
/* The monitor makes nice who has computed for long; true if somebody may have to be soon. */
bool seats_look(struct crew *c);

/* ---- crew_lead.c: leading --------------------------------------------------------------------- */

/* The thread that leads first. */
void *crew_run_leader(void *arg);
/* Makes one that can lead, unless there is one or it is on its way; -EUSERS: there are as many
 * threads as there may be. The monitor calls it. */
int crew_spare(struct crew *c);
bool crew_take_over(struct crew *c, uint64_t seen);
/* Everybody ends. */
void crew_finish(struct crew *c);

/* ---- monitor.c -------------------------------------------------------------------------------- */

int monitor_start(struct crew *c);
void monitor_stop(struct crew *c);

#endif
