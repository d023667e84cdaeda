/* SPDX-License-Identifier: MIT */
/*
 * Misuse stops the program with a message that names the function. The library is compiled
 * into this program with CTX_DEBUG, so that freed contexts are recognized in any build.
 */
#define CTX_DEBUG 1

#include "tests/ctx/support.h"

/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "ctx/after.c"
#include "ctx/cancel.c"
#include "ctx/context.c"
#include "ctx/deadline.c"
#include "ctx/foreign.c"
#include "ctx/node.c"
#include "ctx/text.c"
#include "ctx/thread.c"
#include "ctx/timer.c"
#include "ctx/wait.c"
#include "ctx/without.c"
/* NOLINTEND(bugprone-suspicious-include) */

CTX_KEY(some_key, int);
static const struct ctx *const none;
static __typeof__(some_key) *const no_key;

static void
nothing(void *data)
{
	(void)data;
}

/* One line for each: */
/* clang-format off */
static void null_parent_value(void) { ctx_with_value(NULL, none, &some_key, NULL); }
static void null_parent_cancel(void) { ctx_with_cancel(NULL, NULL); }
static void null_parent_deadline(void) { ctx_with_deadline(NULL, NULL, 1); }
static void null_parent_timeout(void) { ctx_with_timeout(NULL, NULL, 1); }
static void null_parent_deadline_cause(void) { ctx_with_deadline_cause(NULL, NULL, 1, NULL); }
static void null_parent_timeout_cause(void) { ctx_with_timeout_cause(NULL, NULL, 1, NULL); }
static void null_parent_without(void) { ctx_without_cancel(NULL, NULL); }
static void null_parent_foreign(void) { ctx_foreign(NULL, NULL, NULL, NULL); }
static void null_key_with(void) { ctx_with_value(NULL, ctx_background(), no_key, NULL); }
static void null_key_value(void) { (void)ctx_value(ctx_background(), no_key); }
static void null_key_has(void) { (void)ctx_has(ctx_background(), no_key); }
static void null_value(void) { (void)ctx_value(none, &some_key); }
static void null_has(void) { (void)ctx_has(none, &some_key); }
static void null_err(void) { ctx_err(NULL); }
static void null_cause(void) { ctx_cause(NULL); }
static void null_cancel(void) { ctx_cancel(NULL); }
static void null_done(void) { ctx_done(NULL); }
static void null_deadline(void) { ctx_deadline(NULL, NULL); }
static void null_remaining(void) { ctx_remaining_ms(NULL); }
static void null_sleep(void) { ctx_sleep(NULL, 1); }
static void null_poll(void) { ctx_poll(NULL, NULL, 0, 1); }
static void null_text(void) { ctx_text(NULL, NULL); }
static void null_after(void) { ctx_after_func(NULL, NULL, nothing, NULL); }
static void null_function(void) { ctx_after_func(NULL, ctx_background(), NULL, NULL); }
static void null_stop(void) { ctx_after_stop(NULL); }
static void null_wait(void) { ctx_after_wait(NULL); }
static void null_fire(void) { ctx_watch_fire(NULL, -ECANCELED, NULL); }
static void null_type(void) { ctx_foreign(NULL, ctx_background(), NULL, NULL); }
/* clang-format on */

static int
err_only(void *data, const struct ctx_cause **cause)
{
	(void)data;
	(void)cause;
	return 0;
}

static void
unwatchable(void)
{
	static const struct ctx_type type = {.name = "type", .err = err_only};

	ctx_foreign(NULL, ctx_background(), &type, NULL);
}

static void
cancel_of_a_value(void)
{
	ctx_cancel((struct ctx *)(uintptr_t)ctx_with_value(
	    NULL, ctx_with_cancel(NULL, ctx_background()), &some_key, NULL));
}

static void
cancel_of_a_value_because(void)
{
	static const struct ctx_cause because = {-EPIPE, "because"};

	ctx_cancel_cause((struct ctx *)(uintptr_t)ctx_with_value(
			     NULL, ctx_with_cancel(NULL, ctx_background()), &some_key, NULL),
	    &because);
}

static void
cancel_of_background(void)
{
	ctx_cancel((struct ctx *)(uintptr_t)ctx_background());
}

static struct ctx_after *itself;

static void
wait_for_itself(void *data)
{
	(void)data;
	ctx_after_wait(itself);
}

static void
wait_within(void)
{
	struct ctx *c = ctx_with_cancel(NULL, ctx_background());

	itself = ctx_after_func(NULL, c, wait_for_itself, NULL);
	ctx_cancel(c);
	ctx_sleep(ctx_background(), LONG_MS);
}

