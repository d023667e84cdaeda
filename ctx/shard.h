/* SPDX-License-Identifier: MIT */
/* A shard of the registry: a hash table of requests with the values of each. */
#ifndef BATON_CTX_SHARD_H
#define BATON_CTX_SHARD_H

#include <pthread.h>
#include <stdatomic.h>

#include <baton/registry.h>

struct ctxi_shard {
	_Alignas(64) pthread_mutex_t lock;
	_Atomic uint64_t changes;           /* odd while a change is under way */
	_Atomic(struct ctxi_table *) table; /* NULL at first */
	size_t n;                           /* requests */
	struct ctxi_block *free_blocks;
};

static inline uint64_t
ctxi_hash(const void *request)
{
	return (uintptr_t)request * UINT64_C(0x9e3779b97f4a7c15);
}

void ctxi_shard_init(struct ctxi_shard *s);
void ctxi_shard_term(struct ctxi_shard *s);

/* Whether request has a value of key, and *value. Takes no lock. */
bool
ctxi_shard_get(struct ctxi_shard *s, const void *request, const struct ctx_key *key, void **value);

/* The rest takes the lock. */
int ctxi_shard_set(
    struct ctxi_shard *s, const void *request, const struct ctx_key *key, const void *value);
void ctxi_shard_delete(struct ctxi_shard *s, const void *request, const struct ctx_key *key);
void ctxi_shard_clear(struct ctxi_shard *s, const void *request);
/* Forgets the requests registered before that moment of CLOCK_MONOTONIC; how many. */
size_t ctxi_shard_purge(struct ctxi_shard *s, int64_t before_ns);
/* As ctx_registry_get_all_ok(). */
int ctxi_shard_list(struct ctxi_shard *s, TALLOC_CTX *mem, const void *request,
    struct ctx_registry_value **values, size_t *n);

/* registry.c: ctx_registry_purge() with a moment. */
size_t ctxi_registry_purge(struct ctx_registry *reg, int64_t before_ns);

#endif
