/* SPDX-License-Identifier: MIT */
/*
 * The life of a request as a pure table: state × event → next state and actions. wire/ and sched/
 * tell it what happens, and carry the actions out; nothing else decides whether a request runs, is
 * answered, or is freed. It knows no thread, no parser and no list.
 *
 * Two have a part in a request: its connection, from the request line to the last byte of the
 * answer, and the scheduler, from the last byte of the request until the handler has returned.
 * Either may let go first; who is last frees it. So a state says three things at once:
 *
 *   what has been received   nothing runs before the request is complete
 *   where it is              with the scheduler (WAITING), in its handler in the leader (RUNNING) or
 *                            in another thread (AWAY, OVERDUE), or with its connection alone
 *   what its connection does the parser asks for the answer in each of its runs; it is HELD: the
 *                            parser is suspended until RESUME; it sends one; or it has LEFT
 *
 * Which threads: the state belongs to the leader, whoever that is. So all events happen in the
 * leader, also those about a handler elsewhere, which the leader learns of later. From RUN or GIVEN
 * until its handler has returned, the request's content, its answer `res` and its memory belong to
 * the thread that runs the handler, and the leader reads none of them. All that both write is
 * `handler`, one atomic: RUNS → RETURNED by the thread that ran it, RUNS → OVERDUE by the leader.
 * Who comes first decides which answer the client gets.
 *
 * What may come when:
 *   - The parser's end with the request (ENDED, CLIENT_GONE) may come in every state but RUNNING,
 *     during which nobody runs the parser. It detaches and cancels; it frees nothing that a handler
 *     can see.
 *   - The parser asks only where it is not HELD; nobody but RESUME makes it ask again.
 *   - A handler that runs in the leader may lose it (TAKEN_OVER): a new leader has then made it AWAY
 *     before it touches anything else.
 *   - What is AWAY comes BACK exactly once, however late, and whoever has left meanwhile.
 *
 * A request whose middleware and handler begin when its head is there, and read the content as it
 * comes, would be WAITING after HEAD; its connection would still receive, and be HELD while nobody
 * reads; COMPLETE would be an event of WAITING, RUNNING and AWAY. There is none yet.
 */
#ifndef BATON_HTTP_REQUEST_LIFE_H
#define BATON_HTTP_REQUEST_LIFE_H

enum request_state {
	REQUEST_HEAD,         /* the request line was seen */
	REQUEST_CONTENT,      /* its head was seen, content arrives */
	REQUEST_WAITING,      /* complete; ready to run, or in its route's line */
	REQUEST_WAITING_HELD, /* … and the parser does not ask */
	REQUEST_WAITING_LEFT, /* … and nobody wants its answer: it never runs */
	REQUEST_RUNNING,      /* in its handler, in the leader */
	REQUEST_RUNNING_HELD,
	REQUEST_AWAY, /* another thread has it: handed over, or taken over from */
	REQUEST_AWAY_HELD,
	REQUEST_AWAY_LEFT,    /* nobody wants its answer */
	REQUEST_AWAY_SENDING, /* not back yet, and its answer, or the late one, is being sent */
	REQUEST_OVERDUE,      /* away beyond its deadline: the late answer is to be asked for */
	REQUEST_ANSWERED,     /* the parser has still to ask for its answer */
	REQUEST_SENDING,
	REQUEST_OVER, /* freed */
	REQUEST_STATES
};

enum handler_phase {
	HANDLER_RUNS,     /* or has not begun */
	HANDLER_RETURNED, /* the leader may read its answer */
	HANDLER_OVERDUE   /* it may run on; the client gets another answer */
};

enum request_event {
	/* From the parser. */
	REQUEST_EV_HEAD,
	REQUEST_EV_REFUSED,  /* no handler shall see it: its answer is there */
	REQUEST_EV_COMPLETE, /* every byte of it was received */
	REQUEST_EV_ASKED,
	REQUEST_EV_ASKED_RETURNED, /* the parser asks, and `handler` is RETURNED */
	REQUEST_EV_ASKED_ENDING,   /* the parser asks, and nothing is waited for any more */
	REQUEST_EV_ENDED,          /* the answer was sent, or the connection ended by us */
	REQUEST_EV_CLIENT_GONE,    /* the connection ended otherwise */
	/* From the scheduler. */
	REQUEST_EV_TURN,       /* it is the next: shall it still run? */
	REQUEST_EV_ANSWERED,   /* somebody has made an answer in its handler's place */
	REQUEST_EV_RUN,        /* in the leader */
	REQUEST_EV_GIVEN,      /* to another thread */
	REQUEST_EV_TAKEN_OVER, /* the thread that runs it leads no more */
	REQUEST_EV_BACK,       /* its handler has returned, and the leader knows it */
	REQUEST_EV_DEADLINE,   /* passed while it is away: `handler` was RUNS, and is OVERDUE */
	REQUEST_EV_CUT,        /* the drain deadline */
	REQUEST_EVENTS
};

/* What is to be done, by who has told the event. */
enum {
	REQUEST_DO_SUSPEND = 1 << 0, /* the parser shall not ask before … */
	REQUEST_DO_RESUME = 1 << 1,  /* … it is told to ask again */
	REQUEST_DO_SEND = 1 << 2,    /* the parser gets the answer */
	REQUEST_DO_CLOSE = 1 << 3,   /* the parser ends the connection */
	REQUEST_DO_CANCEL = 1 << 4,  /* its context, if it has one, ends */
	REQUEST_DO_FREE = 1 << 5     /* nobody has it any more; after all else */
};

struct request_outcome {
	unsigned char state, actions;
};

/* What an event makes of a state. One that cannot happen there changes nothing. */
struct request_outcome request_life(enum request_state state, enum request_event event);

#endif
