/* SPDX-License-Identifier: MIT */
/*
 * A bag: values under string keys that a chain of middleware fills and handlers read, in the
 * manner of alexedwards/stack. Unlike the rest of a context it is mutable: who puts something
 * in is seen by all who hold a context with this bag. Prefer typed keys (ctx.h) where you can;
 * a bag is for keys that are not known when the program is compiled.
 *
 *	ctx = ctx_with_bag(mem, ctx, NULL);
 *	ctx_bag_put(ctx, "token", token);
 *	...
 *	struct token *t = ctx_bag_get(ctx, "token");
 *
 * All functions may be called from any thread. A bag does not own its values.
 */
#ifndef BATON_BAG_H
#define BATON_BAG_H

#include <baton/ctx.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ctx_bag;

/* An empty bag under mem. NULL: no memory. */
struct ctx_bag *ctx_bag_new(TALLOC_CTX *mem);
/* One with the same keys and values, under mem; changes to either leave the other alone. */
struct ctx_bag *ctx_bag_copy(TALLOC_CTX *mem, struct ctx_bag *bag);

/*
 * A child of parent with this bag, or with a new one of its own, in the same allocation, if
 * bag is NULL; that one ends with the context. The nearest bag is the one that counts.
 * ctx_without_cancel() copies it, not its values: they must live as long as they are asked for.
 * NULL: no memory.
 */
const struct ctx *ctx_with_bag(TALLOC_CTX *mem, const struct ctx *parent, struct ctx_bag *bag);
/*
 * const struct ctx *ctx_with_bag_and_value(TALLOC_CTX *mem, const struct ctx *parent, &key, T *v);
 * As ctx_with_value() of ctx_with_bag(mem, parent, NULL), in one allocation.
 */
#define ctx_with_bag_and_value(mem, parent, keyp, v) \
	ctx_with_bag_and_value_((mem), (parent), CTX_KEY_OF_(keyp), CTX_TYPED_(keyp, v))
/* The nearest bag, NULL if there is none. */
struct ctx_bag *ctx_bag_of(const struct ctx *ctx);

/* Puts value, which may be NULL, under key (copied), in place of what was there. 0, -ENOMEM,
 * or -ENOENT if ctx has no bag. */
int ctx_bag_put(const struct ctx *ctx, const char *key, void *value);
/*
 * Puts all that is in from, which nobody may change or free as long as ctx's bag is used. If
 * that was empty, no key is copied. It may allocate next to ctx's bag: unlike the others it is
 * for the thread which that memory belongs to. 0, -ENOMEM (some may be put) or -ENOENT.
 */
int ctx_bag_put_all(const struct ctx *ctx, const struct ctx_bag *from);
/* What is under key; NULL if nothing is, or if NULL is: ctx_bag_exists() tells. */
void *ctx_bag_get(const struct ctx *ctx, const char *key);
/* Whether something is under key, be it NULL. */
bool ctx_bag_exists(const struct ctx *ctx, const char *key);
/* Takes key out; whether it was there. */
bool ctx_bag_delete(const struct ctx *ctx, const char *key);

/* What the macro above stands on. */
const struct ctx *ctx_with_bag_and_value_(
    TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_key *key, const void *value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
