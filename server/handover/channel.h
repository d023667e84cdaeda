/* SPDX-License-Identifier: MIT */
/* The handover channel, shared by its two sides, give.c and take.c (supervisor/protocol.h). */
#ifndef BATON_SERVER_CHANNEL_H
#define BATON_SERVER_CHANNEL_H

#include <stdint.h>

#include "supervisor/protocol.h"

struct net_events;

/* What give.c does for net/; their data is the handover. */
extern const struct net_events give_events;

/* ---- The two sides' state machines, for one connection; pure --------------------------------------- */

enum give_state { GIVE_KEPT, GIVE_OFFERED, GIVE_GIVEN, GIVE_STATES };
enum give_event { GIVE_ON_HAVE, GIVE_ON_REFUSE, GIVE_ON_TAKER_GONE, GIVE_ON_DEADLINE, GIVE_EVENTS };
enum give_action {
	GIVE_NOTHING,
	GIVE_SAY_YOURS,
	GIVE_RESUME,
	GIVE_SAY_BACK_AND_RESUME,
	GIVE_RECALL
};

enum take_state { TAKE_NONE, TAKE_HELD, TAKE_OWNED, TAKE_STATES };
enum take_event { TAKE_ON_OFFER, TAKE_ON_YOURS, TAKE_ON_BACK, TAKE_ON_GIVER_GONE, TAKE_EVENTS };
enum take_action { TAKE_NOTHING, TAKE_SAY_HAVE, TAKE_SERVE, TAKE_CLOSE };

struct give_step {
	enum give_state next;
	enum give_action action;
};
struct take_step {
	enum take_state next;
	enum take_action action;
};

struct give_step handover_give(enum give_state state, enum give_event event);
struct take_step handover_take(enum take_state state, enum take_event event);

/* ---- Messages --------------------------------------------------------------------------------------- */

struct handover_message {
	enum baton_handover_type type;
	uint64_t id;
	struct baton_handover_state state; /* OFFER */
	int fd;                            /* OFFER: the reader's to close; -1: none came */
};

/* -EAGAIN: the channel is full. state may be NULL, fd -1. */
int handover_send(int channel, enum baton_handover_type type, uint64_t id,
    const struct baton_handover_state *state, int fd);
/* 1: a message; 0: the channel has ended; -EAGAIN; -EBADMSG for garbage, which is skipped. */
int handover_receive(int channel, struct handover_message *m);

#endif
