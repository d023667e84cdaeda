/* SPDX-License-Identifier: MIT */
/* Where requests come from: listeners, connections, what bounds them, and the parser. */
#ifndef BATON_SERVER_CONN_H
#define BATON_SERVER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include "server/http/http_internal.h"
#include "server/wire/wire.h"

struct inherited;

/* ---- listener.c ---------------------------------------------------------------------------------- */

/* Everything in the outer epoll starts with this. */
enum source {
	SOURCE_WAKE,
	SOURCE_PARSER,
	SOURCE_LISTENER,
	SOURCE_CONN,
	SOURCE_LINGER,
	SOURCE_GIVE,
	SOURCE_TAKE,
	SOURCE_SPARE
};

struct listener {
	enum source source;
	const char *name;
	const char *address; /* as configured; NULL for an inherited one nobody named */
	int fd;
	int port; /* known once it is open; -ENOENT for other than TCP */
	bool polled;
	TAILQ_ENTRY(listener) entry;
};
TAILQ_HEAD(listeners, listener);

/* Opens all, but for those that are inherited; on error *why tells about which and what to do. */
int listener_open_all(struct http_server *s, struct inherited *in, size_t n, char **why);
/* One line of log for each. */
void listener_announce(const struct http_server *s);

/* ---- conn.c: connections -------------------------------------------------------------------------- */

TAILQ_HEAD(http_conns, http_conn);

struct http_conn {
	enum source source;
	struct http_server *server;
	const struct listener *listener;
	struct wire_conn wire;
	int64_t since_ms;            /* idle, or busy with a request */
	int64_t look_ms;             /* idle: when it is looked at */
	int64_t sent, sent_since_ms; /* sending: how much the peer has got, and since when */
	int64_t began_ms;            /* part of a request was seen then; 0: not yet */
	bool counted;                /* in the table of addresses */
	struct http_conns *in;       /* the list it is in: idle, busy, offered or held */
	int64_t opened_ms;           /* accepted here */
	int64_t opened_unix_ms;      /* accepted by a predecessor; 0: here */
	uint64_t offer_id;           /* in a handover */
	int give, take;              /* enum give_state, enum take_state */
	bool owed;                   /* the next word of the handover, for want of room */
	bool left;                   /* the peer has ended it, not we */
	bool refused;                /* by this successor */
	bool inherited;              /* from a predecessor, which may still have a duplicate */
	bool hup;                    /* in the hup list: the peer will send no more */
	TAILQ_ENTRY(http_conn) all_entry, list_entry, oldest_entry, hup_entry;
};

struct http_conn *conn_new(struct http_server *s, const struct listener *l, int fd);
/* What the parser tells (struct wire_events). */
void conn_opened(struct wire_conn *w);
void conn_begun(struct wire_conn *w);
void conn_head(struct wire_conn *w);
void conn_ended(struct wire_conn *w);
void conn_closed(struct wire_conn *w, bool ours);
void conn_lost(struct wire_conn *w);
static inline struct http_conn *
conn_of(struct wire_conn *w)
{
	return (struct http_conn *)((char *)w - offsetof(struct http_conn, wire));
}
/* Listens for the end of the peer's data. */
void conn_watch(struct http_conn *c);
void conn_move(struct http_conn *c, struct http_conns *list);
/* It was given away: it is none of ours any more, although the parser still has it. */
void conn_forget(struct http_conn *c);
/* It is ours again, in whatever list it is now. */
void conn_recall(struct http_conn *c);
void conn_cut(struct http_conn *c);
/* The peer has sent FIN: settle it after the parser has read what came before. */
void conn_hup(struct http_conn *c);
void conn_settle_hups(struct http_server *s);
/* Ends it with a last answer, of which the parser, who must not have begun one, knows nothing. */
void conn_end(struct http_conn *c, const char *answer);

#define HTTP_408_CLOSE \
	"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define HTTP_429_CLOSE                                                              \
	"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\n" \
	"Content-Length: 0\r\n\r\n"

/* ---- conn_idle.c: idle connections --------------------------------------------------------------- */

void conn_idle(struct http_conn *c);
/* Ends what has been idle too long; returns when to look again, INT64_MAX if never. */
int64_t conn_expire(struct http_server *s);
void conn_drain(struct http_server *s);
void conn_undrain(struct http_server *s);

/* ---- address.c: connections of each client address ----------------------------------------------------- */

struct addresses;

int address_start(struct http_server *s);
/* False if the address has as many as it may. A NULL table counts nothing. */
bool address_count(struct addresses *a, struct http_conn *c);
void address_uncount(struct addresses *a, struct http_conn *c);

/* ---- busy.c ------------------------------------------------------------------------------------------ */

/* Ends what is too slow in the middle of something; returns when to look again. */
int64_t busy_expire(struct http_server *s);

/* ---- linger.c: connections that are closed while the client may still be sending --------------------- */

struct lingering;
TAILQ_HEAD(lingerings, lingering);

/*
 * All that is to be sent has been given to the kernel: a FIN follows. The fd must not be in the
 * outer epoll, whose registration would outlive it, for the duplicate keeps the file open. False
 * if it is not to be: no memory, no descriptor.
 */
bool linger_start(struct http_server *s, int fd);
/* Ends the one that has lingered for longest; false if there is none. */
bool linger_make_room(struct http_server *s);
void linger_read(struct http_server *s, struct lingering *l);
int64_t linger_expire(struct http_server *s, int64_t now);

/* ---- accept.c --------------------------------------------------------------------------------------- */

void accept_poll(struct http_server *s);
void accept_ready(struct http_server *s, struct listener *l);
void accept_resume(struct http_server *s);
void accept_rest(struct http_server *s);
void accept_again(struct http_server *s);
void accept_stop(struct http_server *s);

/* ---- peer.c --------------------------------------------------------------------------------------- */

void peer_format(const struct sockaddr_storage *ss, char text[PEER_TEXT_BYTES]);

#endif
