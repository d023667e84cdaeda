/* SPDX-License-Identifier: MIT */
/* The handover channel, shared by its two sides, give.c and take.c (supervisor/protocol.h). */
#ifndef BATON_SERVER_CHANNEL_H
#define BATON_SERVER_CHANNEL_H

#include <stdint.h>

#include "supervisor/protocol.h"

struct net_events;

/* What give.c does for net/; their data is the handover. */
extern const struct net_events give_events;

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
