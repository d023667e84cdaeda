/* SPDX-License-Identifier: MIT */
/* Functions that run after an end: AfterFunc… in Go's src/context, and what freeing does. */
#include "tests/ctx/support.h"

#include <sched.h>
#include <signal.h>

#include "ctx/calls.h"

static void
after_func_called_after_cancel(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event called = EVENT;
	struct ctx_after *a = ctx_after_func(*state, c, event_raise, &called);

	assert_int_equal(event_count(&called), 0);
	ctx_cancel(c);
	event_wait(&called, 1);
	assert_false(ctx_after_stop(a));
	ctx_after_wait(a);
	assert_int_equal(event_count(&called), 1);
}

static void
after_func_called_after_timeout(void **state)
{
	struct ctx *c = ctx_with_timeout(*state, ctx_background(), 1);
	struct event called = EVENT;
	struct ctx_after *a = ctx_after_func(*state, c, event_raise, &called);

	event_wait(&called, 1);
	ctx_after_wait(a);
	assert_int_equal(ctx_err(c), -ETIMEDOUT);
}

static void
after_func_called_immediately(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event called = EVENT;
	struct ctx_after *a;

	ctx_cancel(c);
	a = ctx_after_func(*state, c, event_raise, &called);
	event_wait(&called, 1);
	ctx_after_wait(a);
}

static void
after_func_not_called_after_stop(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event never = EVENT, others = EVENT;
	struct ctx_after *around[2], *a;

	around[0] = ctx_after_func(*state, c, event_raise, &others);
	a = ctx_after_func(*state, c, event_raise, &never);
	around[1] = ctx_after_func(*state, c, event_raise, &others);
	assert_true(ctx_after_stop(a));
	ctx_cancel(c);
	event_wait(&others, 2); /* so a, registered between them, would have begun */
	ctx_after_wait(a);
	assert_int_equal(event_count(&never), 0);
	assert_false(ctx_after_stop(a));
	ctx_after_wait(around[0]);
	ctx_after_wait(around[1]);
}

static void
wait_for_go(void *go)
{
	event_wait(go, 1);
}

static void
after_func_called_asynchronously(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event go = EVENT;
	struct ctx_after *a = ctx_after_func(*state, c, wait_for_go, &go);

	ctx_cancel(c); /* does not wait for the function, which waits for what comes now */
	event_raise(&go);
	ctx_after_wait(a);
	assert_false(ctx_after_stop(a));
}

static void *
cancel_it(void *ctx)
{
	ctx_cancel(ctx);
	return NULL;
}

/* Who has seen the end can wait for what follows it, however early that is. */
static void
waiting_right_after_the_end(void **state)
{
	for (int i = 0; i < 300; i++) {
		TALLOC_CTX *mem = talloc_new(*state);
		struct ctx *c = ctx_with_cancel(mem, ctx_background());
		struct event called = EVENT;
		struct ctx_after *a = ctx_after_func(mem, c, event_raise, &called);
		pthread_t t = start(cancel_it, c);

		while (ctx_err(c) == 0)
			;
		ctx_after_wait(a);
		assert_int_equal(event_count(&called), 1);
		pthread_join(t, NULL);
		talloc_free(mem);
	}
}

/* Functions that block hold up neither each other nor deadlines. */
static void
after_funcs_run_beside_each_other(void **state)
{
	enum { N = 20 };
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event go = EVENT, last = EVENT;
	struct ctx_after *a[N], *b;

	for (int i = 0; i < N; i++)
		a[i] = ctx_after_func(*state, c, wait_for_go, &go);
	ctx_cancel(c);
	b = ctx_after_func(
	    *state, ctx_with_timeout(*state, ctx_background(), 1), event_raise, &last);
	event_wait(&last, 1);
	event_raise(&go);
	for (int i = 0; i < N; i++)
		ctx_after_wait(a[i]);
	ctx_after_wait(b);
}

/* More than there may be workers: the rest waits its turn. */
static void
more_functions_than_workers(void **state)
{
	enum { N = 300 };
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	static struct event called = EVENT; /* the last may still be at it after the wait */
	TALLOC_CTX *mem = talloc_new(*state);

	for (int i = 0; i < N; i++)
		ctx_after_func(mem, c, event_raise, &called);
	ctx_cancel(c);
	event_wait(&called, N);
	talloc_free(mem);
	assert_int_equal(event_count(&called), N);
}

static void
freeing_stops_it(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event never = EVENT, other = EVENT;
	struct ctx_after *a = ctx_after_func(*state, c, event_raise, &never), *b;

	talloc_free(a);
	b = ctx_after_func(*state, c, event_raise, &other);
	ctx_cancel(c);
	event_wait(&other, 1);
	ctx_after_wait(b);
	assert_int_equal(event_count(&never), 0);
}

struct gate {
	struct event begun, go, over;
};

static void
pass(void *gate)
{
	struct gate *g = gate;

	event_raise(&g->begun);
	event_wait(&g->go, 1);
	event_raise(&g->over);
}

/* Freeing does not wait for a call that has begun, and the call does not mind. */
static void
freeing_while_it_runs(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	static struct gate g = {EVENT, EVENT, EVENT}; /* the call may end after the test */
	struct ctx_after *a = ctx_after_func(*state, c, pass, &g);

	ctx_cancel(c);
	event_wait(&g.begun, 1);
	assert_false(ctx_after_stop(a));
	talloc_free(a);
	event_raise(&g.go);
	event_wait(&g.over, 1);
}

