/* SPDX-License-Identifier: MIT */
/* Deadlines that their owner looks at, or gives to the thread for deadlines later. */
#include "tests/ctx/support.h"

#include <semaphore.h>

#include "ctx/due.h"
#include "ctx/node.h"

static void
nobody_ends_it_before_its_owner_does(void **state)
{
	struct ctx *c = ctxi_due_new(*state, ctx_now_ns() - 1);
	struct ctx *child = ctx_with_cancel(*state, c);
	int fd = ctx_done(child);
	int64_t at_ns = 0;

	assert_int_equal(ctx_err(c), 0);
	assert_true(ctx_deadline(child, &at_ns) && at_ns < ctx_now_ns());
	assert_false(readable(fd));
	ctxi_due_over(c);
	assert_int_equal(ctx_err(c), -ETIMEDOUT);
	assert_int_equal(ctx_err(child), -ETIMEDOUT);
	assert_ptr_equal(ctx_cause(child), &ctx_deadline_exceeded);
	assert_true(readable(fd));
}

static void
whoever_was_first_has_ended_it(void **state)
{
	struct ctx *c = ctxi_due_new(*state, ctx_now_ns() - 1);

	ctx_cancel(c);
	ctxi_due_over(c);
	assert_int_equal(ctx_err(c), -ECANCELED);
	assert_int_equal(ctxi_due_watch(c), 0);
	assert_int_equal(ctx_err(c), -ECANCELED);
}

static void
watched_it_ends_by_itself(void **state)
{
	struct ctx *late = ctxi_due_new(*state, ctx_now_ns() - 1);
	struct ctx *soon = ctxi_due_new(*state, ctx_now_ns() + 1000000);

	assert_int_equal(ctxi_due_watch(late), 0);
	assert_int_equal(ctx_err(late), -ETIMEDOUT);
	assert_int_equal(ctxi_due_watch(soon), 0);
	assert_int_equal(ctx_sleep(soon, LONG_MS), -ETIMEDOUT);
}

static void
watched_it_is_freed_and_cancelled_as_any_other(void **state)
{
	struct ctx *freed = ctxi_due_new(*state, ctx_now_ns() + HOUR_NS);
	struct ctx *cancelled = ctxi_due_new(*state, ctx_now_ns() + HOUR_NS);

	assert_int_equal(ctxi_due_watch(freed), 0);
	talloc_free(freed);
	assert_int_equal(ctxi_due_watch(cancelled), 0);
	ctx_cancel(cancelled);
	assert_int_equal(ctxi_node(cancelled)->timer.slot, CTXI_NOT_ARMED);
	talloc_free(cancelled);
}

static void
without_a_deadline_there_is_nothing_to_watch(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());

	assert_int_equal(ctxi_due_watch(c), 0);
	ctxi_due_over(c);
	assert_int_equal(ctx_err(c), 0);
}

static sem_t held, enough;

static void *
hold_the_lock(void *arg)
{
	ctxi_timer_fork(CTXI_PREPARE); /* takes it, as before a fork */
	sem_post(&held);
	sem_wait(&enough);
	ctxi_timer_fork(CTXI_PARENT);
	return arg;
}

/* The heap's lock is held by another: nothing here waits for it. */
static void
its_owner_needs_no_lock_of_the_deadlines(void **state)
{
	pthread_t other;
	struct ctx *c;

	sem_init(&held, 0, 0);
	sem_init(&enough, 0, 0);
	assert_int_equal(pthread_create(&other, NULL, hold_the_lock, NULL), 0);
	sem_wait(&held);
	c = ctxi_due_new(*state, ctx_now_ns() + HOUR_NS);
	ctx_with_cancel(c, c);
	ctxi_due_over(c);
	talloc_free(c);
	c = ctxi_due_new(*state, ctx_now_ns() + HOUR_NS);
	ctx_cancel(c);
	talloc_free(c);
	sem_post(&enough);
	pthread_join(other, NULL);
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
	    T(nobody_ends_it_before_its_owner_does),
	    T(whoever_was_first_has_ended_it),
	    T(watched_it_ends_by_itself),
	    T(watched_it_is_freed_and_cancelled_as_any_other),
	    T(without_a_deadline_there_is_nothing_to_watch),
	    T(its_owner_needs_no_lock_of_the_deadlines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
