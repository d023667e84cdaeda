/* SPDX-License-Identifier: MIT */
/* A bag as bag.c and with_bag.c know it: the table, and the contexts that it lies in. */
#ifndef BATON_CTX_BAG_INTERNAL_H
#define BATON_CTX_BAG_INTERNAL_H

#include <baton/bag.h>

#include "ctx/ctx_internal.h"

struct ctxi_item;

struct ctx_bag {
	pthread_mutex_t lock;
	struct ctxi_item *items; /* on malloc, or lent */
	uint32_t n, room;        /* room is a power of two, or 0 */
	bool lent;               /* items is talloc memory, under chunk */
	TALLOC_CTX *chunk;
};

/* chunk is the talloc allocation that the bag lies in. */
void ctxi_bag_init(struct ctx_bag *bag, TALLOC_CTX *chunk);
/* Gives back all but itself; returns 0. */
int ctxi_bag_term(struct ctx_bag *bag);

#endif
