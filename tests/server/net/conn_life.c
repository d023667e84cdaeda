/* SPDX-License-Identifier: MIT */
/* The life of a connection: every state with every event, and that never two may read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/net/conn_life.h"

/* Every cell in which something happens; in all others nothing does. */
static const struct {
	enum conn_state in;
	enum conn_event on;
	enum conn_state next;
	unsigned orders;
} cells[] = {
    /* It comes, by the parser or from a predecessor. */
    {CONN_NEW, CONN_EV_OPENED, CONN_IDLE, CONN_WATCH},
    {CONN_NEW, CONN_EV_LOST, CONN_GONE, CONN_FORGET},
    {CONN_NEW, CONN_EV_OFFER, CONN_FOUND, CONN_SAY_HAVE},
    {CONN_FOUND, CONN_EV_SAID, CONN_HELD, 0},
    {CONN_FOUND, CONN_EV_YOURS, CONN_NEW, CONN_SERVE},
    {CONN_FOUND, CONN_EV_GIVER_GONE, CONN_NEW, CONN_SERVE},
    {CONN_FOUND, CONN_EV_BACK, CONN_GONE, CONN_CLOSE | CONN_FORGET},
    {CONN_HELD, CONN_EV_YOURS, CONN_NEW, CONN_SERVE},
    {CONN_HELD, CONN_EV_GIVER_GONE, CONN_NEW, CONN_SERVE},
    {CONN_HELD, CONN_EV_BACK, CONN_GONE, CONN_CLOSE | CONN_FORGET},
    /* Requests. */
    {CONN_IDLE, CONN_EV_BEGUN, CONN_BUSY, 0},
    {CONN_BUSY, CONN_EV_ENDED, CONN_IDLE, 0},
    /* The peer has sent its last. */
    {CONN_IDLE, CONN_EV_END, CONN_IDLE_END, 0},
    {CONN_IDLE_END, CONN_EV_BEGUN, CONN_BUSY_END, 0},
    {CONN_IDLE_END, CONN_EV_IN_VAIN, CONN_LEFT, CONN_SHUT},
    {CONN_BUSY, CONN_EV_END, CONN_BUSY_END, 0},
    {CONN_BUSY_END, CONN_EV_ENDED, CONN_IDLE_END, 0},
    {CONN_BUSY_END, CONN_EV_IN_VAIN, CONN_LEFT, CONN_SHUT},
    {CONN_BUSY_END, CONN_EV_COMPLETE, CONN_BUSY_TOLD, CONN_TELL},
    {CONN_BUSY_TOLD, CONN_EV_ENDED, CONN_IDLE_END, 0},
    /* We end it. */
    {CONN_IDLE, CONN_EV_CUT, CONN_ENDING, CONN_SHUT},
    {CONN_IDLE, CONN_EV_LAST_WORD, CONN_ENDING, 0},
    {CONN_IDLE_END, CONN_EV_CUT, CONN_ENDING, CONN_SHUT},
    {CONN_IDLE_END, CONN_EV_LAST_WORD, CONN_ENDING, 0},
    {CONN_BUSY, CONN_EV_CUT, CONN_ENDING, CONN_SHUT},
    {CONN_BUSY, CONN_EV_LAST_WORD, CONN_ENDING, 0},
    {CONN_BUSY_END, CONN_EV_CUT, CONN_ENDING, CONN_SHUT},
    {CONN_BUSY_END, CONN_EV_LAST_WORD, CONN_ENDING, 0},
    {CONN_BUSY_TOLD, CONN_EV_CUT, CONN_ENDING, CONN_SHUT},
    {CONN_BUSY_TOLD, CONN_EV_LAST_WORD, CONN_ENDING, 0},
    /* The parser closes it. */
    {CONN_IDLE, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_IDLE_END, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_BUSY, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_BUSY_END, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_BUSY_TOLD, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_ENDING, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_LEFT, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    {CONN_PARKED, CONN_EV_CLOSED, CONN_GONE, CONN_FORGET},
    /* Parked, and out of the parser. */
    {CONN_IDLE, CONN_EV_PARK, CONN_PARKED, CONN_UNWATCH | CONN_HOLD},
    {CONN_PARKED, CONN_EV_RESUME, CONN_IDLE, CONN_WATCH | CONN_RELEASE},
    {CONN_PARKED, CONN_EV_TAKE_OUT, CONN_OUT, 0},
    {CONN_BUSY, CONN_EV_TAKE_OUT, CONN_OUT, CONN_UNWATCH},
    {CONN_OUT, CONN_EV_OPENED, CONN_IDLE, CONN_WATCH},
    {CONN_OUT, CONN_EV_CUT, CONN_OUT, CONN_SHUT},
    {CONN_OUT, CONN_EV_LOST, CONN_GONE, CONN_FORGET},
    /* It goes. */
    {CONN_PARKED, CONN_EV_OFFERED, CONN_OFFERED, 0},
    {CONN_OFFERED, CONN_EV_HAVE, CONN_YIELDED, CONN_SAY_YOURS},
    {CONN_OFFERED, CONN_EV_REFUSED, CONN_IDLE, CONN_WATCH | CONN_RELEASE},
    {CONN_OFFERED, CONN_EV_TAKER_GONE, CONN_IDLE, CONN_WATCH | CONN_RELEASE | CONN_SAY_BACK},
    {CONN_OFFERED, CONN_EV_TAKE_BACK, CONN_IDLE, CONN_WATCH | CONN_RELEASE | CONN_SAY_BACK},
    {CONN_YIELDED, CONN_EV_SAID, CONN_GIVEN, 0},
    {CONN_YIELDED, CONN_EV_HAVE, CONN_YIELDED, CONN_SAY_YOURS},
    {CONN_YIELDED, CONN_EV_REFUSED, CONN_IDLE, CONN_WATCH | CONN_RELEASE},
    {CONN_YIELDED, CONN_EV_TAKER_GONE, CONN_IDLE, CONN_WATCH | CONN_RELEASE | CONN_SAY_BACK},
    {CONN_YIELDED, CONN_EV_TAKE_BACK, CONN_IDLE, CONN_WATCH | CONN_RELEASE | CONN_SAY_BACK},
    {CONN_GIVEN, CONN_EV_TAKER_GONE, CONN_IDLE, CONN_WATCH | CONN_RELEASE},
};

#define CELLS (sizeof(cells) / sizeof(cells[0]))

static void
every_event_does_in_every_state_what_is_written(void **state)
{
	(void)state;
	for (int in = 0; in < CONN_STATES; in++)
		for (int on = 0; on < CONN_EVENTS; on++) {
			struct conn_step step = conn_life((enum conn_state)in, (enum conn_event)on);
			int next = in;
			unsigned orders = 0;

			for (size_t i = 0; i < CELLS; i++)
				if ((int)cells[i].in == in && (int)cells[i].on == on) {
					next = cells[i].next;
					orders = cells[i].orders;
				}
			if ((int)step.next != next || step.orders != orders)
				fail_msg("state %d, event %d: state %d, orders %#x, not %d, %#x",
				    in, on, (int)step.next, step.orders, next, orders);
		}
}

/* Who is in a list of ours is ours; who is given or held is not. A record is freed in no list. */
static void
every_state_has_its_place(void **state)
{
	(void)state;
	for (int in = 0; in < CONN_STATES; in++) {
		const struct conn_place *p = &conn_places[in];
		bool elsewhere = p->list == CONN_LIST_GIVEN || p->list == CONN_LIST_HELD;

		assert_false(elsewhere && p->ours);
		assert_false(p->ending && !p->ours);
		if (p->list != CONN_LIST_NONE && !elsewhere)
			assert_true(p->ours);
	}
	assert_false(conn_places[CONN_GONE].ours || conn_places[CONN_NEW].ours);
}

/* Nothing is held twice, or released that is not held. */
static void
what_is_held_is_released(void **state)
{
	static const bool is_held[CONN_STATES] = {[CONN_PARKED] = true,
	    [CONN_OFFERED] = true,
	    [CONN_YIELDED] = true,
	    [CONN_GIVEN] = true};

	(void)state;
	for (size_t i = 0; i < CELLS; i++) {
		bool before = is_held[cells[i].in], after = is_held[cells[i].next];

		if (cells[i].next == CONN_GONE || cells[i].next == CONN_OUT)
			continue;
		assert_int_equal((cells[i].orders & CONN_HOLD) != 0, !before && after);
		assert_int_equal((cells[i].orders & CONN_RELEASE) != 0, before && !after);
	}
}

/*
 * All orders of what comes in a handover, up to eight: of a connection never two may read, whatever
 * the channel keeps for how long. The giver reads when it is idle, the taker when it serves it.
 */
static void
never_may_two_read(void **state)
{
	(void)state;
	for (int order = 0; order < 1 << 16; order++) {
		struct conn_step give = {CONN_OFFERED, 0},
				 take = conn_life(CONN_NEW, CONN_EV_OFFER);
		bool have = true, yours = false, back = false, serves = false;

		for (int i = 0; i < 8; i++) {
			int what = order >> (2 * i) & 3;

			if (what == 0 && have) {
				give = conn_life(give.next, CONN_EV_HAVE);
				if ((give.orders & CONN_SAY_YOURS) != 0) {
					yours = true;
					give = conn_life(give.next, CONN_EV_SAID);
				}
				have = false;
			} else if (what == 1) {
				give = conn_life(give.next, CONN_EV_TAKE_BACK);
				back = back || (give.orders & CONN_SAY_BACK) != 0;
			} else if (what == 2 && yours) {
				take = conn_life(take.next, CONN_EV_YOURS);
				serves = serves || (take.orders & CONN_SERVE) != 0;
			} else if (what == 3 && back) {
				take = conn_life(take.next, CONN_EV_BACK);
			}
			assert_false(give.next == CONN_IDLE && serves);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_event_does_in_every_state_what_is_written),
	    cmocka_unit_test(every_state_has_its_place),
	    cmocka_unit_test(what_is_held_is_released),
	    cmocka_unit_test(never_may_two_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
