/* SPDX-License-Identifier: MIT */
/* The count of what still uses a context's memory: see calls.h. Uses node.c. */
#include "ctx/calls.h"

#include "ctx/node.h"

/* In a count: somebody has asked, and is told when no other bit is set any more. */
#define ASKED (1u << 31)

void
ctxi_calls_count(struct ctxi_calls *calls, struct ctx *root)
{
	atomic_init(&calls->n, 0);
	atomic_init(&calls->listed, false);
	calls->root = root;
	ctxi_node(root)->calls = calls;
}

bool
ctxi_calls_settled(struct ctxi_calls *calls, void (*settled)(void *data), void *data)
{
	if (atomic_load_explicit(&calls->n, memory_order_acquire) == 0)
		return true;
	calls->settled = settled;
	calls->data = data;
	return atomic_fetch_add(&calls->n, ASKED) == 0;
}

struct ctxi_calls *
ctxi_calls_of(const struct ctx *canceler)
{
	if (canceler == NULL || canceler->kind == CTX_FOREIGN)
		return NULL;
	return ctxi_node(canceler)->calls;
}

void
ctxi_calls_in(struct ctxi_calls *calls)
{
	if (calls != NULL)
		atomic_fetch_add_explicit(&calls->n, 1, memory_order_relaxed);
}

void
ctxi_calls_out(struct ctxi_calls *calls)
{
	if (calls != NULL && atomic_fetch_sub(&calls->n, 1) == ASKED + 1)
		calls->settled(calls->data);
}
