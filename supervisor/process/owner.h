/* SPDX-License-Identifier: MIT */
/* Which process has accepted a connection, as the kernel knows it. */
#ifndef SUPERVISOR_OWNER_H
#define SUPERVISOR_OWNER_H

#include <sys/types.h>
#include <talloc.h>

#include "supervisor/base/timer.h"

enum owner {
	OWNER_NOBODY,  /* it still waits in the socket's queue */
	OWNER_SESSION, /* a process of that session */
	OWNER_OTHER,   /* somebody else, or somebody who has closed it already */
	OWNER_UNKNOWN, /* baton may not look, or cannot: WHY says why */
};

/* The descriptors that are looked at in one turn of the loop, whoever asks. */
#define OWNER_TURN_MAX 256

/* Those who ask, one after the other: a process may have ten thousands of descriptors, and the
 * loop has other things to do. */
struct owners;

/* NULL for lack of memory. */
struct owners *owners_new(TALLOC_CTX *mem, struct timers *timers);

struct owner_search;

/* WHY is valid during the call, and NULL for all but OWNER_UNKNOWN. */
typedef void owner_fn(enum owner owner, const char *why, void *data);

/*
 * Who has the other end of the connected stream socket FD, of this machine. SESSION is the pid of
 * a process that leads a session. FN is called once, from the loop, after which the search is no
 * more; freeing it (or MEM) gives it up. NULL for lack of memory.
 */
struct owner_search *
owner_find(TALLOC_CTX *mem, struct owners *owners, int fd, pid_t session, owner_fn *fn, void *data);

#endif
