/* SPDX-License-Identifier: MIT */
/*
 * Contexts: what a request carries through the functions that work on it: values under
 * typed keys, a deadline, and whether (and why) it has been cancelled.
 *
 * A context is never changed, only derived from: ctx_with_value() and its kin make a child
 * that sees all its parent has, and one thing more. Cancelling a context cancels all that
 * was derived from it, and nothing above it. The semantics are those of Go's package context.
 *
 *	struct ctx *c = ctx_with_timeout(mem, parent, 250);
 *	int rc = fetch(c, ...);		gives up when ctx_err(c) is not 0
 *	talloc_free(c);			done: frees it, and cancels what still hangs on it
 *
 * MEMORY  Each derivation is one allocation under the talloc context given first, and
 * nowhere else. A parent must live as long as its children are used; allocated in one talloc
 * pool, or in the order of derivation under one talloc parent, they do. Freeing a context
 * cancels it. A child that is left over may then still be freed, cancelled and asked for
 * ctx_err() and ctx_cause(), but not for values. What must outlive its parents is made by
 * ctx_without_cancel().
 *
 * THREADS  Any thread may read, derive from or cancel a context while it lives; whoever
 * shares one sees to it that it lives. As everywhere in talloc, a talloc parent belongs to
 * one thread at a time, so each thread derives into memory of its own. No lock is taken for
 * a context that has neither children nor a parent that can be cancelled. After fork() the
 * child may use contexts of its own making, and read the inherited ones.
 *
 * ERRORS  Functions that make something return NULL only for lack of memory (or of threads).
 * A NULL or freed argument is the caller's bug: it stops the program with a message.
 * CTX_DEBUG, at the library's compilation, makes the check for freed ones thorough.
 */
#ifndef BATON_CTX_H
#define BATON_CTX_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* ctx_cause is a struct and a function */
#endif
#pragma GCC visibility push(default)

struct ctx;

/* ---- Roots ------------------------------------------------------------------------- */

/* Never cancelled, no values, no deadline: what main() and servers begin with. */
const struct ctx *ctx_background(void);
/* The same, for code that does not know yet which context it should be given. */
const struct ctx *ctx_todo(void);

/* ---- Values ------------------------------------------------------------------------ */

/*
 * CTX_KEY(user_key, struct user); defines a key for values of type `struct user *`, private
 * to this file. Its address is its identity: keys of two files never collide, whatever their
 * names. For a key that several files share, put CTX_KEY_DECLARE(user_key, struct user); in a
 * header and CTX_KEY_DEFINE(user_key, struct user); in one file. The …_COPY forms also name
 * the function that copies a value for ctx_without_cancel():
 * `void *copy(TALLOC_CTX *mem, const void *value)`, NULL for lack of memory.
 */
struct ctx_key {
	const char *name, *type; /* for ctx_text() */
	void *(*copy)(TALLOC_CTX *mem, const void *value);
};
#define CTX_KEY(name, T)                   CTX_KEY_COPY(name, T, NULL)
#define CTX_KEY_COPY(name, T, copy)        static CTX_KEY_DECLARED_(name, T) = {{#name, #T, copy}}
#define CTX_KEY_DECLARE(name, T)           extern CTX_KEY_DECLARED_(name, T)
#define CTX_KEY_DEFINE(name, T)            CTX_KEY_DEFINE_COPY(name, T, NULL)
#define CTX_KEY_DEFINE_COPY(name, T, copy) const union ctx_key_of_##name name = {{#name, #T, copy}}

/*
 * const struct ctx *ctx_with_value(TALLOC_CTX *mem, const struct ctx *parent, &key, T *v);
 * A child of parent in which key stands for v. v is not copied or owned, and may be NULL,
 * which is not the same as absent. A v of another type does not compile. Go: WithValue.
 */
#define ctx_with_value(mem, parent, keyp, v) \
	ctx_with_value_((mem), (parent), CTX_KEY_OF_(keyp), CTX_TYPED_(keyp, v))

/* T *ctx_value(const struct ctx *ctx, &key); the nearest value of key, NULL if absent. */
#define ctx_value(ctx, keyp) ((CTX_PTR_(keyp))ctx_value_((ctx), CTX_KEY_OF_(keyp)))

/* bool ctx_has(const struct ctx *ctx, &key); whether key is present, be it with NULL. */
#define ctx_has(ctx, keyp) ctx_has_((ctx), CTX_KEY_OF_(keyp))

/* ---- Cancellation ------------------------------------------------------------------ */

