/* SPDX-License-Identifier: MIT */
/* Which sockets are in the way of an address that cannot be bound, as /proc/net tells. */
#ifndef SUPERVISOR_IN_THE_WAY_H
#define SUPERVISOR_IN_THE_WAY_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/config/address.h"

struct in_the_way {
	unsigned long long inode; /* of the socket; 0: no process has it any more */
	bool listens;
	struct address other; /* if it does not: what it is connected to, or was */
};

/* Puts up to ROOM of them into LIST: of a port those that listen, or if none does, those that are
 * connected. Returns how many there are. */
size_t in_the_way_find(const struct address *a, struct in_the_way *list, size_t room);

/* Whether the socket FD is in A's way, though the tables may not show it: one that is bound, but does
 * not listen (any more). */
bool in_the_way_is_bound(int fd, const struct address *a);

#endif
