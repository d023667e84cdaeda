/* SPDX-License-Identifier: MIT */
/*
 * The tree of contexts: who hangs on whom, and how an end spreads. After the tests of the
 * same names in Go's src/context/context_test.go.
 */
#include "tests/ctx/support.h"

#include "ctx/cancel.h"

CTX_KEY(name_key, const char);

static int
children(const struct ctx *c)
{
	struct ctxi_node *n = ctxi_node(c);
	int count = 0;

	ctxi_lock(n->link.stripe);
	for (struct ctx_watch *w = atomic_load(&n->children); w != NULL; w = w->next)
		count++;
	ctxi_unlock(n->link.stripe);
	return count;
}

static bool
is_child(const struct ctx *c, const struct ctx *of)
{
	struct ctx_watch *w = atomic_load(&ctxi_node(of)->children);

	while (w != NULL && w != &ctxi_node(c)->link.watch)
		w = w->next;
	return w != NULL;
}

static void
background(void **state)
{
	(void)state;
	assert_non_null(ctx_background());
	assert_alive(ctx_background());
	assert_int_equal(ctx_done(ctx_background()), -ENOENT);
	assert_string_equal(ctx_text(*state, ctx_background()), "ctx_background");
}

static void
todo(void **state)
{
	assert_non_null(ctx_todo());
	assert_ptr_not_equal(ctx_todo(), ctx_background());
	assert_alive(ctx_todo());
	assert_int_equal(ctx_done(ctx_todo()), -ENOENT);
	assert_string_equal(ctx_text(*state, ctx_todo()), "ctx_todo");
}

/* A foreign type with no callbacks: like Go's struct with an embedded Context. */
static const struct ctx_type other = {.name = "other"};

static void
with_cancel(void **state)
{
	struct ctx *c1 = ctx_with_cancel(*state, ctx_background());
	const struct ctx *o = ctx_foreign(*state, c1, &other, NULL);
	struct ctx *c2 = ctx_with_cancel(*state, o);
	const struct ctx *all[] = {c1, o, c2};

	assert_string_equal(ctx_text(*state, c1), "ctx_background.with_cancel");
	assert_string_equal(ctx_text(*state, c2), "ctx_background.with_cancel.other.with_cancel");
	for (int i = 0; i < 3; i++) {
		assert_true(ctx_done(all[i]) >= 0);
		assert_alive(all[i]);
	}
	ctx_cancel(c1);
	for (int i = 0; i < 3; i++)
		assert_ended(all[i], -ECANCELED, &ctx_canceled);
	ctx_cancel(c1); /* again does nothing */
	assert_ended(c1, -ECANCELED, &ctx_canceled);
}

static void
parent_finishes_child(void **state)
{
	struct ctx *parent = ctx_with_cancel(*state, ctx_background());
	struct ctx *cancel_child = ctx_with_cancel(*state, parent);
	const struct ctx *value_child = ctx_with_value(*state, parent, &name_key, "value");
	struct ctx *timer_child = ctx_with_timeout(*state, value_child, LONG_MS);
	const struct ctx *all[] = {parent, cancel_child, value_child, timer_child};

	for (int i = 0; i < 4; i++)
		assert_alive(all[i]);
	assert_int_equal(children(parent), 2);
	assert_true(is_child(cancel_child, parent));
	assert_true(is_child(timer_child, parent)); /* over the value node */

	ctx_cancel(parent);
	assert_int_equal(children(parent), 0);
	for (int i = 0; i < 4; i++)
		assert_ended(all[i], -ECANCELED, &ctx_canceled);
	assert_ended(ctx_with_value(*state, parent, &name_key, "value"), -ECANCELED, &ctx_canceled);
}

static void
child_finishes_first(void **state)
{
	struct ctx *cancelable = ctx_with_cancel(*state, ctx_background());
	const struct ctx *parents[] = {ctx_background(), cancelable};

	for (int i = 0; i < 2; i++) {
		struct ctx *child = ctx_with_cancel(*state, parents[i]);

		assert_alive(parents[i]);
		assert_alive(child);
		assert_ptr_equal(ctxi_node(child)->link.up, parents[i]->canceler);
		if (i == 1)
			assert_int_equal(children(parents[i]), 1);
		ctx_cancel(child);
		if (i == 1)
			assert_int_equal(children(parents[i]), 0);
		assert_ended(child, -ECANCELED, &ctx_canceled);
		assert_alive(parents[i]);
	}
}

static void
cancel_removes(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background()), *child;

	assert_int_equal(children(c), 0);
	child = ctx_with_cancel(*state, c);
	assert_int_equal(children(c), 1);
	ctx_cancel(child);
	assert_int_equal(children(c), 0);

	child = ctx_with_timeout(*state, c, LONG_MS);
	assert_int_equal(children(c), 1);
	assert_int_not_equal(ctxi_node(child)->timer.slot, CTXI_NOT_ARMED);
	ctx_cancel(child);
	assert_int_equal(children(c), 0);
	assert_int_equal(ctxi_node(child)->timer.slot, CTXI_NOT_ARMED);
}

static const struct ctx_cause because = {-EPIPE, "because"};

static void
with_cancel_canceled_parent(void **state)
{
	struct ctx *parent = ctx_with_cancel(*state, ctx_background());

	ctx_cancel_cause(parent, &because);
	assert_ended(ctx_with_cancel(*state, parent), -ECANCELED, &because);
	assert_ended(ctx_with_timeout(*state, parent, LONG_MS), -ECANCELED, &because);
}