static const struct {
	const char *text; /* what the message must contain */
	void (*f)(void);
} misuses[] = {
    {"ctx: ctx_with_value: NULL parent", null_parent_value},
    {"ctx: ctx_with_cancel: NULL parent", null_parent_cancel},
    {"ctx: ctx_with_deadline: NULL parent", null_parent_deadline},
    {"ctx: ctx_with_timeout: NULL parent", null_parent_timeout},
    {"ctx: ctx_with_deadline_cause: NULL parent", null_parent_deadline_cause},
    {"ctx: ctx_with_timeout_cause: NULL parent", null_parent_timeout_cause},
    {"ctx: ctx_without_cancel: NULL parent", null_parent_without},
    {"ctx: ctx_foreign: NULL parent", null_parent_foreign},
    {"ctx: ctx_with_value: NULL key", null_key_with},
    {"ctx: ctx_value: NULL key", null_key_value},
    {"ctx: ctx_has: NULL key", null_key_has},
    {"ctx: ctx_value: NULL context", null_value},
    {"ctx: ctx_has: NULL context", null_has},
    {"ctx: ctx_err: NULL context", null_err},
    {"ctx: ctx_cause: NULL context", null_cause},
    {"ctx: ctx_cancel: NULL context", null_cancel},
    {"ctx: ctx_done: NULL context", null_done},
    {"ctx: ctx_deadline: NULL context", null_deadline},
    {"ctx: ctx_remaining_ms: NULL context", null_remaining},
    {"ctx: ctx_sleep: NULL context", null_sleep},
    {"ctx: ctx_poll: NULL context", null_poll},
    {"ctx: ctx_text: NULL context", null_text},
    {"ctx: ctx_after_func: NULL context", null_after},
    {"ctx: ctx_after_func: NULL function", null_function},
    {"ctx: ctx_after_stop: NULL", null_stop},
    {"ctx: ctx_after_wait: NULL", null_wait},
    {"ctx: ctx_watch_fire: NULL watch", null_fire},
    {"ctx: ctx_foreign: NULL type", null_type},
    {"ctx: ctx_foreign: type lacks watch or unwatch", unwatchable},
    {"ctx: ctx_cancel: not made by ctx_with_cancel()", cancel_of_a_value},
    {"ctx: ctx_cancel_cause: not made by ctx_with_cancel()", cancel_of_a_value_because},
    {"ctx: ctx_cancel: not made by ctx_with_cancel()", cancel_of_background},
    {"ctx: ctx_after_wait: called by the function itself", wait_within},
};

static void
check(const char *beginning)
{
	int checked = 0;

	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		if (strstr(misuses[i].text, beginning) == NULL)
			continue;
		assert_aborts(misuses[i].f, misuses[i].text);
		checked++;
	}
	assert_true(checked > 0);
}

static void
with_value_checks_key(void **state)
{
	(void)state;
	check("NULL key");
}

static void
invalid_derived_fail(void **state)
{
	(void)state;
	check("NULL parent");
}

static void
misuse_stops_with_a_message(void **state)
{
	(void)state;
	check("ctx: ");
}

/* A context freed within a pool, whose memory is still there to be looked at. */
static void *
freed(bool value)
{
	TALLOC_CTX *pool = talloc_pool(NULL, 4096);
	struct ctx *c = ctx_with_cancel(pool, ctx_background());

	if (value)
		c = (struct ctx *)(uintptr_t)ctx_with_value(pool, c, &some_key, NULL);
	talloc_free(c);
	return c;
}

static void
err_of_freed(void)
{
	ctx_err(freed(true));
}

static void
value_of_freed(void)
{
	(void)ctx_value((const struct ctx *)freed(true), &some_key);
}

static void
cancel_of_freed(void)
{
	ctx_cancel(freed(false));
}

static void
derive_from_freed(void)
{
	ctx_with_cancel(NULL, freed(false));
}

/* The chain above is looked at as well. */
static void
value_over_freed(void)
{
	TALLOC_CTX *pool = talloc_pool(NULL, 4096);
	const struct ctx *parent = ctx_with_value(pool, ctx_background(), &some_key, NULL);
	const struct ctx *c = ctx_with_cancel(NULL, parent);

	talloc_free((void *)(uintptr_t)parent);
	(void)ctx_value(c, &some_key);
}

static void
use_after_free_stops_with_a_message(void **state)
{
	(void)state;
	assert_aborts(err_of_freed, "ctx: ctx_err: context was freed");
	assert_aborts(value_of_freed, "ctx: ctx_value: context was freed");
	assert_aborts(cancel_of_freed, "ctx: ctx_cancel: context was freed");
	assert_aborts(derive_from_freed, "ctx: ctx_with_cancel: context was freed");
	assert_aborts(value_over_freed, "ctx: ctx_value: context was freed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(with_value_checks_key),
	    cmocka_unit_test(invalid_derived_fail),
	    cmocka_unit_test(misuse_stops_with_a_message),
	    cmocka_unit_test(use_after_free_stops_with_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
