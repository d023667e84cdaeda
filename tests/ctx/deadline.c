/* SPDX-License-Identifier: MIT */
/*
 * Deadlines, and blocking calls that end with a context. After Deadline, Timeout and
 * CanceledTimeout in Go's src/context/context_test.go.
 */
#include "tests/ctx/support.h"

static const struct ctx_type other = {.name = "other"};
static const struct ctx_cause too_slow = {-ETIME, "too slow"};

static void
assert_times_out(const struct ctx *c)
{
	wait_end(c);
	assert_ended(c, -ETIMEDOUT, &ctx_deadline_exceeded);
	assert_int_equal(ctx_remaining_ms(c), 0);
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void
deadline(void **state)
{
	int64_t soon = ctx_now_ns() + 1000000, at;
	const struct ctx *c = ctx_with_deadline(*state, ctx_background(), soon);

	assert_true(begins(ctx_text(*state, c), "ctx_background.with_deadline("));
	assert_true(ctx_deadline(c, &at));
	assert_int_equal(at, soon);
	assert_times_out(c);
	c = ctx_with_deadline(*state, ctx_background(), soon);
	assert_times_out(ctx_foreign(*state, c, &other, NULL));

	c = ctx_with_deadline(*state, ctx_background(), ctx_now_ns() + 1000000);
	c = ctx_foreign(*state, c, &other, NULL);
	assert_times_out(ctx_with_deadline(*state, c, ctx_now_ns() + HOUR_NS));

	/* In the past, and now: ended at birth. */
	c = ctx_with_deadline(*state, ctx_background(), ctx_now_ns() - 1);
	assert_ended(c, -ETIMEDOUT, &ctx_deadline_exceeded);
	c = ctx_with_deadline(*state, ctx_background(), ctx_now_ns());
	assert_ended(c, -ETIMEDOUT, &ctx_deadline_exceeded);
}

static void
timeout(void **state)
{
	const struct ctx *c = ctx_with_timeout(*state, ctx_background(), 1);

	assert_true(begins(ctx_text(*state, c), "ctx_background.with_deadline("));
	assert_times_out(c);
	c = ctx_foreign(*state, ctx_with_timeout(*state, ctx_background(), 1), &other, NULL);
	assert_times_out(c);
	c = ctx_foreign(*state, ctx_with_timeout(*state, ctx_background(), 1), &other, NULL);
	assert_times_out(ctx_with_timeout(*state, c, LONG_MS));
	assert_ended(
	    ctx_with_timeout(*state, ctx_background(), -5), -ETIMEDOUT, &ctx_deadline_exceeded);
}

static void
canceled_timeout(void **state)
{
	const struct ctx *c = ctx_with_timeout(*state, ctx_background(), LONG_MS);
	struct ctx *d = ctx_with_timeout(*state, ctx_foreign(*state, c, &other, NULL), LONG_MS);

	ctx_cancel(d);
	assert_ended(d, -ECANCELED, &ctx_canceled);
	assert_alive(c);
}

static void
earlier_deadline_of_parent_wins(void **state)
{
	int64_t now = ctx_now_ns(), at;
	const struct ctx *parent = ctx_with_deadline(*state, ctx_background(), now + HOUR_NS);
	const struct ctx *later = ctx_with_deadline(*state, parent, now + 2 * HOUR_NS);
	const struct ctx *same = ctx_with_deadline(*state, parent, now + HOUR_NS);
	const struct ctx *earlier = ctx_with_deadline(*state, parent, now + HOUR_NS / 2);

	assert_true(ctx_deadline(later, &at));
	assert_int_equal(at, now + HOUR_NS);
	assert_non_null(strstr(ctx_text(*state, later), ").with_cancel"));
	assert_true(ctx_deadline(same, &at));
	assert_int_equal(at, now + HOUR_NS);
	assert_null(strstr(ctx_text(*state, same), "with_cancel"));
	assert_true(ctx_deadline(earlier, &at));
	assert_int_equal(at, now + HOUR_NS / 2);
	assert_false(ctx_deadline(ctx_background(), &at));
	assert_int_equal(at, now + HOUR_NS / 2); /* untouched */
}

/* The last moments of the clock must not overflow anything. */
static void
for_ever(void **state)
{
	int64_t at;
	struct ctx *c = ctx_with_timeout(*state, ctx_background(), INT64_MAX);

	assert_true(ctx_deadline(c, &at));
	assert_int_equal(ctx_remaining_ms(c), INT32_MAX);
	assert_alive(c);
	c = ctx_with_deadline(*state, ctx_background(), INT64_MAX);
	assert_true(ctx_deadline(c, &at));
	assert_alive(c);
}

static void
many_deadlines_in_any_order(void **state)
{
	enum { N = 2000 };
	struct ctx *all[N];
	int64_t now = ctx_now_ns();
	unsigned seed = 7;

	for (int i = 0; i < N; i++) {
		int64_t in = rand_r(&seed) % 3 ? rand_r(&seed) % 5000000 : HOUR_NS;

		all[i] = ctx_with_deadline(*state, ctx_background(), now + in);
	}
	for (int i = 0; i < N; i += 5)
		ctx_cancel(all[i]);
	for (int i = 1; i < N; i += 5)
		TALLOC_FREE(all[i]);
	for (int i = 0; i < N; i++) {
		int64_t at;

		if (all[i] == NULL)
			continue;
		assert_true(ctx_deadline(all[i], &at));
		if (i % 5 == 0)
			assert_true(ctx_err(all[i]) != 0);
		else if (at < now + HOUR_NS)
			wait_end(all[i]);
		else
			assert_alive(all[i]);
		TALLOC_FREE(all[i]); /* its fd, too */
	}
}

static void
remaining_ms(void **state)
{
	struct ctx *c = ctx_with_timeout(*state, ctx_background(), LONG_MS);

	assert_int_equal(ctx_remaining_ms(ctx_background()), -1);
	assert_true(ctx_remaining_ms(c) > 0 && ctx_remaining_ms(c) <= LONG_MS);
	ctx_cancel(c);
	assert_int_equal(ctx_remaining_ms(c), 0);
}

static void *
cancel_it(void *ctx)
{
	ctx_cancel_cause(ctx, &too_slow);
	return NULL;
}

static void
sleep_ends_with_the_context(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	pthread_t t;

	assert_int_equal(ctx_sleep(ctx_background(), 1), 0);
	assert_int_equal(ctx_sleep(c, 0), 0);
	assert_int_equal(ctx_sleep(c, 1), 0);
	assert_int_equal(ctx_sleep(ctx_with_timeout(*state, c, 1), LONG_MS), -ETIMEDOUT);
	t = start(cancel_it, c);
	assert_int_equal(ctx_sleep(c, -1), -ECANCELED);
	pthread_join(t, NULL);
	assert_int_equal(ctx_sleep(c, LONG_MS), -ECANCELED); /* at once */
}

static void
poll_ends_with_the_context(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct pollfd few[1], many[40];
	int fds[2];
	pthread_t t;

	assert_int_equal(pipe(fds), 0);
	few[0] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	for (int i = 0; i < 40; i++)
		many[i] = (struct pollfd){.fd = fds[i == 39], .events = i == 39 ? POLLOUT : POLLIN};

	assert_int_equal(ctx_poll(ctx_background(), few, 1, 0), 0);
	assert_int_equal(ctx_poll(c, few, 1, 1), 0);
	assert_int_equal(ctx_poll(c, NULL, 0, 0), 0);
	assert_int_equal(ctx_poll(c, many, 40, -1), 1);
	assert_int_equal(many[39].revents, POLLOUT);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(ctx_poll(c, few, 1, LONG_MS), 1);
	assert_int_equal(few[0].revents, POLLIN);
	assert_int_equal(ctx_poll(ctx_with_timeout(*state, c, 1), NULL, 0, -1), -ETIMEDOUT);
	assert_int_equal(read(fds[0], few, 1), 1);
	t = start(cancel_it, c);
	few[0] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	assert_int_equal(ctx_poll(c, few, 1, -1), -ECANCELED);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);
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
	    cmocka_unit_test_setup_teardown(deadline, setup, teardown),
	    cmocka_unit_test_setup_teardown(timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(canceled_timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(earlier_deadline_of_parent_wins, setup, teardown),
	    cmocka_unit_test_setup_teardown(for_ever, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_deadlines_in_any_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(remaining_ms, setup, teardown),
	    cmocka_unit_test_setup_teardown(sleep_ends_with_the_context, setup, teardown),
	    cmocka_unit_test_setup_teardown(poll_ends_with_the_context, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
