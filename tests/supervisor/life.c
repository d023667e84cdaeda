/* SPDX-License-Identifier: MIT */
/* The state machine: every state with every event, and stories that lead through several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/life.h"

#define ANY_WAIT (-1)

static const struct life_policy policy = {.start_timeout_ms = 3000,
    .drain_timeout_ms = 5000,
    .recall_ms = 700,
    .backoff_first_ms = 100,
    .backoff_max_ms = 30000,
    .quiet_ms = 10000,
    .crashes_max = 3,
    .crashes_time_ms = 1000};

/* What lives in a state when it is reached in the usual way. */
static struct life
typical(enum life_state state)
{
	struct life l = {.state = state, .ready_ms = -1};

	switch (state) {
	case LIFE_DOWN:
	case LIFE_BACKOFF:
	case LIFE_FAILED:
	case LIFE_STATES:
		break;
	case LIFE_READY:
		l.ready_ms = 1000;
		l.alive = LIFE_CURRENT;
		break;
	case LIFE_RECALLING:
		l.crashes = 1;
		l.alive = LIFE_OLD;
		break;
	case LIFE_REPLACING:
	case LIFE_ABORTING:
		l.ready_ms = 1000;
		l.alive = LIFE_CURRENT | LIFE_NEXT;
		break;
	case LIFE_STARTING:
	case LIFE_LATE:
	case LIFE_STOPPING:
		l.alive = LIFE_CURRENT;
		break;
	}
	return l;
}

#define SAME (-1) /* nothing happens at all */
struct outcome {
	int state;
	unsigned orders;
};

/* clang-format off */
#define START {LIFE_STARTING, LIFE_DISARM | LIFE_SPAWN_CURRENT | LIFE_ARM}
#define CRASH {LIFE_BACKOFF, LIFE_DISARM | LIFE_ARM}
#define STOP  {LIFE_STOPPING, LIFE_DISARM | LIFE_TERM_CURRENT | LIFE_TERM_NEXT | LIFE_ARM}
#define KILL  {LIFE_STOPPING, LIFE_DISARM | LIFE_KILL_ALL}
#define DONE  {LIFE_DOWN, LIFE_DISARM}
#define NONE  {SAME, 0}

static const struct outcome expected[LIFE_STATES][LIFE_EVENTS] = {
	[LIFE_DOWN] = {
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = NONE, [LIFE_EV_OLD_TIMEOUT] = NONE, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = NONE, [LIFE_EV_KILL] = NONE,
	},
	[LIFE_STARTING] = {
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = {LIFE_READY, LIFE_DISARM},
		[LIFE_EV_NEXT_READY] = NONE, [LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_STARTING, LIFE_DISARM_OLD},
		[LIFE_EV_TIMEOUT] = {LIFE_LATE, LIFE_KILL_CURRENT},
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_STARTING, LIFE_KILL_OLD},
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_LATE] = {
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_LATE, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = NONE,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_LATE, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_READY] = {
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_READY, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = NONE,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_READY, LIFE_KILL_OLD},
		[LIFE_EV_RESTART] = {LIFE_REPLACING, LIFE_SPAWN_NEXT | LIFE_ARM},
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_REPLACING] = {
		[LIFE_EV_DONE] = {LIFE_STARTING, LIFE_ADOPT},
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE,
		[LIFE_EV_NEXT_READY] = {LIFE_READY,
		    LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD},
		[LIFE_EV_EXIT] = {LIFE_STARTING, LIFE_ADOPT},
		[LIFE_EV_NEXT_EXIT] = {LIFE_READY, LIFE_DISARM}, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = {LIFE_ABORTING, LIFE_KILL_NEXT}, [LIFE_EV_OLD_TIMEOUT] = NONE,
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_ABORTING] = {
		[LIFE_EV_DONE] = {LIFE_LATE, LIFE_ADOPT},
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = {LIFE_LATE, LIFE_ADOPT},
		[LIFE_EV_NEXT_EXIT] = {LIFE_READY, LIFE_DISARM}, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = NONE, [LIFE_EV_OLD_TIMEOUT] = NONE, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_BACKOFF] = {
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_BACKOFF, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = START,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_BACKOFF, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = START,
		[LIFE_EV_STOP] = {LIFE_DOWN, LIFE_DISARM}, [LIFE_EV_KILL] = {LIFE_DOWN, LIFE_DISARM},
	},
	[LIFE_RECALLING] = {
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = {LIFE_READY, LIFE_REINSTATE | LIFE_DISARM | LIFE_DISARM_OLD},
		[LIFE_EV_OLD_EXIT] = {LIFE_BACKOFF, LIFE_DISARM | LIFE_DISARM_OLD | LIFE_ARM},
		[LIFE_EV_TIMEOUT] = CRASH,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_RECALLING, LIFE_KILL_OLD},
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_FAILED] = {
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_FAILED, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = NONE,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_FAILED, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = START,
		[LIFE_EV_STOP] = {LIFE_DOWN, LIFE_DISARM}, [LIFE_EV_KILL] = {LIFE_DOWN, LIFE_DISARM},
	},
	[LIFE_STOPPING] = {
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = {LIFE_DOWN, LIFE_DISARM},
		[LIFE_EV_NEXT_EXIT] = {LIFE_STOPPING, 0},
		[LIFE_EV_OLD_EXIT] = {LIFE_STOPPING, LIFE_DISARM_OLD},
		[LIFE_EV_TIMEOUT] = {LIFE_STOPPING, LIFE_KILL_ALL},
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_STOPPING, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = NONE, [LIFE_EV_KILL] = KILL,
	},
};
/* clang-format on */

