/* SPDX-License-Identifier: MIT */
/*
 * For who frees memory that functions given to ctx_after_func() use, as the server does at the
 * end of a request: how many of them are not over yet. The server includes this beside ctx.h.
 */
#ifndef BATON_CTX_CALLS_H
#define BATON_CTX_CALLS_H

#include <stdatomic.h>
#include <stdbool.h>

#include <baton/ctx.h>

struct ctxi_calls {
	atomic_uint n;               /* waiting, queued or running */
	void (*settled)(void *data); /* told when the last is over, if one was left */
	void *data;
	struct ctx *root;
	struct ctxi_calls *next; /* in the list of those whose end is to be told (soon.h) … */
	atomic_bool listed;      /* … where it is */
};

/*
 * Counts, from now on, the functions given for root and for contexts derived from it, but for
 * those below a context of a foreign type, whose ends are not root's. root was made by
 * ctx_with_cancel() or its kin, and nothing was derived from it yet. calls must stay until all
 * of these are over: until ctxi_calls_settled() has returned true, or has told.
 */
void ctxi_calls_count(struct ctxi_calls *calls, struct ctx *root);

/*
 * The root has ended, and nobody uses it or what was derived from it any more: true if no
 * function is left. Otherwise the last one that is left calls settled(data) when it has
 * returned, on its thread (or on that of whoever stops it): then the memory may be freed.
 */
bool ctxi_calls_settled(struct ctxi_calls *calls, void (*settled)(void *data), void *data);

/* For those who are counted: what counts the functions of a context that ends with canceler, or
 * NULL, which counts nothing; one more; and one less, with no lock held, for it may free all that
 * the function used. */
struct ctxi_calls *ctxi_calls_of(const struct ctx *canceler);
void ctxi_calls_in(struct ctxi_calls *calls);
void ctxi_calls_out(struct ctxi_calls *calls);

#endif
