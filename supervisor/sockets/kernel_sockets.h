/* SPDX-License-Identifier: MIT */
/* Which sockets of this machine, whosever they are, keep an address from being bound: /proc/net tells. */
#ifndef SUPERVISOR_KERNEL_SOCKETS_H
#define SUPERVISOR_KERNEL_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/config/address.h"

struct kernel_socket {
	unsigned long long inode; /* of the socket; 0: no process has it any more */
	bool listens;
	struct address other; /* if it does not: what it is connected to, or was */
};

/* Puts up to ROOM of them into LIST: of a port those that listen, or if none does, those that are
 * connected. Returns how many there are. */
size_t kernel_sockets_find(const struct address *a, struct kernel_socket *list, size_t room);

/* Whether the socket FD is in A's way, though the tables may not show it: one that is bound, but does
 * not listen (any more). */
bool kernel_socket_is_bound(int fd, const struct address *a);

#endif
