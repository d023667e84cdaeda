/* SPDX-License-Identifier: MIT */
/*
 * Whether, why and when a context ends, for whoever asks. Nothing here takes a lock, and nothing
 * is changed: that is for cancel.c, right above. Uses context.c.
 */
#include "ctx/node.h"

const struct ctx_cause ctx_canceled = {-ECANCELED, "context canceled"};
const struct ctx_cause ctx_deadline_exceeded = {-ETIMEDOUT, "context deadline exceeded"};

uintptr_t
ctxi_state(const struct ctx *canceler)
{
	const struct ctxi_foreign *f;
	const struct ctx_cause *cause = NULL;
	int err;

	while (canceler != NULL && canceler->kind == CTX_FOREIGN) {
		f = ctxi_foreign(canceler);
		if (f->type->err != NULL) {
			err = f->type->err(f->data, &cause);
			return err == 0 ? 0 : ctxi_pack(err, cause);
		}
		canceler = f->under->canceler;
	}
	if (canceler == NULL)
		return 0;
	return atomic_load_explicit(&ctxi_node(canceler)->state, memory_order_acquire);
}

int64_t
ctxi_deadline(const struct ctx *canceler)
{
	const struct ctxi_foreign *f;
	int64_t at_ns;

	while (canceler != NULL && canceler->kind == CTX_FOREIGN) {
		f = ctxi_foreign(canceler);
		if (f->type->deadline != NULL)
			return f->type->deadline(f->data, &at_ns) ? at_ns : CTXI_NO_DEADLINE;
		canceler = f->under->canceler;
	}
	return canceler == NULL ? CTXI_NO_DEADLINE : ctxi_node(canceler)->deadline_ns;
}

int
ctx_err(const struct ctx *ctx)
{
	uintptr_t state;

	CTXI_CHECK(ctx);
	if (ctx->canceler == NULL)
		return 0;
	CTXI_CHECK(ctx->canceler);
	state = ctxi_state(ctx->canceler);
	return state == 0 ? 0 : state & 1 ? -ETIMEDOUT : -ECANCELED;
}

const struct ctx_cause *
ctx_cause(const struct ctx *ctx)
{
	CTXI_CHECK(ctx);
	if (ctx->canceler == NULL)
		return NULL;
	CTXI_CHECK(ctx->canceler);
	return (const struct ctx_cause *)(ctxi_state(ctx->canceler) & ~(uintptr_t)1);
}
