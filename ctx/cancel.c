/* SPDX-License-Identifier: MIT */
/*
 * Contexts that can end: making, cancelling and freeing them; who hangs on whom, and how an end
 * runs down the tree. The fd of ctx_done() is made, marked and closed here.
 *
 * In the middle: used by what makes ends (deadline.c) and by what is told of them (after.c,
 * wait.c), by a function of each. Uses node.c, timer.c and lock.c.
 *
 * A node without children, fd, timer and canceler above it is ended by one compare-and-swap.
 * That is safe beside a child being tied to it: the one stores its state and then looks for
 * children, the other stores the child and then looks at the state, all sequentially
 * consistent, so at least one of the two sees the other.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctx/cancel.h"

/* ---- Who hangs on whom ------------------------------------------------------------- */

static bool
is_foreign(const struct ctx *ctx)
{
	return ctx != NULL && ctx->kind == CTX_FOREIGN;
}

/* Under the stripe. */
static void
unlink_watch(struct ctxi_node *up, struct ctx_watch *w)
{
	if (w->next != NULL)
		w->next->prev = w->prev;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		atomic_store_explicit(&up->children, w->next, memory_order_release);
}

static uintptr_t
attach_foreign(struct ctxi_link *link, const struct ctxi_foreign *up)
{
	uintptr_t state = ctxi_state(&up->ctx);

	if (state != 0)
		return state;
	/* Before the call: it may be fired before watch() has returned. */
	link->linked = true;
	atomic_store_explicit(&link->busy, true, memory_order_relaxed);
	if (up->type->watch(up->data, &link->watch))
		return 0;
	link->linked = false;
	atomic_store_explicit(&link->busy, false, memory_order_relaxed);
	state = ctxi_state(&up->ctx);
	return state != 0 ? state : ctxi_pack(-ECANCELED, NULL);
}

uintptr_t
ctxi_attach(struct ctxi_link *link, const struct ctx *up_ctx)
{
	struct ctxi_node *up = ctxi_node(up_ctx);
	struct ctx_watch *first;
	uintptr_t state;

	link->up = up_ctx;
	link->linked = false;
	atomic_init(&link->busy, false);
	link->stripe = up_ctx == NULL || is_foreign(up_ctx) ? ctxi_stripe_of(link) : up_ctx->stripe;
	if (up_ctx == NULL)
		return 0;
	if (is_foreign(up_ctx))
		return attach_foreign(link, ctxi_foreign(up_ctx));
	state = atomic_load_explicit(&up->state, memory_order_acquire);
	if (state != 0)
		return state;

	ctxi_lock(link->stripe);
	ctxi_guard(up);
	first = atomic_load_explicit(&up->children, memory_order_relaxed);
	link->watch = (struct ctx_watch){.next = first};
	if (first != NULL)
		first->prev = &link->watch;
	atomic_store(&up->children, &link->watch);
	state = atomic_load(&up->state);
	if (state == 0) {
		link->linked = true;
		atomic_store_explicit(&link->busy, true, memory_order_relaxed);
	} else {
		unlink_watch(up, &link->watch);
	}
	ctxi_unlock(link->stripe);
	return state;
}

/* Takes link off its list, under the stripe; true if a foreign type is to be told, after
 * the stripe was given back. */
static bool
untie_locked(struct ctxi_link *link)
{
	bool foreign = link->linked && is_foreign(link->up); /* untied, up may be gone */

	if (link->linked && !foreign)
		unlink_watch(ctxi_node(link->up), &link->watch);
	link->linked = false;
	if (!foreign)
		atomic_store_explicit(&link->busy, false, memory_order_release);
	return foreign;
}

static void
unwatch(struct ctxi_link *link)
{
	const struct ctxi_foreign *up = ctxi_foreign(link->up);

	up->type->unwatch(up->data, &link->watch);
	atomic_store_explicit(&link->busy, false, memory_order_release);
}

void
ctxi_detach(struct ctxi_link *link)
{
	bool foreign;

	if (!atomic_load_explicit(&link->busy, memory_order_acquire))
		return;
	ctxi_lock(link->stripe);
	foreign = untie_locked(link);
	ctxi_unlock(link->stripe);
	if (foreign)
		unwatch(link);
}

/* ---- The end ------------------------------------------------------------------------- */

void
ctxi_fd_signal(int fd)
{
	static const uint64_t one = 1;

	/* Fails only if the counter is full: then it is readable already. */
	(void)!write(fd, &one, sizeof(one));
}

static void
set_state(struct ctxi_node *node, uintptr_t state)
{
	uintptr_t alive = 0;

	if (atomic_load_explicit(&node->state, memory_order_relaxed) == 0)
		atomic_compare_exchange_strong(&node->state, &alive, state);
}

/*
 * What an end does to one node but for untying it: its fd, its timer, and its children, who
 * are ended as it was and put before rest, to be told. Nobody looks at their `up` any more,
 * so node may be gone before they are told.
 */
