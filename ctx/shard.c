/* SPDX-License-Identifier: MIT */
/*
 * A shard: requests in an open-addressing hash table (linear probing, at most half full), the
 * values of each in a chain of blocks.
 *
 * Writers hold the shard's lock. Readers hold none: the shard counts its changes, twice for
 * each (odd while one is under way), and who read while the count was odd or changed reads
 * again. What a reader may come across in between is not given back before the registry is
 * freed: blocks are reused within their shard, and tables that were outgrown are kept (all of
 * them together are smaller than the one in use). All that readers see is atomic.
 *
 * Used by registry.c alone; uses no other file.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "ctx/shard.h"

enum { FIRST_ROOM = 16, PER_BLOCK = 6 };

struct ctxi_block {
	_Atomic(const struct ctx_key *) keys[PER_BLOCK]; /* NULL: free */
	_Atomic(void *) values[PER_BLOCK];
	_Atomic(struct ctxi_block *) next;
};

struct slot {
	_Atomic(const void *) request; /* NULL: free */
	_Atomic(struct ctxi_block *) blocks;
	int64_t since_ns; /* only under the lock */
};

struct ctxi_table {
	struct ctxi_table *older; /* outgrown */
	size_t mask;
	struct slot slots[];
};

/* A writer's stores, and its loads of what only writers change. */
#define PUBLISH(place, what) atomic_store_explicit(&(place), (what), memory_order_release)
#define OWN(place)           atomic_load_explicit(&(place), memory_order_relaxed)

static size_t
home_of(const void *request, const struct ctxi_table *t)
{
	return (ctxi_hash(request) >> 20) & t->mask;
}

/* Where request is, or the free slot where it belongs. NULL only to a reader who is late. */
static struct slot *
find_slot(struct ctxi_table *t, const void *request)
{
	size_t i = home_of(request, t);

	for (size_t tried = 0; tried <= t->mask; tried++, i = (i + 1) & t->mask) {
		const void *there =
		    atomic_load_explicit(&t->slots[i].request, memory_order_acquire);

		if (there == request || there == NULL)
			return &t->slots[i];
	}
	return NULL;
}

/* The slot of a registered request, or NULL; under the lock. */
static struct slot *
registered(struct ctxi_shard *s, const void *request)
{
	struct ctxi_table *t = OWN(s->table);
	struct slot *slot = t == NULL ? NULL : find_slot(t, request);

	return slot == NULL || OWN(slot->request) == NULL ? NULL : slot;
}

/* ---- Reading, without the lock ---- */

