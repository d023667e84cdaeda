/* SPDX-License-Identifier: MIT */
/* Which process has accepted a connection, as the kernel knows it. */
#ifndef SUPERVISOR_OWNER_H
#define SUPERVISOR_OWNER_H

#include <sys/types.h>

enum owner {
	OWNER_NOBODY,  /* it still waits in the socket's queue */
	OWNER_SESSION, /* a process of that session */
	OWNER_OTHER,   /* somebody else, or somebody who has closed it already */
	OWNER_UNKNOWN, /* baton may not look: *WHY says why */
};

/*
 * Who has the other end of the connected stream socket FD, of this machine. SESSION is the pid of
 * a process that leads a session. Nothing is waited for.
 */
enum owner owner_find(int fd, pid_t session, const char **why);

#endif