static struct ctx_watch *
settle(struct ctxi_node *node, struct ctx_watch *rest)
{
	uintptr_t state = atomic_load_explicit(&node->state, memory_order_relaxed);
	struct ctx_watch *first = atomic_load_explicit(&node->children, memory_order_relaxed);
	struct ctx_watch *last = NULL;
	int fd = atomic_load_explicit(&node->fd, memory_order_relaxed);

	atomic_store_explicit(&node->children, NULL, memory_order_release);
	for (struct ctx_watch *w = first; w != NULL; w = w->next) {
		struct ctxi_link *link = ctxi_container(w, struct ctxi_link, watch);

		if (link->due == NULL)
			set_state(ctxi_container(link, struct ctxi_node, link), state);
		last = w;
	}
	if (fd >= 0)
		ctxi_fd_signal(fd);
	ctxi_timer_disarm(&node->timer);
	if (last == NULL)
		return rest;
	last->next = rest;
	return first;
}

/* Tells one whose canceler ended, and lets go of it. */
static struct ctx_watch *
tell(struct ctxi_link *link, struct ctx_watch *rest)
{
	if (link->due == NULL)
		rest = settle(ctxi_container(link, struct ctxi_node, link), rest);
	else
		link->due(link);
	link->linked = false;
	atomic_store_explicit(&link->busy, false, memory_order_release);
	return rest;
}

static void
tell_all(struct ctx_watch *pending)
{
	while (pending != NULL)
		pending = tell(ctxi_container(pending, struct ctxi_link, watch), pending->next);
}

void
ctxi_overtake(struct ctxi_link *link)
{
	if (!atomic_load_explicit(&link->busy, memory_order_acquire))
		return;
	ctxi_lock(link->stripe);
	if (link->linked && !is_foreign(link->up) && ctxi_state(link->up) != 0) {
		unlink_watch(ctxi_node(link->up), &link->watch);
		tell_all(tell(link, NULL));
	}
	ctxi_unlock(link->stripe);
}

void
ctxi_end_locked(struct ctxi_node *node, uintptr_t state)
{
	set_state(node, state);
	tell_all(settle(node, NULL));
	/* A foreign type cannot be told under the stripe: it goes on watching until node is
	 * cancelled or freed by its owner, which does no harm. */
	if (!node->link.linked || !is_foreign(node->link.up))
		untie_locked(&node->link);
}

bool
ctxi_end_alone(struct ctxi_node *node, uintptr_t state)
{
	set_state(node, state);
	return atomic_load(&node->children) == NULL && atomic_load(&node->fd) < 0 &&
	       !atomic_load_explicit(&node->link.busy, memory_order_acquire);
}

void
ctxi_end(struct ctxi_node *node, uintptr_t state)
{
	struct ctxi_link *link = &node->link;
	bool foreign;

	if (ctxi_end_alone(node, state))
		return;
	ctxi_lock(link->stripe);
	tell_all(settle(node, NULL));
	foreign = untie_locked(link);
	ctxi_unlock(link->stripe);
	if (foreign)
		unwatch(link);
}

void
ctx_watch_fire(struct ctx_watch *w, int err, const struct ctx_cause *cause)
{
	struct ctxi_link *link;
	uint8_t stripe;

	if (w == NULL || (err != -ECANCELED && err != -ETIMEDOUT))
		ctxi_misuse(__func__, "NULL watch, or neither -ECANCELED nor -ETIMEDOUT");
	link = ctxi_container(w, struct ctxi_link, watch);
	stripe = link->stripe;
	ctxi_lock(stripe);
	if (link->due == NULL)
		set_state(ctxi_container(link, struct ctxi_node, link), ctxi_pack(err, cause));
	tell_all(tell(link, NULL));
	ctxi_unlock(stripe);
}

/* ---- Lives --------------------------------------------------------------------------- */

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
	n->timer.armed = false;
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

int
ctx_done(const struct ctx *ctx)
{
	struct ctxi_node *n;
	int fd, found;

	CTXI_CHECK(ctx);
	if (ctx->canceler == NULL)
		return -ENOENT;
	if (ctx->canceler->kind == CTX_FOREIGN)
		return -ENOTSUP;
	n = ctxi_node(ctx->canceler);
	found = atomic_load_explicit(&n->fd, memory_order_acquire);
	if (found >= 0) {
		/* Who ended it may not have come to that yet; who saw the end must find it so. */
		if (atomic_load_explicit(&n->state, memory_order_acquire) != 0)
			ctxi_fd_signal(found);
		return found;
	}
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;

	ctxi_lock(n->link.stripe);
	found = atomic_load_explicit(&n->fd, memory_order_relaxed);
	if (found < 0) {
		ctxi_guard(n);
		atomic_store(&n->fd, fd); /* then the state: see the top */
		if (atomic_load(&n->state) != 0)
			ctxi_fd_signal(fd);
	}
	ctxi_unlock(n->link.stripe);
	if (found < 0)
		return fd;
	close(fd);
	return found;
}
