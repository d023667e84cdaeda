/* SPDX-License-Identifier: MIT */
/*
 * One client of the control socket: bytes, lines and answers. It hands each request line up to whom
 * it was made by; what a request means, and which other clients there are, it does not know.
 */
#ifndef SUPERVISOR_CLIENT_H
#define SUPERVISOR_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <talloc.h>

#include "supervisor/base/base.h"
#include "supervisor/deploy/asker.h"

/* The longest request, with its newline. */
#define CLIENT_LINE_MAX_BYTES   4096
/* A client that has so much to read already is cut off instead of being told more … */
#define CLIENT_UNREAD_MAX_BYTES (1024UL * 1024)
/* … but of lines that it follows it misses some before. */
#define CLIENT_FOLLOW_MAX_BYTES (256UL * 1024)
/* Who stops in the middle of a request, or of reading an answer, for so long is cut off. */
#define CLIENT_STALL_MS         10000

struct client;

/* What happens to a client: filled in by who makes it. */
struct client_calls {
	void (*heard)(void *data, struct client *c); /* it has sent something */
	/* It asks for what stands in the LEN bytes of LINE. False: that was so wrong that what
	 * follows cannot be trusted either, so it is cut off after the answer. */
	bool (*request)(void *data, struct client *c, const char *line, size_t len);
	void (*gone)(void *data, struct client *c); /* it is about to be freed */
};

/* What it has asked for, and waits for the answer to. */
enum client_request {
	CLIENT_NONE,
	CLIENT_SERVED,  /* something; the next request waits in `in` */
	CLIENT_STOPS,   /* likewise, the end of everything: set by who serves that */
	CLIENT_FOLLOWS, /* likewise, something without end: set by who serves that */
};

enum client_life {
	CLIENT_READS,  /* it may ask for more */
	CLIENT_SILENT, /* it sends no more; it may still wait for its answer */
	CLIENT_ENDS,   /* freed as soon as `out` is empty; nothing more is read */
};

/* The files of this room may read all of it; what they may write is said. */
struct client {
	TAILQ_ENTRY(client) entry; /* for who made it */
	struct asker asker;        /* itself as one who asks: what that is told, the client reads */
	const struct client_calls *calls;
	void *data; /* for them */
	struct base *base;
	int fd;
	struct tevent_fd *fde;
	struct timer *timer; /* runs while something is owed: the rest of a request, or reading */
	int64_t moved_ms;    /* when bytes went either way, or an answer was given */
	enum client_request request;
	enum client_life life;
	bool serving; /* process_input is on the stack: it frees, nobody else */
	size_t in_used;
	char in[CLIENT_LINE_MAX_BYTES];
	char *out;
	size_t out_used;
};

TAILQ_HEAD(client_list, client);

/* Takes over FD, unless it returns NULL: there is no memory. */
struct client *client_new(
    TALLOC_CTX *mem, struct base *base, int fd, const struct client_calls *calls, void *data);
/* baton has replaced itself: one that WAITS for that is let go after its answer, others by the loop,
 * for until then the program that was replaced may have to go on with them. */
void client_resume(struct client *c, bool waits);
/* It is served no more: if it has asked for something, the answer is WHY. */
void client_dismiss(struct client *c, const char *why);

/* It has asked for something and has no answer yet. */
bool client_waits(const struct client *c);
/* A message of TYPE before the result; takes over LINE, an object. */
void client_line(struct client *c, const char *type, json_t *line);
/* Whether it reads fast enough to be told more of what it can do without. */
bool client_has_room(const struct client *c);
/* Writes what it takes at once. Its descriptor, if there is more; else -1. */
int client_flush(struct client *c);

#endif
