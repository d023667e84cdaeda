/* SPDX-License-Identifier: MIT */
/* The state machine: stories that lead through several states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/supervisor/life_policy.h"

#define ANY_WAIT (-1)

struct scene {
	enum life_event event;
	int64_t at_ms;
	enum life_state state;
	unsigned alive;
	int64_t wait_ms;
};

static void
play_from(struct life l, const struct scene *scenes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct life_step s = life_step(l, scenes[i].event, &policy, scenes[i].at_ms);

		if (s.life.state != scenes[i].state || s.life.alive != scenes[i].alive)
			fail_msg("scene %zu (%s): became %s, alive %u", i,
			    life_event_name(scenes[i].event), life_state_name(s.life.state),
			    s.life.alive);
		if (scenes[i].wait_ms != ANY_WAIT)
			assert_int_equal(s.wait_ms, scenes[i].wait_ms);
		l = s.life;
	}
}
#define PLAY(scenes) play_from(life_new(), scenes, sizeof(scenes) / sizeof((scenes)[0]))

static void
a_replacement_from_start_to_end(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 10, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 20, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	    {LIFE_EV_NEXT_READY, 30, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    /* A second one has to wait until the old one is gone. */
	    {LIFE_EV_RESTART, 40, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 50, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 60, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	    /* The one that serves dies meanwhile: its successor is the replacement already. */
	    {LIFE_EV_EXIT, 70, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_READY, 80, LIFE_READY, LIFE_CURRENT, 0},
	};

	(void)state;
	PLAY(scenes);
}

/* How a successor that has failed after it was ready is dealt with, from that moment on. */
static struct life
successor_has_failed(void)
{
	struct life l = life_new();

	l = life_step(l, LIFE_EV_START, &policy, 0).life;
	l = life_step(l, LIFE_EV_READY, &policy, 1).life;
	l = life_step(l, LIFE_EV_RESTART, &policy, 2).life;
	l = life_step(l, LIFE_EV_NEXT_READY, &policy, 3).life;
	l = life_step(l, LIFE_EV_EXIT, &policy, 4).life;
	assert_int_equal(l.state, LIFE_RECALLING);
	return l;
}

static void
the_old_one_is_called_back_when_its_successor_fails(void **state)
{
	static const struct scene comes_back[] = {
	    {LIFE_EV_OLD_READY, 5, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 6, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	};
	static const struct scene ends[] = {
	    {LIFE_EV_OLD_EXIT, 5, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 6, LIFE_STARTING, LIFE_CURRENT, 3000},
	};
	/* It is late, so a second successor is started; then both are there. */
	static const struct scene late[] = {
	    {LIFE_EV_TIMEOUT, 704, LIFE_BACKOFF, LIFE_OLD, 0},
	    {LIFE_EV_TIMEOUT, 705, LIFE_STARTING, LIFE_CURRENT | LIFE_OLD, 3000},
	    {LIFE_EV_OLD_READY, 706, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_READY, 707, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	};
	static const struct scene too_late[] = {
	    {LIFE_EV_TIMEOUT, 704, LIFE_BACKOFF, LIFE_OLD, 0},
	    {LIFE_EV_TIMEOUT, 705, LIFE_STARTING, LIFE_CURRENT | LIFE_OLD, 3000},
	    {LIFE_EV_READY, 706, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_READY, 707, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 708, LIFE_READY, LIFE_CURRENT, 0},
	};
	static const struct scene stop[] = {
	    {LIFE_EV_STOP, 5, LIFE_STOPPING, LIFE_OLD, 5000},
	    {LIFE_EV_OLD_READY, 6, LIFE_STOPPING, LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 7, LIFE_DOWN, 0, 0},
	};

	(void)state;
#define PLAY_FROM(scenes) \
	play_from(successor_has_failed(), scenes, sizeof(scenes) / sizeof((scenes)[0]))
	PLAY_FROM(comes_back);
	PLAY_FROM(ends);
	PLAY_FROM(late);
	PLAY_FROM(too_late);
	PLAY_FROM(stop);
	/* Told again, for it had been told to serve on in between. */
	assert_int_equal(life_step(life_step(successor_has_failed(), LIFE_EV_STOP, &policy, 5).life,
			     LIFE_EV_OLD_READY, &policy, 6)
			     .orders,
	    LIFE_TERM_OLD);
}

static void
crashes_wait_longer_until_a_quiet_time(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 0, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_EXIT, 9999, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 9999, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 10000, LIFE_BACKOFF, 0, 100},
	    {LIFE_EV_TIMEOUT, 10100, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_TIMEOUT, 13100, LIFE_LATE, LIFE_CURRENT, 900},
	    {LIFE_EV_EXIT, 13101, LIFE_BACKOFF, 0, 200},
	    {LIFE_EV_TIMEOUT, 13301, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 13302, LIFE_READY, LIFE_CURRENT, 0},
	    /* Ready for a millisecond less than the quiet time. */
	    {LIFE_EV_EXIT, 23301, LIFE_BACKOFF, 0, 400},
	    {LIFE_EV_TIMEOUT, 23701, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 23702, LIFE_READY, LIFE_CURRENT, 0},
	    /* Ready for all of it: this is a first crash again. */
	    {LIFE_EV_EXIT, 33702, LIFE_BACKOFF, 0, 0},
	};

	(void)state;
	PLAY(scenes);
}

