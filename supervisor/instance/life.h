/* SPDX-License-Identifier: MIT */
/*
 * The life of one instance as a table of pure functions: state × event → next state and
 * orders. No clock is read, no process touched here; instance_orders.c carries the orders
 * out.
 *
 * An instance holds at most two processes, in these roles:
 *   CURRENT  the one that serves, or is to serve
 *   NEXT     its successor, started and not ready yet
 *   OLD      the one that was replaced, and drains
 * NEXT and OLD never live at the same time: a replacement begins only when OLD is gone.
 * If CURRENT ends while OLD drains, OLD is called back: it knows how to serve, and has
 * connections. Only if it does not come back is CURRENT started anew beside it.
 *
 * A spare has such a life, too, as an instance that serves nobody; when it becomes CURRENT of
 * another one (LIFE_BECOMING there), its own place is taken (LIFE_EV_TAKEN), and filled again.
 * It can also become NEXT, of one that is sick (LIFE_RELIEVING). And when CURRENT ends while NEXT
 * starts, it can be OLD: NEXT is CURRENT then, and the spare comes as an OLD does that was called
 * back, serves, and has NEXT as its successor again.
 */
#ifndef SUPERVISOR_LIFE_H
#define SUPERVISOR_LIFE_H

#include <stdbool.h>
#include <stdint.h>

enum life_state {
	LIFE_DOWN,      /* nothing runs and nothing is planned */
	LIFE_STARTING,  /* CURRENT was started and is not ready */
	LIFE_LATE,      /* CURRENT missed the start deadline, was told to end, has not ended */
	LIFE_BECOMING,  /* CURRENT was a spare, was told what it is, and does not serve yet */
	LIFE_READY,     /* CURRENT serves */
	LIFE_REPLACING, /* CURRENT serves, NEXT was started */
	LIFE_ABORTING,  /* CURRENT serves, NEXT missed the deadline, was told to end, has not */
	LIFE_RELIEVING, /* CURRENT is sick; NEXT was a spare, was told what it is, serves not yet */
	LIFE_RECALLING, /* no CURRENT; OLD was asked to serve on */
	LIFE_BACKOFF,   /* no CURRENT; it is started again when the time has come */
	LIFE_FAILED,    /* crashed too often; nothing is started until somebody says so */
	LIFE_HELD,      /* nothing runs: it waits until others of its service have ended */
	LIFE_STOPPING,  /* everything that lives was told to end */
	LIFE_STATES
};

enum life_event {
	LIFE_EV_START,       /* start, or start again */
	LIFE_EV_READY,       /* CURRENT says that it is ready */
	LIFE_EV_NEXT_READY,  /* NEXT says so */
	LIFE_EV_OLD_READY,   /* OLD, which was called back or is a spare, says that it serves */
	LIFE_EV_EXIT,        /* CURRENT has ended, or could not be started */
	LIFE_EV_DONE,        /* CURRENT has ended, and that is no reason to start it again */
	LIFE_EV_NEXT_EXIT,   /* NEXT has */
	LIFE_EV_OLD_EXIT,    /* OLD has */
	LIFE_EV_TIMEOUT,     /* the deadline that was armed with LIFE_ARM has passed */
	LIFE_EV_OLD_TIMEOUT, /* the one armed with LIFE_ARM_OLD has */
	LIFE_EV_RESTART,     /* replace CURRENT by a successor */
	LIFE_EV_SPARE,       /* there is a spare: CURRENT has ended, or is sick */
	LIFE_EV_TAKEN,       /* CURRENT, a spare, is another instance's now */
	LIFE_EV_HOLD,        /* end in good order, to be started again with others (strategy.c) */
	LIFE_EV_AGAIN,       /* it has been held long enough: start; its crashes still count */
	LIFE_EV_GIVE_UP,     /* it is held for nothing: one of the others has failed */
	LIFE_EV_STOP,        /* end in good order */
	LIFE_EV_KILL,        /* end now */
	LIFE_EVENTS
};

/* Which roles hold a process; also the operands of orders. */
enum { LIFE_CURRENT = 1, LIFE_NEXT = 2, LIFE_OLD = 4 };

