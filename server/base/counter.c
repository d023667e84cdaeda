/* SPDX-License-Identifier: MIT */
/*
 * Counters: how often each limit was hit, and what the server has done. Written by the
 * leader, read by anyone.
 */
#include <string.h>

#include "server/internal.h"

static const char *const names[COUNTERS] = {
#define NAME(id, name, text) name,
    COUNTER_TABLE(NAME)
#undef NAME
};

void
counter_add(struct http_server *s, enum counter which)
{
	/* One writer at a time, so no atomic addition is needed, only an undivided store. */
	uint64_t n = atomic_load_explicit(&s->counters[which], memory_order_relaxed);

	atomic_store_explicit(&s->counters[which], n + 1, memory_order_relaxed);
}

int64_t
http_server_counter(const struct http_server *s, const char *name)
{
	for (size_t i = 0; i < COUNTERS && s != NULL && name != NULL; i++)
		if (strcmp(names[i], name) == 0 && i == COUNTER_LOG_LOST)
			return (int64_t)log_lost(); /* the log's own, which any thread counts */
		else if (strcmp(names[i], name) == 0)
			return (int64_t)atomic_load_explicit(&s->counters[i], memory_order_relaxed);
	return -1;
}

const char *
http_server_counter_name(size_t i)
{
	return i < COUNTERS ? names[i] : NULL;
}