/*
 * Why a context ended. A cause is a static object and is compared by address, like Go's
 * sentinel errors; err is the negative errno that its meaning comes nearest to.
 */
struct ctx_cause {
	int err;
	const char *text;
};
extern const struct ctx_cause ctx_canceled;          /* cancelled and no cause given */
extern const struct ctx_cause ctx_deadline_exceeded; /* deadline passed, no cause given */

/*
 * A child of parent that can be cancelled. Only who has this non-const pointer can: hand it
 * on as `const struct ctx *`. If parent has ended, so has the child, with the same cause.
 * Go: WithCancel, and WithCancelCause too, since any context may be cancelled with a cause.
 */
struct ctx *ctx_with_cancel(TALLOC_CTX *mem, const struct ctx *parent);
#define ctx_with_cancel_cause ctx_with_cancel

/*
 * Ends ctx and all that was derived from it. The first cancellation decides err and cause;
 * later ones do nothing. Everything below has ended when it returns, but it does not wait
 * for anybody's work. A NULL cause is ctx_canceled. From any thread.
 */
void ctx_cancel(struct ctx *ctx);
void ctx_cancel_cause(struct ctx *ctx, const struct ctx_cause *cause);

/* 0 while ctx lives, then for ever -ECANCELED, or -ETIMEDOUT if it was its deadline. */
int ctx_err(const struct ctx *ctx);
/* NULL while ctx lives, then the cause of its end. */
const struct ctx_cause *ctx_cause(const struct ctx *ctx);

/* ---- Deadlines --------------------------------------------------------------------- */

/*
 * A child of parent that ends by itself at a moment of CLOCK_MONOTONIC, in nanoseconds, or
 * after timeout_ms milliseconds; a moment that has passed ends it at birth. If parent's
 * deadline is earlier, that one counts. cause (NULL: ctx_deadline_exceeded) is what
 * ctx_cause() says if the deadline ends it; ctx_err() is then -ETIMEDOUT. One thread
 * serves the deadlines of the process; it is started by the first one.
 * Go: WithDeadline, WithTimeout, WithDeadlineCause, WithTimeoutCause.
 */
struct ctx *ctx_with_deadline(TALLOC_CTX *mem, const struct ctx *parent, int64_t at_ns);
struct ctx *ctx_with_timeout(TALLOC_CTX *mem, const struct ctx *parent, int64_t timeout_ms);
struct ctx *ctx_with_deadline_cause(
    TALLOC_CTX *mem, const struct ctx *parent, int64_t at_ns, const struct ctx_cause *cause);
struct ctx *ctx_with_timeout_cause(
    TALLOC_CTX *mem, const struct ctx *parent, int64_t timeout_ms, const struct ctx_cause *cause);

/* Whether ctx has a deadline, and at what moment (untouched if not). */
bool ctx_deadline(const struct ctx *ctx, int64_t *at_ns);
/* Milliseconds to the deadline, rounded up: 0 if ctx has ended, -1 if it has no deadline. As
 * poll(2) and its kin want it. */
int ctx_remaining_ms(const struct ctx *ctx);
/* CLOCK_MONOTONIC now, in nanoseconds. */
int64_t ctx_now_ns(void);

/* ---- Blocking, with an end --------------------------------------------------------- */

/* Sleeps ms milliseconds (negative: for ever), or less if ctx ends. 0, or as ctx_err(). */
int ctx_sleep(const struct ctx *ctx, int64_t ms);

/*
 * poll(2) that also returns when ctx ends: as ctx_err() then, be other fds ready or not.
 * Otherwise how many fds are ready (0: timeout_ms passed), or a negative errno.
 */
int ctx_poll(const struct ctx *ctx, struct pollfd *fds, nfds_t nfds, int timeout_ms);

/*
 * An fd that becomes readable when ctx ends, for a poll loop of one's own; made on first
 * demand, the same each time, closed when the context that can be cancelled is freed: never
 * read, write or close it. -ENOENT if ctx cannot end, or another negative errno; poll(2)
 * ignores these. A context of a foreign type has none: derive with ctx_with_cancel() first.
 * Go: Done.
 */
int ctx_done(const struct ctx *ctx);

/* ---- Acting on the end ------------------------------------------------------------- */

/*
 * Calls fn(data) once when ctx ends (at once if it has ended), on a thread of the library
 * and with no lock held; fn may block. Belongs to mem; freeing it stops it, and like
 * ctx_after_stop() does not wait for a call that has begun. Go: AfterFunc.
 */