static void
every_cell_of_the_table(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_STATES; s++) {
		for (int e = 0; e < LIFE_EVENTS; e++) {
			const struct outcome *want = &expected[s][e];
			struct life before = typical((enum life_state)s);
			struct life_step step =
			    life_step(before, (enum life_event)e, &policy, 2000);
			int want_state = want->state == SAME ? s : want->state;

			if ((int)step.life.state != want_state || step.orders != want->orders)
				fail_msg("%s × %s: became %s with orders %#x, expected %s with %#x",
				    life_state_name((enum life_state)s),
				    life_event_name((enum life_event)e),
				    life_state_name(step.life.state), step.orders,
				    life_state_name((enum life_state)want_state), want->orders);
			if (want->state == SAME)
				assert_memory_equal(&step.life, &before, sizeof(before));
		}
	}
}

/* Whatever happens: two processes at most, and orders only about those that are there. */
static void
invariants_hold_after_any_two_events(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_STATES; s++) {
		for (int pair = 0; pair < LIFE_EVENTS * LIFE_EVENTS; pair++) {
			struct life l = typical((enum life_state)s);

			l = life_step(l, (enum life_event)(pair / LIFE_EVENTS), &policy, 1).life;
			l = life_step(l, (enum life_event)(pair % LIFE_EVENTS), &policy, 2).life;
			assert_int_not_equal(
			    l.alive & (LIFE_NEXT | LIFE_OLD), LIFE_NEXT | LIFE_OLD);
			if (l.state == LIFE_DOWN)
				assert_int_equal(l.alive, 0);
			if (l.state == LIFE_READY || l.state == LIFE_STARTING)
				assert_true((l.alive & LIFE_CURRENT) != 0);
			if (l.state == LIFE_RECALLING)
				assert_int_equal(l.alive, LIFE_OLD);
			if (l.state == LIFE_BACKOFF)
				assert_true((l.alive & LIFE_CURRENT) == 0);
		}
	}
}

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
	    {LIFE_EV_TIMEOUT, 13100, LIFE_LATE, LIFE_CURRENT, 0},
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

static void
backoff_doubles_up_to_its_limit(void **state)
{
	static const int64_t want[] = {
	    0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	const struct life_policy odd = {.backoff_first_ms = 500, .backoff_max_ms = 300};

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(life_backoff_ms(i, &policy), want[i]);
	assert_int_equal(life_backoff_ms(UINT32_MAX, &policy), 30000);
	assert_int_equal(life_backoff_ms(1, &odd), 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_cell_of_the_table),
	    cmocka_unit_test(invariants_hold_after_any_two_events),
	    cmocka_unit_test(a_replacement_from_start_to_end),
	    cmocka_unit_test(the_old_one_is_called_back_when_its_successor_fails),
	    cmocka_unit_test(crashes_wait_longer_until_a_quiet_time),
	    cmocka_unit_test(too_many_crashes_in_too_little_time_are_a_failure),
	    cmocka_unit_test(stopping_waits_for_everything_that_lives),
	    cmocka_unit_test(backoff_doubles_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
