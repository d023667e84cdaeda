/* SPDX-License-Identifier: MIT */
/* The words for states and events. */
#include "supervisor/instance/life.h"

const char *
life_state_name(enum life_state state)
{
	static const char *const names[LIFE_STATES] = {
	    [LIFE_DOWN] = "down",
	    [LIFE_STARTING] = "starting",
	    [LIFE_LATE] = "late",
	    [LIFE_BECOMING] = "becoming",
	    [LIFE_READY] = "ready",
	    [LIFE_REPLACING] = "replacing",
	    [LIFE_ABORTING] = "aborting",
	    [LIFE_RELIEVING] = "relieving",
	    [LIFE_RECALLING] = "recalling",
	    [LIFE_BACKOFF] = "backoff",
	    [LIFE_FAILED] = "failed",
	    [LIFE_HELD] = "held",
	    [LIFE_STOPPING] = "stopping",
	};

	return names[state];
}

const char *
life_event_name(enum life_event event)
{
	static const char *const names[LIFE_EVENTS] = {
	    [LIFE_EV_START] = "start",
	    [LIFE_EV_READY] = "ready",
	    [LIFE_EV_NEXT_READY] = "next ready",
	    [LIFE_EV_OLD_READY] = "old ready",
	    [LIFE_EV_EXIT] = "exit",
	    [LIFE_EV_DONE] = "done",
	    [LIFE_EV_NEXT_EXIT] = "next exit",
	    [LIFE_EV_OLD_EXIT] = "old exit",
	    [LIFE_EV_TIMEOUT] = "timeout",
	    [LIFE_EV_OLD_TIMEOUT] = "old timeout",
	    [LIFE_EV_RESTART] = "restart",
	    [LIFE_EV_SPARE] = "spare",
	    [LIFE_EV_TAKEN] = "taken",
	    [LIFE_EV_HOLD] = "hold",
	    [LIFE_EV_AGAIN] = "again",
	    [LIFE_EV_GIVE_UP] = "give up",
	    [LIFE_EV_STOP] = "stop",
	    [LIFE_EV_KILL] = "kill",
	};

	return names[event];
}