/* One try. False in *steady if a writer came between. */
static bool
try_get(struct ctxi_shard *s, const void *request, const struct ctx_key *key, void **value,
    bool *steady)
{
	uint64_t changes = atomic_load_explicit(&s->changes, memory_order_acquire);
	struct ctxi_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
	struct slot *slot = t == NULL ? NULL : find_slot(t, request);
	struct ctxi_block *b = NULL;
	bool found = false;

	if (slot != NULL && atomic_load_explicit(&slot->request, memory_order_acquire) == request)
		b = atomic_load_explicit(&slot->blocks, memory_order_acquire);
	*steady = (changes & 1) == 0;
	while (b != NULL && !found && *steady) {
		for (int i = 0; i < PER_BLOCK && !found; i++) {
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

/* ---- Changes, under the lock ---- */

static void
begin_change(struct ctxi_shard *s)
{
	uint64_t changes = atomic_load_explicit(&s->changes, memory_order_relaxed);

	/* What is stored from here on is stored with release, hence is not seen before this. */
	atomic_store_explicit(&s->changes, changes + 1, memory_order_relaxed);
}

static void
end_change(struct ctxi_shard *s)
{
	uint64_t changes = atomic_load_explicit(&s->changes, memory_order_relaxed);

	atomic_store_explicit(&s->changes, changes + 1, memory_order_release);
}

/* A table with place for one more. The present one stays as it is, for late readers. */
static struct ctxi_table *
grow(struct ctxi_shard *s)
{
	struct ctxi_table *old = OWN(s->table), *t;
	size_t room = old == NULL ? FIRST_ROOM : (old->mask + 1) * 2;

	if (old != NULL && s->n < (old->mask + 1) / 2)
		return old;
	t = calloc(1, sizeof(*t) + room * sizeof(t->slots[0]));
	if (t == NULL)
		return NULL;
	t->mask = room - 1;
	t->older = old;
	for (size_t i = 0; old != NULL && i <= old->mask; i++) {
		struct slot *from = &old->slots[i], *to;

		if (OWN(from->request) == NULL)
			continue;
		to = find_slot(t, OWN(from->request));
		PUBLISH(to->request, OWN(from->request));
		PUBLISH(to->blocks, OWN(from->blocks));
		to->since_ns = from->since_ns;
	}
	PUBLISH(s->table, t);
	return t;
}

static struct ctxi_block *
new_block(struct ctxi_shard *s)
{
	struct ctxi_block *b = s->free_blocks;

	if (b == NULL)
		return calloc(1, sizeof(*b));
	s->free_blocks = OWN(b->next);
	for (int i = 0; i < PER_BLOCK; i++)
		PUBLISH(b->keys[i], NULL);
	PUBLISH(b->next, NULL);
	return b;
}

static int64_t
coarse_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The place of key among a request's values, or else a free one, or else false. */
static bool
place_of(struct slot *slot, const struct ctx_key *key, struct ctxi_block **block, int *at)
{
	bool found_free = false;

	for (struct ctxi_block *b = OWN(slot->blocks); b != NULL; b = OWN(b->next)) {
		for (int i = 0; i < PER_BLOCK; i++) {
			const struct ctx_key *there = OWN(b->keys[i]);

			if (there != key && (there != NULL || found_free))
				continue;
			*block = b;
			*at = i;
			if (there == key)
				return true;
			found_free = true;
		}
	}
	return found_free;
}

static int
set(struct ctxi_shard *s, const void *request, const struct ctx_key *key, const void *value)
{
	struct ctxi_table *t = grow(s);
	struct slot *slot = t == NULL ? NULL : find_slot(t, request);
	struct ctxi_block *b;
	int i = 0;

	if (slot == NULL)
		return -ENOMEM;
	if (!place_of(slot, key, &b, &i)) {
		b = new_block(s);
		if (b == NULL)
			return -ENOMEM;
		PUBLISH(b->next, OWN(slot->blocks));
		PUBLISH(slot->blocks, b);
	}
	PUBLISH(b->values[i], (void *)(uintptr_t)value);
	PUBLISH(b->keys[i], key);
	if (OWN(slot->request) == NULL) {
		slot->since_ns = coarse_now_ns();
		s->n++;
		PUBLISH(slot->request, request);
	}
	return 0;
}

/* Frees a slot of the table, and moves back those behind it that would no longer be found. */
static void
forget(struct ctxi_shard *s, struct ctxi_table *t, struct slot *slot)
{
	struct ctxi_block *first = OWN(slot->blocks), *b;
	size_t i = (size_t)(slot - t->slots);

	for (b = first; b != NULL && OWN(b->next) != NULL; b = OWN(b->next))
		;
	if (b != NULL) {
		PUBLISH(b->next, s->free_blocks);
		s->free_blocks = first;
	}
	s->n--;
	for (size_t j = (i + 1) & t->mask; OWN(t->slots[j].request) != NULL;
	     j = (j + 1) & t->mask) {
		const void *request = OWN(t->slots[j].request);

		if (((j - home_of(request, t)) & t->mask) < ((j - i) & t->mask))
			continue;
		PUBLISH(t->slots[i].request, request);
		PUBLISH(t->slots[i].blocks, OWN(t->slots[j].blocks));
		t->slots[i].since_ns = t->slots[j].since_ns;
		i = j;
	}
	PUBLISH(t->slots[i].request, NULL);
	PUBLISH(t->slots[i].blocks, NULL);
}

int
ctxi_shard_set(
    struct ctxi_shard *s, const void *request, const struct ctx_key *key, const void *value)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	begin_change(s);
	rc = set(s, request, key, value);
	end_change(s);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
ctxi_shard_delete(struct ctxi_shard *s, const void *request, const struct ctx_key *key)
{
	struct slot *slot;
	struct ctxi_block *b;
	int i;

	pthread_mutex_lock(&s->lock);
	slot = registered(s, request);
	if (slot != NULL && place_of(slot, key, &b, &i) && OWN(b->keys[i]) == key) {
		begin_change(s);
		PUBLISH(b->keys[i], NULL);
		end_change(s);
	}
	pthread_mutex_unlock(&s->lock);
}

void
ctxi_shard_clear(struct ctxi_shard *s, const void *request)
{
	struct slot *slot;

	pthread_mutex_lock(&s->lock);
	slot = registered(s, request);
	if (slot != NULL) {
		begin_change(s);
		forget(s, OWN(s->table), slot);
		end_change(s);
	}
	pthread_mutex_unlock(&s->lock);
}

size_t
ctxi_shard_purge(struct ctxi_shard *s, int64_t before_ns)
{
	size_t purged = 0;
	struct ctxi_table *t;

	pthread_mutex_lock(&s->lock);
	t = OWN(s->table);
	begin_change(s);
	for (size_t i = 0; t != NULL && i <= t->mask; i++) {
		/* again and again: another may have moved here */
		while (OWN(t->slots[i].request) != NULL && t->slots[i].since_ns < before_ns) {
			forget(s, t, &t->slots[i]);
			purged++;
		}
	}
	end_change(s);
	pthread_mutex_unlock(&s->lock);
	return purged;
}

/* ---- All that a request has, under the lock ---- */

/* Counts the values, and writes them if there is where to. */
static size_t
list(const struct slot *slot, struct ctx_registry_value *values)
{
	size_t n = 0;

	for (struct ctxi_block *b = OWN(slot->blocks); b != NULL; b = OWN(b->next)) {
		for (int i = 0; i < PER_BLOCK; i++) {
			if (OWN(b->keys[i]) == NULL)
				continue;
			if (values != NULL)
				values[n] =
				    (struct ctx_registry_value){OWN(b->keys[i]), OWN(b->values[i])};
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
	struct slot *slot;
	int rc = -ENOENT;

	pthread_mutex_lock(&s->lock);
	slot = registered(s, request);
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

/* ---- Its life ---- */

void
ctxi_shard_init(struct ctxi_shard *s)
{
	*s = (struct ctxi_shard){.n = 0};
	pthread_mutex_init(&s->lock, NULL);
}

static void
free_blocks(struct ctxi_block *b)
{
	while (b != NULL) {
		struct ctxi_block *next = OWN(b->next);

		free(b);
		b = next;
	}
}

void
ctxi_shard_term(struct ctxi_shard *s)
{
	struct ctxi_table *t = OWN(s->table), *older;

	for (size_t i = 0; t != NULL && i <= t->mask; i++)
		free_blocks(OWN(t->slots[i].blocks));
	free_blocks(s->free_blocks);
	for (; t != NULL; t = older) {
		older = t->older;
		free(t);
	}
	pthread_mutex_destroy(&s->lock);
}