struct ctx_after *
ctx_after_func(TALLOC_CTX *mem, const struct ctx *ctx, void (*fn)(void *data), void *data);
/* True if this has kept fn from being called; false if it has begun or was stopped before. */
bool ctx_after_stop(struct ctx_after *after);
/* Waits for fn to return if ctx has ended, unless it was stopped: after a stop and this, data
 * may be freed. Not from within fn. */
void ctx_after_wait(struct ctx_after *after);

/* ---- Outliving --------------------------------------------------------------------- */

/*
 * All the values that parent sees, never cancelled, without deadline; refers to nothing of
 * its ancestors, so it may outlive them under another talloc parent. Values whose key has a
 * copy function are copied and freed with it; others are the same pointers, and who made
 * them sees that they live. (Values of a foreign type cannot be listed: the nearest one among
 * the ancestors must live on.) Go: WithoutCancel.
 */
const struct ctx *ctx_without_cancel(TALLOC_CTX *mem, const struct ctx *parent);

/* ---- Looking at it ----------------------------------------------------------------- */

/* The chain as text, for people, under mem: ctx_background.with_value(user_key).with_cancel
 * NULL for lack of memory. */
char *ctx_text(TALLOC_CTX *mem, const struct ctx *ctx);

/* ---- Contexts of another make ------------------------------------------------------ */

/*
 * Something else that can end (a job of some framework, an event loop's task) as a context.
 * Callbacks may be NULL: the parent answers then, as in Go with an embedded Context. They
 * may come from any thread, with no lock of this library held.
 */
struct ctx_watch { /* in the hands of a foreign type: a member of a list of its own */
	struct ctx_watch *next, *prev;
};
struct ctx_type {
	const char *name; /* for ctx_text() */
	/* True and *value if it knows key; otherwise the parent is asked. */
	bool (*value)(void *data, const struct ctx_key *key, const void **value);
	bool (*deadline)(void *data, int64_t *at_ns);
	/* As ctx_err(); *cause is NULL before, and may be left so. */
	int (*err)(void *data, const struct ctx_cause **cause);
	/*
	 * watch: remember w and return true, or return false if it has ended. unwatch: forget w,
	 * if it is still remembered. On the end: take each w off the list and ctx_watch_fire()
	 * it, under the lock that watch and unwatch take, so that unwatch waits for a fire under
	 * way. A type that has one of these or err or deadline needs watch and unwatch.
	 */
	bool (*watch)(void *data, struct ctx_watch *w);
	void (*unwatch)(void *data, struct ctx_watch *w);
};

/* A context of that type under parent. Type and data must live as long as its children. */
const struct ctx *
ctx_foreign(TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_type *type, void *data);
/* Ends what waits behind w: err is -ECANCELED or -ETIMEDOUT, a NULL cause the one for err. */
void ctx_watch_fire(struct ctx_watch *w, int err, const struct ctx_cause *cause);

/* ---- What the macros above stand on ------------------------------------------------ */

const struct ctx *ctx_with_value_(
    TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_key *key, const void *value);
void *ctx_value_(const struct ctx *ctx, const struct ctx_key *key);
bool ctx_has_(const struct ctx *ctx, const struct ctx_key *key);

/* A key is a union with a T * that is never used but for its type. */
#define CTX_KEY_DECLARED_(name, T)      \
	const union ctx_key_of_##name { \
		struct ctx_key key;     \
		T *type_;               \
	} name

/* The key in it (which is checked to be one), also of NULL, to be complained about. */
#define CTX_KEY_OF_(keyp) (1 ? (const struct ctx_key *)(keyp) : &(keyp)->key)

#pragma GCC visibility pop
#ifdef __cplusplus
#pragma GCC diagnostic pop
} /* extern "C" */
template <class K>
inline const void *
ctx_typed_(const K *, decltype(K::type_) v)
{
	return v;
}
#define CTX_PTR_(keyp)      decltype((keyp)->type_)
#define CTX_TYPED_(keyp, v) ctx_typed_((keyp), (v))
#else
#define CTX_PTR_(keyp) __typeof__(*(keyp)->type_) *
/* v must be a pointer (the outer one), and of the key's type or NULL (the inner one). */
/* clang-format off */
#define CTX_TYPED_(keyp, v)                                                   \
	_Generic((__typeof__(*(v)) *)0,                                       \
	    default: _Generic(1 ? (keyp)->type_ : (v), CTX_PTR_(keyp): (v)))
/* clang-format on */
#endif

#endif
