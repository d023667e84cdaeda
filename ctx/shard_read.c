/* SPDX-License-Identifier: MIT */
/* What is in a shard: where a request is, one value of it without a lock, and all. */
#include <sched.h>

#include "ctx/shard_table.h"

struct ctxi_slot *
ctxi_find_slot(struct ctxi_table *t, const void *request)
{
	size_t i = ctxi_home_of(request, t);

	for (size_t tried = 0; tried <= t->mask; tried++, i = (i + 1) & t->mask) {
		const void *there =
		    atomic_load_explicit(&t->slots[i].request, memory_order_acquire);

		if (there == request || there == NULL)
			return &t->slots[i];
	}
	return NULL;
}

struct ctxi_slot *
ctxi_registered(struct ctxi_shard *s, const void *request)
{
	struct ctxi_table *t = CTXI_OWN(s->table);
	struct ctxi_slot *slot = t == NULL ? NULL : ctxi_find_slot(t, request);

	return slot == NULL || CTXI_OWN(slot->request) == NULL ? NULL : slot;
}

/* One try. False in *steady if a writer came between. */
static bool
try_get(struct ctxi_shard *s, const void *request, const struct ctx_key *key, void **value,
    bool *steady)
{
	uint64_t changes = atomic_load_explicit(&s->changes, memory_order_acquire);
	struct ctxi_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
	struct ctxi_slot *slot = t == NULL ? NULL : ctxi_find_slot(t, request);
	struct ctxi_block *b = NULL;
	bool found = false;

	if (slot != NULL && atomic_load_explicit(&slot->request, memory_order_acquire) == request)
		b = atomic_load_explicit(&slot->blocks, memory_order_acquire);
	*steady = (changes & 1) == 0;
	while (b != NULL && !found && *steady) {
		for (int i = 0; i < CTXI_PER_BLOCK && !found; i++) {
			if (atomic_load_explicit(&b->keys[i], memory_order_acquire) != key)
				continue;
			*value = atomic_load_explicit(&b->values[i], memory_order_acquire);
			found = true;
		}
		b = atomic_load_explicit(&b->next, memory_order_acquire);
		/* Each time: a block that was reused could lead astray, even in circles. */
		*steady = atomic_load_explicit(&s->changes, memory_order_relaxed) == changes;
	}
	if (*steady)
		*steady = atomic_load_explicit(&s->changes, memory_order_relaxed) == changes;
	return found;
}

bool
ctxi_shard_get(struct ctxi_shard *s, const void *request, const struct ctx_key *key, void **value)
{
	bool found, steady;

	for (;;) {
		found = try_get(s, request, key, value, &steady);
		if (steady)
			return found;
		sched_yield();
	}
}

/* ---- Under the lock ---- */

/* Counts the values, and writes them if there is where to. */
static size_t
list(const struct ctxi_slot *slot, struct ctx_registry_value *values)
{
	size_t n = 0;

	for (struct ctxi_block *b = CTXI_OWN(slot->blocks); b != NULL; b = CTXI_OWN(b->next)) {
		for (int i = 0; i < CTXI_PER_BLOCK; i++) {
			if (CTXI_OWN(b->keys[i]) == NULL)
				continue;
			if (values != NULL)
				values[n] = (struct ctx_registry_value){
				    CTXI_OWN(b->keys[i]), CTXI_OWN(b->values[i])};
			n++;
		}
	}
	return n;
}

int
ctxi_shard_list(struct ctxi_shard *s, TALLOC_CTX *mem, const void *request,
    struct ctx_registry_value **values, size_t *n)
{
	struct ctx_registry_value *all = NULL;
	struct ctxi_slot *slot;
	int rc = -ENOENT;

	pthread_mutex_lock(&s->lock);
	slot = ctxi_registered(s, request);
	if (slot != NULL) {
		all = talloc_zero_array(
		    mem, struct ctx_registry_value, (unsigned)list(slot, NULL) + 1);
		rc = all == NULL ? -ENOMEM : 0;
	}
	if (rc == 0) {
		*n = list(slot, all);
		*values = all;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}
