/* SPDX-License-Identifier: MIT */
/*
 * The bag: an open-addressing hash table (linear probing, at most three quarters full) under
 * a mutex. It lives on malloc, since other threads than the one that owns its talloc parent
 * may make it grow. A context has its bag as the value of a key that is private to this file.
 *
 * Uses context.c, as anybody does who puts a value into the chain.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <baton/bag.h>

#include "ctx/context.h"

struct item {
	char *key; /* NULL: free */
	uint32_t hash;
	bool lent; /* the key is another bag's */
	void *value;
};

struct ctx_bag {
	pthread_mutex_t lock;
	struct item *items; /* on malloc, or lent */
	uint32_t n, room;   /* room is a power of two, or 0 */
	bool lent;          /* items is talloc memory, under chunk */
	TALLOC_CTX *chunk;  /* the talloc allocation that the bag lies in */
};

/* ---- The table ---------------------------------------------------------------------- */

/* FNV-1a */
static uint32_t
hash_of(const char *key)
{
	uint32_t hash = 2166136261;

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619;
	return hash;
}

/* Where key is, or the free place where it belongs; room must not be 0. */
static uint32_t
find(const struct ctx_bag *bag, const char *key, uint32_t hash)
{
	uint32_t i = hash & (bag->room - 1);

	while (bag->items[i].key != NULL &&
	       (bag->items[i].hash != hash || strcmp(bag->items[i].key, key) != 0))
		i = (i + 1) & (bag->room - 1);
	return i;
}

static void
free_key(struct item *item)
{
	if (!item->lent)
		free(item->key);
}

/* Sees that there is place for one more. */
static bool
grow(struct ctx_bag *bag)
{
	uint32_t room = bag->room == 0 ? 8 : bag->room * 2;
	struct item *items = bag->items, *old;

	if (bag->n < bag->room / 4 * 3)
		return true;
	bag->items = calloc(room, sizeof(*items));
	if (bag->items == NULL) {
		bag->items = items;
		return false;
	}
	old = items;
	for (uint32_t left = bag->room; left > 0; left--, old++) {
		uint32_t i = old->hash & (room - 1);

		if (old->key == NULL)
			continue;
		while (bag->items[i].key != NULL)
			i = (i + 1) & (room - 1);
		bag->items[i] = *old;
	}
	if (!bag->lent)
		free(items);
	bag->room = room;
	bag->lent = false;
	return true;
}

static int
put(struct ctx_bag *bag, const char *key, void *value)
{
	uint32_t hash = hash_of(key), i;

	if (!grow(bag))
		return -ENOMEM;
	i = find(bag, key, hash);
	if (bag->items[i].key == NULL) {
		char *copy = strdup(key);

		if (copy == NULL)
			return -ENOMEM;
		bag->items[i] = (struct item){.key = copy, .hash = hash};
		bag->n++;
	}
	bag->items[i].value = value;
	return 0;
}

/* Frees place i, and moves back those behind it that would no longer be found. */
static void
remove_at(struct ctx_bag *bag, uint32_t i)
{
	uint32_t mask = bag->room - 1;

	free_key(&bag->items[i]);
	bag->n--;
	for (uint32_t j = (i + 1) & mask; bag->items[j].key != NULL; j = (j + 1) & mask) {
		uint32_t home = bag->items[j].hash & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			bag->items[i] = bag->items[j];
			i = j;
		}
	}
	bag->items[i].key = NULL;
}

/* Gives back all but the bag itself; returns 0, as a destructor does. */
static int
bag_term(struct ctx_bag *bag)
{
	for (uint32_t i = 0; i < bag->room; i++)
		free_key(&bag->items[i]);
	if (!bag->lent)
		free(bag->items);
	pthread_mutex_destroy(&bag->lock);
	return 0;
}

static void
bag_init(struct ctx_bag *bag, TALLOC_CTX *chunk)
{
	*bag = (struct ctx_bag){.chunk = chunk};
	pthread_mutex_init(&bag->lock, NULL);
}

struct ctx_bag *
ctx_bag_new(TALLOC_CTX *mem)
{
	struct ctx_bag *bag = talloc(mem, struct ctx_bag);

	if (bag == NULL)
		return NULL;
	bag_init(bag, bag);
	talloc_set_destructor(bag, bag_term);
	return bag;
}

struct ctx_bag *
ctx_bag_copy(TALLOC_CTX *mem, struct ctx_bag *bag)
{
	struct ctx_bag *copy;
	int rc = 0;

	if (bag == NULL)
		ctxi_misuse(__func__, "NULL bag");
	copy = ctx_bag_new(mem);
	if (copy == NULL)
		return NULL;
	pthread_mutex_lock(&bag->lock);
	for (uint32_t i = 0; i < bag->room && rc == 0; i++) {
		if (bag->items[i].key != NULL)
			rc = put(copy, bag->items[i].key, bag->items[i].value);
	}
	pthread_mutex_unlock(&bag->lock);
	if (rc == 0)
		return copy;
	talloc_free(copy);
	return NULL;
}

/* ---- Contexts with a bag ------------------------------------------------------------- */

static void *
copy_bag(TALLOC_CTX *mem, const void *bag)
{
	return ctx_bag_copy(mem, (struct ctx_bag *)(uintptr_t)bag);
}

CTX_KEY_COPY(bag_key, struct ctx_bag, copy_bag);

/*
 * A context with a bag of its own, and one with a value besides: one allocation each. One that a
 * request gets whether it needs it or not must be cheap, so its own bag lies in the context.
 */
struct with_bag {
	struct ctx ctx;
	struct ctx_bag bag;
};
struct with_both {
	struct ctx value; /* what the user has; child of bag's context */
	struct with_bag bag;
};

