/* SPDX-License-Identifier: MIT */
/*
 * The chain: roots and values. Nothing here takes a lock, or knows of an end. Below all that makes
 * contexts; uses no other file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctx/context.h"

static const struct ctx background = {.magic = CTX_MAGIC, .kind = CTX_BACKGROUND};
static const struct ctx todo = {.magic = CTX_MAGIC, .kind = CTX_TODO};

_Noreturn void
ctxi_misuse(const char *function, const char *what)
{
	fprintf(stderr, "ctx: %s: %s\n", function, what);
	abort();
}

const struct ctx *
ctx_background(void)
{
	return &background;
}

const struct ctx *
ctx_todo(void)
{
	return &todo;
}

#ifdef CTX_DEBUG
static int
mark_dead(struct ctx *ctx)
{
	ctx->magic = CTX_DEAD;
	return 0;
}
#endif

struct ctx *
ctxi_new(
    TALLOC_CTX *mem, const struct ctx *parent, enum ctx_kind kind, size_t size, const char *name)
{
	struct ctx *c = talloc_named_const(mem, size, name);

	if (c == NULL)
		return NULL;
	*c = (struct ctx){
	    .magic = CTX_MAGIC, .kind = kind, .parent = parent, .canceler = parent->canceler};
#ifdef CTX_DEBUG
	talloc_set_destructor(c, mark_dead);
#endif
	return c;
}

const struct ctx *
ctx_with_value_(
    TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_key *key, const void *value)
{
	struct ctx *c;

	ctxi_check(parent, "ctx_with_value", "NULL parent");
	if (key == NULL)
		ctxi_misuse("ctx_with_value", "NULL key");
	c = ctxi_new(mem, parent, CTX_VALUE, sizeof(*c), "ctx_with_value");
	if (c == NULL)
		return NULL;
	c->key = key;
	c->value = value;
	return c;
}

/* Whether c holds a value of key, or is the last of its stretch of the chain. */
static inline bool
stop_at(const struct ctx *c, const struct ctx_key *key)
{
#ifdef CTX_DEBUG
	ctxi_check(c, "ctx_value", "broken chain");
#endif
	return c->key == key || c->parent == NULL;
}

/* The nearest value of key. A foreign type that answers for values ends a stretch of the
 * chain (its parent is NULL there), so that the usual step is two comparisons. */
static bool
find(const struct ctx *c, const struct ctx_key *key, const void **value)
{
	const struct ctxi_foreign *f;

	for (;;) {
		while (!stop_at(c, key))
			c = c->parent;
		if (c->key == key) {
			*value = c->value;
			return true;
		}
		if (c->kind != CTX_FOREIGN)
			return false;
		f = ctxi_foreign(c);
		if (f->type->value(f->data, key, value))
			return true;
		c = f->under;
	}
}

void *
ctx_value_(const struct ctx *ctx, const struct ctx_key *key)
{
	const void *value = NULL;

	ctxi_check(ctx, "ctx_value", "NULL context");
	if (key == NULL)
		ctxi_misuse("ctx_value", "NULL key");
	return find(ctx, key, &value) ? (void *)(uintptr_t)value : NULL;
}

bool
ctx_has_(const struct ctx *ctx, const struct ctx_key *key)
{
	const void *value;

	ctxi_check(ctx, "ctx_has", "NULL context");
	if (key == NULL)
		ctxi_misuse("ctx_has", "NULL key");
	return find(ctx, key, &value);
}
