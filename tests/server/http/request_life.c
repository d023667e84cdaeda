/* SPDX-License-Identifier: MIT */
/* The life of a request: every state with every event, and every order in which they can come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/http/http_internal.h"

/* clang-format off */
#define S(name) [REQUEST_##name] = #name
static const char *const state_names[REQUEST_STATES] = {
	S(HEAD), S(CONTENT), S(WAITING), S(WAITING_HELD), S(WAITING_LEFT), S(RUNNING),
	S(RUNNING_HELD), S(AWAY), S(AWAY_HELD), S(AWAY_LEFT), S(AWAY_SENDING), S(OVERDUE),
	S(ANSWERED), S(SENDING), S(OVER),
};

#define E(name) [REQUEST_EV_##name] = #name
static const char *const event_names[REQUEST_EVENTS] = {
	E(HEAD), E(REFUSED), E(COMPLETE), E(ASKED), E(ASKED_RETURNED), E(ASKED_ENDING), E(ENDED),
	E(CLIENT_GONE), E(TURN), E(ANSWERED), E(RUN), E(GIVEN), E(TAKEN_OVER), E(BACK),
	E(DEADLINE), E(CUT),
};

/* Each cell in words: the next state and what is to be done. All others change nothing. */
#define ROW(name) [REQUEST_##name]
#define ON(name)  [REQUEST_EV_##name]
static const char *const expected[REQUEST_STATES][REQUEST_EVENTS] = {
	ROW(HEAD) = {
		ON(HEAD) = "CONTENT", ON(ENDED) = "OVER free", ON(CLIENT_GONE) = "OVER free",
	},
	ROW(CONTENT) = {
		ON(REFUSED) = "SENDING send", ON(COMPLETE) = "WAITING",
		ON(ENDED) = "OVER free", ON(CLIENT_GONE) = "OVER free",
	},
	ROW(WAITING) = {
		ON(ASKED) = "WAITING_HELD suspend", ON(ASKED_ENDING) = "WAITING close",
		ON(ENDED) = "WAITING_LEFT", ON(CLIENT_GONE) = "WAITING_LEFT cancel",
		ON(TURN) = "WAITING", ON(ANSWERED) = "ANSWERED",
		ON(RUN) = "RUNNING", ON(GIVEN) = "AWAY", ON(CUT) = "WAITING",
	},
	ROW(WAITING_HELD) = {
		ON(ENDED) = "WAITING_LEFT", ON(CLIENT_GONE) = "WAITING_LEFT cancel",
		ON(TURN) = "WAITING_HELD", ON(ANSWERED) = "ANSWERED resume",
		ON(RUN) = "RUNNING_HELD", ON(GIVEN) = "AWAY_HELD", ON(CUT) = "WAITING resume",
	},
	ROW(WAITING_LEFT) = {
		ON(TURN) = "OVER free", ON(ANSWERED) = "OVER free", ON(CUT) = "WAITING_LEFT",
	},
	ROW(RUNNING) = {
		ON(TAKEN_OVER) = "AWAY", ON(BACK) = "ANSWERED",
	},
	ROW(RUNNING_HELD) = {
		ON(TAKEN_OVER) = "AWAY_HELD", ON(BACK) = "ANSWERED resume",
	},
	ROW(AWAY) = {
		ON(ASKED) = "AWAY_HELD suspend", ON(ASKED_RETURNED) = "AWAY_SENDING send",
		ON(ASKED_ENDING) = "AWAY close",
		ON(ENDED) = "AWAY_LEFT", ON(CLIENT_GONE) = "AWAY_LEFT cancel",
		ON(BACK) = "ANSWERED", ON(DEADLINE) = "OVERDUE", ON(CUT) = "AWAY cancel",
	},
	ROW(AWAY_HELD) = {
		ON(ENDED) = "AWAY_LEFT", ON(CLIENT_GONE) = "AWAY_LEFT cancel",
		ON(BACK) = "ANSWERED resume", ON(DEADLINE) = "OVERDUE resume",
		ON(CUT) = "AWAY resume cancel",
	},
	ROW(AWAY_LEFT) = {
		ON(BACK) = "OVER free", ON(DEADLINE) = "AWAY_LEFT", ON(CUT) = "AWAY_LEFT cancel",
	},
	ROW(AWAY_SENDING) = {
		ON(ASKED) = "AWAY_SENDING close", ON(ASKED_RETURNED) = "AWAY_SENDING close",
		ON(ASKED_ENDING) = "AWAY_SENDING close",
		ON(ENDED) = "AWAY_LEFT", ON(CLIENT_GONE) = "AWAY_LEFT cancel",
		ON(BACK) = "SENDING", ON(CUT) = "AWAY_SENDING cancel",
	},
	ROW(OVERDUE) = {
		ON(ASKED) = "AWAY_SENDING send", ON(ASKED_ENDING) = "AWAY_SENDING send",
		ON(ENDED) = "AWAY_LEFT", ON(CLIENT_GONE) = "AWAY_LEFT cancel",
		ON(BACK) = "ANSWERED", ON(CUT) = "OVERDUE cancel",
	},
	ROW(ANSWERED) = {
		ON(ASKED) = "SENDING send", ON(ASKED_RETURNED) = "SENDING send",
		ON(ASKED_ENDING) = "SENDING send",
		ON(ENDED) = "OVER free", ON(CLIENT_GONE) = "OVER cancel free",
	},
	ROW(SENDING) = {
		ON(ASKED) = "SENDING close", ON(ASKED_RETURNED) = "SENDING close",
		ON(ASKED_ENDING) = "SENDING close",
		ON(ENDED) = "OVER free", ON(CLIENT_GONE) = "OVER cancel free",
	},
};
/* clang-format on */

