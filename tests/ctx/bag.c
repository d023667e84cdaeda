/* SPDX-License-Identifier: MIT */
/* The bag. After Get, Put, Delete, Copy and Exists of alexedwards/stack. */
#include "tests/ctx/support.h"

#include <baton/bag.h>

static char flop[] = "flop", bash[] = "bash";

static void
bag_get(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);

	assert_int_equal(ctx_bag_put(c, "flip", flop), 0);
	assert_int_equal(ctx_bag_put(c, "bish", NULL), 0);
	assert_ptr_equal(ctx_bag_get(c, "flip"), flop);
	assert_true(ctx_bag_exists(c, "flip"));
	assert_null(ctx_bag_get(c, "bish"));
	assert_true(ctx_bag_exists(c, "bish")); /* NULL is there */
	assert_null(ctx_bag_get(c, "wibble"));
	assert_false(ctx_bag_exists(c, "wibble"));
}

static void
bag_put(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);
	char key[] = "bish";

	assert_int_equal(ctx_bag_put(c, key, bash), 0);
	key[0] = 'x'; /* the key was copied */
	assert_ptr_equal(ctx_bag_get(c, "bish"), bash);
	assert_int_equal(ctx_bag_put(c, "bish", flop), 0); /* in its place */
	assert_ptr_equal(ctx_bag_get(c, "bish"), flop);
}

static void
bag_delete(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);

	assert_false(ctx_bag_delete(c, "flip"));
	ctx_bag_put(c, "flip", flop);
	assert_true(ctx_bag_delete(c, "flip"));
	assert_null(ctx_bag_get(c, "flip"));
	assert_false(ctx_bag_exists(c, "flip"));
	assert_false(ctx_bag_delete(c, "flip"));
}

static void
bag_copy(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL), *c2;

	ctx_bag_put(c, "flip", flop);
	c2 = ctx_with_bag(*state, ctx_background(), ctx_bag_copy(*state, ctx_bag_of(c)));
	ctx_bag_put(c2, "bish", bash);
	assert_false(ctx_bag_exists(c, "bish"));
	assert_ptr_equal(ctx_bag_get(c2, "bish"), bash);
	assert_ptr_equal(ctx_bag_get(c2, "flip"), flop);
}

static void
bag_exists(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);

	assert_false(ctx_bag_exists(c, "flip"));
	ctx_bag_put(c, "flip", flop);
	assert_true(ctx_bag_exists(c, "flip"));
	assert_false(ctx_bag_exists(c, "bash"));
}

/* It is found through the chain, the nearest one; without any nothing can be put. */
static void
bag_of_a_context(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL), *child, *inner;

	assert_null(ctx_bag_of(ctx_background()));
	assert_int_equal(ctx_bag_put(ctx_background(), "flip", flop), -ENOENT);
	assert_null(ctx_bag_get(ctx_background(), "flip"));
	assert_false(ctx_bag_exists(ctx_background(), "flip"));
	assert_false(ctx_bag_delete(ctx_background(), "flip"));

	child = ctx_with_cancel(*state, c);
	ctx_bag_put(child, "flip", flop);
	assert_ptr_equal(ctx_bag_get(c, "flip"), flop);
	inner = ctx_with_bag(*state, child, NULL);
	assert_false(ctx_bag_exists(inner, "flip"));
}

CTX_KEY(number_key, int);

static void
bag_and_value(void **state)
{
	int number = 3;
	const struct ctx *root = ctx_with_value(*state, ctx_background(), &number_key, NULL),
			 *c = ctx_with_bag_and_value(*state, root, &number_key, &number), *out;

	assert_ptr_equal(ctx_value(c, &number_key), &number);
	assert_null(ctx_value(root, &number_key));
	assert_null(ctx_bag_of(root));
	assert_int_equal(ctx_bag_put(c, "flip", flop), 0);
	out = ctx_without_cancel(*state, c);
	talloc_free((void *)(uintptr_t)c);
	assert_ptr_equal(ctx_bag_get(out, "flip"), flop);
	assert_ptr_equal(ctx_value(out, &number_key), &number);
}

/* Who outlives a request has a bag of its own. */
static void
bag_outlives(void **state)
{
	TALLOC_CTX *request = talloc_pool(NULL, 4096);
	const struct ctx *c = ctx_with_bag(request, ctx_background(), NULL), *out;

	ctx_bag_put(c, "flip", flop);
	out = ctx_without_cancel(*state, c);
	ctx_bag_put(c, "bish", bash);
	talloc_free(request);
	assert_ptr_equal(ctx_bag_get(out, "flip"), flop);
	assert_false(ctx_bag_exists(out, "bish"));
}

