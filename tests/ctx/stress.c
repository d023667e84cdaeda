/* SPDX-License-Identifier: MIT */
/* Eight threads derive from, cancel, read and free parts of one tree, all at once. */
#include "tests/ctx/support.h"

enum { THREADS = 8, ROUNDS = 60, SHARED = 16, STEPS = 200, OWN = 24 };

CTX_KEY(depth_key, const int);

static const struct ctx_cause causes[] = {
    {-EPIPE, "first"}, {-EIO, "second"}, {-EPERM, "third"}, {-EBUSY, "fourth"}};
static const int depths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static struct ctx *shared[SHARED];
static const struct ctx *seen[SHARED];
static pthread_barrier_t barrier;
static atomic_int calls, wrong;

static void
count(void *data)
{
	(void)data;
	atomic_fetch_add(&calls, 1);
}

/* What must hold of any context at any time. */
static void
check(const struct ctx *c)
{
	int err = ctx_err(c);
	const struct ctx_cause *cause = ctx_cause(c);
	bool ok = err == 0 || err == -ECANCELED || err == -ETIMEDOUT;

	ok = ok && (err == 0 || (cause != NULL && cause->text != NULL));
	ok = ok && (err == 0 || ctx_err(c) == err) && (cause == NULL || ctx_cause(c) == cause);
	ok = ok && (err == 0 || readable(ctx_done(c)));
	if (!ok)
		atomic_fetch_add(&wrong, 1);
}

/* One context more under a shared one or one of this thread's own. */
static struct ctx *
derive(TALLOC_CTX *mem, const struct ctx *parent, unsigned *seed)
{
	parent = ctx_with_value(mem, parent, &depth_key, &depths[rand_r(seed) % 16]);
	switch (rand_r(seed) % 4) {
	case 0:
		return ctx_with_cancel(mem, parent);
	case 1:
		return ctx_with_timeout_cause(mem, parent, LONG_MS, &causes[0]);
	case 2:
		return ctx_with_deadline(mem, parent, ctx_now_ns() + rand_r(seed) % 300000);
	default:
		ctx_after_func(mem, parent, count, NULL);
		return ctx_with_cancel(mem, ctx_without_cancel(mem, parent));
	}
}

static void
mix(TALLOC_CTX *mem, unsigned *seed)
{
	struct ctx *own[OWN] = {NULL};

	for (int i = 0; i < STEPS; i++) {
		int slot = rand_r(seed) % OWN, from = rand_r(seed) % SHARED;

		switch (rand_r(seed) % 8) {
		case 0:
			if (i > STEPS / 2)
				ctx_cancel_cause(shared[from], &causes[from % 4]);
			break;
		case 1:
			if (own[slot] != NULL)
				ctx_cancel(own[slot]);
			break;
		case 2:
			check(seen[from]);
			break;
		case 3:
			if (ctx_sleep(seen[from], 0) != 0)
				check(seen[from]);
			break;
		default:
			own[slot] = derive(mem,
			    rand_r(seed) % 2 || own[slot] == NULL ? seen[from] : own[slot], seed);
			check(own[slot]);
		}
	}
}

static void *
run(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int round = 0; round < ROUNDS; round++) {
		TALLOC_CTX *mem = talloc_pool(NULL, 64 << 10);

		pthread_barrier_wait(&barrier); /* the tree is there */
		mix(mem, &seed);
		talloc_free(mem);
		pthread_barrier_wait(&barrier); /* all are done with it */
	}
	return NULL;
}

/* A binary tree, with value nodes between. */
static void
plant(TALLOC_CTX *mem)
{
	for (int i = 0; i < SHARED; i++) {
		const struct ctx *parent = i == 0 ? ctx_background() : shared[(i - 1) / 2];

		parent = ctx_with_value(mem, parent, &depth_key, &depths[i]);
		shared[i] =
		    i % 3 ? ctx_with_cancel(mem, parent) : ctx_with_timeout(mem, parent, LONG_MS);
		seen[i] = ctx_with_value(mem, shared[i], &depth_key, NULL);
	}
}

static void
eight_threads_on_one_tree(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(run, (void *)(uintptr_t)(i + 1));
	for (int round = 0; round < ROUNDS; round++) {
		TALLOC_CTX *mem = talloc_new(NULL);

		plant(mem);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		ctx_cancel(shared[0]);
		for (int i = 0; i < SHARED; i++)
			assert_true(ctx_err(seen[i]) != 0);
		talloc_free(mem);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&calls) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(eight_threads_on_one_tree)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
