/* SPDX-License-Identifier: MIT */
/* One GET request over a connection of its own, of which the answer's status is looked at. */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <talloc.h>
#include <tevent.h>

#include "supervisor/base/timer.h"
#include "supervisor/config/address.h"
#include "supervisor/process/accepted_by.h"

struct probe_target {
	struct address address;
	const char *path; /* read by probe_start only */
	pid_t session;    /* only an answer of a process of that session counts; 0: anybody's */
	struct accepted_by_queue
	    *accepted_by;   /* by whom that is found out, if there is a session */
	int64_t timeout_ms; /* for all of it; 0: none */
};

enum probe_verdict {
	PROBE_WELL,    /* 2xx or 3xx */
	PROBE_SICK,    /* any other answer, or none: WHY says which */
	PROBE_IGNORED, /* nobody at all has accepted the connection in time */
	PROBE_OTHER,   /* the connection was accepted by another process, which was not asked */
	PROBE_BLIND,   /* it could not be found out who accepted it; nobody was asked */
};

struct probe;

/* WHY belongs to the probe, which is freed when this returns. */
typedef void probe_fn(enum probe_verdict verdict, const char *why, void *data);

/*
 * Begins one; FN is called once, from the loop. Freeing it (or MEM) gives it up: FN may free MEM.
 * NULL for lack of memory.
 */
struct probe *probe_start(TALLOC_CTX *mem, struct tevent_context *ev, struct timers *timers,
    const struct probe_target *target, probe_fn *fn, void *data);

/*
 * The status of the answer of which TEXT is what has come: 100 to 599, 1xx being read over, 0
 * when more must come, or -1 with *WHY set if it is none of HTTP/1.x (RFC 9112, section 4).
 */
int probe_status(const char *text, size_t len, const char **why);

#endif
