/* SPDX-License-Identifier: MIT */
/*
 * A shard inside: requests in an open-addressing hash table (linear probing, at most half
 * full), the values of each in a chain of blocks.
 *
 * Writers hold the shard's lock. Readers hold none: the shard counts its changes, twice for
 * each (odd while one is under way), and who read while the count was odd or changed reads
 * again. What a reader may come across in between is not given back before the registry is
 * freed: blocks are reused within their shard, and tables that were outgrown are kept (all of
 * them together are smaller than the one in use). All that readers see is atomic.
 */
#ifndef BATON_CTX_SHARD_TABLE_H
#define BATON_CTX_SHARD_TABLE_H

#include "ctx/shard.h"

enum { CTXI_PER_BLOCK = 6 };

struct ctxi_block {
	_Atomic(const struct ctx_key *) keys[CTXI_PER_BLOCK]; /* NULL: free */
	_Atomic(void *) values[CTXI_PER_BLOCK];
	_Atomic(struct ctxi_block *) next;
};

struct ctxi_slot {
	_Atomic(const void *) request; /* NULL: free */
	_Atomic(struct ctxi_block *) blocks;
	int64_t since_ns; /* only under the lock */
};

struct ctxi_table {
	struct ctxi_table *older; /* outgrown */
	size_t mask;
	struct ctxi_slot slots[];
};

/* A writer's stores, and its loads of what only writers change. */
#define CTXI_PUBLISH(place, what) atomic_store_explicit(&(place), (what), memory_order_release)
#define CTXI_OWN(place)           atomic_load_explicit(&(place), memory_order_relaxed)

static inline size_t
ctxi_home_of(const void *request, const struct ctxi_table *t)
{
	return (ctxi_hash(request) >> 20) & t->mask;
}

/* Where request is, or the free slot where it belongs. NULL only to a reader who is late. */
struct ctxi_slot *ctxi_find_slot(struct ctxi_table *t, const void *request);
/* The slot of a registered request, or NULL; under the lock. */
struct ctxi_slot *ctxi_registered(struct ctxi_shard *s, const void *request);

#endif