static void
too_many_crashes_in_too_little_time_are_a_failure(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 0, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 600, LIFE_BACKOFF, 0, 100},
	    {LIFE_EV_TIMEOUT, 700, LIFE_STARTING, LIFE_CURRENT, 3000},
	    /* The third, but the first is too long ago. */
	    {LIFE_EV_EXIT, 1001, LIFE_BACKOFF, 0, 200},
	    {LIFE_EV_TIMEOUT, 1201, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 1600, LIFE_FAILED, 0, 0},
	    {LIFE_EV_TIMEOUT, 9999, LIFE_FAILED, 0, 0},
	    /* Somebody asks for it: three more are allowed. */
	    {LIFE_EV_START, 1601, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 1602, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 1602, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 1603, LIFE_BACKOFF, 0, 100},
	    {LIFE_EV_TIMEOUT, 1703, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 1704, LIFE_FAILED, 0, 0},
	    {LIFE_EV_STOP, 1705, LIFE_DOWN, 0, 0},
	};
	struct life_policy patient = policy;
	struct life l = life_new();

	(void)state;
	PLAY(scenes);
	patient.crashes_max = 0;
	for (int i = 0; i < 3 * LIFE_CRASHES_KEPT; i++) {
		l = life_step(l, LIFE_EV_START, &patient, 0).life;
		l.total = (unsigned)i;
		l = life_step(l, LIFE_EV_EXIT, &patient, 0).life;
		assert_int_equal(l.state, LIFE_BACKOFF);
	}
}

/* From the second crash on there would be a wait; with a spare there is none. */
static void
a_spare_takes_the_place_of_one_that_has_crashed(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_EXIT, 2, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_SPARE, 2, LIFE_BECOMING, LIFE_CURRENT, 600},
	    {LIFE_EV_READY, 3, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_EXIT, 2000, LIFE_BACKOFF, 0, 100},
	    {LIFE_EV_SPARE, 2000, LIFE_BECOMING, LIFE_CURRENT, 600},
	    {LIFE_EV_READY, 2001, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 2002, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	};

	(void)state;
	PLAY(scenes);
}

static void
a_spare_that_fails_to_become_it_makes_nobody_wait_longer(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_EXIT, 2, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_SPARE, 2, LIFE_BECOMING, LIFE_CURRENT, 600},
	    {LIFE_EV_TIMEOUT, 602, LIFE_BECOMING, LIFE_CURRENT, 0},
	    /* At once, as after the first crash. */
	    {LIFE_EV_EXIT, 603, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 603, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 604, LIFE_READY, LIFE_CURRENT, 0},
	    /* The second crash, but the third end within the time. */
	    {LIFE_EV_EXIT, 605, LIFE_FAILED, 0, 0},
	    {LIFE_EV_SPARE, 606, LIFE_FAILED, 0, 0},
	};

	(void)state;
	PLAY(scenes);
}

/* One that drains, and was called back in vain, comes back after all. */
static void
an_old_one_that_is_back_has_the_spare_as_its_successor(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_TIMEOUT, 704, LIFE_BACKOFF, LIFE_OLD, 0},
	    {LIFE_EV_SPARE, 704, LIFE_BECOMING, LIFE_CURRENT | LIFE_OLD, 600},
	    {LIFE_EV_OLD_READY, 705, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_READY, 706, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	};

	(void)state;
	PLAY_FROM(scenes);
}

/* A spare's own life. */
static void
the_place_of_a_spare_that_was_taken_is_filled(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_TAKEN, 1, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_TAKEN, 2, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 3, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 4, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	    {LIFE_EV_TAKEN, 5, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_READY, 6, LIFE_READY, LIFE_CURRENT, 0},
	};

	(void)state;
	PLAY(scenes);
}

