/* SPDX-License-Identifier: MIT */
/*
 * What the files of the rolling restart share: roll.c moves it on, roll_news.c knows what
 * happened, roll_canary.c makes it pause, roll_verdict.c tells those who wait how it goes and
 * how it went.
 */
#ifndef SUPERVISOR_ROLL_H
#define SUPERVISOR_ROLL_H

#include "supervisor/deploy/deploy.h"

/* Who hears that a roll is over: deploy.c has them in their order. */
struct roll_hearer {
	const char *name;
	/* What it has come to is decided, and may be added to its error; or NULL. */
	void (*judge)(struct roll *r);
	/* Those who wait for RESULT are told next, but for those that it takes over; or NULL. */
	void (*adopt)(struct roll *r, json_t *result);
	/* It is gone, and the next one may begin. */
	void (*over)(struct deploy *d);
};

enum turn_stage {
	TURN_QUEUED,
	TURN_WAITS,   /* it may begin, but a process of the instance still starts or drains */
	TURN_NEXT,    /* the successor was started */
	TURN_OLD,     /* the successor serves; the old one drains */
	TURN_DONE,    /* replaced */
	TURN_SKIPPED, /* stopped, so it is not to run; or in a roll back, it never went forth */
	TURN_FAILED,
};

/* One instance's part in the roll. */
struct turn {
	struct instance *inst;
	enum turn_stage stage;
	unsigned number; /* of the successor */
	char *said;      /* the last line of progress about it */
};

/* Somebody who wants to know. */
struct waiter {
	STAILQ_ENTRY(waiter) entry;
	struct asker *asker; /* NULL when it went away */
};

STAILQ_HEAD(waiters, waiter);

struct roll {
	struct deploy *deploy;
	struct roll_task task; /* its strings are the roll's own */
	struct waiters waiters;
	struct turn *turns;
	size_t count;
	int64_t started_ms;
	char *where;                  /* for status */
	bool advancing;               /* it is being moved on already: news come from within */
	bool again;                   /* … and have changed something */
	bool over;                    /* the verdict is told at the loop's next turn */
	bool failed;                  /* nothing further is begun */
	json_t *failure;              /* the first one, for the verdict */
	char *error;                  /* all of them, in words */
	const char *cancelled;        /* why it was given up; NULL: it was not */
	const struct service *passed; /* the canary of this one was good enough */
	struct turn *paused;          /* the canary that is looked at; NULL: none is */
	struct timer *pause_timer;    /* … NULL: until `baton continue` */
	int64_t paused_ms;            /* since when */
	char *pause_text;
	/* What became of the connections, as far as the old generations told. */
	bool drained;
	struct notify_drained sum;
	json_t *instances; /* one object for each instance that was replaced */
};

/* A service that is to go back by itself, when nothing else is under way. */
struct revert {
	STAILQ_ENTRY(revert) entry;
	struct service *service;
	char *why;
	struct waiters waiters; /* for the verdict on … */
	json_t *verdict;        /* … the roll that has failed; NULL: none was under way */
};

/* The successor was started, and the instance is not at rest again. */
static inline bool
roll_under_way(const struct turn *t)
{
	return t->stage == TURN_NEXT || t->stage == TURN_OLD;
}

bool roll_is_about(const struct roll *r, const struct service *s);
/* Moves it on as far as it goes. */
void roll_advance(struct roll *r);

/* Begins one about these instances, when nothing stands against it and none is under way. Returns
 * 0 or -ENOMEM, and ASKER has not been told. */
int roll_start_list(struct deploy *d, const struct roll_task *task, struct instance **list,
    size_t count, struct asker *asker);
/* G of INST has failed in a way that roll_news does not see, or at another time: a roll about
 * its service, if one is under way, fails for that REASON. (roll_news.c) */
void roll_spoil(
    struct deploy *d, const struct instance *inst, const struct generation *g, const char *reason);

/* --- roll_canary.c ---------------------------------------------------------------------- */

/* How many instances of S, which has its turn, may be under way now. May begin a pause. */
long roll_room(struct roll *r, const struct service *s);
void roll_end_pause(struct roll *r, const char *why);
/* The time of the pause is over: the canary was good enough, or it fails. */
void roll_judge_canary(struct roll *r);
/* For status: since when it is paused, and how long. Only while it is. */
const char *roll_pause_text(struct roll *r);

/* --- roll_verdict.c --------------------------------------------------------------------- */

/* So many turns have come so far. */
size_t roll_count(const struct roll *r, enum turn_stage stage);
void roll_tell_begin(const struct roll *r);
/* ASKER will hear of progress and verdict; it may go away at any time. */
void roll_tell(struct roll *r, struct asker *asker);
/* TEXT, a child of the roll, is taken over. T may be NULL. */
void roll_progress(struct roll *r, struct turn *t, char *text);
/* The turn has failed, and with it the roll, once those that are under way have finished. */
void roll_fail(struct roll *r, struct turn *t, const struct generation *g, const char *reason);
/* The old generation G is gone: what it told of its connections goes into the verdict. */
void roll_take_account(struct roll *r, const struct turn *t, const struct generation *g);
void roll_tell_end(const struct roll *r);
/* The caller's. */
json_t *roll_verdict(struct roll *r);
void roll_tell_all(struct waiters *waiters, const json_t *result);
/* To another list, and memory. */
void roll_move_waiters(TALLOC_CTX *mem, struct waiters *to, struct waiters *from);

/* --- revert.c --------------------------------------------------------------------- */

/* S is started from what has proved good, for that reason: its instances that run something
 * else are replaced as soon as nothing else is under way. */
void revert_due(struct service *s, const char *why);
/* A roll is over: begins the next one, unless something else is under way. */
void revert_next(struct deploy *d);
/* The supervisor stops. */
void revert_cancel(struct deploy *d, const char *why);
/* If R has failed and its service goes back by itself, those who wait for its verdict RESULT
 * get it when that is done. */
void revert_adopt(struct roll *r, json_t *result);

#endif