static int
with_bag_free(struct with_bag *w)
{
	w->ctx.magic = CTX_DEAD;
	return bag_term(&w->bag);
}

static int
with_both_free(struct with_both *w)
{
	w->value.magic = CTX_DEAD;
	return with_bag_free(&w->bag);
}

/* w's context has been filled in; chunk is the allocation that w lies in. */
static void
init_bag(struct with_bag *w, TALLOC_CTX *chunk)
{
	bag_init(&w->bag, chunk);
	w->ctx.key = &bag_key.key;
	w->ctx.value = &w->bag;
}

const struct ctx *
ctx_with_bag(TALLOC_CTX *mem, const struct ctx *parent, struct ctx_bag *bag)
{
	struct with_bag *w;

	ctxi_check(parent, __func__, "NULL parent");
	if (bag != NULL)
		return ctx_with_value(mem, parent, &bag_key, bag);
	w = (struct with_bag *)ctxi_new(mem, parent, CTX_VALUE, sizeof(*w), "ctx_with_bag");
	if (w == NULL)
		return NULL;
	talloc_set_destructor(w, with_bag_free);
	init_bag(w, w);
	return &w->ctx;
}

const struct ctx *
ctx_with_bag_and_value_(
    TALLOC_CTX *mem, const struct ctx *parent, const struct ctx_key *key, const void *value)
{
	struct with_both *w;

	ctxi_check(parent, "ctx_with_bag_and_value", "NULL parent");
	if (key == NULL)
		ctxi_misuse("ctx_with_bag_and_value", "NULL key");
	w = (struct with_both *)ctxi_new(
	    mem, parent, CTX_VALUE, sizeof(*w), "ctx_with_bag_and_value");
	if (w == NULL)
		return NULL;
	talloc_set_destructor(w, with_both_free);
	w->bag.ctx = w->value;
	init_bag(&w->bag, w);
	w->value.parent = &w->bag.ctx;
	w->value.key = key;
	w->value.value = value;
	return &w->value;
}

struct ctx_bag *
ctx_bag_of(const struct ctx *ctx)
{
	CTXI_CHECK(ctx);
	return ctx_value(ctx, &bag_key);
}

/* ---- What is in the bag of a context --------------------------------------------------- */

/* ctx's bag, locked, or NULL; a misuse is the calling function's. */
static struct ctx_bag *
lock_bag(const struct ctx *ctx, const char *key, const char *function)
{
	struct ctx_bag *bag;

	ctxi_check(ctx, function, "NULL context");
	if (key == NULL)
		ctxi_misuse(function, "NULL key");
	bag = ctx_bag_of(ctx);
	if (bag != NULL)
		pthread_mutex_lock(&bag->lock);
	return bag;
}

/* The item of key in a locked bag, or NULL. */
static struct item *
look_up(struct ctx_bag *bag, const char *key)
{
	struct item *item;

	if (bag->room == 0)
		return NULL;
	item = &bag->items[find(bag, key, hash_of(key))];
	return item->key == NULL ? NULL : item;
}

int
ctx_bag_put(const struct ctx *ctx, const char *key, void *value)
{
	struct ctx_bag *bag = lock_bag(ctx, key, __func__);
	int rc;

	if (bag == NULL)
		return -ENOENT;
	rc = put(bag, key, value);
	pthread_mutex_unlock(&bag->lock);
	return rc;
}

/* The items of from in an empty bag, without a copy of the keys. */
static int
lend(struct ctx_bag *bag, const struct ctx_bag *from)
{
	struct item *items = talloc_memdup(bag->chunk, from->items, from->room * sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->room; i++)
		items[i].lent = true;
	bag->items = items;
	bag->n = from->n;
	bag->room = from->room;
	bag->lent = true;
	return 0;
}

int
ctx_bag_put_all(const struct ctx *ctx, const struct ctx_bag *from)
{
	struct ctx_bag *bag = lock_bag(ctx, "", __func__);
	int rc = 0;

	if (from == NULL)
		ctxi_misuse(__func__, "NULL bag");
	if (bag == NULL)
		return -ENOENT;
	if (bag->room == 0 && from->n > 0)
		rc = lend(bag, from);
	else
		for (uint32_t i = 0; i < from->room && rc == 0; i++)
			if (from->items[i].key != NULL)
				rc = put(bag, from->items[i].key, from->items[i].value);
	pthread_mutex_unlock(&bag->lock);
	return rc;
}

void *
ctx_bag_get(const struct ctx *ctx, const char *key)
{
	struct ctx_bag *bag = lock_bag(ctx, key, __func__);
	struct item *item;
	void *value;

	if (bag == NULL)
		return NULL;
	item = look_up(bag, key);
	value = item == NULL ? NULL : item->value;
	pthread_mutex_unlock(&bag->lock);
	return value;
}

bool
ctx_bag_exists(const struct ctx *ctx, const char *key)
{
	struct ctx_bag *bag = lock_bag(ctx, key, __func__);
	bool exists;

	if (bag == NULL)
		return false;
	exists = look_up(bag, key) != NULL;
	pthread_mutex_unlock(&bag->lock);
	return exists;
}

bool
ctx_bag_delete(const struct ctx *ctx, const char *key)
{
	struct ctx_bag *bag = lock_bag(ctx, key, __func__);
	struct item *item;

	if (bag == NULL)
		return false;
	item = look_up(bag, key);
	if (item != NULL)
		remove_at(bag, (uint32_t)(item - bag->items));
	pthread_mutex_unlock(&bag->lock);
	return item != NULL;
}
