/* SPDX-License-Identifier: MIT */
/*
 * The lives of contexts that can end: making, cancelling and freeing them.
 */
#include <unistd.h>

#include "ctx/ctx_internal.h"

/* Freeing is cancelling; after it nobody else can reach the node. */
static int
node_free(struct ctxi_node *node)
{
	int fd;

	ctxi_end(node, ctxi_pack(-ECANCELED, NULL));
	fd = atomic_load_explicit(&node->fd, memory_order_relaxed);
	if (fd >= 0)
		close(fd);
	node->ctx.magic = CTX_DEAD;
	return 0;
}

void
ctxi_guard(struct ctxi_node *node)
{
	if (node->ctx.guarded)
		return;
	talloc_set_destructor(node, node_free);
	node->ctx.guarded = true;
}

struct ctxi_node *
ctxi_node_new(TALLOC_CTX *mem, const struct ctx *parent, enum ctx_kind kind)
{
	const struct ctx *up = parent->canceler;
	struct ctxi_node *n;
	uintptr_t state;

	n = (struct ctxi_node *)ctxi_new(mem, parent, kind, sizeof(*n), "ctx_with_cancel");
	if (n == NULL)
		return NULL;
	n->ctx.canceler = &n->ctx;
	n->link.due = NULL;
	atomic_init(&n->state, 0);
	atomic_init(&n->children, NULL);
	n->deadline_ns = up == NULL ? CTXI_NO_DEADLINE : ctxi_deadline(up);
	atomic_init(&n->fd, -1);
	n->armed = false;
	n->heap_slot = CTXI_NOT_ARMED;
	n->calls = up == NULL || up->kind == CTX_FOREIGN ? NULL : ctxi_node(up)->calls;
	state = ctxi_attach(&n->link, up);
	n->ctx.stripe = n->link.stripe;
	if (state != 0)
		atomic_store_explicit(&n->state, state, memory_order_relaxed);
	else if (up != NULL)
		ctxi_guard(n);
	return n;
}

struct ctx *
ctx_with_cancel(TALLOC_CTX *mem, const struct ctx *parent)
{
	struct ctxi_node *n;

	ctxi_check(parent, __func__, "NULL parent");
	n = ctxi_node_new(mem, parent, CTX_CANCEL);
	return n == NULL ? NULL : &n->ctx;
}

static void
cancel(struct ctx *ctx, const struct ctx_cause *cause, const char *function)
{
	ctxi_check(ctx, function, "NULL context");
	if (ctx->canceler != ctx || ctx->kind == CTX_FOREIGN)
		ctxi_misuse(function, "not made by ctx_with_cancel() or its kin");
	ctxi_end(ctxi_node(ctx), ctxi_pack(-ECANCELED, cause));
}

void
ctx_cancel(struct ctx *ctx)
{
	cancel(ctx, NULL, __func__);
}

void
ctx_cancel_cause(struct ctx *ctx, const struct ctx_cause *cause)
{
	cancel(ctx, cause, __func__);
}
