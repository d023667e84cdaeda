/* SPDX-License-Identifier: MIT */
/*
 * Deadlines for who has a clock of its own, as the server's loop has: making such a context takes
 * no lock, for nobody watches its deadline yet. The server includes this beside ctx.h.
 */
#ifndef BATON_CTX_DUE_H
#define BATON_CTX_DUE_H

#include <baton/ctx.h>

/* A root whose deadline all that is derived from it knows; nothing ends it before one of the next
 * two is called. NULL: no memory. */
struct ctx *ctxi_due_new(TALLOC_CTX *mem, int64_t at_ns);
/* From now on it is ended in time by the process's thread for deadlines, or at once. For a context
 * without a deadline it does nothing. 0, or as ctx_with_deadline() would have failed: -ENOMEM,
 * -EAGAIN. By one thread, once. */
int ctxi_due_watch(struct ctx *ctx);
/* The moment has come: ends it with -ETIMEDOUT, unless it has ended. */
void ctxi_due_over(struct ctx *ctx);

#endif
