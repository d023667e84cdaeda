/* SPDX-License-Identifier: MIT */
/* Changes to a shard, all of them under its lock; see shard_table.h for who may see them. */
#include <stdlib.h>
#include <time.h>

#include "ctx/shard_table.h"

enum { FIRST_ROOM = 16 };

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
	struct ctxi_table *old = CTXI_OWN(s->table), *t;
	size_t room = old == NULL ? FIRST_ROOM : (old->mask + 1) * 2;

	if (old != NULL && s->n < (old->mask + 1) / 2)
		return old;
	t = calloc(1, sizeof(*t) + room * sizeof(t->slots[0]));
	if (t == NULL)
		return NULL;
	t->mask = room - 1;
	t->older = old;
	for (size_t i = 0; old != NULL && i <= old->mask; i++) {
		struct ctxi_slot *from = &old->slots[i], *to;

		if (CTXI_OWN(from->request) == NULL)
			continue;
		to = ctxi_find_slot(t, CTXI_OWN(from->request));
		CTXI_PUBLISH(to->request, CTXI_OWN(from->request));
		CTXI_PUBLISH(to->blocks, CTXI_OWN(from->blocks));
		to->since_ns = from->since_ns;
	}
	CTXI_PUBLISH(s->table, t);
	return t;
}

static struct ctxi_block *
new_block(struct ctxi_shard *s)
{
	struct ctxi_block *b = s->free_blocks;

	if (b == NULL)
		return calloc(1, sizeof(*b));
	s->free_blocks = CTXI_OWN(b->next);
	for (int i = 0; i < CTXI_PER_BLOCK; i++)
		CTXI_PUBLISH(b->keys[i], NULL);
	CTXI_PUBLISH(b->next, NULL);
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
place_of(struct ctxi_slot *slot, const struct ctx_key *key, struct ctxi_block **block, int *at)
{
	bool found_free = false;

	for (struct ctxi_block *b = CTXI_OWN(slot->blocks); b != NULL; b = CTXI_OWN(b->next)) {
		for (int i = 0; i < CTXI_PER_BLOCK; i++) {
			const struct ctx_key *there = CTXI_OWN(b->keys[i]);

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
	struct ctxi_slot *slot = t == NULL ? NULL : ctxi_find_slot(t, request);
	struct ctxi_block *b;
	int i = 0;

	if (slot == NULL)
		return -ENOMEM;
	if (!place_of(slot, key, &b, &i)) {
		b = new_block(s);
		if (b == NULL)
			return -ENOMEM;
		CTXI_PUBLISH(b->next, CTXI_OWN(slot->blocks));
		CTXI_PUBLISH(slot->blocks, b);
	}
	CTXI_PUBLISH(b->values[i], (void *)(uintptr_t)value);
	CTXI_PUBLISH(b->keys[i], key);
	if (CTXI_OWN(slot->request) == NULL) {
		slot->since_ns = coarse_now_ns();
		s->n++;
		CTXI_PUBLISH(slot->request, request);
	}
	return 0;
}

/* Frees a slot of the table, and moves back those behind it that would no longer be found. */
static void
forget(struct ctxi_shard *s, struct ctxi_table *t, struct ctxi_slot *slot)
{
	struct ctxi_block *first = CTXI_OWN(slot->blocks), *b;
	size_t i = (size_t)(slot - t->slots);

	for (b = first; b != NULL && CTXI_OWN(b->next) != NULL; b = CTXI_OWN(b->next))
		;
	if (b != NULL) {
		CTXI_PUBLISH(b->next, s->free_blocks);
		s->free_blocks = first;
	}
	s->n--;
	for (size_t j = (i + 1) & t->mask; CTXI_OWN(t->slots[j].request) != NULL;
	     j = (j + 1) & t->mask) {
		const void *request = CTXI_OWN(t->slots[j].request);

		if (((j - ctxi_home_of(request, t)) & t->mask) < ((j - i) & t->mask))
			continue;
		CTXI_PUBLISH(t->slots[i].request, request);
		CTXI_PUBLISH(t->slots[i].blocks, CTXI_OWN(t->slots[j].blocks));
		t->slots[i].since_ns = t->slots[j].since_ns;
		i = j;
	}
	CTXI_PUBLISH(t->slots[i].request, NULL);
	CTXI_PUBLISH(t->slots[i].blocks, NULL);
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
	struct ctxi_slot *slot;
	struct ctxi_block *b;
	int i;

	pthread_mutex_lock(&s->lock);
	slot = ctxi_registered(s, request);
	if (slot != NULL && place_of(slot, key, &b, &i) && CTXI_OWN(b->keys[i]) == key) {
		begin_change(s);
		CTXI_PUBLISH(b->keys[i], NULL);
		end_change(s);
	}
	pthread_mutex_unlock(&s->lock);
}

void
ctxi_shard_clear(struct ctxi_shard *s, const void *request)
{
	struct ctxi_slot *slot;

	pthread_mutex_lock(&s->lock);
	slot = ctxi_registered(s, request);
	if (slot != NULL) {
		begin_change(s);
		forget(s, CTXI_OWN(s->table), slot);
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
	t = CTXI_OWN(s->table);
	begin_change(s);
	for (size_t i = 0; t != NULL && i <= t->mask; i++) {
		/* again and again: another may have moved here */
		while (CTXI_OWN(t->slots[i].request) != NULL && t->slots[i].since_ns < before_ns) {
			forget(s, t, &t->slots[i]);
			purged++;
		}
	}
	end_change(s);
	pthread_mutex_unlock(&s->lock);
	return purged;
}

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
		struct ctxi_block *next = CTXI_OWN(b->next);

		free(b);
		b = next;
	}
}

void
ctxi_shard_term(struct ctxi_shard *s)
{
	struct ctxi_table *t = CTXI_OWN(s->table), *older;

	for (size_t i = 0; t != NULL && i <= t->mask; i++)
		free_blocks(CTXI_OWN(t->slots[i].blocks));
	free_blocks(s->free_blocks);
	for (; t != NULL; t = older) {
		older = t->older;
		free(t);
	}
	pthread_mutex_destroy(&s->lock);
}
