/* SPDX-License-Identifier: MIT */
/*
 * Contexts of foreign types as parents. After CustomContext… in Go's src/context (those of
 * AfterFunc are in foreign_after.c), with the difference that no helper thread is ever started
 * for them.
 */
#include "tests/ctx/job.h"

#include <dirent.h>

static const struct ctx_type plain_type = {.name = "plain"};

static int
threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
custom_context_goroutines(void **state)
{
	struct job *job = new_job(*state), *inner = new_job(*state);
	const struct ctx *bg = ctx_background(), *c2;
	struct ctx *c1, *c3, *c4, *c5;
	int before;

	/* The one thread for deadlines; from now on there must come no more. */
	talloc_free(ctx_with_timeout(*state, bg, LONG_MS));
	before = threads();

	ctx_cancel(ctx_with_cancel(*state, ctx_foreign(*state, bg, &job_type, job)));
	ctx_cancel(ctx_with_timeout(*state, ctx_foreign(*state, bg, &job_type, job), LONG_MS));
	c1 = ctx_with_cancel(*state, bg);
	c2 = ctx_foreign(*state, c1, &plain_type, NULL);
	c3 = ctx_with_cancel(*state, c2);
	ctx_with_cancel(*state, ctx_foreign(*state, c2, &job_type, inner));
	c4 = ctx_with_timeout(*state, c3, LONG_MS);
	c5 = ctx_with_cancel(*state, c4);
	ctx_cancel(c5);
	ctx_cancel(ctx_with_timeout(*state, c5, LONG_MS));
	ctx_cancel(c1);
	assert_ended(c3, -ECANCELED, &ctx_canceled);
	assert_ended(ctx_with_cancel(*state, c5), -ECANCELED, &ctx_canceled);
	assert_int_equal(inner->watches, 1); /* c1 does not answer for a type that does itself */
	assert_int_equal(threads(), before);
}

static const struct ctx_cause because = {-EPIPE, "because"};

static void
custom_context_propagation(void **state)
{
	/* Its end is its own; err and cause are its parent's. */
	static const struct ctx_type done_type = {
	    .name = "done", .watch = job_watch, .unwatch = job_unwatch};
	struct job *job = new_job(*state);
	struct ctx *c1 = ctx_with_cancel(*state, ctx_background());
	const struct ctx *c2 = ctx_foreign(*state, c1, &done_type, job);
	struct ctx *c3 = ctx_with_cancel(*state, c2);

	ctx_cancel_cause(c1, &because);
	assert_ended(c2, -ECANCELED, &because);
	assert_alive(c3); /* not told yet */
	job_end(job, ctx_err(c2), ctx_cause(c2));
	wait_end(c3);
	assert_ended(c3, -ECANCELED, &because);
}

static void
custom_context_cause(void **state)
{
	struct job *ended = new_job(*state), *job = new_job(*state), *last = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, ended);
	struct ctx *child;

	/* A type that gives no cause gets the one for its err. */
	job_end(ended, -ECANCELED, NULL);
	assert_ended(c, -ECANCELED, &ctx_canceled);
	assert_ended(ctx_with_cancel(*state, c), -ECANCELED, &ctx_canceled);

	/* The child's own cause stays, and is not its parent's. */
	c = ctx_foreign(*state, ctx_background(), &job_type, job);
	child = ctx_with_cancel(*state, c);
	ctx_cancel_cause(child, &because);
	assert_ended(child, -ECANCELED, &because);
	assert_int_equal(ctx_err(c), 0);
	assert_null(ctx_cause(c));
	job_end(job, -ECANCELED, NULL);
	assert_ended(child, -ECANCELED, &because);
	assert_ended(c, -ECANCELED, &ctx_canceled);

	c = ctx_foreign(*state, ctx_background(), &job_type, last);
	child = ctx_with_cancel(*state, c);
	job_end(last, -ETIMEDOUT, NULL);
	assert_ended(child, -ETIMEDOUT, &ctx_deadline_exceeded);
	assert_ended(c, -ETIMEDOUT, &ctx_deadline_exceeded);
}

CTX_KEY(known, const char);
CTX_KEY(unknown, const char);

static bool
know_value(void *data, const struct ctx_key *key, const void **value)
{
	if (key != &known.key)
		return false;
	*value = data;
	return true;
}

static bool
know_deadline(void *data, int64_t *at_ns)
{
	(void)data;
	*at_ns = HOUR_NS * 24 * 365 * 100;
	return true;
}

static void
custom_context_values_and_deadline(void **state)
{
	static const struct ctx_type type = {.name = "knows", .value = know_value};
	static const struct ctx_type dated = {
	    .name = "dated", .deadline = know_deadline, .watch = job_watch, .unwatch = job_unwatch};
	struct job *job = new_job(*state);
	const struct ctx *c = ctx_with_value(*state, ctx_background(), &known, "below");
	int64_t at = 0;

	c = ctx_with_value(*state, c, &unknown, "parent's");
	c = ctx_foreign(*state, c, &type, (void *)(uintptr_t) "its own");
	c = ctx_with_cancel(*state, c);
	assert_string_equal(ctx_value(c, &known), "its own");
	assert_string_equal(ctx_value(c, &unknown), "parent's");
	assert_false(ctx_deadline(c, &at));
	c = ctx_without_cancel(*state, c); /* a foreign type's values are still there */
	assert_string_equal(ctx_value(c, &known), "its own");
	assert_string_equal(ctx_value(c, &unknown), "parent's");

	c = ctx_foreign(*state, ctx_background(), &dated, job);
	c = ctx_with_cancel(*state, ctx_with_deadline(*state, c, INT64_MAX));
	assert_true(ctx_deadline(c, &at));
	assert_int_equal(at, HOUR_NS * 24 * 365 * 100);
}

static void *
end_job(void *job)
{
	job_end(job, -ETIMEDOUT, &because);
	return NULL;
}

static void
custom_context_ends_sleep_and_poll(void **state)
{
	struct job *job = new_job(*state), *second = new_job(*state);
	const struct ctx *c = ctx_foreign(*state, ctx_background(), &job_type, job);
	pthread_t t;

	assert_int_equal(ctx_done(c), -ENOTSUP);
	assert_int_equal(ctx_sleep(c, 1), 0);
	assert_int_equal(ctx_poll(c, NULL, 0, 1), 0);
	assert_int_equal(job->watches, 0);
	t = start(end_job, job);
	assert_int_equal(ctx_sleep(c, -1), -ETIMEDOUT);
	pthread_join(t, NULL);
	assert_int_equal(ctx_sleep(c, -1), -ETIMEDOUT);
	assert_int_equal(ctx_poll(c, NULL, 0, -1), -ETIMEDOUT);
	c = ctx_foreign(*state, ctx_background(), &job_type, second);
	t = start(end_job, second);
	assert_int_equal(ctx_poll(c, NULL, 0, -1), -ETIMEDOUT);
	pthread_join(t, NULL);
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
	    T(custom_context_goroutines),
	    T(custom_context_propagation),
	    T(custom_context_cause),
	    T(custom_context_values_and_deadline),
	    T(custom_context_ends_sleep_and_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