static void
stopping_waits_for_everything_that_lives(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},
	    {LIFE_EV_RESTART, 2, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	    {LIFE_EV_STOP, 3, LIFE_STOPPING, LIFE_CURRENT | LIFE_NEXT, 5000},
	    {LIFE_EV_NEXT_READY, 4, LIFE_STOPPING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_EXIT, 5, LIFE_STOPPING, LIFE_NEXT, 0},
	    {LIFE_EV_TIMEOUT, 5003, LIFE_STOPPING, LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_EXIT, 5004, LIFE_DOWN, 0, 0},
	    {LIFE_EV_START, 5005, LIFE_STARTING, LIFE_CURRENT, 3000},
	};

	(void)state;
	PLAY(scenes);
}

/* What others of its service have to do with it: it ends in good order, and remembers. */
static void
one_that_is_held_is_started_again_and_its_crashes_count(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 10, LIFE_READY, LIFE_CURRENT, ANY_WAIT},
	    {LIFE_EV_EXIT, 20, LIFE_BACKOFF, 0, 0}, {LIFE_EV_HOLD, 20, LIFE_HELD, 0, ANY_WAIT},
	    {LIFE_EV_TIMEOUT, 21, LIFE_HELD, 0, ANY_WAIT},
	    {LIFE_EV_AGAIN, 30, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_HOLD, 31, LIFE_STOPPING, LIFE_CURRENT, 5000},
	    {LIFE_EV_EXIT, 32, LIFE_HELD, 0, ANY_WAIT}, /* it was asked to: no crash */
	    {LIFE_EV_AGAIN, 33, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 34, LIFE_BACKOFF, 0, 100}, /* the second crash, not the first */
	    {LIFE_EV_HOLD, 34, LIFE_HELD, 0, ANY_WAIT},
	    {LIFE_EV_AGAIN, 40, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_EXIT, 41, LIFE_FAILED, 0, ANY_WAIT}, /* and the third is one too many */
	};

	(void)state;
	PLAY(scenes);
}

static void
one_that_is_being_held_can_be_stopped_for_good(void **state)
{
	static const struct scene scenes[] = {
	    {LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_READY, 10, LIFE_READY, LIFE_CURRENT, ANY_WAIT},
	    {LIFE_EV_HOLD, 20, LIFE_STOPPING, LIFE_CURRENT, 5000},
	    {LIFE_EV_STOP, 21, LIFE_STOPPING, LIFE_CURRENT, ANY_WAIT},
	    {LIFE_EV_EXIT, 22, LIFE_DOWN, 0, ANY_WAIT},
	    {LIFE_EV_AGAIN, 23, LIFE_DOWN, 0, ANY_WAIT},
	    {LIFE_EV_START, 30, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_HOLD, 31, LIFE_STOPPING, LIFE_CURRENT, 5000},
	    {LIFE_EV_KILL, 32, LIFE_STOPPING, LIFE_CURRENT, ANY_WAIT},
	    {LIFE_EV_EXIT, 33, LIFE_DOWN, 0, ANY_WAIT},
	    {LIFE_EV_START, 40, LIFE_STARTING, LIFE_CURRENT, 3000},
	    {LIFE_EV_STOP, 41, LIFE_STOPPING, LIFE_CURRENT, 5000},
	    {LIFE_EV_HOLD, 42, LIFE_STOPPING, LIFE_CURRENT, ANY_WAIT},
	    {LIFE_EV_EXIT, 43, LIFE_DOWN, 0, ANY_WAIT},
	};

	(void)state;
	PLAY(scenes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_replacement_from_start_to_end),
	    cmocka_unit_test(the_old_one_is_called_back_when_its_successor_fails),
	    cmocka_unit_test(crashes_wait_longer_until_a_quiet_time),
	    cmocka_unit_test(too_many_crashes_in_too_little_time_are_a_failure),
	    cmocka_unit_test(a_spare_takes_the_place_of_one_that_has_crashed),
	    cmocka_unit_test(a_spare_that_fails_to_become_it_makes_nobody_wait_longer),
	    cmocka_unit_test(an_old_one_that_is_back_has_the_spare_as_its_successor),
	    cmocka_unit_test(the_place_of_a_spare_that_was_taken_is_filled),
	    cmocka_unit_test(stopping_waits_for_everything_that_lives),
	    cmocka_unit_test(one_that_is_held_is_started_again_and_its_crashes_count),
	    cmocka_unit_test(one_that_is_being_held_can_be_stopped_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
