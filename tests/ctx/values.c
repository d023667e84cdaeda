/* SPDX-License-Identifier: MIT */
/*
 * Values, what they cost, and contexts that outlive their ancestors. After Values, Allocs and
 * WithoutCancel in Go's src/context/context_test.go.
 */
#include "tests/ctx/support.h"

#include <malloc.h>

CTX_KEY(k1, const char);
CTX_KEY(k2, const char);
CTX_KEY(k3, const char);

static const struct ctx_type other = {.name = "other"};

/* The values of the three keys; "" stands for absent, "NULL" for present and NULL. */
static void
check(const struct ctx *c, const char *v1, const char *v2, const char *v3)
{
	struct {
		const char *got, *want;
		bool has;
	} row[] = {{ctx_value(c, &k1), v1, ctx_has(c, &k1)},
	    {ctx_value(c, &k2), v2, ctx_has(c, &k2)}, {ctx_value(c, &k3), v3, ctx_has(c, &k3)}};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(row[i].has, row[i].want[0] != '\0');
		if (row[i].want[0] == '\0' || strcmp(row[i].want, "NULL") == 0)
			assert_null(row[i].got);
		else
			assert_string_equal(row[i].got, row[i].want);
	}
}

static void
values(void **state)
{
	const struct ctx *bg = ctx_background(), *c1, *c2, *c3, *c4, *o1, *o2, *o3, *o4;

	check(bg, "", "", "");
	c1 = ctx_with_value(*state, bg, &k1, "c1k1");
	check(c1, "c1k1", "", "");
	assert_string_equal(ctx_text(*state, c1), "ctx_background.with_value(const char k1)");
	c2 = ctx_with_value(*state, c1, &k2, "c2k2");
	check(c2, "c1k1", "c2k2", "");
	c3 = ctx_with_value(*state, c2, &k3, "c3k3");
	check(c3, "c1k1", "c2k2", "c3k3");
	c4 = ctx_with_value(*state, c3, &k1, NULL);
	check(c4, "NULL", "c2k2", "c3k3");
	assert_non_null(strstr(ctx_text(*state, c4), ".with_value(const char k1 = NULL)"));
	check(c3, "c1k1", "c2k2", "c3k3"); /* untouched */

	check(ctx_foreign(*state, bg, &other, NULL), "", "", "");
	o1 = ctx_foreign(*state, c1, &other, NULL);
	check(o1, "c1k1", "", "");
	o2 = ctx_with_value(*state, o1, &k2, "o2k2");
	check(o2, "c1k1", "o2k2", "");
	o3 = ctx_foreign(*state, c4, &other, NULL);
	check(o3, "NULL", "c2k2", "c3k3");
	o4 = ctx_with_value(*state, o3, &k3, NULL);
	check(o4, "NULL", "c2k2", "NULL");
}

/* c, just made in mem, is want blocks of memory and the only ones there. */
static void
assert_allocs(TALLOC_CTX *mem, const struct ctx *c, size_t want)
{
	assert_non_null(c);
	if (want > 0)
		assert_int_equal(talloc_total_blocks(c), want);
	assert_int_equal(talloc_total_blocks(mem), 1 + want);
	talloc_free_children(mem);
}

static void
allocs(void **state)
{
	TALLOC_CTX *mem = talloc_pool(*state, 4096);
	const struct ctx *bg = ctx_background();

	assert_allocs(mem, ctx_background(), 0);
	assert_allocs(mem, ctx_with_value(mem, bg, &k1, NULL), 1);
	assert_allocs(mem, ctx_with_cancel(mem, bg), 1);
	assert_allocs(mem, ctx_with_timeout(mem, bg, 0), 1);
	assert_allocs(mem, ctx_with_timeout(mem, bg, LONG_MS), 1);
}

/* In a request's pool no derivation asks malloc for anything, once the heap of deadlines
 * has room: the contexts lie in the pool, and the arena does not grow. */
static void
allocs_in_a_pool(void **state)
{
	char *pool = talloc_pool(*state, 4096);
	const struct ctx *all[4];
	size_t in_use, room = 4096 + 96 * 5UL; /* with the headers of five chunks */

	talloc_free(ctx_with_timeout(*state, ctx_background(), LONG_MS)); /* the thread, the heap */
	in_use = mallinfo2().uordblks;
	all[0] = ctx_with_cancel(pool, ctx_background());
	all[1] = ctx_with_value(pool, all[0], &k1, "x");
	all[2] = ctx_with_timeout(pool, all[1], LONG_MS);
	all[3] = ctx_with_cancel(pool, all[2]);
	assert_int_equal(mallinfo2().uordblks, in_use);
	for (int i = 0; i < 4; i++)
		assert_in_range((uintptr_t)all[i], (uintptr_t)pool, (uintptr_t)pool + room);
}

static void
without_cancel(void **state)
{
	const struct ctx *c = ctx_with_value(*state, ctx_background(), &k1, "value");
	int64_t at = -7;

	c = ctx_without_cancel(*state, ctx_with_timeout(*state, c, 0));
	assert_false(ctx_deadline(c, &at));
	assert_int_equal(at, -7);
	assert_int_equal(ctx_done(c), -ENOENT);
	assert_alive(c);
	check(c, "value", "", "");
}

static int copies;

static void *
copy_text(TALLOC_CTX *mem, const void *text)
{
	copies++;
	return talloc_strdup(mem, text);
}

static void *
no_memory(TALLOC_CTX *mem, const void *text)
{
	(void)mem;
	(void)text;
	return NULL;
}

CTX_KEY_COPY(copied, char, copy_text);
CTX_KEY_COPY(uncopyable, char, no_memory);

static void
without_cancel_outlives(void **state)
{
	TALLOC_CTX *request = talloc_pool(NULL, 4096);
	char *text = talloc_strdup(request, "mine");
	struct ctx *parent = ctx_with_cancel(request, ctx_background());
	const struct ctx *c = ctx_with_value(request, parent, &copied, text), *out;

	c = ctx_with_value(request, c, &k1, "old");
	c = ctx_with_value(request, c, &k1, "static");
	c = ctx_with_value(request, ctx_foreign(request, c, &other, NULL), &k2, NULL);
	copies = 0;
	out = ctx_without_cancel(*state, c);
	ctx_cancel(parent);
	memset(text, 'x', 4);
	talloc_free(request);

	assert_alive(out);
	assert_string_equal(ctx_value(out, &copied), "mine");
	assert_int_equal(copies, 1);
	check(out, "static", "NULL", "");
	assert_non_null(ctx_text(*state, out));
	assert_int_equal(talloc_total_blocks(out), 1 + 3 + 1); /* itself, values, the copy */
	out = ctx_without_cancel(*state, out);                 /* and once more */
	assert_string_equal(ctx_value(out, &copied), "mine");
}

static void
without_cancel_and_without_memory(void **state)
{
	char text[] = "x";
	const struct ctx *c = ctx_with_value(*state, ctx_background(), &uncopyable, text);
	size_t blocks = talloc_total_blocks(*state);

	assert_null(ctx_without_cancel(*state, c));
	assert_int_equal(talloc_total_blocks(*state), blocks);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(values, setup, teardown),
	    cmocka_unit_test_setup_teardown(allocs, setup, teardown),
	    cmocka_unit_test_setup_teardown(allocs_in_a_pool, setup, teardown),
	    cmocka_unit_test_setup_teardown(without_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(without_cancel_outlives, setup, teardown),
	    cmocka_unit_test_setup_teardown(without_cancel_and_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
