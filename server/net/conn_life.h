/* SPDX-License-Identifier: MIT */
/*
 * The life of one connection as a table: state × event → next state and orders. Pure: conn.c carries
 * the orders out that are net's, and puts the connection where it belongs in its new state.
 *
 * What holds, whatever comes:
 *
 * - At any moment at most one may read from the socket. In the states of the parser (CONN_IDLE to
 *   CONN_LEFT) that is the parser, by which the descriptor is closed, too. In CONN_PARKED, CONN_OFFERED
 *   and CONN_YIELDED nobody reads; in CONN_GIVEN the successor does, in CONN_FOUND and CONN_HELD the
 *   predecessor may. The order OFFER, HAVE, YOURS has both processes agree, whichever of them dies.
 * - Our record lives from conn_new to CONN_GONE, and the request has a life of its own: the parser's
 *   word that a request has ended may come at any time after its beginning, also while its handler
 *   runs. It detaches the request, and never frees what a handler can see.
 * - What the peer sends last may arrive together with its end. So an end is made use of only when the
 *   parser has read what came before (CONN_IDLE_END, CONN_BUSY_END).
 * - The parser closes what we end (CONN_ENDING, CONN_LEFT): we only shut it down, which it notices.
 *   Until then it may still tell of requests, which change nothing any more.
 * - A connection that was given away is never shut down here: that would reach the successor's, too.
 * - A connection may have several parser connections in succession, with times in between in which it
 *   is nobody's but ours (CONN_OUT): what the old one still tells then is of no meaning to it.
 */
#ifndef BATON_SERVER_CONN_LIFE_H
#define BATON_SERVER_CONN_LIFE_H

#include <stdbool.h>

enum conn_state {
	CONN_NEW,       /* on its way to the parser, which has not taken note of it yet */
	CONN_IDLE,      /* without a request */
	CONN_IDLE_END,  /* the same, and the peer has sent its last */
	CONN_BUSY,      /* with a request, from its request line to its answer's last byte */
	CONN_BUSY_END,  /* the same, and the peer has sent its last */
	CONN_BUSY_TOLD, /* and whoever works on the request knows; it still gets its answer */
	CONN_ENDING,    /* we have ended it */
	CONN_LEFT,      /* the peer has, and no request was complete */
	CONN_PARKED,  /* idle, and held in the parser, which reads nothing; for a handover, and for
			* idle connections that are to cost little */
	CONN_OUT,     /* its parser connection is over and the descriptor ours: for answers that are
			* streamed, and for the keeper of connections */
	CONN_OFFERED, /* held in the parser; the successor was asked */
	CONN_YIELDED, /* the successor has it, and may read as soon as we have said YOURS */
	CONN_GIVEN,   /* the successor's, and held here: it comes back if that dies unread */
	CONN_FOUND,   /* a predecessor's, in our hands; that we HAVE it was not said yet */
	CONN_HELD,    /* and was said */
	CONN_GONE,    /* the record is freed */
	CONN_STATES
};

enum conn_event {
	/* Of the parser. */
	CONN_EV_OPENED, /* it has it */
	CONN_EV_BEGUN,  /* a request line was seen */
	CONN_EV_ENDED,  /* its request is answered, or will never be */
	CONN_EV_CLOSED, /* it is about to close the descriptor */
	CONN_EV_LOST,   /* the descriptor was closed, by whoever had it but was no parser */
	/* Of the peer. */
	CONN_EV_END,      /* it has sent its last */
	CONN_EV_IN_VAIN,  /* all that came before was read: nothing that is waited for will come */
	CONN_EV_COMPLETE, /* the request was complete before */
	/* Ours. */
	CONN_EV_CUT,       /* it is to end now */
	CONN_EV_LAST_WORD, /* it is to end, has been told so past the parser, and lingers */
	CONN_EV_PARK,
	CONN_EV_RESUME,
	CONN_EV_TAKE_OUT, /* its descriptor was taken from the parser */
	/* Of the handover, to a successor … */
	CONN_EV_OFFERED,    /* it was sent */
	CONN_EV_HAVE,       /* the successor has it */
	CONN_EV_REFUSED,    /* the successor will not have it */
	CONN_EV_TAKER_GONE, /* the successor has died */
	CONN_EV_TAKE_BACK,  /* it is to stay here after all */
	/* … from a predecessor … */
	CONN_EV_OFFER,      /* it came */
	CONN_EV_YOURS,      /* it is ours */
	CONN_EV_BACK,       /* it stays the predecessor's, who has it as well */
	CONN_EV_GIVER_GONE, /* the predecessor has died */
	/* … and of both: what was to be said, has been. */
	CONN_EV_SAID,
	CONN_EVENTS
};

/* Orders, in the order in which they are carried out. */
enum {
	CONN_TELL = 1 << 0,    /* whoever works on the request: the client is gone */
	CONN_UNWATCH = 1 << 1, /* the peer's end is not listened for … */
	CONN_WATCH = 1 << 2,   /* … or is, from now on */
	CONN_SHUT = 1 << 3,    /* shut the socket down: whoever has it notices */
	CONN_HOLD = 1 << 4,    /* the parser is to read no more … */
	CONN_RELEASE = 1 << 5, /* … or again */
	CONN_CLOSE = 1 << 6,   /* close the descriptor, which the parser never had */
	CONN_FORGET = 1 << 7,  /* free the record */
	/* Carried out by server/handover. */
	CONN_SAY_YOURS = 1 << 8,
	CONN_SAY_BACK = 1 << 9,
	CONN_SAY_HAVE = 1 << 10,
	CONN_SERVE = 1 << 11 /* give it to the parser */
};

/* Where a connection is, in each state. */
enum conn_list {
	CONN_LIST_NONE,
	CONN_LIST_IDLE,
	CONN_LIST_BUSY,
	CONN_LIST_OFFERED,
	CONN_LIST_GIVEN,
	CONN_LIST_HELD,
	CONN_LISTS
};
struct conn_place {
	unsigned char list; /* enum conn_list */
	bool ours;          /* counted as a connection of ours, and of its address */
	bool ending;        /* the peer has sent its last, and something must be made of it */
};

struct conn_step {
	enum conn_state next;
	unsigned orders;
};

/* What does not matter in a state leaves it as it is, with no orders. */
struct conn_step conn_life(enum conn_state state, enum conn_event event);
extern const struct conn_place conn_places[CONN_STATES];

#endif
