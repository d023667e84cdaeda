/* SPDX-License-Identifier: MIT */
/*
 * Contexts with a bag. One that a request gets whether it needs it or not must be cheap, so a
 * bag of a context's own lies in the context.
 */
#include "ctx/bag_internal.h"

static void *
copy_bag(TALLOC_CTX *mem, const void *bag)
{
	return ctx_bag_copy(mem, (struct ctx_bag *)(uintptr_t)bag);
}

CTX_KEY_COPY(bag_key, struct ctx_bag, copy_bag);

/* A context with a bag of its own, and one with a value besides: one allocation each. */
struct with_bag {
	struct ctx ctx;
	struct ctx_bag bag;
};
struct with_both {
	struct ctx value; /* what the user has; child of bag's context */
	struct with_bag bag;
};

static int
with_bag_free(struct with_bag *w)
{
	w->ctx.magic = CTX_DEAD;
	return ctxi_bag_term(&w->bag);
}

static int
with_both_free(struct with_both *w)
{
	w->value.magic = CTX_DEAD;
	return with_bag_free(&w->bag);
}

/* w's context has been filled in; chunk is the allocation that w lies in. */
static void
init_bag(struct with_bag *w, TALLOC_CTX *chunk)
{
	ctxi_bag_init(&w->bag, chunk);
	w->ctx.key = &bag_key.key;
	w->ctx.value = &w->bag;
}

const struct ctx *
ctx_with_bag(TALLOC_CTX *mem, const struct ctx *parent, struct ctx_bag *bag)
{
	struct with_bag *w;

	ctxi_check(parent, __func__, "NULL parent");
	if (bag != NULL)
		return ctx_with_value(mem, parent, &bag_key, bag);
	w = (struct with_bag *)ctxi_new(mem, parent, CTX_VALUE, sizeof(*w), "ctx_with_bag");
	if (w == NULL)
		return NULL;
	talloc_set_destructor(w, with_bag_free);
	init_bag(w, w);
	return &w->ctx;
}

const struct ctx *
ctx_with_bag_and_value_(
    TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_key *key, const void *value)
{
	struct with_both *w;

	ctxi_check(parent, "ctx_with_bag_and_value", "NULL parent");
	if (key == NULL)
		ctxi_misuse("ctx_with_bag_and_value", "NULL key");
	w = (struct with_both *)ctxi_new(
	    mem, parent, CTX_VALUE, sizeof(*w), "ctx_with_bag_and_value");
	if (w == NULL)
		return NULL;
	talloc_set_destructor(w, with_both_free);
	w->bag.ctx = w->value;
	init_bag(&w->bag, w);
	w->value.parent = &w->bag.ctx;
	w->value.key = key;
	w->value.value = value;
	return &w->value;
}

struct ctx_bag *
ctx_bag_of(const struct ctx *ctx)
{
	CTXI_CHECK(ctx);
	return ctx_value(ctx, &bag_key);
}