static const struct {
	unsigned bit;
	const char *word;
} words[] = {
    {REQUEST_DO_SUSPEND, " suspend"},
    {REQUEST_DO_RESUME, " resume"},
    {REQUEST_DO_SEND, " send"},
    {REQUEST_DO_CLOSE, " close"},
    {REQUEST_DO_CANCEL, " cancel"},
    {REQUEST_DO_FREE, " free"},
};

static void
describe(struct request_outcome out, char text[64])
{
	strcpy(text, state_names[out.state]);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (out.actions & words[i].bit)
			strcat(text, words[i].word);
}

static void
every_cell_of_the_table(void **state)
{
	char text[64];

	(void)state;
	for (int s = 0; s < REQUEST_STATES; s++)
		for (int e = 0; e < REQUEST_EVENTS; e++) {
			const char *want = expected[s][e] ? expected[s][e] : state_names[s];

			describe(request_life((enum request_state)s, (enum request_event)e), text);
			if (strcmp(text, want) != 0)
				fail_msg("%s × %s: %s, expected %s", state_names[s], event_names[e],
				    text, want);
		}
}

/*
 * What is true outside of the table, as those who tell the events see it. The walk below tells
 * every event that is possible then, in every order, until there is nothing new.
 */
struct world {
	enum request_state state;
	bool complete;  /* the scheduler has had it */
	bool connected; /* its connection has it */
	bool suspended; /* the parser is */
	bool answered;  /* the parser has an answer */
	enum { NOWHERE, QUEUED, IN_LEADER, ELSEWHERE } where;
	enum handler_phase handler;
	bool freed;
};

static bool
is_possible(const struct world *w, enum request_event e)
{
	bool parser = w->connected && w->where != IN_LEADER;
	bool asks = parser && !w->suspended && (w->complete || w->answered);

	switch (e) {
	case REQUEST_EV_HEAD:
		return parser && w->state == REQUEST_HEAD;
	case REQUEST_EV_REFUSED:
	case REQUEST_EV_COMPLETE:
		return parser && w->state == REQUEST_CONTENT;
	case REQUEST_EV_ASKED:
	case REQUEST_EV_ASKED_ENDING:
		return asks && w->handler != HANDLER_RETURNED;
	case REQUEST_EV_ASKED_RETURNED:
		return asks && w->handler == HANDLER_RETURNED;
	case REQUEST_EV_ENDED:
	case REQUEST_EV_CLIENT_GONE:
		return parser;
	case REQUEST_EV_TURN:
	case REQUEST_EV_ANSWERED:
		return w->where == QUEUED;
	case REQUEST_EV_RUN:
	case REQUEST_EV_GIVEN: /* after a turn that has found it wanted */
		return w->where == QUEUED && w->connected;
	case REQUEST_EV_TAKEN_OVER:
		return w->where == IN_LEADER;
	case REQUEST_EV_BACK:
		return w->where == IN_LEADER ||
		       (w->where == ELSEWHERE && w->handler != HANDLER_RUNS);
	case REQUEST_EV_DEADLINE:
		return w->where == ELSEWHERE && w->handler == HANDLER_RUNS;
	case REQUEST_EV_CUT:
		return w->where == QUEUED || w->where == ELSEWHERE;
	case REQUEST_EVENTS:
		break;
	}
	return false;
}