/* Orders, in the order in which they are carried out. */
enum {
	LIFE_DISARM = 1 << 0,       /* the main timer */
	LIFE_DISARM_OLD = 1 << 1,   /* OLD's timer */
	LIFE_PROMOTE = 1 << 2,      /* CURRENT becomes OLD, NEXT becomes CURRENT */
	LIFE_ADOPT = 1 << 3,        /* CURRENT is gone: NEXT becomes CURRENT */
	LIFE_REINSTATE = 1 << 4,    /* OLD becomes CURRENT again, and CURRENT, if any, NEXT */
	LIFE_TERM_CURRENT = 1 << 5, /* ask to end: SIGTERM */
	LIFE_TERM_NEXT = 1 << 6,
	LIFE_TERM_OLD = 1 << 7,
	LIFE_KILL_CURRENT = 1 << 8, /* SIGKILL, with all of its process group */
	LIFE_KILL_NEXT = 1 << 9,
	LIFE_KILL_OLD = 1 << 10,
	LIFE_RECALL_OLD = 1 << 11, /* tell OLD that the restart is called off */
	LIFE_SPAWN_CURRENT = 1 << 12,
	LIFE_SPAWN_NEXT = 1 << 13,
	LIFE_ARM = 1 << 14,        /* the main timer, for wait_ms */
	LIFE_ARM_OLD = 1 << 15,    /* OLD's timer, for drain_timeout_ms */
	LIFE_TAKE_SPARE = 1 << 16, /* a spare becomes CURRENT */
	LIFE_TAKE_SPARE_AS_NEXT = 1 << 17,
	LIFE_TAKE_SPARE_AS_OLD = 1 << 18, /* … and OLD's timer runs, for become_ms */
};
#define LIFE_KILL_ALL (LIFE_KILL_CURRENT | LIFE_KILL_NEXT | LIFE_KILL_OLD)

struct life_policy {
	int64_t start_timeout_ms; /* spawn to READY=1 */
	int64_t drain_timeout_ms; /* SIGTERM to SIGKILL */
	int64_t late_ms;          /* the same for one that was not ready in time */
	int64_t recall_ms;        /* for OLD to say that it serves again */
	int64_t become_ms;        /* for a spare to say that it serves */
	int64_t backoff_first_ms; /* the wait after the second crash */
	int64_t backoff_max_ms;   /* no wait is longer */
	int64_t quiet_ms;         /* ready for so long: the next crash counts as the first */
	unsigned crashes_max; /* so many crashes … (0: any number; at most LIFE_CRASHES_KEPT) */
	int64_t crashes_time_ms; /* … within this time, and it has failed */
};

/* Times of crashes that are remembered. */
#define LIFE_CRASHES_KEPT 64

struct life {
	enum life_state state;
	unsigned alive;   /* LIFE_CURRENT | LIFE_NEXT | LIFE_OLD */
	unsigned crashes; /* ends without a quiet time between them */
	unsigned total;   /* all of its crashes since the start that somebody asked for */
	int64_t crashed_ms[LIFE_CRASHES_KEPT]; /* when: a ring, the next one at total % KEPT */
	int64_t ready_ms;                      /* when CURRENT became ready; -1: it has not */
	bool hold;                             /* STOPPING ends in HELD, not DOWN */
};

struct life_step {
	struct life life;
	unsigned orders;
	int64_t wait_ms; /* for LIFE_ARM */
};

/* A fresh instance: LIFE_DOWN. */
struct life life_new(void);

/* What EVENT makes of L at NOW_MS. An event that means nothing in a state changes nothing. */
struct life_step
life_step(struct life l, enum life_event event, const struct life_policy *policy, int64_t now_ms);

/* The wait before the start that follows CRASHES crashes in a row: 0, first, 2 first, 4 first … */
int64_t life_backoff_ms(unsigned crashes, const struct life_policy *policy);

/* How many crashes there can be within TIME_MS, of a program that ends as soon as it is started;
 * counted up to LIFE_CRASHES_KEPT + 1. */
unsigned life_crashes_within(int64_t time_ms, const struct life_policy *policy);

/* Lower-case words, for status and logs. */
const char *life_state_name(enum life_state state);
const char *life_event_name(enum life_event event);

#endif
