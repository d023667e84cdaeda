/* SPDX-License-Identifier: MIT */
/*
 * Counters: how often each limit was hit, and what the server has done. Written by the
 * leader, read by anyone.
 */
#include <string.h>

#include "server/base/base.h"

static const char *const names[COUNTERS] = {
#define NAME(id, name, text) name,
    COUNTER_TABLE(NAME)
#undef NAME
};

void
counter_add(struct counters *c, enum counter which)
{
	/* One writer at a time, so no atomic addition is needed, only an undivided store. */
	uint64_t n = atomic_load_explicit(&c->n[which], memory_order_relaxed);

	atomic_store_explicit(&c->n[which], n + 1, memory_order_relaxed);
}

int64_t
counter_named(const struct counters *c, const char *name)
{
	for (size_t i = 0; i < COUNTERS; i++)
		if (strcmp(names[i], name) == 0 && i == COUNTER_LOG_LOST)
			return (int64_t)log_lost(); /* the log's own, which any thread counts */
		else if (strcmp(names[i], name) == 0)
			return (int64_t)atomic_load_explicit(&c->n[i], memory_order_relaxed);
	return -1;
}

const char *
counter_name(size_t i)
{
	return i < COUNTERS ? names[i] : NULL;
}
