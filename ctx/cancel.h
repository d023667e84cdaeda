/* SPDX-License-Identifier: MIT */
/*
 * The tree of what can end: who hangs on whom. It knows neither what is told of an end, which is a
 * function in the link, nor who ends a context in time.
 */
#ifndef BATON_CTX_CANCEL_H
#define BATON_CTX_CANCEL_H

#include "ctx/lock.h"
#include "ctx/node.h"

/* Ties link to up (NULL: nothing to tie), or returns the state if that has ended. */
uintptr_t ctxi_attach(struct ctxi_link *link, const struct ctx *up);
/* Unties it; when this returns nobody reaches it any more. */
void ctxi_detach(struct ctxi_link *link);
/* If the canceler has ended, and who ended it has not come to link yet, tells it now. */
void ctxi_overtake(struct ctxi_link *link);
/* A new node, tied to parent's canceler, or ended with it; not yet guarded or armed. */
struct ctxi_node *ctxi_node_new(TALLOC_CTX *mem, const struct ctx *parent, enum ctx_kind kind);
/* Ends node, without a lock. False: something hangs on it, or it on something, and ctxi_end is to
 * follow. */
bool ctxi_end_alone(struct ctxi_node *node, uintptr_t state);
/* Ends node and what hangs on it, and unties it. */
void ctxi_end(struct ctxi_node *node, uintptr_t state);
/* The same for one whose stripe is held and which was taken off the heap. */
void ctxi_end_locked(struct ctxi_node *node, uintptr_t state);
/* Sees that freeing node ends it first. Under the stripe, or before others know node. */
void ctxi_guard(struct ctxi_node *node);

/* Marks an fd that a thread polls readable, as ctx_done() does. */
void ctxi_fd_signal(int fd);

#endif
