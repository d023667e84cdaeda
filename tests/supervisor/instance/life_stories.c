/* SPDX-License-Identifier: MIT */
/* The state machine: stories that lead through several states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "supervisor/config/config.h"
#include "tests/supervisor/instance/life_play.h"

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

static int64_t
default_of(const char *key)
{
	return strtol(key_find(KEY_SERVICE, key)->text_default, NULL, 10);
}

/* After how many milliseconds a program has failed that lives for LIVES_MS each time; -1: it has
 * not, within an hour. */
static int64_t
fails_after(const struct life_policy *p, int64_t lives_ms)
{
	struct life_step s = life_step(life_new(), LIFE_EV_START, p, 0);
	int64_t now_ms = 0, first_ms = lives_ms;

	while (now_ms < 3600000) {
		now_ms += lives_ms;
		s = life_step(s.life, LIFE_EV_EXIT, p, now_ms);
		if (s.life.state == LIFE_FAILED)
			return now_ms - first_ms;
		assert_int_equal(s.life.state, LIFE_BACKOFF);
		now_ms += s.wait_ms;
		s = life_step(s.life, LIFE_EV_TIMEOUT, p, now_ms);
	}
	return -1;
}

static void
the_default_limit_is_reached_within_a_minute(void **state)
{
	struct life_policy defaults = {.start_timeout_ms = default_of("start_timeout_ms"),
	    .backoff_first_ms = default_of("backoff_first_ms"),
	    .backoff_max_ms = default_of("backoff_max_ms"),
	    .quiet_ms = default_of("quiet_time_ms"),
	    .crashes_max = (unsigned)default_of("crashes_max"),
	    .crashes_time_ms = default_of("crashes_time_ms")};

	(void)state;
	/* What baton.conf(5) says about it. */
	assert_int_equal(fails_after(&defaults, 0), 12700);
	assert_int_equal(fails_after(&defaults, 5900), 12700 + 8 * 5900);
	assert_int_equal(fails_after(&defaults, 6000), -1);
	assert_int_equal(life_crashes_within(60000, &defaults), 11);
	defaults.crashes_max = 11;
	assert_true(fails_after(&defaults, 0) >= 0);
	defaults.crashes_max = 12;
	assert_int_equal(fails_after(&defaults, 0), -1);
	/* Waits that stay short: more than can be counted. */
	defaults.backoff_max_ms = 1;
	assert_int_equal(life_crashes_within(60000, &defaults), LIFE_CRASHES_KEPT + 1);
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
	    cmocka_unit_test(the_default_limit_is_reached_within_a_minute),
	    cmocka_unit_test(stopping_waits_for_everything_that_lives),
	    cmocka_unit_test(one_that_is_held_is_started_again_and_its_crashes_count),
	    cmocka_unit_test(one_that_is_being_held_can_be_stopped_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
