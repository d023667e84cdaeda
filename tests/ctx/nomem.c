/* SPDX-License-Identifier: MIT */
/*
 * Lack of memory: each function that makes something returns NULL and leaves nothing behind,
 * whichever of its allocations fails. This program has a malloc of its own in front of
 * libc's, which sanitizers have as well: under one of them the test is skipped.
 */
#include "tests/ctx/support.h"

#include <baton/bag.h>
#include <baton/registry.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

/* The allocation to fail, counted from now on; 0: none. */
static __thread int fail_at;

#if OWN_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#pragma GCC visibility push(default) /* for the shared libraries, too */
static bool
fails(void)
{
	if (fail_at == 0 || --fail_at > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t nmemb, size_t size)
{
	return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *
realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __libc_realloc(ptr, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}
#pragma GCC visibility pop
#endif

CTX_KEY(some_key, int);

static const struct ctx *parent;
static const struct ctx_type type = {.name = "type"};

static void
nothing(void *data)
{
	(void)data;
}

static const void *
make(TALLOC_CTX *mem, int what)
{
	switch (what) {
	case 0:
		return ctx_with_value(mem, parent, &some_key, NULL);
	case 1:
		return ctx_with_cancel(mem, parent);
	case 2:
		return ctx_with_timeout(mem, parent, LONG_MS);
	case 3:
		return ctx_with_deadline(mem, parent, 0);
	case 4:
		return ctx_without_cancel(mem, parent);
	case 5:
		return ctx_foreign(mem, parent, &type, NULL);
	case 6:
		return ctx_after_func(mem, parent, nothing, NULL);
	case 7:
		return ctx_text(mem, parent);
	case 8:
		return ctx_bag_new(mem);
	case 9:
		return ctx_with_bag(mem, parent, NULL);
	case 10:
		return ctx_registry_new(mem, NULL);
	case 11:
		return ctx_with_bag_and_value(mem, parent, &some_key, NULL);
	}
	return NULL;
}
enum { MAKERS = 12 };

static void
null_for_lack_of_memory(void **state)
{
	TALLOC_CTX *top, *mem;
	struct ctx *root;

	(void)state;
	if (!OWN_MALLOC)
		harness_skip("a sanitizer has its own malloc");
	top = talloc_new(NULL);
	mem = talloc_new(top);
	root = ctx_with_cancel(top, ctx_background());
	parent = ctx_with_value(top, root, &some_key, NULL);
	for (int what = 0; what < MAKERS; what++) {
		int refused = 0;

		for (bool reached = true; reached;) {
			const void *made;

			fail_at = refused + 1;
			made = make(mem, what);
			reached = fail_at == 0;
			fail_at = 0;
			assert_int_equal(made == NULL, reached);
			refused += reached;
			if (reached)
				assert_int_equal(talloc_total_blocks(mem), 1);
			talloc_free_children(mem);
		}
		assert_true(refused > 0);
		assert_int_equal(ctx_err(root), 0);
	}
	talloc_free(top);
}

static void
put_and_set_for_lack_of_memory(void **state)
{
	struct ctx_registry *reg;
	const struct ctx *c, *full;
	int refused = 0, rc;

	(void)state;
	if (!OWN_MALLOC)
		harness_skip("a sanitizer has its own malloc");
	reg = ctx_registry_new(NULL, NULL);
	c = ctx_with_bag(NULL, ctx_background(), NULL);
	do {
		fail_at = refused + 1;
		rc = ctx_bag_put(c, "key", NULL);
		refused += rc != 0;
		assert_int_equal(ctx_bag_exists(c, "key"), rc == 0);
	} while (rc == -ENOMEM);
	fail_at = 0;
	assert_int_equal(rc, 0);
	assert_int_equal(refused, 2); /* the table, the key */
	full = ctx_with_bag(NULL, c, NULL);
	fail_at = 1;
	assert_int_equal(
	    ctx_bag_put_all(full, ctx_bag_of(c)), -ENOMEM); /* talloc's for the table */
	assert_false(ctx_bag_exists(full, "key"));
	assert_int_equal(ctx_bag_put_all(full, ctx_bag_of(c)), 0);
	talloc_free((void *)(uintptr_t)full);
	refused = 0;
	do {
		fail_at = refused + 1;
		rc = ctx_registry_set(reg, &refused, &some_key, NULL);
		refused += rc != 0;
		assert_int_equal(ctx_registry_count(reg), rc == 0);
	} while (rc == -ENOMEM);
	fail_at = 0;
	assert_int_equal(rc, 0);
	assert_int_equal(refused, 2); /* the table, a block */
	talloc_free(reg);
	talloc_free((void *)(uintptr_t)c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(null_for_lack_of_memory),
	    cmocka_unit_test(put_and_set_for_lack_of_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
