/* SPDX-License-Identifier: MIT */
/*
 * What the files of control/ share, and nobody else includes. From the top down: control.c has the
 * socket in the loop and the list of clients; commands.c knows what a request means; status.c and
 * follow.c answer those that are not done with one line from deploy/; client.c has the bytes.
 */
#ifndef SUPERVISOR_CONTROL_INTERNAL_H
#define SUPERVISOR_CONTROL_INTERNAL_H

#include <sys/queue.h>

#include "supervisor/control/client.h"
#include "supervisor/control/control.h"
#include "supervisor/control/control_socket.h"

struct follower;
struct asked;

struct control {
	struct instances *all;
	struct base *base;
	struct deploy *deploy; /* to whom the commands go, with what they ask for */
	const struct control_calls *calls;
	void *data; /* for them */

	struct control_socket *socket; /* NULL: not opened yet, or closed already */
	char *path;
	struct tevent_fd *fde;
	bool short_of; /* accepting has failed for want of descriptors or memory */

	struct client_list clients; /* who has been silent longest comes first */
	unsigned nclients;
	LIST_HEAD(, follower) followers; /* clients to whom events or lines go */
	LIST_HEAD(, asked) asked;        /* who waits for the status */
};

/* --- commands.c ----------------------------------------------------------------------------- */

/* Serves one request line of LEN bytes, as client_calls.request. */
bool command_serve(struct control *c, struct client *client, const char *line, size_t len);

/* --- status.c ------------------------------------------------------------------------------- */

/* Tells ASKER everything, as `baton status --json` prints it, as soon as it is known. */
void status_tell(struct control *c, struct asker *asker);

/* --- follow.c ------------------------------------------------------------------------------- */

/* Tells CLIENT the last COUNT, and, if ON, what comes after them. */
void follow_events(struct control *c, struct client *client, const char *name, long count, bool on);
void follow_logs(struct control *c, struct client *client, const char *name, long count, bool on);
/* Nothing more comes: who follows is told. */
void follow_end(struct control *c);

/* --- connections.c -------------------------------------------------------------------------- */

struct connections;
typedef void connections_fn(struct connections *c, void *data);

/* Counts those that are open on every listening socket, and calls FN from the loop when it is done,
 * at the latest after LIMIT_MS. NULL: it cannot be known, and FN is not called. */
struct connections *connections_count(
    TALLOC_CTX *mem, const struct instances *all, int limit_ms, connections_fn *fn, void *data);
/* On the sockets of INST, which may be shared. -1: it has no socket, or it is not known of all;
 * C may be NULL. */
int64_t connections_of(const struct connections *c, const struct instance *inst);

/* --- usage.c -------------------------------------------------------------------------------- */

/* What a process uses. */
struct usage {
	int64_t memory_bytes; /* resident */
	int64_t cpu_ms;       /* since its start */
};

/* False: it cannot be known. */
bool usage_read(pid_t pid, struct usage *out);

#endif
