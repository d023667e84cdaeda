/* SPDX-License-Identifier: MIT */
/*
 * Who computes for long gives way to the loop. Each thread of the crew has a seat, where the
 * monitor sees whether it is in a job, and how much processor time that has taken. A job
 * that has had more than its share is made nice, and its thread ends with it: an unprivileged
 * process can raise a nice value only.
 *
 * Others stay as they are. A job that waits for a database or a program needs no processor,
 * a program that it starts has the nice value of its thread, and who is nice and loses its
 * processor in the middle of something that others wait for (a lock of malloc's, say) keeps them
 * waiting until all who are not nice have had enough. For the same reason it gets short slices of
 * time, where the kernel (6.12) knows them: as little in all, but more often.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/engine/crew.h"

/* So many times takeover_after_us of processor time, then it is nice. */
#define SHARE    10
#define SLICE_NS 300000
/* Running jobs that one look of the monitor asks after: each costs a system call. */
#define LOOKS    16

/* What a thread does, in seat->run: numbers from RUNS on tell jobs apart. */
enum { NOTHING, LEADS, TAKEN_OVER, RUNS };

struct seat {
	atomic_bool taken;
	atomic_bool held; /* by the monitor while it looks, or by the thread at a job's end */
	_Atomic uint32_t run;
	bool nice; /* while held */
	pid_t tid;
	clockid_t clock;
	/* Only the monitor touches this: what it saw of which run when it looked first, and last. */
	uint32_t seen;
	int64_t first_us, last_us;
};

static _Thread_local struct seat *mine;
static _Thread_local uint32_t runs;

int
seats_new(struct crew *c)
{
	/* By calloc, for talloc would write the zeroes, and so take the memory at once. */
	c->seats = calloc((size_t)c->config.threads_max, sizeof(*c->seats));
	return c->seats == NULL ? -ENOMEM : 0;
}

/* There are as many as there may be threads. */
void
seat_take(struct crew *c)
{
	int i = 0, used;

	while (atomic_load(&c->seats[i].taken) || atomic_exchange(&c->seats[i].taken, true))
		i = (i + 1) % c->config.threads_max;
	used = atomic_load(&c->seats_used);
	while (used <= i && !atomic_compare_exchange_weak(&c->seats_used, &used, i + 1))
		;
	mine = &c->seats[i];
	mine->tid = gettid();
	(void)pthread_getcpuclockid(pthread_self(), &mine->clock);
}

static void
hold(struct seat *seat)
{
	while (atomic_exchange(&seat->held, true))
		sched_yield(); /* the monitor holds it for two system calls at the most */
}

void
seat_leave(void)
{
	hold(mine);
	atomic_store(&mine->run, NOTHING);
	mine->nice = false;
	atomic_store(&mine->held, false);
	atomic_store(&mine->taken, false);
	mine = NULL;
}

void
seat_lead(struct crew *c)
{
	c->leader_seat = mine;
	atomic_store(&mine->run, LEADS);
}

void
seat_taken_over(struct seat *leader)
{
	uint32_t leads = LEADS;

	(void)atomic_compare_exchange_strong(&leader->run, &leads, TAKEN_OVER);
}

void
seat_begin(void)
{
	runs = runs < RUNS || runs == UINT32_MAX ? RUNS : runs + 1;
	atomic_store(&mine->run, runs);
}

bool
seat_end(void)
{
	bool nice;

	hold(mine);
	atomic_store(&mine->run, NOTHING);
	nice = mine->nice;
	atomic_store(&mine->held, false);
	return nice;
}

/* ---- The monitor's look ---------------------------------------------------------------------- */

/* sched_setattr(2), for which glibc has no function yet. */
static void
make_nice(pid_t tid, int nice)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline_ns, period_ns;
	} attr = {
	    .size = sizeof(attr), .policy = SCHED_OTHER, .nice = nice, .runtime_ns = SLICE_NS};

	if (sched_getscheduler(tid) != SCHED_OTHER ||
	    syscall(SYS_sched_setattr, tid, &attr, 0) != 0)
		(void)setpriority(PRIO_PROCESS, (id_t)tid, nice);
}

/* True if it computes and is not nice yet. */
static bool
look_at(struct crew *c, struct seat *seat, uint32_t run)
{
	struct timespec ts;
	int64_t us, before = seat->last_us;

	if (clock_gettime(seat->clock, &ts) != 0)
		return false;
	us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	seat->last_us = us;
	if (seat->seen != run) {
		seat->seen = run;
		seat->first_us = us;
		return true;
	}
	if (us - seat->first_us < SHARE * c->config.takeover_after_us)
		return us > before;
	seat->nice = true;
	make_nice(seat->tid, c->config.worker_nice);
	return false;
}

bool
seats_look(struct crew *c)
{
	int used = atomic_load(&c->seats_used), looks = 0;
	bool computes = false;

	for (int n = 0; n < used && looks < LOOKS; n++) {
		struct seat *seat = &c->seats[c->seats_at++ % used];
		uint32_t run = atomic_load(&seat->run);

		if (run < TAKEN_OVER || atomic_exchange(&seat->held, true))
			continue;
		/* As long as it is held, the thread is in this job, and does not end. */
		if (atomic_load(&seat->run) == run && !seat->nice) {
			computes = look_at(c, seat, run) || computes;
			looks++;
		}
		atomic_store(&seat->held, false);
	}
	return computes;
}
