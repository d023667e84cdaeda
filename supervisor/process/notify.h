/* SPDX-License-Identifier: MIT */
/* Both ends of sd_notify(3): what instances tell baton, and what baton tells its own manager. */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>
#include <tevent.h>

/* The longest message that is read; a longer one is cut by the kernel and refused. */
#define NOTIFY_MESSAGE_MAX_BYTES 4096

/* What became of a draining instance's connections (protocol.h). */
struct notify_drained {
	int64_t moved;    /* to the successor */
	int64_t finished; /* requests that were answered while draining */
	int64_t ended;    /* politely */
	int64_t cut;      /* at the deadline */
};

struct notify_message {
	bool ready;            /* READY=1 */
	bool spare;            /* X_BATON_SPARE=1 */
	bool stopping;         /* STOPPING=1 */
	bool watchdog;         /* WATCHDOG=1 */
	bool trigger;          /* WATCHDOG=trigger */
	int64_t watchdog_usec; /* WATCHDOG_USEC=…; -1 if not given */
	const char *status;    /* STATUS=…; NULL if not given; points into the text parsed */
	bool drained;          /* how the drain went was told; what was not named is 0 */
	struct notify_drained counts;
};

/* Takes "KEY=value" lines, cutting TEXT at its newlines. Keys that are not known are skipped,
 * as the protocol demands. Returns how many keys were understood. */
unsigned notify_parse(char *text, struct notify_message *out);

struct notify;

typedef void notify_fn(const struct notify_message *m, void *data);
/* As whom the process runs; NOTIFY_UID_UNKNOWN: it is not known yet. */
typedef uid_t notify_uid_fn(void *data);
#define NOTIFY_UID_UNKNOWN ((uid_t)-1)

/*
 * A receiving socket for one process (whose pid is told later, by notify_expect) and its
 * session. A message counts only if the kernel says that it was sent by that process or a
 * member of its session, under UID or as root; others are counted in notify_refused. While UID
 * is NOTIFY_UID_UNKNOWN, notify_ask_uid's function is asked for it when something comes.
 */
struct notify *
notify_new(TALLOC_CTX *mem, struct tevent_context *ev, uid_t uid, notify_fn *fn, void *data);

struct state;
/* One from the document of state.h, with its socket; NULL if there is none in it, or it has an
 * error. And to it. */
struct notify *
notify_load(struct state *s, TALLOC_CTX *mem, struct tevent_context *ev, notify_fn *fn, void *data);
void notify_save(struct state *s, struct notify *n);
void notify_expect(struct notify *n, pid_t pid);
/* FN, with the data of notify_new, is asked for the uid. */
void notify_ask_uid(struct notify *n, notify_uid_fn *fn);
/* The value for NOTIFY_SOCKET. */
const char *notify_path(const struct notify *n);
/* Takes what has arrived and was not seen by the loop yet. */
void notify_drain(struct notify *n);
unsigned notify_refused(const struct notify *n);

/* For the other end: a socket that is connected to PATH, or a negative errno (-EINVAL: PATH is
 * NULL or no name of a socket). It never waits. */
int notify_connect(const char *path);
/* Sends TEXT, and the descriptor PASS if it is not negative. Returns 0 or a negative errno;
 * -EAGAIN: later, when the socket can be written to. */
int notify_post(int fd, const char *text, int pass);

#endif
