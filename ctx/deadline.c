/* SPDX-License-Identifier: MIT */
/*
 * Contexts with a deadline, and the thread that ends them in time. At the top; uses cancel.c, and
 * timer.c, which tells the thread what is due.
 */
#include <limits.h>

#include "ctx/cancel.h"
#include "ctx/due.h"

/* The thread: ends, one by one, what is due in a stripe and comes first. */
static void *
end_what_is_due(void *name)
{
	struct ctxi_timer *timer;
	struct ctxi_node *node;
	int64_t now_ns;
	uint8_t stripe;

	pthread_setname_np(pthread_self(), name);
	for (;;) {
		stripe = ctxi_timer_wait(&now_ns);
		ctxi_lock(stripe);
		while ((timer = ctxi_timer_take(stripe, now_ns)) != NULL) {
			node = ctxi_container(timer, struct ctxi_node, timer);
			ctxi_end_locked(node, ctxi_pack(-ETIMEDOUT, node->ctx.value));
		}
		ctxi_unlock(stripe);
	}
	return NULL;
}

/* Under the stripe, or before others know n. */
static int
arm_guarded(struct ctxi_node *n)
{
	ctxi_guard(n);
	n->timer.stripe = n->link.stripe;
	return ctxi_timer_arm(&n->timer, n->deadline_ns, end_what_is_due);
}

/* Puts a new node on the heap, unless it has ended meanwhile. */
static int
arm(struct ctxi_node *n)
{
	bool known = n->link.up != NULL; /* to others, already */
	int rc = 0;

	if (known)
		ctxi_lock(n->link.stripe);
	if (atomic_load(&n->state) == 0) {
		atomic_store_explicit(&n->link.busy, true, memory_order_relaxed);
		rc = arm_guarded(n);
	}
	if (known)
		ctxi_unlock(n->link.stripe);
	return rc;
}

static struct ctx *
with_deadline(TALLOC_CTX *mem, const struct ctx *parent, int64_t at_ns, int64_t now_ns,
    const struct ctx_cause *cause)
{
	struct ctxi_node *n;

	if (parent->canceler != NULL && ctxi_deadline(parent->canceler) < at_ns)
		return ctx_with_cancel(mem, parent);
	n = ctxi_node_new(mem, parent, CTX_DEADLINE);
	if (n == NULL)
		return NULL;
	n->ctx.value = cause;
	n->deadline_ns = at_ns;
	if (at_ns <= now_ns) {
		ctxi_end(n, ctxi_pack(-ETIMEDOUT, cause));
	} else if (arm(n) != 0) {
		talloc_free(n);
		return NULL;
	}
	return &n->ctx;
}

struct ctx *
ctx_with_deadline_cause(
    TALLOC_CTX *mem, const struct ctx *parent, int64_t at_ns, const struct ctx_cause *cause)
{
	ctxi_check(parent, __func__, "NULL parent");
	if (at_ns == CTXI_NO_DEADLINE)
		at_ns--;
	return with_deadline(mem, parent, at_ns, ctx_now_ns(), cause);
}

struct ctx *
ctx_with_deadline(TALLOC_CTX *mem, const struct ctx *parent, int64_t at_ns)
{
	ctxi_check(parent, __func__, "NULL parent");
	return ctx_with_deadline_cause(mem, parent, at_ns, NULL);
}

struct ctx *
ctx_with_timeout_cause(
    TALLOC_CTX *mem, const struct ctx *parent, int64_t timeout_ms, const struct ctx_cause *cause)
{
	int64_t now_ns, timeout_ns, at_ns;

	ctxi_check(parent, __func__, "NULL parent");
	now_ns = ctx_now_ns();
	if (timeout_ms < 0)
		timeout_ms = 0;
	if (__builtin_mul_overflow(timeout_ms, 1000000, &timeout_ns) ||
	    __builtin_add_overflow(now_ns, timeout_ns, &at_ns))
		at_ns = CTXI_NO_DEADLINE - 1;
	return with_deadline(mem, parent, at_ns, now_ns, cause);
}

struct ctx *
ctx_with_timeout(TALLOC_CTX *mem, const struct ctx *parent, int64_t timeout_ms)
{
	ctxi_check(parent, __func__, "NULL parent");
	return ctx_with_timeout_cause(mem, parent, timeout_ms, NULL);
}

struct ctx *
ctxi_due_new(TALLOC_CTX *mem, int64_t at_ns)
{
	struct ctxi_node *n = ctxi_node_new(mem, ctx_background(), CTX_DEADLINE);

	if (n == NULL)
		return NULL;
	n->deadline_ns = at_ns;
	return &n->ctx;
}

int
ctxi_due_watch(struct ctx *ctx)
{
	struct ctxi_node *n = ctxi_node(ctx);
	int rc = 0;

	if (n->ctx.kind != CTX_DEADLINE)
		return 0;
	if (n->deadline_ns <= ctx_now_ns()) {
		ctxi_due_over(ctx);
		return 0;
	}
	ctxi_lock(n->link.stripe);
	/* First: who ends it by a compare-and-swap alone sees this, or is seen here. */
	atomic_store(&n->link.busy, true);
	if (atomic_load(&n->state) == 0)
		rc = arm_guarded(n);
	if (!n->timer.armed)
		atomic_store(&n->link.busy, false);
	ctxi_unlock(n->link.stripe);
	return rc;
}

void
ctxi_due_over(struct ctx *ctx)
{
	struct ctxi_node *n = ctxi_node(ctx);

	if (n->ctx.kind == CTX_DEADLINE && atomic_load(&n->state) == 0)
		ctxi_end(n, ctxi_pack(-ETIMEDOUT, NULL));
}

bool
ctx_deadline(const struct ctx *ctx, int64_t *at_ns)
{
	int64_t found;

	CTXI_CHECK(ctx);
	found = ctxi_deadline(ctx->canceler);
	if (found == CTXI_NO_DEADLINE)
		return false;
	*at_ns = found;
	return true;
}

int
ctx_remaining_ms(const struct ctx *ctx)
{
	int64_t at_ns, left_ms;

	CTXI_CHECK(ctx);
	if (ctx_err(ctx) != 0)
		return 0;
	if (!ctx_deadline(ctx, &at_ns))
		return -1;
	left_ms = (at_ns - ctx_now_ns() + 999999) / 1000000;
	return left_ms <= 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
