/* SPDX-License-Identifier: MIT */
/*
 * The face of control/: the control socket and its clients. This room lets clients in, reads what
 * they ask for (a command: one row of commands.c), has instance/ and deploy/ do it, and carries the
 * answers back; it answers status, events and logs itself. daemon/ makes it and tells it what is to
 * be told to clients that follow; upgrade/ saves and loads it; cli/ asks where the socket is. It
 * never knows signals, the service manager, or how baton replaces its own program.
 *
 * The protocol: one JSON object a line, both ways. A request is {"command":"status"}, with more
 * members as the command takes them. The answer is any number of {"type":"progress","text":…}
 * lines, then exactly one line {"type":"result","ok":true,…} or
 * {"type":"result","ok":false,"error":…}. A client may send the next request before the answer;
 * requests of one client are answered in order. events and logs answer by lines of the types
 * "event", "lines" and "missed" before the result.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

/* At the limit, the client that has been silent longest and waits for nothing has to go, or
 * else the one that has followed longest. */
#define CONTROL_CLIENTS_MAX 64

struct asker;
struct control;
struct instance;
struct instances;
struct state;
struct deploy;

/* What baton does as a whole, whoever asks, a client or a signal: filled in above. Each tells ASKER
 * how it went, at once or later. */
struct control_calls {
	void (*reload)(void *data, struct asker *asker);
	void (*upgrade)(void *data, struct asker *asker);
};

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

/* --- control.c: clients ----------------------------------------------------------------- */

/* Without a socket yet; what it is given outlives it. NULL: no memory. */
struct control *control_new(TALLOC_CTX *mem, struct instances *all, struct deploy *deploy,
    const struct control_calls *calls, void *data);

/* Opens the socket and serves it in the loop. Returns 0, or a negative errno with *WHY set. */
int control_start(struct control *c, const char *path, TALLOC_CTX *mem, char **why);

/* The socket, its lock and, of all clients, *STAYS, if it is one, to the document of state.h, or
 * from it: then it is served in the loop, and *STAYS waits for its answer. */
void control_state(struct state *s, struct control *c, struct asker **stays);
/* baton replaces itself now: all clients but STAYS are told so, if they wait for an answer, and
 * go. */
void control_dismiss(struct control *c, const struct asker *stays);

/* Sees to it that clients find the socket, if its file was removed. */
void control_renew(struct control *c);

/* baton has ended everything: the socket's files are removed, nobody new is let in, and whoever
 * follows or waits is told. Clients get MS milliseconds to read what they have not read yet, as long
 * as one of them does. */
void control_end(struct control *c, int ms);

/* --- status.c, follow.c: what is told to clients ------------------------------------------- */

/* Nothing more is waited for: whoever has asked for the status is told what is known. */
void status_tell_all(struct control *c);
/* To those who follow: something has happened; an instance has written a line. */
void follow_event(struct control *c, json_t *event);
void
follow_line(struct control *c, const struct instance *inst, bool err, const char *text, size_t len);

#endif
