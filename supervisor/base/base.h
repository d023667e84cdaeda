/* SPDX-License-Identifier: MIT */
/*
 * The face of base/: what every other room of the supervisor builds on, and what of the running
 * program the rooms need that know no more of it than this: the loop, the clock, baton's own
 * output, the log files. Every room may call it; it never knows a configuration, a process, or who uses it.
 */
#ifndef SUPERVISOR_BASE_H
#define SUPERVISOR_BASE_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#include "supervisor/base/logfile.h"
#include "supervisor/base/output.h"
#include "supervisor/base/timer.h"

/* One in the program, a part of struct supervisor; whoever needs it is given its address, which
 * stays. */
struct base {
	struct tevent_context *ev;
	struct timers *timers;
	struct output *out; /* baton's own stdout and stderr */
	struct logfiles *logfiles;
	int64_t started_ms; /* when baton was started; an upgrade is no start */
};

/* False: no memory, or no descriptors. What was made until then belongs to MEM, as the rest. */
bool base_start(struct base *base, TALLOC_CTX *mem);

#endif
