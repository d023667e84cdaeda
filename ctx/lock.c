/* SPDX-License-Identifier: MIT */
/* The stripes, and what makes fork() find every lock free: see lock.h. */
#include "ctx/lock.h"

#include <stddef.h>

struct ctxi_stripe ctxi_stripes[CTXI_STRIPES] = {
    [0 ... CTXI_STRIPES - 1] = {PTHREAD_MUTEX_INITIALIZER},
};

/* NULL: the file that has this rank's lock is not in this program. */
static void (*handlers[CTXI_RANKS])(enum ctxi_fork when);

void
ctxi_on_fork(enum ctxi_rank rank, void (*handle)(enum ctxi_fork when))
{
	handlers[rank] = handle;
}

/* fork() must find every lock free, or the child would never see it given back. */
static void
before_fork(void)
{
	for (int i = 0; i < CTXI_STRIPES; i++)
		ctxi_lock(i);
	for (int i = 0; i < CTXI_RANKS; i++)
		if (handlers[i] != NULL)
			handlers[i](CTXI_PREPARE);
}

static void
after_fork(enum ctxi_fork when)
{
	for (int i = CTXI_RANKS; i-- > 0;)
		if (handlers[i] != NULL)
			handlers[i](when);
	for (int i = 0; i < CTXI_STRIPES; i++)
		ctxi_unlock(i);
}

static void
after_fork_in_parent(void)
{
	after_fork(CTXI_PARENT);
}

static void
after_fork_in_child(void)
{
	after_fork(CTXI_CHILD);
}

__attribute__((constructor)) static void
guard_fork(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
