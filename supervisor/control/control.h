/* SPDX-License-Identifier: MIT */
/*
 * The control socket, seen from the supervisor. The protocol: one JSON object a line, both
 * ways. A request is {"command":"status"}, with more members as the command takes them. The
 * answer is any number of {"type":"progress","text":…} lines, then exactly one line
 * {"type":"result","ok":true,…} or {"type":"result","ok":false,"error":…}. A client may send
 * the next request before the answer; requests of one client are answered in order. events
 * and logs answer by lines of the types "event", "lines" and "missed" before the result.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

/* The longest request, with its newline. */
#define CONTROL_LINE_MAX_BYTES   4096
/* At the limit, the client that has been silent longest and waits for nothing has to go, or
 * else the one that has followed longest. */
#define CONTROL_CLIENTS_MAX      64
/* A client that has so much to read already is cut off instead of being told more … */
#define CONTROL_UNREAD_MAX_BYTES (1024UL * 1024)
/* … but of lines that it follows it misses some before. */
#define CONTROL_FOLLOW_MAX_BYTES (256UL * 1024)
/* Who stops in the middle of a request, or of reading an answer, for so long is cut off. */
#define CONTROL_STALL_MS         10000

struct supervisor;
struct control;
struct asker;
struct client;
struct instance;

/* --- control_path.c: where the socket is ------------------------------------------------ */

/* Where to look, in this order; each may be NULL. */
struct control_where {
	const char *option;      /* --control */
	const char *environment; /* $BATON_CONTROL */
	const char *configured;  /* the configuration's */
	const char *config_file; /* its name, for control_path_source */
};

/* The path, never NULL but for lack of memory; *SOURCE (if given) is where it comes from, in
 * words. */
char *control_path(TALLOC_CTX *mem, const struct control_where *where, const char **source);

/* Makes the directory of the default path, checked for owner and mode, if PATH lies in it.
 * Returns 0, or a negative errno with *WHY set. */
int control_prepare_directory(const char *path, TALLOC_CTX *mem, char **why);

/* --- control_socket.c: owning it -------------------------------------------------------- */

struct control_socket {
	int fd, lock_fd;
	int left_by; /* the pid of one that died without removing its lock; 0: there was none */
	char *path, *lock_path;
	dev_t dev; /* of the socket's file, … */
	ino_t ino; /* … which another baton may have replaced */
};

/*
 * Locks, replaces a stale socket, binds with mode 0600, listens. Freeing it unlinks both
 * files, if they are still its own. On failure returns a negative errno with *WHY set; -EADDRINUSE: another baton runs.
 */
int control_socket_open(TALLOC_CTX *mem, const char *path, struct control_socket **out,
    TALLOC_CTX *why_mem, char **why);

/* Makes files anew that somebody has removed. Returns 1 if it has, with another fd, 0 if both are
 * there, or a negative errno with *WHY set, as another baton has them. */
int control_socket_renew(struct control_socket *s, TALLOC_CTX *mem, char **why);

/* To the document of state.h, or from it: *OUT is made then, in MEM. */
struct state;
void control_socket_state(struct state *s, TALLOC_CTX *mem, struct control_socket **out);

/* --- control.c: clients ----------------------------------------------------------------- */

/* Opens the socket and serves it in the loop. Returns 0, or a negative errno with *WHY set. */
int control_start(struct supervisor *sup, const char *path, TALLOC_CTX *mem, char **why);

/* The socket, its lock and the client who waits for the upgrade to the document of state.h, or
 * from it: then the supervisor's control is made. */
struct state;
void control_state(struct state *s, struct supervisor *sup);
/* baton replaces itself now: all other clients are told so, if they wait for an answer, and go. */
void control_dismiss(struct control *c);

/* Sees to it that clients find the socket, if its file was removed. */
void control_renew(struct control *c);

/* The socket's path. */
const char *control_socket_path(const struct control *c);

/* Nobody new is let in, and the files are removed; those who are connected stay. */
void control_close(struct control *c);

/* For the very end: clients get MS milliseconds to read what they have not read yet, as long as one
 * of them does. */
void control_flush(struct control *c, int ms);

