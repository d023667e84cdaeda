/* SPDX-License-Identifier: MIT */
/* Which process has accepted a connection, as the kernel knows it. */
#ifndef SUPERVISOR_ACCEPTED_BY_H
#define SUPERVISOR_ACCEPTED_BY_H

#include <sys/types.h>
#include <talloc.h>

#include "supervisor/base/timer.h"

enum accepted_by {
	ACCEPTED_BY_NOBODY,  /* it still waits in the socket's queue */
	ACCEPTED_BY_SESSION, /* a process of that session */
	ACCEPTED_BY_OTHER,   /* somebody else, or somebody who has closed it already */
	ACCEPTED_BY_UNKNOWN, /* baton may not look, or cannot: WHY says why */
};

/* The descriptors that are looked at in one turn of the loop, whoever asks. */
#define ACCEPTED_BY_TURN_MAX 256

/* Those who ask, one after the other: a process may have ten thousands of descriptors, and the
 * loop has other things to do. */
struct accepted_by_queue;

/* NULL for lack of memory. */
struct accepted_by_queue *accepted_by_queue_new(TALLOC_CTX *mem, struct timers *timers);

struct accepted_by_search;

/* WHY is valid during the call, and NULL for all but ACCEPTED_BY_UNKNOWN. */
typedef void accepted_by_fn(enum accepted_by by, const char *why, void *data);

/*
 * Who has the other end of the connected stream socket FD, of this machine. SESSION is the pid of
 * a process that leads a session. FN is called once, from the loop, after which the search is no
 * more; freeing it (or MEM) gives it up. NULL for lack of memory.
 */
struct accepted_by_search *accepted_by_find(TALLOC_CTX *mem, struct accepted_by_queue *queue,
    int fd, pid_t session, accepted_by_fn *fn, void *data);

#endif
