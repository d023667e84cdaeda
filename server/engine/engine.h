/* SPDX-License-Identifier: MIT */
/*
 * The engine: a crew of threads of which one leads and others work, so that whoever leads may
 * run a job itself and yet never keeps anybody waiting for long.
 *
 * The leader runs jobs of its own accord, between crew_begin and crew_end. If one takes long,
 * another thread leads on, and the first goes on with its job as a worker. Jobs can also be given
 * to workers at once. What a job is, and what leading consists of, the engine does not know: it
 * is told by struct crew_jobs. It knows no HTTP, no sockets and no service manager.
 *
 * The scheduler (server/sched) gives jobs and takes them back; the server starts the crew and
 * waits for its end.
 */
#ifndef BATON_SERVER_ENGINE_H
#define BATON_SERVER_ENGINE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

#include "server/base/job.h"

struct crew;

/* What the crew calls; data is that of the configuration. */
struct crew_jobs {
	/* In a worker. crew_give_back ends it. */
	void (*run)(void *data, struct crew_job *job);
	/* Leads, in the calling thread: until everything is over (true: all threads end), or until
	 * crew_end has said that another thread leads (false). Called by each thread that comes
	 * to lead, never by two at a time. */
	bool (*lead)(void *data);
	/* In a thread that is about to lead: what the leader before it has begun goes on elsewhere. */
	void (*taken_over)(void *data);
	/* Wakes the leader from its wait, as there may be something to take back, or the thread for
	 * which crew_relieves had to be false. In any thread. */
	void (*wake)(void *data);
};

struct crew_config {
	int threads_max;
	int worker_nice;           /* the nice value of jobs that compute for long */
	int64_t takeover_after_us; /* so long the leader may run a job */
	size_t stack_bytes;        /* of each thread */
	sigset_t waiting;          /* the signals that a thread blocks while it waits for a job */
	sigset_t working;          /* and while it leads or runs a job */
	void (*thread_start)(void *); /* called first and last in each thread; may be NULL */
	void (*thread_end)(void *);
	void *thread_data;
	bool debug; /* nobody is taken over */
	const struct crew_jobs *jobs;
	void *data; /* passed to them */
};

/* BATON_DEBUG=1, or a tracer at the start: a breakpoint is no emergency. */
bool crew_debugging(void);

/* On success there is a leader. On error *crew is NULL. */
int crew_start(TALLOC_CTX *mem, const struct crew_config *config, struct crew **crew);
/*
 * Waits until all threads are gone, grace_ms at the most once the leader has ended; returns how
 * many are left in their jobs. If none is, crew_take_back has all that did not come back in time
 * and all that no worker has begun; then the crew can be freed. A NULL crew has no threads.
 */
int crew_join(struct crew *c, int grace_ms);

/* ---- Only the leader calls these ------------------------------------------------------------- */

/* The leader begins and ends a job of its own. crew_end is false if it was taken over meanwhile. */
uint64_t crew_begin(struct crew *c);
bool crew_end(struct crew *c, uint64_t begun);
/* Its thread, as the leader asks it: gettid(2) would be a system call for each job. */
pid_t crew_leader(const struct crew *c);
/* Hands a job to a worker; never fails, at worst it waits for a thread. */
void crew_give(struct crew *c, struct crew_job *job);
/* A job that has come back; NULL: none. */
struct crew_job *crew_take_back(struct crew *c);
/* True if a spare waits, or is certain to come. */
bool crew_has_spare(const struct crew *c);
/* True if another thread leads on when a job takes long in the leader, or if there is no other thread
 * at all, for then nobody else could run it. If false, the leader is woken when a spare comes. */
bool crew_relieves(struct crew *c);
/* So many may be handed out at a time. */
unsigned crew_size(const struct crew *c);

/* ---- Any thread may call this ---------------------------------------------------------------- */

/* Whoever ran it gives it back to the leader. */
void crew_give_back(struct crew *c, struct crew_job *job);

#endif
