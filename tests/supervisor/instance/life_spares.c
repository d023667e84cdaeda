/* SPDX-License-Identifier: MIT */
/* The state machine: stories of spares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/supervisor/instance/life_play.h"

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

/* It is the successor that need not be started. */
static void
a_spare_takes_the_place_of_one_that_is_sick(void **state)
{
#define SICK                                                                    \
	{LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},                  \
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},                    \
	{                                                                       \
		LIFE_EV_SPARE, 2, LIFE_RELIEVING, LIFE_CURRENT | LIFE_NEXT, 600 \
	}
	static const struct scene comes[] = {
	    SICK,
	    {LIFE_EV_NEXT_READY, 3, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    /* Another one is not taken while the sick one drains. */
	    {LIFE_EV_SPARE, 4, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 5, LIFE_READY, LIFE_CURRENT, 0},
	};
	static const struct scene fails[] = {
	    SICK,
	    {LIFE_EV_TIMEOUT, 602, LIFE_RELIEVING, LIFE_CURRENT | LIFE_NEXT, 0},
	    /* At once, in the ordinary way. */
	    {LIFE_EV_NEXT_EXIT, 603, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000},
	};
	static const struct scene both_end[] = {
	    SICK,
	    {LIFE_EV_EXIT, 3, LIFE_BECOMING, LIFE_CURRENT, 0},
	    {LIFE_EV_EXIT, 4, LIFE_BACKOFF, 0, 0},
	    {LIFE_EV_TIMEOUT, 4, LIFE_STARTING, LIFE_CURRENT, 3000},
	};

	(void)state;
	PLAY(comes);
	PLAY(fails);
	PLAY(both_end);
}

/* CURRENT ends while its successor starts. */
static void
a_spare_serves_until_the_successor_is_ready(void **state)
{
#define CRASH                                                                     \
	{LIFE_EV_START, 0, LIFE_STARTING, LIFE_CURRENT, 3000},                    \
	    {LIFE_EV_READY, 1, LIFE_READY, LIFE_CURRENT, 0},                      \
	    {LIFE_EV_RESTART, 2, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 3000}, \
	    {LIFE_EV_EXIT, 3, LIFE_STARTING, LIFE_CURRENT, 0},                    \
	{                                                                         \
		LIFE_EV_SPARE, 3, LIFE_STARTING, LIFE_CURRENT | LIFE_OLD, 0       \
	}
	static const struct scene comes[] = {
	    CRASH,
	    {LIFE_EV_OLD_READY, 4, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_READY, 5, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	};
	static const struct scene stays[] = {
	    CRASH,
	    {LIFE_EV_OLD_READY, 4, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_EXIT, 5, LIFE_READY, LIFE_CURRENT, 0},
	};
	static const struct scene late[] = {
	    CRASH,
	    {LIFE_EV_TIMEOUT, 3002, LIFE_LATE, LIFE_CURRENT | LIFE_OLD, 900},
	    {LIFE_EV_OLD_READY, 3003, LIFE_ABORTING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_NEXT_EXIT, 3004, LIFE_READY, LIFE_CURRENT, 0},
	};
	static const struct scene fails[] = {
	    CRASH,
	    {LIFE_EV_OLD_TIMEOUT, 603, LIFE_STARTING, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 604, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_READY, 605, LIFE_READY, LIFE_CURRENT, 0},
	};
	static const struct scene too_late[] = {
	    CRASH,
	    {LIFE_EV_READY, 4, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_READY, 5, LIFE_READY, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_EXIT, 6, LIFE_READY, LIFE_CURRENT, 0},
	};
	/* The third crash in so short a time is left to the successor. */
	static const struct scene too_often[] = {
	    CRASH,
	    {LIFE_EV_OLD_READY, 4, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_EXIT, 5, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_SPARE, 5, LIFE_STARTING, LIFE_CURRENT | LIFE_OLD, 0},
	    {LIFE_EV_OLD_READY, 6, LIFE_REPLACING, LIFE_CURRENT | LIFE_NEXT, 0},
	    {LIFE_EV_EXIT, 7, LIFE_STARTING, LIFE_CURRENT, 0},
	    {LIFE_EV_SPARE, 7, LIFE_STARTING, LIFE_CURRENT, 0},
	};

	(void)state;
	PLAY(comes);
	PLAY(stays);
	PLAY(late);
	PLAY(fails);
	PLAY(too_late);
	PLAY(too_often);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_spare_takes_the_place_of_one_that_has_crashed),
	    cmocka_unit_test(a_spare_that_fails_to_become_it_makes_nobody_wait_longer),
	    cmocka_unit_test(a_spare_takes_the_place_of_one_that_is_sick),
	    cmocka_unit_test(a_spare_serves_until_the_successor_is_ready),
	    cmocka_unit_test(an_old_one_that_is_back_has_the_spare_as_its_successor),
	    cmocka_unit_test(the_place_of_a_spare_that_was_taken_is_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
