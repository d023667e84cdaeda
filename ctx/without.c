/* SPDX-License-Identifier: MIT */
/*
 * Contexts that outlive their ancestors: the values without the chain.
 *
 * The new context heads a chain of its own, all of it allocated under the head: one value
 * node for each key that was visible, then a root. Uses context.c.
 */
#include "ctx/context.h"

static bool
seen(const struct ctx *copies, const struct ctx_key *key)
{
	while (copies != NULL && copies->key != key)
		copies = copies->parent;
	return copies != NULL;
}

/* A copy of value node v, under head; NULL for lack of memory. */
static struct ctx *
copy_value(struct ctx *head, const struct ctx *v)
{
	struct ctx *c = ctxi_new(head, v, CTX_VALUE, sizeof(*c), "ctx_with_value");

	if (c == NULL)
		return NULL;
	c->parent = NULL;
	c->canceler = NULL;
	c->key = v->key;
	c->value = v->value;
	if (v->value != NULL && v->key->copy != NULL) {
		c->value = v->key->copy(c, v->value);
		if (c->value == NULL)
			return NULL;
	}
	return c;
}

const struct ctx *
ctx_without_cancel(TALLOC_CTX *mem, const struct ctx *parent)
{
	struct ctx *head, *last, *copy;
	const struct ctx *c;

	ctxi_check(parent, __func__, "NULL parent");
	head = ctxi_new(mem, parent, CTX_WITHOUT, sizeof(*head), "ctx_without_cancel");
	if (head == NULL)
		return NULL;
	head->canceler = NULL;
	head->parent = NULL;
	last = head;
	for (c = parent; c->parent != NULL; c = c->parent) {
		if (c->kind != CTX_VALUE || seen(head->parent, c->key))
			continue;
		copy = copy_value(head, c);
		if (copy == NULL) {
			talloc_free(head);
			return NULL;
		}
		last->parent = copy;
		last = copy;
	}
	last->parent = c; /* a root, or a foreign context that answers for values */
	return head;
}
