/* SPDX-License-Identifier: MIT */
/* Timers: order, cancelling, and freeing things from inside a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "supervisor/base/timer.h"

struct story {
	struct tevent_context *ev;
	struct timers *timers;
	char told[32];
};

struct voice {
	struct story *story;
	char letter;
	void *free_this; /* when called */
	int again_ms;    /* 0: not */
};

static void
speak(void *data)
{
	struct voice *v = data;

	strncat(v->story->told, &v->letter, 1);
	talloc_free(v->free_this);
	if (v->again_ms > 0)
		timer_after(v, v->story->timers, v->again_ms, speak, v);
}

static struct voice *
voice(struct story *s, char letter)
{
	struct voice *v = talloc_zero(s, struct voice);

	v->story = s;
	v->letter = letter;
	return v;
}

static struct story *
begin(void)
{
	struct story *s = talloc_zero(NULL, struct story);

	s->ev = tevent_context_init(s);
	s->timers = timers_new(s, s->ev);
	return s;
}

static void
until_told(struct story *s, const char *text)
{
	while (strlen(s->told) < strlen(text))
		assert_int_equal(tevent_loop_once(s->ev), 0);
	assert_string_equal(s->told, text);
}

static void
timers_fire_in_the_order_in_which_they_are_due(void **state)
{
	struct story *s = begin();
	int64_t start = timer_now_ms();

	(void)state;
	timer_after(s, s->timers, 40, speak, voice(s, 'd'));
	timer_after(s, s->timers, 20, speak, voice(s, 'c'));
	timer_after(s, s->timers, 0, speak, voice(s, 'a'));
	timer_after(s, s->timers, 0, speak, voice(s, 'b'));
	until_told(s, "abcd");
	assert_true(timer_now_ms() - start >= 40);
	talloc_free(s);
}

static void
freed_timers_do_not_fire(void **state)
{
	struct story *s = begin();
	TALLOC_CTX *owner = talloc_new(s);
	struct timer *first = timer_after(s, s->timers, 1, speak, voice(s, 'x'));

	(void)state;
	timer_after(owner, s->timers, 2, speak, voice(s, 'y'));
	timer_after(s, s->timers, 20, speak, voice(s, 'a'));
	talloc_free(first);
	talloc_free(owner);
	until_told(s, "a");
	talloc_free(s);
}

static void
a_call_may_free_the_next_timer(void **state)
{
	struct story *s = begin();
	struct voice *a = voice(s, 'a'), *b = voice(s, 'b');

	(void)state;
	timer_after(s, s->timers, 1, speak, a);
	a->free_this = timer_after(s, s->timers, 1, speak, b);
	timer_after(s, s->timers, 2, speak, voice(s, 'c'));
	until_told(s, "ac");
	talloc_free(s);
}

static void
a_timer_may_make_itself_anew(void **state)
{
	struct story *s = begin();
	struct voice *v = voice(s, 'a');
	size_t blocks;

	(void)state;
	v->again_ms = 1;
	timer_after(v, s->timers, 1, speak, v);
	blocks = talloc_total_blocks(s);
	until_told(s, "aaaaa");
	assert_int_equal(talloc_total_blocks(s), blocks); /* the old ones are gone */
	talloc_free(s);
}

static void
timers_may_outlive_their_list(void **state)
{
	struct story *s = begin();
	TALLOC_CTX *other = talloc_new(NULL);

	(void)state;
	timer_after(other, s->timers, 1, speak, voice(s, 'x'));
	talloc_free(s);
	talloc_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_fire_in_the_order_in_which_they_are_due),
	    cmocka_unit_test(freed_timers_do_not_fire),
	    cmocka_unit_test(a_call_may_free_the_next_timer),
	    cmocka_unit_test(a_timer_may_make_itself_anew),
	    cmocka_unit_test(timers_may_outlive_their_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
