/* SPDX-License-Identifier: MIT */
/*
 * Ends that another thread tells of: see soon.h. At the top; uses cancel.c, calls.c and thread.c.
 *
 * What is to be told is in a list without a lock, by its count of functions (calls.h), which has
 * one more until it is told: so the memory stays.
 */
#include <errno.h>
#include <semaphore.h>

#include "ctx/calls.h"
#include "ctx/cancel.h"
#include "ctx/soon.h"
#include "ctx/thread.h"

static struct {
	_Atomic(struct ctxi_calls *) list;
	sem_t more;
	atomic_bool started; /* the thread runs, and more can be posted */
	atomic_bool over;    /* it is to end */
	pthread_mutex_t lock;
	unsigned users;
	pthread_t thread;
} soon = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The state of each was set when it was listed; what hangs on it is told of that. */
static void
tell_listed(void)
{
	struct ctxi_calls *first, *next;

	for (first = atomic_exchange(&soon.list, NULL); first != NULL; first = next) {
		next = first->next;
		atomic_store(&first->listed, false);
		ctxi_end(ctxi_node(first->root), ctxi_pack(-ECANCELED, NULL));
		ctxi_calls_out(first);
	}
}

static void *
tell(void *name)
{
	pthread_setname_np(pthread_self(), name);
	while (!atomic_load(&soon.over)) {
		while (sem_wait(&soon.more) != 0)
			; /* a signal: EINTR */
		tell_listed();
	}
	return NULL;
}

int
ctxi_soon_start(void)
{
	int rc = 0;

	pthread_mutex_lock(&soon.lock);
	soon.users++;
	if (!atomic_load(&soon.started)) {
		sem_init(&soon.more, 0, 0);
		atomic_store(&soon.over, false);
		rc = ctxi_thread_start(&soon.thread, "ctx-ends", 256 << 10, tell);
		atomic_store(&soon.started, rc == 0);
	}
	pthread_mutex_unlock(&soon.lock);
	return rc;
}

void
ctxi_soon_stop(void)
{
	pthread_mutex_lock(&soon.lock);
	if (soon.users > 0 && --soon.users == 0 && atomic_exchange(&soon.started, false)) {
		atomic_store(&soon.over, true);
		sem_post(&soon.more);
		pthread_join(soon.thread, NULL);
		sem_destroy(&soon.more);
		tell_listed(); /* what came behind its last look */
	}
	pthread_mutex_unlock(&soon.lock);
}

static void
end(struct ctxi_node *node, uintptr_t state)
{
	struct ctxi_calls *calls = node->calls, *first;

	if (ctxi_end_alone(node, state))
		return;
	if (!atomic_load(&soon.started)) {
		ctxi_end(node, state);
		return;
	}
	if (atomic_exchange(&calls->listed, true))
		return; /* it is about to be told */
	ctxi_calls_in(calls);
	first = atomic_load(&soon.list);
	do
		calls->next = first;
	while (!atomic_compare_exchange_weak(&soon.list, &first, calls));
	sem_post(&soon.more);
}

void
ctxi_soon_cancel(struct ctx *ctx, const struct ctx_cause *cause)
{
	end(ctxi_node(ctx), ctxi_pack(-ECANCELED, cause));
}

void
ctxi_soon_over(struct ctx *ctx)
{
	struct ctxi_node *node = ctxi_node(ctx);

	if (ctx->kind == CTX_DEADLINE && atomic_load(&node->state) == 0)
		end(node, ctxi_pack(-ETIMEDOUT, NULL));
}

/* The thread stayed with the parent, as what it was to tell. */
static void
fork_soon(enum ctxi_fork when)
{
	if (when == CTXI_PREPARE) {
		pthread_mutex_lock(&soon.lock);
		return;
	}
	if (when == CTXI_CHILD) {
		soon.users = 0;
		atomic_store(&soon.started, false);
		atomic_store(&soon.list, NULL);
	}
	pthread_mutex_unlock(&soon.lock);
}

__attribute__((constructor)) static void
guard_soon(void)
{
	ctxi_on_fork(CTXI_RANK_SOON, fork_soon);
}
