/* SPDX-License-Identifier: MIT */
/*
 * How contexts look inside, and what the files of ctx/ share; no other folder includes it.
 *
 * Every context knows its nearest ancestor that can end (itself, maybe): `canceler`. Thus
 * err, cause and deadline cost one step, however many values lie between.
 */
#ifndef BATON_CTX_INTERNAL_H
#define BATON_CTX_INTERNAL_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include <baton/ctx.h>

#include "ctx/calls.h"
#include "ctx/lock.h"

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
	bool armed;         /* has been in the heap (under the stripe, or before others know it) */
	uint32_t heap_slot; /* CTXI_NOT_ARMED if not in the heap (heap's lock) */
	struct ctxi_calls *calls; /* counts its functions; NULL: nothing does */
};
#define CTXI_NO_DEADLINE INT64_MAX
#define CTXI_NOT_ARMED   UINT32_MAX

struct ctxi_foreign {
	struct ctx ctx;          /* ctx.parent is NULL if the type answers for values */
	const struct ctx *under; /* the parent */
	const struct ctx_type *type;
	void *data;
};

#define ctxi_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline struct ctxi_node *
ctxi_node(const struct ctx *ctx)
{
	return (struct ctxi_node *)(uintptr_t)ctx;
}

static inline const struct ctxi_foreign *
ctxi_foreign(const struct ctx *ctx)
{
	return (const struct ctxi_foreign *)ctx;
}

/* ---- context.c: misuse, allocation, reading ---------------------------------------- */

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

/* The state of a context that can end, as in ctxi_node, be it foreign. */
uintptr_t ctxi_state(const struct ctx *canceler);

static inline uintptr_t
ctxi_pack(int err, const struct ctx_cause *cause)
{
	if (cause == NULL)
		cause = err == -ETIMEDOUT ? &ctx_deadline_exceeded : &ctx_canceled;
	return (uintptr_t)cause | (err == -ETIMEDOUT);
}

/* ---- cancel.c: the tree ------------------------------------------------------------ */

/* Ties link to up (NULL: nothing to tie), or returns the state if that has ended. */
uintptr_t ctxi_attach(struct ctxi_link *link, const struct ctx *up);
/* Unties it; when this returns nobody reaches it any more. */
void ctxi_detach(struct ctxi_link *link);
/* If the canceler has ended, and who ended it has not come to link yet, tells it now. */
void ctxi_overtake(struct ctxi_link *link);
/* A new node, tied to parent's canceler, or ended with it; not yet guarded or armed. */
struct ctxi_node *ctxi_node_new(TALLOC_CTX *mem, const struct ctx *parent, enum ctx_kind kind);
/* Ends node and what hangs on it, and unties it. */
void ctxi_end(struct ctxi_node *node, uintptr_t state);
/* The same for one whose stripe is held and which was taken off the heap. */
void ctxi_end_locked(struct ctxi_node *node, uintptr_t state);
/* Sees that freeing node ends it first. Under the stripe, or before others know node. */
void ctxi_guard(struct ctxi_node *node);

/* ---- deadline.c, timer.c: the heap of deadlines ------------------------------------- */

/* The deadline of a context that can end, be it foreign; CTXI_NO_DEADLINE if it has none. */
int64_t ctxi_deadline(const struct ctx *canceler);
/* Puts node on the heap. 0, -ENOMEM, or -EAGAIN if there can be no thread. */
int ctxi_timer_arm(struct ctxi_node *node);
/* Takes it off, if it is there; under the node's stripe. */
void ctxi_timer_disarm(struct ctxi_node *node);
/* What fork() does with the heap and its thread. */
void ctxi_timer_fork(enum ctxi_fork when);

/* ---- wait.c -------------------------------------------------------------------------- */

/* Marks the fd of ctx_done() readable. */
void ctxi_fd_signal(int fd);

/* ---- thread.c ----------------------------------------------------------------------- */

/* Starts a detached thread that gets no signals. 0, or a negative errno. */
int ctxi_thread_start(const char *name, size_t stack_bytes, void *(*run)(void *));

#endif
