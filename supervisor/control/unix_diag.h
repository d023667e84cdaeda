/* SPDX-License-Identifier: MIT */
/*
 * Connections on Unix sockets, as the kernel knows them (sock_diag(7)). One that was made to a
 * listening socket has that socket's file, by inode and device, wherever the file is by now and
 * whatever name others know it by. So the kernel is asked twice: for the files of our sockets
 * with the queues before them, and for what is connected to them.
 */
#ifndef SUPERVISOR_UNIX_DIAG_H
#define SUPERVISOR_UNIX_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

#include "supervisor/config/address.h"

struct nlmsghdr;
struct unix_sockets;

enum unix_diag_pass { UNIX_DIAG_FILES, UNIX_DIAG_CONNECTIONS };

/* None yet. NULL: no memory. */
struct unix_sockets *unix_sockets_new(TALLOC_CTX *mem);
/* The listening socket FD, which has the address A. False: it cannot be found out which it is. */
bool unix_sockets_add(struct unix_sockets *u, int fd, const struct address *a);
bool unix_sockets_none(const struct unix_sockets *u);

/* Asks on the netlink socket FD; the answer is a dump, each message of which goes to … */
bool unix_sockets_ask(struct unix_sockets *u, int fd, enum unix_diag_pass pass);
/* … this. */
void unix_sockets_take(struct unix_sockets *u, const struct nlmsghdr *m, enum unix_diag_pass pass);

/* After both passes: on that socket; -1: it was not found. */
int64_t unix_sockets_count(const struct unix_sockets *u, const struct address *a);

#endif
