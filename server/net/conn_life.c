/* SPDX-License-Identifier: MIT */
/* The table of a connection's life, and where it is in each state. */
#include "server/net/conn_life.h"

/* An empty cell: nothing happens. */
struct cell {
	bool filled;
	unsigned char next; /* enum conn_state */
	unsigned orders;
};

/* clang-format off */
#define TO(state, orders) {true, (state), (orders)}

/* Whatever the parser has, it can close, and the end of that is the same. */
#define CLOSE [CONN_EV_CLOSED] = TO(CONN_GONE, CONN_FORGET)
#define CUT [CONN_EV_CUT] = TO(CONN_ENDING, CONN_SHUT)
#define LAST_WORD [CONN_EV_LAST_WORD] = TO(CONN_ENDING, 0)
#define IDLE_AGAIN (CONN_WATCH | CONN_RELEASE)

static const struct cell table[CONN_STATES][CONN_EVENTS] = {
	[CONN_NEW] = {
		[CONN_EV_OPENED] = TO(CONN_IDLE, CONN_WATCH),
		[CONN_EV_LOST] = TO(CONN_GONE, CONN_FORGET),
		[CONN_EV_OFFER] = TO(CONN_FOUND, CONN_SAY_HAVE),
	},
	[CONN_IDLE] = {
		[CONN_EV_BEGUN] = TO(CONN_BUSY, 0),
		[CONN_EV_END] = TO(CONN_IDLE_END, 0),
		[CONN_EV_PARK] = TO(CONN_PARKED, CONN_UNWATCH | CONN_HOLD),
		CUT, LAST_WORD, CLOSE,
	},
	[CONN_IDLE_END] = {
		[CONN_EV_BEGUN] = TO(CONN_BUSY_END, 0), /* it came before the end */
		[CONN_EV_IN_VAIN] = TO(CONN_LEFT, CONN_SHUT),
		CUT, LAST_WORD, CLOSE,
	},
	[CONN_BUSY] = {
		[CONN_EV_ENDED] = TO(CONN_IDLE, 0),
		[CONN_EV_END] = TO(CONN_BUSY_END, 0),
		/* At the request's head: it goes on, without a parser. */
		[CONN_EV_TAKE_OUT] = TO(CONN_OUT, CONN_UNWATCH),
		CUT, LAST_WORD, CLOSE,
	},
	[CONN_BUSY_END] = {
		[CONN_EV_ENDED] = TO(CONN_IDLE_END, 0),
		[CONN_EV_IN_VAIN] = TO(CONN_LEFT, CONN_SHUT),
		/* The peer may have closed its own half only, and wait for the answer. */
		[CONN_EV_COMPLETE] = TO(CONN_BUSY_TOLD, CONN_TELL),
		CUT, LAST_WORD, CLOSE,
	},
	[CONN_BUSY_TOLD] = {
		[CONN_EV_ENDED] = TO(CONN_IDLE_END, 0),
		CUT, LAST_WORD, CLOSE,
	},
	/* What comes now, our own cut among it, changes nothing. */
	[CONN_ENDING] = { CLOSE },
	[CONN_LEFT] = { CLOSE },
	[CONN_PARKED] = {
		[CONN_EV_RESUME] = TO(CONN_IDLE, IDLE_AGAIN),
		[CONN_EV_OFFERED] = TO(CONN_OFFERED, 0),
		[CONN_EV_TAKE_OUT] = TO(CONN_OUT, 0),
		CLOSE,
	},
	[CONN_OUT] = {
		[CONN_EV_OPENED] = TO(CONN_IDLE, CONN_WATCH), /* the next parser connection */
		[CONN_EV_LOST] = TO(CONN_GONE, CONN_FORGET),
		/* Whoever has it notices, and says that it is lost. */
		[CONN_EV_CUT] = TO(CONN_OUT, CONN_SHUT),
	},
	[CONN_OFFERED] = {
		[CONN_EV_HAVE] = TO(CONN_YIELDED, CONN_SAY_YOURS),
		[CONN_EV_REFUSED] = TO(CONN_IDLE, IDLE_AGAIN),
		/* The next successor may find the offer in the channel, unread. */
		[CONN_EV_TAKER_GONE] = TO(CONN_IDLE, IDLE_AGAIN | CONN_SAY_BACK),
		[CONN_EV_TAKE_BACK] = TO(CONN_IDLE, IDLE_AGAIN | CONN_SAY_BACK),
	},
	/* As long as YOURS finds no room in the channel, it is asked for again and again. */
	[CONN_YIELDED] = {
		[CONN_EV_SAID] = TO(CONN_GIVEN, 0),
		[CONN_EV_HAVE] = TO(CONN_YIELDED, CONN_SAY_YOURS),
		[CONN_EV_REFUSED] = TO(CONN_IDLE, IDLE_AGAIN),
		[CONN_EV_TAKER_GONE] = TO(CONN_IDLE, IDLE_AGAIN | CONN_SAY_BACK),
		[CONN_EV_TAKE_BACK] = TO(CONN_IDLE, IDLE_AGAIN | CONN_SAY_BACK),
	},
	/* Theirs, unless they died without having read from it. */
	[CONN_GIVEN] = {
		[CONN_EV_TAKER_GONE] = TO(CONN_IDLE, IDLE_AGAIN),
	},
	[CONN_FOUND] = {
		[CONN_EV_SAID] = TO(CONN_HELD, 0),
		[CONN_EV_YOURS] = TO(CONN_NEW, CONN_SERVE),
		[CONN_EV_BACK] = TO(CONN_GONE, CONN_CLOSE | CONN_FORGET),
		[CONN_EV_GIVER_GONE] = TO(CONN_NEW, CONN_SERVE),
	},
	[CONN_HELD] = {
		[CONN_EV_YOURS] = TO(CONN_NEW, CONN_SERVE),
		[CONN_EV_BACK] = TO(CONN_GONE, CONN_CLOSE | CONN_FORGET),
		/* Nobody else can read from it any more. */
		[CONN_EV_GIVER_GONE] = TO(CONN_NEW, CONN_SERVE),
	},
};
/* clang-format on */

const struct conn_place conn_places[CONN_STATES] = {
    [CONN_IDLE] = {CONN_LIST_IDLE, true, false},
    [CONN_IDLE_END] = {CONN_LIST_IDLE, true, true},
    [CONN_BUSY] = {CONN_LIST_BUSY, true, false},
    [CONN_BUSY_END] = {CONN_LIST_BUSY, true, true},
    [CONN_BUSY_TOLD] = {CONN_LIST_BUSY, true, false},
    [CONN_ENDING] = {CONN_LIST_NONE, true, false},
    [CONN_LEFT] = {CONN_LIST_NONE, true, false},
    [CONN_PARKED] = {CONN_LIST_NONE, true, false},
    [CONN_OUT] = {CONN_LIST_NONE, true, false},
    [CONN_OFFERED] = {CONN_LIST_OFFERED, true, false},
    [CONN_YIELDED] = {CONN_LIST_OFFERED, true, false},
    [CONN_GIVEN] = {CONN_LIST_GIVEN, false, false},
    [CONN_FOUND] = {CONN_LIST_HELD, false, false},
    [CONN_HELD] = {CONN_LIST_HELD, false, false},
};

struct conn_step
conn_life(enum conn_state state, enum conn_event event)
{
	const struct cell *cell = &table[state][event];

	if (!cell->filled)
		return (struct conn_step){state, 0};
	return (struct conn_step){cell->next, cell->orders};
}
