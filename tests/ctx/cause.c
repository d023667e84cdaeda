/* SPDX-License-Identifier: MIT */
/* Causes: each row of Cause, and CauseRace, in Go's src/context/context_test.go. */
#include "tests/ctx/support.h"

#include <sched.h>

static const struct ctx_cause parent_cause = {-EPIPE, "parent cause"};
static const struct ctx_cause child_cause = {-EIO, "child cause"};
static const struct ctx_cause too_slow = {-ETIME, "too slow"};
static const struct ctx_cause finished_early = {-EALREADY, "finished early"};

/* A parent and its child, cancelled in an order and with causes; the child is looked at. */
static const struct ctx *
two(TALLOC_CTX *mem, bool parent_first, const struct ctx_cause *of_parent,
    const struct ctx_cause *of_child)
{
	struct ctx *parent = ctx_with_cancel_cause(mem, ctx_background());
	struct ctx *child = ctx_with_cancel_cause(mem, parent);

	if (parent_first)
		ctx_cancel_cause(parent, of_parent);
	ctx_cancel_cause(child, of_child);
	if (!parent_first)
		ctx_cancel_cause(parent, of_parent);
	return child;
}

static const struct ctx *
canceled(struct ctx *c, const struct ctx_cause *cause)
{
	ctx_cancel_cause(c, cause);
	return c;
}

/* A timeout under a context that is then cancelled. */
static const struct ctx *
stacked(TALLOC_CTX *mem, int64_t ms)
{
	struct ctx *parent = ctx_with_cancel(mem, ctx_background());
	struct ctx *c = ctx_with_timeout_cause(mem, parent, ms, &too_slow);

	ctx_cancel_cause(parent, &finished_early);
	return c;
}

static const struct ctx *
without(TALLOC_CTX *mem, struct ctx *parent, const struct ctx_cause *cause)
{
	const struct ctx *c = ctx_without_cancel(mem, parent);

	ctx_cancel_cause(parent, cause);
	return c;
}

static void
cause(void **state)
{
	TALLOC_CTX *mem = *state;
	const struct ctx *bg = ctx_background();
	const struct ctx_cause *late = &ctx_deadline_exceeded, *gone = &ctx_canceled;
	const struct {
		const char *name;
		const struct ctx *ctx;
		int err;
		const struct ctx_cause *cause;
	} rows[] = {
	    {"background", bg, 0, NULL},
	    {"todo", ctx_todo(), 0, NULL},
	    {"cancel", canceled(ctx_with_cancel(mem, bg), NULL), -ECANCELED, gone},
	    {"cause", canceled(ctx_with_cancel(mem, bg), &parent_cause), -ECANCELED, &parent_cause},
	    {"NULL cause", canceled(ctx_with_cancel_cause(mem, bg), NULL), -ECANCELED, gone},
	    {"parent before child", two(mem, true, &parent_cause, &child_cause), -ECANCELED,
		&parent_cause},
	    {"parent after child", two(mem, false, &parent_cause, &child_cause), -ECANCELED,
		&child_cause},
	    {"parent before NULL", two(mem, true, &parent_cause, NULL), -ECANCELED, &parent_cause},
	    {"parent after NULL", two(mem, false, &parent_cause, NULL), -ECANCELED, gone},
	    {"child after NULL", two(mem, true, NULL, &child_cause), -ECANCELED, gone},
	    {"child before NULL", two(mem, false, NULL, &child_cause), -ECANCELED, &child_cause},
	    {"timeout", canceled(ctx_with_timeout(mem, bg, 0), NULL), -ETIMEDOUT, late},
	    {"timeout canceled", canceled(ctx_with_timeout(mem, bg, LONG_MS), NULL), -ECANCELED,
		gone},
	    {"timeout cause", canceled(ctx_with_timeout_cause(mem, bg, 0, &too_slow), NULL),
		-ETIMEDOUT, &too_slow},
	    {"timeout cause canceled",
		canceled(ctx_with_timeout_cause(mem, bg, LONG_MS, &too_slow), NULL), -ECANCELED,
		gone},
	    {"stacked", stacked(mem, 0), -ETIMEDOUT, &too_slow},
	    {"stacked canceled", stacked(mem, LONG_MS), -ECANCELED, &finished_early},
	    {"without", ctx_without_cancel(mem, bg), 0, NULL},
	    {"without canceled", without(mem, ctx_with_cancel(mem, bg), &finished_early), 0, NULL},
	    {"without timeout", without(mem, ctx_with_timeout_cause(mem, bg, 0, &too_slow), NULL),
		0, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (ctx_err(rows[i].ctx) != rows[i].err || ctx_cause(rows[i].ctx) != rows[i].cause)
			fail_msg("%s: err %d, cause %s", rows[i].name, ctx_err(rows[i].ctx),
			    ctx_cause(rows[i].ctx) == NULL ? "none" : ctx_cause(rows[i].ctx)->text);
	}
}

/* A deadline that comes by the clock says the same as one that had passed. */
static void
cause_of_a_deadline(void **state)
{
	struct ctx *c =
	    ctx_with_deadline_cause(*state, ctx_background(), ctx_now_ns() + 1000000, &too_slow);
	const struct ctx *child = ctx_with_cancel(*state, c);

	wait_end(child);
	assert_ended(c, -ETIMEDOUT, &too_slow);
	assert_ended(child, -ETIMEDOUT, &too_slow);
}

static void *
cancel_it(void *ctx)
{
	ctx_cancel_cause(ctx, &parent_cause);
	return NULL;
}

static void
cause_race(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	pthread_t t = start(cancel_it, c);
	const struct ctx_cause *got;

	while ((got = ctx_cause(c)) == NULL)
		sched_yield();
	assert_ptr_equal(got, &parent_cause);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(cause, setup, teardown),
	    cmocka_unit_test_setup_teardown(cause_of_a_deadline, setup, teardown),
	    cmocka_unit_test_setup_teardown(cause_race, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
