/* SPDX-License-Identifier: MIT */
/*
 * The locks of contexts, the order in which they are taken, and what fork() does with them. At the
 * bottom of the tree: this knows no context, and nobody's lock but the stripes.
 *
 * All contexts connected by cancellation (a tree) share one mutex out of a static array, its
 * `stripe`. Locks therefore outlive all contexts, and a child may be freed while its parent is
 * being freed in another thread. Order: user's lock in a foreign type, stripe, then one of the
 * ranks below; never two stripes. No callback of a user's runs under any.
 */
#ifndef BATON_CTX_LOCK_H
#define BATON_CTX_LOCK_H

#include <pthread.h>
#include <stdint.h>

#define CTXI_STRIPES 32
extern struct ctxi_stripe {
	_Alignas(64) pthread_mutex_t lock;
} ctxi_stripes[CTXI_STRIPES];

/* The stripe of the tree with that root: its address, multiplicatively hashed. */
static inline uint8_t
ctxi_stripe_of(const void *root)
{
	return ((uintptr_t)root >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 59;
}
_Static_assert(CTXI_STRIPES == 1 << (64 - 59), "a hash has as many bits as there are stripes");

static inline void
ctxi_lock(uint8_t stripe)
{
	pthread_mutex_lock(&ctxi_stripes[stripe].lock);
}

static inline void
ctxi_unlock(uint8_t stripe)
{
	pthread_mutex_unlock(&ctxi_stripes[stripe].lock);
}

/* Whose locks there are besides, in the order in which fork() takes them, after the stripes. */
enum ctxi_rank { CTXI_RANK_TIMERS, CTXI_RANK_WORKERS, CTXI_RANK_SOON, CTXI_RANKS };

/* PREPARE: take the lock. The others: see to what the child lacks, and give it back. */
enum ctxi_fork { CTXI_PREPARE, CTXI_PARENT, CTXI_CHILD };

/* What to call at each fork(). To be called once for a rank, before main(): by a constructor. */
void ctxi_on_fork(enum ctxi_rank rank, void (*handle)(enum ctxi_fork when));

#endif
