/* SPDX-License-Identifier: MIT */
/* The registry. After Context, in its order, and Purge of gorilla/context. */
#include "tests/ctx/support.h"

#include <sched.h>
#include <time.h>

#include "ctx/shard.h"

CTX_KEY(key1, const char);
CTX_KEY(key2, const char);
CTX_KEY(key3, const char);
CTX_KEY(number_key, const int);

/* A request object of some framework; copies know whose they are. */
struct request {
	const struct request *original;
	const char *path;
};

static const void *
identity(const void *request)
{
	return ((const struct request *)request)->original;
}

static size_t
values_of(struct ctx_registry *reg, const void *request)
{
	struct ctx_registry_value *all;
	size_t n;

	if (ctx_registry_get_all_ok(reg, reg, request, &all, &n) != 0)
		return 0;
	assert_null(all[n].key);
	talloc_free(all);
	return n;
}

static void
registry_context(void **state)
{
	struct ctx_registry *reg = *state;
	struct ctx_registry_value *all;
	struct request r = {NULL, NULL}, empty = {NULL, NULL};
	size_t n = 7;
	bool ok;

	assert_null(ctx_registry_get(reg, &r, &key1));
	ctx_registry_set(reg, &r, &key1, "1");
	assert_string_equal(ctx_registry_get(reg, &r, &key1), "1");
	assert_int_equal(values_of(reg, &r), 1);
	ctx_registry_set(reg, &r, &key2, "2");
	assert_string_equal(ctx_registry_get(reg, &r, &key2), "2");
	assert_int_equal(values_of(reg, &r), 2);

	assert_string_equal(ctx_registry_get_ok(reg, &r, &key1, &ok), "1");
	assert_true(ok);
	assert_null(ctx_registry_get_ok(reg, &r, &key3, &ok));
	assert_false(ok);
	ctx_registry_set(reg, &r, &key3, NULL);
	assert_null(ctx_registry_get_ok(reg, &r, &key3, &ok));
	assert_true(ok);

	all = ctx_registry_get_all(reg, *state, &r);
	assert_non_null(all);
	assert_int_equal(values_of(reg, &r), 3);
	assert_null(ctx_registry_get_all(reg, *state, &empty));
	assert_int_equal(ctx_registry_get_all_ok(reg, *state, &r, &all, &n), 0);
	assert_int_equal(n, 3);
	n = 7;
	assert_int_equal(ctx_registry_get_all_ok(reg, *state, &empty, &all, &n), -ENOENT);
	assert_int_equal(n, 7);

	ctx_registry_delete(reg, &r, &key1);
	assert_null(ctx_registry_get(reg, &r, &key1));
	assert_int_equal(values_of(reg, &r), 2);
	ctx_registry_delete(reg, &r, &key2);
	assert_null(ctx_registry_get(reg, &r, &key2));
	assert_int_equal(values_of(reg, &r), 1);
	ctx_registry_delete(reg, &r, &key2);     /* not there */
	ctx_registry_delete(reg, &empty, &key2); /* never was */

	ctx_registry_clear(reg, &empty);
	assert_int_equal(ctx_registry_count(reg), 1);
	ctx_registry_clear(reg, &r);
	assert_int_equal(ctx_registry_count(reg), 0);
	assert_null(ctx_registry_get_all(reg, *state, &r));
	ctx_registry_get_ok(reg, &r, &key3, &ok);
	assert_false(ok);
}

/* A request of which all was deleted is registered still. */
static void
registry_get_all(void **state)
{
	struct ctx_registry *reg = *state;
	struct ctx_registry_value *all;
	struct request r = {NULL, NULL};
	size_t n = 7;

	ctx_registry_set(reg, &r, &key1, "1");
	all = ctx_registry_get_all(reg, *state, &r);
	assert_ptr_equal(all[0].key, &key1.key);
	assert_string_equal(all[0].value, "1");
	ctx_registry_set(reg, &r, &key1, "one");
	assert_string_equal(all[0].value, "1"); /* a copy of how it was */
	ctx_registry_delete(reg, &r, &key1);
	assert_int_equal(ctx_registry_get_all_ok(reg, *state, &r, &all, &n), 0);
	assert_int_equal(n, 0);
	assert_null(all[0].key);
}

static int64_t
coarse_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
registry_purge(void **state)
{
	struct ctx_registry *reg = *state;
	struct request r[100] = {{NULL, NULL}};
	int64_t between;

	for (int i = 0; i < 50; i++)
		ctx_registry_set(reg, &r[i], &key1, "old");
	/* The registry's clock ticks coarsely: the next request is younger when it has ticked. */
	between = ctx_now_ns();
	while (coarse_now_ns() <= between)
		sched_yield();
	for (int i = 50; i < 100; i++)
		ctx_registry_set(reg, &r[i], &key1, "new");

	assert_int_equal(ctx_registry_purge(reg, 3600), 0);
	assert_int_equal(ctxi_registry_purge(reg, between), 50);
	assert_null(ctx_registry_get(reg, &r[49], &key1));
	assert_string_equal(ctx_registry_get(reg, &r[50], &key1), "new");
	assert_int_equal(ctx_registry_purge(reg, 0), 50);
	assert_int_equal(ctx_registry_count(reg), 0);
}

