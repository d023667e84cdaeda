/* SPDX-License-Identifier: MIT */
/*
 * What can end, and what waits for an end. Whoever has a context may read these, by node.c, without
 * a lock; only cancel.c changes them.
 */
#ifndef BATON_CTX_NODE_H
#define BATON_CTX_NODE_H

#include <stdatomic.h>

#include "ctx/context.h"
#include "ctx/timer.h"

/*
 * Something that is told when a canceler ends: a context, an after_func, a sleeping thread.
 * `busy` says that another thread may reach it (by the canceler's list, a foreign type's, or
 * the timers' heap). Whoever detaches it clears busy as the last touch: while it is set,
 * who wants to free must take the stripe first.
 */
struct ctxi_link {
	struct ctx_watch watch;
	const struct ctx *up; /* the canceler, does not change */
	/* What to do at the end, under the stripe. NULL: it is a context's, which ends too. */
	void (*due)(struct ctxi_link *link);
	uint8_t stripe;
	bool linked; /* is in up's list (under the stripe) */
	atomic_bool busy;
};

/*
 * A context that can end. `state` is 0 while it lives, then the address of its cause, with
 * the lowest bit set if err is -ETIMEDOUT: one store publishes both.
 */
struct ctxi_node {
	struct ctx ctx;
	struct ctxi_link link;
	_Atomic uintptr_t state;
	_Atomic(struct ctx_watch *) children; /* changed under the stripe */
	int64_t deadline_ns;                  /* CTXI_NO_DEADLINE if none */
	atomic_int fd;                        /* eventfd of ctx_done(), -1 before (stripe) */
	struct ctxi_timer timer;              /* of the deadline */
	struct ctxi_calls *calls;             /* counts its functions; NULL: nothing does */
};
#define CTXI_NO_DEADLINE INT64_MAX

static inline struct ctxi_node *
ctxi_node(const struct ctx *ctx)
{
	return (struct ctxi_node *)(uintptr_t)ctx;
}

/* The state of a context that can end, as in ctxi_node, be it foreign. */
uintptr_t ctxi_state(const struct ctx *canceler);

static inline uintptr_t
ctxi_pack(int err, const struct ctx_cause *cause)
{
	if (cause == NULL)
		cause = err == -ETIMEDOUT ? &ctx_deadline_exceeded : &ctx_canceled;
	return (uintptr_t)cause | (err == -ETIMEDOUT);
}

/* The deadline of a context that can end, be it foreign; CTXI_NO_DEADLINE if it has none. */
int64_t ctxi_deadline(const struct ctx *canceler);

#endif