/* The supervisor has ended everything: whoever waits for a stop is told. */
void control_stopped(struct control *c);

/* --- client.c: one of them -------------------------------------------------------------- */

/* Takes over FD, unless it returns NULL: there is no memory. */
struct client *client_new(struct control *c, struct supervisor *sup, int fd);

int client_socket(const struct client *c);
/* baton has replaced itself: one that WAITS for that is let go after its answer, others by the loop,
 * for until then the program that was replaced may have to go on with them. */
void client_resume(struct client *c, bool waits);
/* It is served no more: if it has asked for something, the answer is WHY. */
void client_dismiss(struct client *c, const char *why);

/* Itself as one who asks: what it is told so, it reads; to its result "type" is added. */
struct asker *client_asker(struct client *c);
/* It has asked for something and has no answer yet. */
bool client_waits(const struct client *c);
/* A message of TYPE before the result; takes over LINE, an object. */
void client_line(struct client *c, const char *type, json_t *line);
/* Its request has no end: it may be cut off to make room for others. */
void client_follows(struct client *c);
bool client_only_follows(const struct client *c);
/* Whether it reads fast enough to be told more of what it can do without. */
bool client_has_room(const struct client *c);
/* When it last sent something: a turn of its control. */
uint64_t client_heard(const struct client *c);
/* Writes what it takes at once. Its descriptor, if there is more; else -1. */
int client_flush(struct client *c);

/* Counts: a higher number is later. */
uint64_t control_turn(struct control *c);

/* Called by client.c when a client goes. */
void control_forget(struct control *c, struct client *client);

/* --- status.c: for programs -------------------------------------------------------------- */

/* Tells ASKER everything, as `baton status --json` prints it, as soon as it is known. */
void status_tell(struct supervisor *sup, struct asker *asker);
/* Nothing more is waited for: whoever asked is told what is known. */
void status_tell_all(struct supervisor *sup);

/* --- connections.c -------------------------------------------------------------------------- */

struct connections;
typedef void connections_fn(struct connections *c, void *data);

/* Counts those that are open on every listening socket, and calls FN from the loop when it is done,
 * at the latest after LIMIT_MS. NULL: it cannot be known, and FN is not called. */
struct connections *connections_count(
    TALLOC_CTX *mem, struct supervisor *sup, int limit_ms, connections_fn *fn, void *data);
/* On the sockets of INST, which may be shared. -1: it has no socket, or it is not known of all;
 * C may be NULL. */
int64_t connections_of(const struct connections *c, const struct instance *inst);

/* --- follow.c: clients who follow --------------------------------------------------------- */

/* Tells CLIENT the last COUNT, and, if ON, what comes after them. */
void
follow_events(struct supervisor *sup, struct client *client, const char *name, long count, bool on);
void
follow_logs(struct supervisor *sup, struct client *client, const char *name, long count, bool on);
/* Something has happened; an instance has written a line, which is kept, too. */
void follow_event(struct supervisor *sup, json_t *event);
void follow_line(struct instance *inst, bool err, const char *text, size_t len);
/* Nothing more comes: who follows is told. */
void follow_end(struct supervisor *sup);

/* --- what is above -------------------------------------------------------------------------- */

/* Replacing baton's own program, for clients and signals: filled in by who can do that. */
struct upgrade_calls {
	/* Does so, or changes nothing and says why, to ASKER (NULL: nobody waits) and on stderr. */
	void (*ask)(struct supervisor *sup, struct asker *asker);
	/* Baton stops: whoever waits is told. */
	void (*cancel)(struct supervisor *sup, const char *why);
	/* Whether PID was the program that is asked, and has ended: it is dealt with then. */
	bool (*child_ended)(struct supervisor *sup, pid_t pid);
};

/* --- commands.c ------------------------------------------------------------------------- */

/* Serves one request line of LEN bytes. Returns false if it was so wrong that what follows
 * cannot be trusted either: the client is cut off after the answer. */
bool command_serve(struct supervisor *sup, struct client *c, const char *line, size_t len);

/* The client asked for a stop and waits for it. */
bool client_waits_for_stop(const struct client *c);
void client_wait_for_stop(struct client *c);

#endif