static struct world
after(struct world w, enum request_event e)
{
	struct request_outcome out = request_life(w.state, e);

	if (expected[w.state][e] == NULL)
		fail_msg(
		    "%s × %s can happen, and has no cell", state_names[w.state], event_names[e]);
	w.state = out.state;
	w.connected = w.connected && e != REQUEST_EV_ENDED && e != REQUEST_EV_CLIENT_GONE;
	if (e == REQUEST_EV_COMPLETE) {
		w.complete = true;
		w.where = QUEUED;
	} else if (e == REQUEST_EV_ANSWERED || e == REQUEST_EV_BACK ||
		   (e == REQUEST_EV_TURN && (out.actions & REQUEST_DO_FREE))) {
		w.where = NOWHERE;
	} else if (e == REQUEST_EV_RUN) {
		w.where = IN_LEADER;
	} else if (e == REQUEST_EV_GIVEN || e == REQUEST_EV_TAKEN_OVER) {
		w.where = ELSEWHERE;
	} else if (e == REQUEST_EV_DEADLINE) {
		w.handler = HANDLER_OVERDUE;
	}
	/* What the actions do to the parser must be allowed there. */
	if (out.actions & REQUEST_DO_SUSPEND) {
		assert_true(w.connected && !w.suspended && !w.answered);
		w.suspended = true;
	}
	if (out.actions & REQUEST_DO_RESUME) {
		assert_true(w.connected && w.suspended);
		w.suspended = false;
	}
	if (!w.connected)
		w.suspended = false; /* the parser has closed it */
	if (out.actions & REQUEST_DO_SEND) {
		assert_true(w.connected && !w.answered && w.where != IN_LEADER);
		assert_true(w.where == NOWHERE || w.handler != HANDLER_RUNS);
		w.answered = true;
	}
	/* Nobody is left in the dark: once there is an answer, the parser asks for it. */
	if (w.connected && w.where == NOWHERE && w.complete)
		assert_false(w.suspended);
	/* It is freed when both have let go, then at once, and once. */
	w.freed = (out.actions & REQUEST_DO_FREE) != 0;
	assert_true(w.freed == (!w.connected && w.where == NOWHERE));
	assert_true(w.freed == (w.state == REQUEST_OVER));
	return w;
}

static bool
is_same(const struct world *a, const struct world *b)
{
	return a->state == b->state && a->complete == b->complete && a->connected == b->connected &&
	       a->suspended == b->suspended && a->answered == b->answered && a->where == b->where &&
	       a->handler == b->handler;
}

#define WORLDS_MAX 1000

static void
note(struct world *seen, size_t *n, struct world w)
{
	for (size_t i = 0; i < *n; i++)
		if (is_same(&seen[i], &w))
			return;
	assert_true(*n < WORLDS_MAX);
	seen[(*n)++] = w;
}

static void
whatever_comes_in_whatever_order_it_is_freed_once_and_not_forgotten(void **state)
{
	static struct world seen[WORLDS_MAX];
	bool reached[REQUEST_STATES] = {false};
	size_t n = 0;

	(void)state;
	note(seen, &n, (struct world){.state = REQUEST_HEAD, .connected = true});
	for (size_t i = 0; i < n; i++) {
		struct world w = seen[i];

		reached[w.state] = true;
		for (int e = 0; e < REQUEST_EVENTS && !w.freed; e++)
			if (is_possible(&w, (enum request_event)e))
				note(seen, &n, after(w, (enum request_event)e));
		/* In the other thread it may return at any time. */
		if (w.where == ELSEWHERE && w.handler == HANDLER_RUNS) {
			w.handler = HANDLER_RETURNED;
			note(seen, &n, w);
		}
	}
	for (int s = 0; s < REQUEST_STATES; s++)
		if (!reached[s])
			fail_msg("%s is never reached", state_names[s]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_cell_of_the_table),
	    cmocka_unit_test(whatever_comes_in_whatever_order_it_is_freed_once_and_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
