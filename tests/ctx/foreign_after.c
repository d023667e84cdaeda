/* SPDX-License-Identifier: MIT */
/*
 * What waits for the end of a context of a foreign type: it is told, and when it no longer
 * waits, the type is told. After CustomContextAfterFunc… in Go's src/context.
 */
#include "tests/ctx/job.h"

static const struct ctx_cause because = {-EPIPE, "because"};

static void
custom_context_after_func_cancel(void **state)
{
	struct job *job = new_job(*state);
	struct ctx *c =
	    ctx_with_cancel(*state, ctx_foreign(*state, ctx_background(), &job_type, job));

	assert_alive(c);
	job_end(job, -ECANCELED, &because);
	assert_ended(c, -ECANCELED, &because);
}

static void
custom_context_after_func_timeout(void **state)
{
	struct job *job = new_job(*state);
	struct ctx *c = ctx_with_timeout(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), LONG_MS);

	job_end(job, -ECANCELED, NULL);
	assert_ended(c, -ECANCELED, &ctx_canceled);
}

static void
custom_context_after_func_after_func(void **state)
{
	struct job *job = new_job(*state);
	struct event called = EVENT;
	struct ctx_after *a = ctx_after_func(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), event_raise, &called);

	job_end(job, -ECANCELED, NULL);
	event_wait(&called, 1);
	assert_false(ctx_after_stop(a));
	ctx_after_wait(a);
}

static void
custom_context_after_func_unregister_cancel(void **state)
{
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	struct ctx *c1 = ctx_with_cancel(*state, c), *c2 = ctx_with_cancel(*state, c);

	assert_int_equal(job->watches, 2);
	ctx_cancel(c1);
	talloc_free(c2); /* is as good */
	assert_int_equal(job->watches, 0);
}

static void
custom_context_after_func_unregister_timeout(void **state)
{
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	struct ctx *child = ctx_with_timeout(*state, c, LONG_MS);

	assert_int_equal(job->watches, 1);
	ctx_cancel(child);
	assert_int_equal(job->watches, 0);

	/* One that ended by its deadline goes on watching until it is freed. */
	child = ctx_with_timeout(*state, c, 1);
	wait_end(child);
	assert_int_equal(job->watches, 1);
	talloc_free(child);
	assert_int_equal(job->watches, 0);
}

static void
custom_context_after_func_unregister_after_func(void **state)
{
	struct job *job = new_job(*state);
	struct event never = EVENT;
	struct ctx_after *a = ctx_after_func(
	    *state, ctx_foreign(*state, ctx_background(), &job_type, job), event_raise, &never);

	assert_int_equal(job->watches, 1);
	assert_true(ctx_after_stop(a));
	assert_int_equal(job->watches, 0);
	job_end(job, -ECANCELED, NULL);
	assert_int_equal(event_count(&never), 0);
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
	    T(custom_context_after_func_cancel),
	    T(custom_context_after_func_timeout),
	    T(custom_context_after_func_after_func),
	    T(custom_context_after_func_unregister_cancel),
	    T(custom_context_after_func_unregister_timeout),
	    T(custom_context_after_func_unregister_after_func),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
