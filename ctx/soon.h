/* SPDX-License-Identifier: MIT */
/*
 * Ends for who must not wait for a lock, as the server's loop must not for one that a thread
 * holds which has lost its processor. The state is there at once; whoever hangs on the context is
 * told by a thread of the process's own. The server includes this beside ctx.h.
 */
#ifndef BATON_CTX_SOON_H
#define BATON_CTX_SOON_H

#include <baton/ctx.h>

/* Starts that thread, unless it runs. 0, or a negative errno: then the calls below do all of it
 * themselves. Each call is to be followed by one of the other, and the last of those ends it. */
int ctxi_soon_start(void);
void ctxi_soon_stop(void);
/* As ctx_cancel_cause(). ctx was given to ctxi_calls_count(), which sees that it stays. */
void ctxi_soon_cancel(struct ctx *ctx, const struct ctx_cause *cause);
/* The same for ctxi_due_over(). */
void ctxi_soon_over(struct ctx *ctx);

#endif
