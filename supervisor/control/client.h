/* SPDX-License-Identifier: MIT */
/* What the files of a control socket's client share: client.c serves it, client_state.c takes it
 * along when baton replaces itself. */
#ifndef SUPERVISOR_CLIENT_H
#define SUPERVISOR_CLIENT_H

#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"

struct client {
	struct control *control;
	struct supervisor *sup;
	int fd;
	struct tevent_fd *fde;
	struct timer *timer;   /* runs while something is owed: the rest of a request, or reading */
	int64_t moved_ms;      /* when bytes went either way, or an answer was given */
	uint64_t heard;        /* when it last sent something, as control_turn counts */
	bool busy;             /* a request is being served; the next one waits in `in` */
	bool waits_for_stop;   /* … and it is a stop */
	bool follows;          /* … and it is without end */
	bool eof;              /* it sends no more; it may still wait for its answer */
	bool ending;           /* freed as soon as `out` is empty; nothing more is read */
	bool serving;          /* process_input is on the stack: it frees, nobody else */
	struct client **where; /* of client_later */
	size_t in_used;
	char in[CONTROL_LINE_MAX_BYTES];
	char *out;
	size_t out_used;
};

/* Waits for what it may do next: send, read, or be late. */
void client_watch(struct client *c);

#endif
