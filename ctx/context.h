/* SPDX-License-Identifier: MIT */
/*
 * How contexts look inside. The files of ctx/ are a tree, in which each uses only what stands
 * below it; its place shows in which of these headers it includes:
 *
 *	after  soon  wait  deadline  text	what is called, told, woken or ended in time; a look at it
 *	cancel					who hangs on whom: making, ending and freeing
 *	calls					what counts who still uses its memory
 *	node					what can end, as anybody may read it
 *	foreign  without  bag  registry		no end of their own
 *	context					the chain of values
 *	timer  shard				the heap of moments; a part of the registry
 *	lock  clock  thread			know no context
 *
 * No other folder includes context.h, node.h, cancel.h, timer.h, lock.h, thread.h or shard.h;
 * calls.h, due.h and soon.h are for the server.
 *
 * Every context knows its nearest ancestor that can end (itself, maybe): `canceler`. Thus
 * err, cause and deadline cost one step, however many values lie between.
 */
#ifndef BATON_CTX_CONTEXT_H
#define BATON_CTX_CONTEXT_H

#include <errno.h>
#include <stddef.h>

#include <baton/ctx.h>

#if !defined(CTX_DEBUG) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define CTX_DEBUG 1
#endif

#define CTX_MAGIC 0xc0a7e47u
#define CTX_DEAD  0xdeadc0u

enum ctx_kind {
	CTX_BACKGROUND,
	CTX_TODO,
	CTX_VALUE,
	CTX_CANCEL,
	CTX_DEADLINE,
	CTX_WITHOUT,
	CTX_FOREIGN
};

struct ctx {
	uint32_t magic;
	uint8_t kind;               /* enum ctx_kind */
	uint8_t stripe;             /* of the tree, where this can be cancelled */
	bool guarded;               /* has its destructor (under the stripe) */
	const struct ctx *parent;   /* where to look for values next */
	const struct ctx *canceler; /* nearest that can end, NULL if none can */
	const struct ctx_key *key;  /* of CTX_VALUE, else NULL */
	const void *value;          /* CTX_VALUE: the value; CTX_DEADLINE: the cause */
};

struct ctxi_foreign {
	struct ctx ctx;          /* ctx.parent is NULL if the type answers for values */
	const struct ctx *under; /* the parent */
	const struct ctx_type *type;
	void *data;
};

#define ctxi_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline const struct ctxi_foreign *
ctxi_foreign(const struct ctx *ctx)
{
	return (const struct ctxi_foreign *)ctx;
}

/* Stops the program: `ctx: FUNCTION: WHAT`. */
_Noreturn void ctxi_misuse(const char *function, const char *what);

static inline void
ctxi_check(const struct ctx *ctx, const char *function, const char *what)
{
	if (__builtin_expect(ctx == NULL, 0))
		ctxi_misuse(function, what);
#ifdef CTX_DEBUG
	if (ctx->magic != CTX_MAGIC)
		ctxi_misuse(
		    function, ctx->magic == CTX_DEAD ? "context was freed" : "not a context");
#endif
}
#define CTXI_CHECK(ctx) ctxi_check((ctx), __func__, "NULL context")

/* A context of the given size under mem, filled in as a child of parent. NULL: no memory. */
struct ctx *ctxi_new(
    TALLOC_CTX *mem, const struct ctx *parent, enum ctx_kind kind, size_t size, const char *name);

#endif
