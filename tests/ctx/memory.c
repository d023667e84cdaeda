/* SPDX-License-Identifier: MIT */
/*
 * Who frees what: freeing in any order, from several threads, leaves nothing behind and
 * nothing dangling. Also how much memory a context is, and what fork() leaves a child.
 */
#include "tests/ctx/support.h"

#include <dirent.h>

#include "ctx/node.h"

CTX_KEY(some_key, int);

/* fork() under ThreadSanitizer: the child may start threads. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "die_after_fork=0";
}

static int
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
abort_if_called(void *data)
{
	(void)data;
	abort();
}

static void
freeing_a_parent_ends_its_children(void **state)
{
	struct ctx *parent = ctx_with_cancel(*state, ctx_background());
	struct ctx *child = ctx_with_timeout(*state, parent, LONG_MS);
	struct ctx *grandchild = ctx_with_cancel(*state, child);

	talloc_free(parent);
	assert_ended(child, -ECANCELED, &ctx_canceled);
	assert_ended(grandchild, -ECANCELED, &ctx_canceled);
	ctx_cancel(child); /* may still be asked, cancelled and freed */
	talloc_free(grandchild);
	talloc_free(child);
}

static void
freeing_a_child_leaves_its_parent(void **state)
{
	struct ctx *parent = ctx_with_cancel(*state, ctx_background());
	struct ctx *child = ctx_with_cancel(*state, parent);

	talloc_free(child);
	assert_alive(parent);
	assert_null(atomic_load(&ctxi_node(parent)->children));
}

/* A context as the talloc parent of its children: freed at once, parent first. */
static void
freeing_a_family_at_once(void **state)
{
	struct ctx *outside = ctx_with_cancel(*state, ctx_background());
	struct ctx *parent = ctx_with_cancel(*state, outside), *c = parent;
	static struct event called = EVENT; /* some may still be under way at the end */
	struct ctx_after *last;
	int fds = open_fds();

	for (int i = 0; i < 50; i++) {
		c = ctx_with_timeout(c, ctx_with_value(c, c, &some_key, NULL), LONG_MS);
		assert_true(ctx_done(c) >= 0);
		assert_non_null(ctx_after_func(c, c, event_raise, &called));
	}
	last = ctx_after_func(*state, c, event_raise, &called);
	talloc_free(parent); /* ends all, and frees who would have been called but for the last */
	ctx_after_wait(last);
	assert_int_equal(open_fds(), fds);
	assert_alive(outside);
}

/* A context that nothing hangs on needs no destructor; one that something does gets it. */
static void
destructors_only_where_needed(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct ctx *d = ctx_with_cancel(*state, ctx_background());

	assert_false(c->guarded);
	ctx_with_value(*state, c, &some_key, NULL);
	assert_false(c->guarded);
	ctx_cancel(c);
	assert_false(c->guarded);
	assert_true(ctx_with_cancel(*state, d)->guarded);
	assert_true(d->guarded);
	assert_true(ctx_done(c) >= 0);
	assert_true(c->guarded); /* has an fd to close */
}

static void
sizes(void **state)
{
	(void)state;
	print_message("bytes, talloc's header not counted: value %zu, cancel and deadline %zu, "
		      "foreign %zu\n",
	    sizeof(struct ctx), sizeof(struct ctxi_node), sizeof(struct ctxi_foreign));
	assert_in_range(sizeof(struct ctx), 1, 40);
	assert_in_range(sizeof(struct ctxi_node), 1, 128);
}

struct churn {
	const struct ctx *parent;
	pthread_barrier_t barrier;
};

/* A thread with its own memory whose contexts hang on another thread's. */
static void *
derive_and_free(void *arg)
{
	struct churn *churn = arg;
	struct ctx *c[20];

	for (int round = 0; round < 200; round++) {
		TALLOC_CTX *mem = talloc_pool(NULL, 8192);

		pthread_barrier_wait(&churn->barrier);
		for (int i = 0; i < 20; i++)
			c[i] = ctx_with_timeout(mem, i % 2 ? c[i - 1] : churn->parent, LONG_MS);
		pthread_barrier_wait(&churn->barrier);
		talloc_free(mem); /* while the parent is being freed */
		pthread_barrier_wait(&churn->barrier);
	}
	return NULL;
}

static void
parent_and_children_freed_by_two_threads(void **state)
{
	struct churn churn;
	pthread_t t;

	pthread_barrier_init(&churn.barrier, NULL, 2);
	t = start(derive_and_free, &churn);
	for (int round = 0; round < 200; round++) {
		struct ctx *parent = ctx_with_cancel(*state, ctx_background());

		churn.parent = parent;
		pthread_barrier_wait(&churn.barrier);
		pthread_barrier_wait(&churn.barrier);
		talloc_free(parent);
		pthread_barrier_wait(&churn.barrier);
	}
	pthread_join(t, NULL);
	pthread_barrier_destroy(&churn.barrier);
}

/* Deadlines that pass in the very moment their contexts are freed. */
static void
freed_while_the_deadline_passes(void **state)
{
	for (int i = 0; i < 3000; i++) {
		TALLOC_CTX *mem = talloc_new(*state);
		int64_t soon = ctx_now_ns() + 20000 + i * 7 % 40000;
		struct ctx *c = ctx_with_deadline(mem, ctx_background(), soon);
		struct ctx *child = ctx_with_cancel(mem, c);

		while (ctx_now_ns() < soon - 2000)
			;
		if (i % 3 == 0)
			ctx_cancel(child);
		talloc_free(mem);
	}
}

/* In a forked child contexts work, deadlines and after-functions too. */
static void
works_after_fork(void **state)
{
	struct ctx *inherited = ctx_with_timeout(*state, ctx_background(), LONG_MS);
	const struct ctx *named = ctx_with_value(*state, inherited, &some_key, NULL);
	struct ctx_after *a;
	struct event called = EVENT;
	int status;
	pid_t pid;

	a = ctx_after_func(*state, inherited, abort_if_called, NULL);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct ctx *c = ctx_with_timeout(NULL, ctx_background(), 1);

		ctx_after_func(NULL, c, event_raise, &called);
		event_wait(&called, 1);
		_exit(ctx_err(c) == -ETIMEDOUT && ctx_sleep(c, -1) == -ETIMEDOUT &&
			      ctx_has(named, &some_key) && ctx_err(named) == 0
			  ? 0
			  : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_alive(inherited);
	assert_true(ctx_after_stop(a));
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
	    T(freeing_a_parent_ends_its_children),
	    T(freeing_a_child_leaves_its_parent),
	    T(freeing_a_family_at_once),
	    T(destructors_only_where_needed),
	    T(sizes),
	    T(parent_and_children_freed_by_two_threads),
	    T(freed_while_the_deadline_passes),
	    T(works_after_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