static void *
cancel_because(void *ctx)
{
	ctx_cancel_cause(ctx, &because);
	return NULL;
}

static void
with_cancel_simultaneously_canceled_parent(void **state)
{
	for (int i = 0; i < 100; i++) {
		struct ctx *parent = ctx_with_cancel(*state, ctx_background());
		pthread_t t = start(cancel_because, parent);
		struct ctx *c = ctx_with_cancel(*state, parent);

		wait_end(c);
		assert_ended(c, -ECANCELED, &because);
		pthread_join(t, NULL);
		talloc_free(c);
		talloc_free(parent);
	}
}

static void *
cancel_it(void *ctx)
{
	ctx_cancel(ctx);
	return NULL;
}

static void
simultaneous_cancels(void **state)
{
	struct ctx *tree[101];
	pthread_t threads[101];

	tree[0] = ctx_with_cancel(*state, ctx_background());
	for (int i = 1; i < 101; i++) /* four children each */
		tree[i] = ctx_with_cancel(*state, tree[(i - 1) / 4]);
	for (int i = 0; i < 101; i++)
		threads[i] = start(cancel_it, tree[(i * 37) % 101]); /* in some mixed order */
	for (int i = 0; i < 101; i++)
		wait_end(tree[(i * 53) % 101]);
	for (int i = 0; i < 101; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 101; i++) {
		assert_ended(tree[i], -ECANCELED, &ctx_canceled);
		assert_int_equal(children(tree[i]), 0);
	}
}

struct family {
	struct ctx *parent, *child;
};

static void *
cancel_child_after_parent(void *arg)
{
	struct family *f = arg;

	wait_end(f->parent);
	ctx_cancel(f->child);
	return NULL;
}

/* Whoever sees the end finds the fd readable, even before who ended it has come to that. */
static void
fd_readable_once_ended(void **state)
{
	for (int i = 0; i < 300; i++) {
		struct ctx *c = ctx_with_cancel(*state, ctx_background());
		pthread_t t;

		assert_false(readable(ctx_done(c)));
		t = start(cancel_it, c);
		while (ctx_err(c) == 0)
			;
		assert_true(readable(ctx_done(c)));
		pthread_join(t, NULL);
		talloc_free(c);
	}
}

static void
interlocked_cancels(void **state)
{
	struct family f;
	pthread_t t;

	f.parent = ctx_with_cancel(*state, ctx_background());
	f.child = ctx_with_cancel(*state, f.parent);
	t = start(cancel_child_after_parent, &f);
	ctx_cancel(f.parent);
	wait_end(f.child);
	pthread_join(t, NULL);
}

/* A chain of 30 or more contexts of all kinds, by a seed; must hold together whole. */
static void
check_layers(TALLOC_CTX *mem, unsigned seed, bool timeout)
{
	const struct ctx *c = ctx_background();
	struct ctx *cancels[200], *made;
	struct {
		CTX_KEY_DECLARED_(layer, int);
		int value;
	} v[200];
	int n_cancels = 0, n_values = 0, n_timers = 0;

	for (int i = 0; i < 30 || n_timers == 0 || n_values == 0; i++) {
		int what = rand_r(&seed) % 3;

		assert_true(i < 200);
		if (what == 0) {
			c = ctx_with_value(mem, c, &v[n_values].layer, &v[n_values].value);
			n_values++;
			continue;
		}
		made = what == 1 ? ctx_with_cancel(mem, c)
				 : ctx_with_timeout(mem, c, timeout ? 1 : LONG_MS);
		n_timers += what == 2;
		cancels[n_cancels++] = made;
		c = made;
	}
	if (!timeout) {
		assert_int_equal(ctx_err(c), 0);
		ctx_cancel(cancels[rand_r(&seed) % (unsigned)n_cancels]);
		assert_int_equal(ctx_err(c), -ECANCELED);
	}
	wait_end(c);
	assert_int_equal(ctx_err(c), timeout ? -ETIMEDOUT : -ECANCELED);
	for (int i = 0; i < n_values; i++)
		assert_ptr_equal(ctx_value(c, &v[i].layer), &v[i].value);
}

static void
layers(TALLOC_CTX *mem, bool timeout)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		TALLOC_CTX *tmp = talloc_new(mem);

		check_layers(tmp, seed, timeout);
		talloc_free(tmp);
	}
}

static void
layers_cancel(void **state)
{
	layers(*state, false);
}

static void
layers_timeout(void **state)
{
	layers(*state, true);
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
	    cmocka_unit_test_setup_teardown(background, setup, teardown),
	    cmocka_unit_test_setup_teardown(todo, setup, teardown),
	    cmocka_unit_test_setup_teardown(with_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(parent_finishes_child, setup, teardown),
	    cmocka_unit_test_setup_teardown(child_finishes_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(cancel_removes, setup, teardown),
	    cmocka_unit_test_setup_teardown(with_cancel_canceled_parent, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		with_cancel_simultaneously_canceled_parent, setup, teardown),
	    cmocka_unit_test_setup_teardown(simultaneous_cancels, setup, teardown),
	    cmocka_unit_test_setup_teardown(fd_readable_once_ended, setup, teardown),
	    cmocka_unit_test_setup_teardown(interlocked_cancels, setup, teardown),
	    cmocka_unit_test_setup_teardown(layers_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(layers_timeout, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