/* Into an empty bag without a copy of keys, into another one by one; then it is as any. */
static void
bag_put_all(void **state)
{
	const struct ctx *source = ctx_with_bag(*state, ctx_background(), NULL);
	TALLOC_CTX *request = talloc_pool(NULL, 4096);
	char key[] = "key-0";

	ctx_bag_put(source, "flip", flop);
	ctx_bag_put(source, "bish", NULL);
	assert_int_equal(ctx_bag_put_all(ctx_background(), ctx_bag_of(source)), -ENOENT);
	for (int full = 0; full < 2; full++) {
		const struct ctx *c = ctx_with_bag(request, ctx_background(), NULL);

		if (full)
			ctx_bag_put(c, "own", bash);
		assert_int_equal(ctx_bag_put_all(c, ctx_bag_of(source)), 0);
		assert_ptr_equal(ctx_bag_get(c, "flip"), flop);
		assert_true(ctx_bag_exists(c, "bish"));
		assert_int_equal(ctx_bag_exists(c, "own"), full);
		assert_true(ctx_bag_delete(c, "flip"));
		assert_int_equal(ctx_bag_put(c, "bish", bash), 0);
		for (; key[4] < '9'; key[4]++)
			assert_int_equal(ctx_bag_put(c, key, key), 0); /* it grows */
		key[4] = '0';
		assert_true(ctx_bag_delete(c, key));
		assert_false(ctx_bag_exists(c, "flip"));
		assert_ptr_equal(ctx_bag_get(c, "bish"), bash);
		assert_ptr_equal(ctx_bag_get(source, "flip"), flop); /* untouched */
		assert_null(ctx_bag_get(source, "bish"));
	}
	assert_int_equal(ctx_bag_put_all(source, ctx_bag_new(request)), 0); /* nothing */
	talloc_free(request);
}

/* Beside an array that says what must be there: many keys, in and out, in no order. */
static void
bag_of_many(void **state)
{
	enum { KEYS = 500 };
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);
	static int values[KEYS];
	bool there[KEYS] = {false};
	unsigned seed = 3;
	char key[16];

	for (int step = 0; step < 20000; step++) {
		int k = rand_r(&seed) % KEYS;

		snprintf(key, sizeof(key), "key-%d", k);
		assert_int_equal(ctx_bag_exists(c, key), there[k]);
		assert_ptr_equal(ctx_bag_get(c, key), there[k] ? &values[k] : NULL);
		if (rand_r(&seed) % 2) {
			assert_int_equal(ctx_bag_put(c, key, &values[k]), 0);
			there[k] = true;
		} else {
			assert_int_equal(ctx_bag_delete(c, key), there[k]);
			there[k] = false;
		}
	}
}

static atomic_int wrong;

static void *
work(void *ctx)
{
	static int values[8];
	char key[] = "key-0";

	for (int i = 0; i < 4000; i++) {
		int *got;

		key[4] = (char)('0' + i % 8);
		if (i % 5 == 0)
			ctx_bag_delete(ctx, key);
		else
			ctx_bag_put(ctx, key, &values[i % 8]);
		got = ctx_bag_get(ctx, key);
		if (got != NULL && got != &values[i % 8])
			atomic_fetch_add(&wrong, 1);
		if (i % 100 == 0)
			talloc_free(ctx_bag_copy(NULL, ctx_bag_of(ctx)));
	}
	return NULL;
}

static void
bag_from_many_threads(void **state)
{
	const struct ctx *c = ctx_with_bag(*state, ctx_background(), NULL);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		threads[i] = start(work, (void *)(uintptr_t)c);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
}

static void
put_under_null(void)
{
	ctx_bag_put(ctx_with_bag(NULL, ctx_background(), NULL), NULL, flop);
}

static void
get_from_null(void)
{
	ctx_bag_get(NULL, "key");
}

static void
copy_null(void)
{
	ctx_bag_copy(NULL, NULL);
}

static void
bag_misuse(void **state)
{
	(void)state;
	assert_aborts(put_under_null, "ctx: ctx_bag_put: NULL key");
	assert_aborts(get_from_null, "ctx: ctx_bag_get: NULL context");
	assert_aborts(copy_null, "ctx: ctx_bag_copy: NULL bag");
}

static int
setup(void **state)
{
	*state = talloc_new(NULL);
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
	    T(bag_get),
	    T(bag_put),
	    T(bag_delete),
	    T(bag_copy),
	    T(bag_exists),
	    T(bag_of_a_context),
	    T(bag_and_value),
	    T(bag_outlives),
	    T(bag_put_all),
	    T(bag_of_many),
	    T(bag_from_many_threads),
	    T(bag_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
