/* SPDX-License-Identifier: MIT */
/* The registry: which request belongs to which shard, and what callers may not do. Uses shard.c,
 * clock.c, and of contexts nothing but their keys. */
#include <stdlib.h>

#include "ctx/context.h"
#include "ctx/shard.h"

enum { SHARDS = 64 };

struct ctx_registry {
	const void *(*identity)(const void *request);
	struct ctxi_shard *shards;
};

static int
registry_free(struct ctx_registry *reg)
{
	for (int i = 0; i < SHARDS; i++)
		ctxi_shard_term(&reg->shards[i]);
	free(reg->shards);
	return 0;
}

struct ctx_registry *
ctx_registry_new(TALLOC_CTX *mem, const void *(*identity)(const void *request))
{
	struct ctx_registry *reg = talloc(mem, struct ctx_registry);

	if (reg == NULL)
		return NULL;
	reg->identity = identity;
	reg->shards = aligned_alloc(64, SHARDS * sizeof(*reg->shards));
	if (reg->shards == NULL) {
		talloc_free(reg);
		return NULL;
	}
	for (int i = 0; i < SHARDS; i++)
		ctxi_shard_init(&reg->shards[i]);
	talloc_set_destructor(reg, registry_free);
	return reg;
}

/* Where *request belongs, once it stands for all its copies. */
static struct ctxi_shard *
shard_of(struct ctx_registry *reg, const void **request, const char *function)
{
	if (reg == NULL || *request == NULL)
		ctxi_misuse(function, "NULL registry or request");
	if (reg->identity != NULL)
		*request = reg->identity(*request);
	return &reg->shards[ctxi_hash(*request) >> 58]; /* the six highest bits: 64 shards */
}

static void
check_key(const struct ctx_key *key, const char *function)
{
	if (key == NULL)
		ctxi_misuse(function, "NULL key");
}

int
ctx_registry_set_(
    struct ctx_registry *reg, const void *request, const struct ctx_key *key, const void *value)
{
	struct ctxi_shard *s = shard_of(reg, &request, "ctx_registry_set");

	check_key(key, "ctx_registry_set");
	return ctxi_shard_set(s, request, key, value);
}

void *
ctx_registry_get_(struct ctx_registry *reg, const void *request, const struct ctx_key *key)
{
	struct ctxi_shard *s = shard_of(reg, &request, "ctx_registry_get");
	void *value;

	check_key(key, "ctx_registry_get");
	return ctxi_shard_get(s, request, key, &value) ? value : NULL;
}

void *
ctx_registry_get_ok_(
    struct ctx_registry *reg, const void *request, const struct ctx_key *key, bool *ok)
{
	struct ctxi_shard *s = shard_of(reg, &request, "ctx_registry_get_ok");
	void *value;

	check_key(key, "ctx_registry_get_ok");
	*ok = ctxi_shard_get(s, request, key, &value);
	return *ok ? value : NULL;
}

void
ctx_registry_delete_(struct ctx_registry *reg, const void *request, const struct ctx_key *key)
{
	struct ctxi_shard *s = shard_of(reg, &request, "ctx_registry_delete");

	check_key(key, "ctx_registry_delete");
	ctxi_shard_delete(s, request, key);
}

void
ctx_registry_clear(struct ctx_registry *reg, const void *request)
{
	struct ctxi_shard *s = shard_of(reg, &request, __func__);

	ctxi_shard_clear(s, request);
}

int
ctx_registry_get_all_ok(struct ctx_registry *reg, TALLOC_CTX *mem, const void *request,
    struct ctx_registry_value **values, size_t *n)
{
	struct ctxi_shard *s = shard_of(reg, &request, __func__);

	return ctxi_shard_list(s, mem, request, values, n);
}

struct ctx_registry_value *
ctx_registry_get_all(struct ctx_registry *reg, TALLOC_CTX *mem, const void *request)
{
	struct ctx_registry_value *values;
	size_t n;

	return ctx_registry_get_all_ok(reg, mem, request, &values, &n) == 0 ? values : NULL;
}

size_t
ctxi_registry_purge(struct ctx_registry *reg, int64_t before_ns)
{
	size_t purged = 0;

	for (int i = 0; i < SHARDS; i++)
		purged += ctxi_shard_purge(&reg->shards[i], before_ns);
	return purged;
}

size_t
ctx_registry_purge(struct ctx_registry *reg, int64_t max_age_s)
{
	int64_t age_ns;

	if (reg == NULL)
		ctxi_misuse(__func__, "NULL registry");
	if (max_age_s <= 0)
		return ctxi_registry_purge(reg, INT64_MAX);
	if (__builtin_mul_overflow(max_age_s, 1000000000, &age_ns))
		return 0; /* nothing is that old */
	return ctxi_registry_purge(reg, ctx_now_ns() - age_ns);
}

size_t
ctx_registry_count(struct ctx_registry *reg)
{
	size_t n = 0;

	if (reg == NULL)
		ctxi_misuse(__func__, "NULL registry");
	for (int i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&reg->shards[i].lock);
		n += reg->shards[i].n;
		pthread_mutex_unlock(&reg->shards[i].lock);
	}
	return n;
}