/* Freeing a context is its end. */
static void
called_after_free(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	struct event called = EVENT;
	struct ctx_after *a = ctx_after_func(*state, c, event_raise, &called);

	talloc_free(c);
	event_wait(&called, 1);
	ctx_after_wait(a);
}

static void
never_called_for_background(void **state)
{
	struct event never = EVENT;
	struct ctx_after *a = ctx_after_func(*state, ctx_background(), event_raise, &never);

	assert_true(ctx_after_stop(a));
	assert_false(ctx_after_stop(a));
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

/* ---- Counted, for who frees what they use ---- */

/* Those of all that was derived, but for what a foreign type ends; until each is over. */
static void
functions_are_counted(void **state)
{
	static const struct ctx_type type = {.name = "foreign"};
	struct ctx *root = ctx_with_cancel(*state, ctx_background());
	static struct gate g = {EVENT, EVENT, EVENT};
	struct event never = EVENT;
	const struct ctx *child, *foreign;
	struct ctxi_calls calls;
	struct ctx_after *a[3];

	ctxi_calls_count(&calls, root);
	assert_true(ctxi_calls_settled(&calls, event_raise, &never));
	child = ctx_with_cancel(*state, ctx_with_timeout(*state, root, LONG_MS));
	foreign = ctx_foreign(*state, root, &type, NULL);
	a[0] = ctx_after_func(*state, root, event_raise, &never);
	a[1] = ctx_after_func(*state, child, pass, &g);
	a[2] = ctx_after_func(*state, foreign, event_raise, &never);
	assert_int_equal(atomic_load(&calls.n), 3);
	assert_true(ctx_after_stop(a[0]));
	assert_false(ctx_after_stop(a[0])); /* once is enough */
	talloc_free(a[2]);
	assert_int_equal(atomic_load(&calls.n), 1);
	ctx_cancel(root);
	event_wait(&g.begun, 1);
	assert_int_equal(atomic_load(&calls.n), 1);
	event_raise(&g.go);
	ctx_after_wait(a[1]);
	while (atomic_load(&calls.n) > 0) /* counted out right after */
		sched_yield();
	assert_int_equal(event_count(&g.over), 1);
}

static void
the_last_counted_function_tells(void **state)
{
	struct ctx *root = ctx_with_cancel(*state, ctx_background());
	static struct gate g = {EVENT, EVENT, EVENT};
	static struct event settled = EVENT;
	struct ctxi_calls calls;
	struct ctx_after *a;

	ctxi_calls_count(&calls, root);
	a = ctx_after_func(*state, root, pass, &g);
	ctx_cancel(root);
	event_wait(&g.begun, 1);
	talloc_free(a); /* it is counted none the less */
	assert_false(ctxi_calls_settled(&calls, event_raise, &settled));
	assert_int_equal(event_count(&settled), 0);
	event_raise(&g.go);
	event_wait(&settled, 1);
	assert_int_equal(event_count(&g.over), 1);
}

/* One that is stopped before it was called is the last, and who stops it is who tells. */
static void
stopping_the_last_counted_function_tells(void **state)
{
	struct ctx *root = ctx_with_cancel(*state, ctx_background());
	struct event settled = EVENT, never = EVENT;
	struct ctxi_calls calls;
	struct ctx_after *a;

	ctxi_calls_count(&calls, root);
	a = ctx_after_func(*state, root, event_raise, &never);
	assert_false(ctxi_calls_settled(&calls, event_raise, &settled));
	talloc_free(a);
	assert_int_equal(event_count(&settled), 1);
	assert_int_equal(event_count(&never), 0);
}

/* Signals are the program's, but for those of what the function itself does wrong. */
static void
note_mask(void *data)
{
	pthread_sigmask(SIG_SETMASK, NULL, data);
}

static void
functions_take_no_signals_but_their_own_faults(void **state)
{
	struct ctx *c = ctx_with_cancel(*state, ctx_background());
	sigset_t mask;
	struct ctx_after *a = ctx_after_func(*state, c, note_mask, &mask);

	sigemptyset(&mask);
	ctx_cancel(c);
	ctx_after_wait(a);
	assert_true(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1));
	assert_false(sigismember(&mask, SIGSEGV) || sigismember(&mask, SIGBUS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(after_func_called_after_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_func_called_after_timeout, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_func_called_immediately, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_func_not_called_after_stop, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_func_called_asynchronously, setup, teardown),
	    cmocka_unit_test_setup_teardown(waiting_right_after_the_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_funcs_run_beside_each_other, setup, teardown),
	    cmocka_unit_test_setup_teardown(more_functions_than_workers, setup, teardown),
	    cmocka_unit_test_setup_teardown(freeing_stops_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(freeing_while_it_runs, setup, teardown),
	    cmocka_unit_test_setup_teardown(functions_are_counted, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_last_counted_function_tells, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		stopping_the_last_counted_function_tells, setup, teardown),
	    cmocka_unit_test_setup_teardown(called_after_free, setup, teardown),
	    cmocka_unit_test_setup_teardown(never_called_for_background, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		functions_take_no_signals_but_their_own_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
