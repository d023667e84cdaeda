/* SPDX-License-Identifier: MIT */
/* The state machine: every state with every event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/supervisor/instance/life_policy.h"

/* What lives in a state when it is reached in the usual way. */
static struct life
typical(enum life_state state)
{
	struct life l = {.state = state, .ready_ms = -1};

	switch (state) {
	case LIFE_DOWN:
	case LIFE_BACKOFF:
	case LIFE_FAILED:
	case LIFE_HELD:
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
	case LIFE_RELIEVING:
		l.ready_ms = 1000;
		l.alive = LIFE_CURRENT | LIFE_NEXT;
		break;
	case LIFE_BECOMING:
		l.crashes = 1;
		l.alive = LIFE_CURRENT;
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
#define HOLD  STOP
#define KILL  {LIFE_STOPPING, LIFE_DISARM | LIFE_KILL_ALL}
#define DONE  {LIFE_DOWN, LIFE_DISARM}
#define NONE  {SAME, 0}

static const struct outcome expected[LIFE_STATES][LIFE_EVENTS] = {
	[LIFE_DOWN] = {
		[LIFE_EV_HOLD] = NONE, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = NONE, [LIFE_EV_OLD_TIMEOUT] = NONE, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = NONE, [LIFE_EV_KILL] = NONE,
	},
	[LIFE_STARTING] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = {LIFE_STARTING, LIFE_TAKE_SPARE_AS_OLD}, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = {LIFE_READY, LIFE_DISARM},
		[LIFE_EV_NEXT_READY] = NONE, [LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_STARTING, LIFE_DISARM_OLD},
		[LIFE_EV_TIMEOUT] = {LIFE_LATE, LIFE_TERM_CURRENT | LIFE_ARM},
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_STARTING, LIFE_KILL_OLD},
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_LATE] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = {LIFE_LATE, LIFE_TAKE_SPARE_AS_OLD}, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = DONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_LATE, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = {LIFE_LATE, LIFE_KILL_CURRENT},
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_LATE, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_BECOMING] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = CRASH,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = {LIFE_READY, LIFE_DISARM},
		[LIFE_EV_NEXT_READY] = NONE, [LIFE_EV_EXIT] = CRASH, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_BECOMING, LIFE_DISARM_OLD},
		[LIFE_EV_TIMEOUT] = {LIFE_BECOMING, LIFE_KILL_CURRENT},
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_BECOMING, LIFE_KILL_OLD},
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_READY] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = {LIFE_RELIEVING, LIFE_TAKE_SPARE_AS_NEXT | LIFE_ARM}, [LIFE_EV_TAKEN] = START,
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
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = {LIFE_STARTING, LIFE_ADOPT},
		[LIFE_EV_DONE] = {LIFE_STARTING, LIFE_ADOPT},
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE,
		[LIFE_EV_NEXT_READY] = {LIFE_READY,
		    LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD},
		[LIFE_EV_EXIT] = {LIFE_STARTING, LIFE_ADOPT},
		[LIFE_EV_NEXT_EXIT] = {LIFE_READY, LIFE_DISARM}, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = {LIFE_ABORTING, LIFE_TERM_NEXT | LIFE_ARM}, [LIFE_EV_OLD_TIMEOUT] = NONE,
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_ABORTING] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = {LIFE_LATE, LIFE_ADOPT},
		[LIFE_EV_DONE] = {LIFE_LATE, LIFE_ADOPT},
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = {LIFE_LATE, LIFE_ADOPT},
		[LIFE_EV_NEXT_EXIT] = {LIFE_READY, LIFE_DISARM}, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = {LIFE_ABORTING, LIFE_KILL_NEXT}, [LIFE_EV_OLD_TIMEOUT] = NONE, [LIFE_EV_RESTART] = NONE,
		[LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_RELIEVING] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = {LIFE_BECOMING, LIFE_ADOPT},
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = NONE, [LIFE_EV_READY] = NONE,
		[LIFE_EV_NEXT_READY] = {LIFE_READY,
		    LIFE_DISARM | LIFE_PROMOTE | LIFE_TERM_OLD | LIFE_ARM_OLD},
		[LIFE_EV_EXIT] = {LIFE_BECOMING, LIFE_ADOPT},
		[LIFE_EV_NEXT_EXIT] = {LIFE_REPLACING, LIFE_SPAWN_NEXT | LIFE_ARM}, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = {LIFE_RELIEVING, LIFE_KILL_NEXT}, [LIFE_EV_OLD_TIMEOUT] = NONE,
		[LIFE_EV_RESTART] = NONE, [LIFE_EV_STOP] = STOP, [LIFE_EV_KILL] = KILL,
	},
	[LIFE_BACKOFF] = {
		[LIFE_EV_HOLD] = {LIFE_HELD, LIFE_DISARM}, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = {LIFE_BECOMING, LIFE_DISARM | LIFE_TAKE_SPARE | LIFE_ARM}, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_BACKOFF, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = START,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_BACKOFF, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = START,
		[LIFE_EV_STOP] = {LIFE_DOWN, LIFE_DISARM}, [LIFE_EV_KILL] = {LIFE_DOWN, LIFE_DISARM},
	},
	[LIFE_RECALLING] = {
		[LIFE_EV_HOLD] = HOLD, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
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
		[LIFE_EV_HOLD] = NONE, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE,
		[LIFE_EV_OLD_EXIT] = {LIFE_FAILED, LIFE_DISARM_OLD}, [LIFE_EV_TIMEOUT] = NONE,
		[LIFE_EV_OLD_TIMEOUT] = {LIFE_FAILED, LIFE_KILL_OLD}, [LIFE_EV_RESTART] = START,
		[LIFE_EV_STOP] = {LIFE_DOWN, LIFE_DISARM}, [LIFE_EV_KILL] = {LIFE_DOWN, LIFE_DISARM},
	},
	[LIFE_HELD] = {
		[LIFE_EV_HOLD] = NONE, [LIFE_EV_AGAIN] = START,
		[LIFE_EV_GIVE_UP] = {LIFE_FAILED, 0},
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
		[LIFE_EV_DONE] = NONE,
		[LIFE_EV_OLD_READY] = NONE,
		[LIFE_EV_START] = START, [LIFE_EV_READY] = NONE, [LIFE_EV_NEXT_READY] = NONE,
		[LIFE_EV_EXIT] = NONE, [LIFE_EV_NEXT_EXIT] = NONE, [LIFE_EV_OLD_EXIT] = NONE,
		[LIFE_EV_TIMEOUT] = NONE, [LIFE_EV_OLD_TIMEOUT] = NONE, [LIFE_EV_RESTART] = START,
		[LIFE_EV_STOP] = {LIFE_DOWN, LIFE_DISARM}, [LIFE_EV_KILL] = {LIFE_DOWN, LIFE_DISARM},
	},
	[LIFE_STOPPING] = {
		[LIFE_EV_HOLD] = NONE, [LIFE_EV_AGAIN] = NONE, [LIFE_EV_GIVE_UP] = NONE,
		[LIFE_EV_SPARE] = NONE, [LIFE_EV_TAKEN] = NONE,
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
			if (l.state == LIFE_DOWN || l.state == LIFE_HELD)
				assert_int_equal(l.alive, 0);
			if (l.state != LIFE_STOPPING)
				assert_false(l.hold);
			if (l.state == LIFE_READY || l.state == LIFE_STARTING ||
			    l.state == LIFE_BECOMING)
				assert_true((l.alive & LIFE_CURRENT) != 0);
			if (l.state == LIFE_RECALLING)
				assert_int_equal(l.alive, LIFE_OLD);
			if (l.state == LIFE_BACKOFF)
				assert_true((l.alive & LIFE_CURRENT) == 0);
		}
	}
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
	    cmocka_unit_test(backoff_doubles_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