/* A copied request has the original's values, and clearing either leaves none behind. */
static void
registry_of_a_copied_request(void **state)
{
	struct ctx_registry *reg = ctx_registry_new(*state, identity);
	struct request r = {.original = &r, .path = "/"}, copy = r;

	copy.path = "/elsewhere";
	ctx_registry_set(reg, &r, &key1, "1");
	assert_string_equal(ctx_registry_get(reg, &copy, &key1), "1");
	ctx_registry_set(reg, &copy, &key2, "2");
	assert_string_equal(ctx_registry_get(reg, &r, &key2), "2");
	assert_int_equal(ctx_registry_count(reg), 1);
	ctx_registry_clear(reg, &r);
	assert_int_equal(ctx_registry_count(reg), 0);
	assert_null(ctx_registry_get(reg, &copy, &key2));
}

/* More keys than fit a block, more requests than fit the first tables; in no order. */
static void
registry_of_many(void **state)
{
	enum { REQUESTS = 5000, KEYS = 20 };
	__typeof__(number_key) *keys = talloc_array(*state, __typeof__(number_key), KEYS);
	static const int values[KEYS];
	struct ctx_registry *reg = *state;
	struct request *requests = talloc_array(*state, struct request, REQUESTS);
	uint32_t *there = talloc_zero_array(*state, uint32_t, REQUESTS);
	size_t registered = 0;
	unsigned seed = 11;

	for (int step = 0; step < 200000; step++) {
		int r = rand_r(&seed) % REQUESTS, k = rand_r(&seed) % KEYS,
		    what = rand_r(&seed) % 8;
		const void *request = &requests[r];
		bool ok;

		ctx_registry_get_ok(reg, request, &keys[k], &ok);
		assert_int_equal(ok, there[r] >> k & 1);
		if (what == 0) {
			ctx_registry_clear(reg, request);
			there[r] = 0;
		} else if (what == 1 && there[r] != 0) {
			ctx_registry_delete(reg, request, &keys[k]);
			there[r] = (there[r] & ~(1u << k)) | 1u << 31;
		} else {
			assert_int_equal(ctx_registry_set(reg, request, &keys[k], &values[k]), 0);
			assert_ptr_equal(ctx_registry_get(reg, request, &keys[k]), &values[k]);
			there[r] |= 1u << k;
		}
	}
	for (int r = 0; r < REQUESTS; r++) {
		registered += there[r] != 0;
		assert_int_equal(values_of(reg, &requests[r]),
		    __builtin_popcount(there[r] & ((1u << KEYS) - 1)));
	}
	assert_int_equal(ctx_registry_count(reg), registered);
	assert_int_equal(ctx_registry_purge(reg, -1), registered);
}

static struct ctx_registry *shared;
static atomic_bool stop;
static atomic_int wrong;
static char requests[64][8];
static const int numbers[64] = {0, 1, 2, 3, 4, 5, 6, 7};

/* Each writer has requests of its own; what it has set is there, until it clears it. */
static void *
write_values(void *arg)
{
	int mine = (int)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++) {
		int r = mine * 16 + i % 16;

		if (ctx_registry_get(shared, requests[r], &number_key) != NULL)
			atomic_fetch_add(&wrong, 1);
		ctx_registry_set(shared, requests[r], &key1, "x");
		ctx_registry_set(shared, requests[r], &number_key, &numbers[r]);
		if (ctx_registry_get(shared, requests[r], &number_key) != &numbers[r])
			atomic_fetch_add(&wrong, 1);
		ctx_registry_delete(shared, requests[r], &key1);
		ctx_registry_clear(shared, requests[r]);
	}
	return NULL;
}

/* A reader finds a request's own value or none, never another's. */
static void *
read_values(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		const int *got = ctx_registry_get(shared, requests[i % 64], &number_key);

		if (got != NULL && got != &numbers[i % 64])
			atomic_fetch_add(&wrong, 1);
	}
	return NULL;
}

static void
registry_from_many_threads(void **state)
{
	pthread_t writers[4], readers[4];

	shared = *state;
	for (int i = 0; i < 4; i++) {
		writers[i] = start(write_values, (void *)(uintptr_t)i);
		readers[i] = start(read_values, NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(ctx_registry_count(shared), 0);
}

static void
set_for_null(void)
{
	ctx_registry_set(ctx_registry_new(NULL, NULL), NULL, &key1, "x");
}

static void
get_from_null(void)
{
	ctx_registry_get(NULL, "request", &key1);
}

static void
get_without_key(void)
{
	ctx_registry_get_(ctx_registry_new(NULL, NULL), "request", NULL);
}

static void
get_ok_without_key(void)
{
	bool ok;

	ctx_registry_get_ok_(ctx_registry_new(NULL, NULL), "request", NULL, &ok);
}

static void
set_without_key(void)
{
	ctx_registry_set_(ctx_registry_new(NULL, NULL), "request", NULL, "x");
}

static void
delete_without_key(void)
{
	ctx_registry_delete_(ctx_registry_new(NULL, NULL), "request", NULL);
}

static void
registry_misuse(void **state)
{
	(void)state;
	assert_aborts(get_without_key, "ctx: ctx_registry_get: NULL key");
	assert_aborts(get_ok_without_key, "ctx: ctx_registry_get_ok: NULL key");
	assert_aborts(set_without_key, "ctx: ctx_registry_set: NULL key");
	assert_aborts(delete_without_key, "ctx: ctx_registry_delete: NULL key");
	assert_aborts(set_for_null, "ctx: ctx_registry_set: NULL registry or request");
	assert_aborts(get_from_null, "ctx: ctx_registry_get: NULL registry or request");
}

static int
setup(void **state)
{
	*state = ctx_registry_new(NULL, NULL);
	return *state == NULL;
}

static int
teardown(void **state)
{
	return talloc_free(*state);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(registry_context),
	    T(registry_get_all),
	    T(registry_purge),
	    T(registry_of_a_copied_request),
	    T(registry_of_many),
	    T(registry_from_many_threads),
	    T(registry_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
