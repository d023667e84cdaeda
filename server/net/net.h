/* SPDX-License-Identifier: MIT */
/*
 * The face of server/net/: where requests come from. It listens, accepts, and keeps a record of each
 * connection, from its descriptor's arrival to its close; it bounds them in number, time and
 * descriptors, and ends those that are too slow, too many or of no use any more. The bytes are the
 * parser's (server/wire), to which each connection is given.
 *
 * The loop calls it in each turn, the handover takes connections out of it and puts others in, and
 * the parser tells it what becomes of each by its events. It never knows why it is told to let its
 * connections go, nor where those go that are given away, nor what a request is for, nor a server.
 *
 * All of it is the leader's.
 */
#ifndef BATON_SERVER_NET_H
#define BATON_SERVER_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include "server/base/base.h"
#include "server/base/source.h"
#include "server/http/http_internal.h"
#include "server/net/conn_life.h"
#include "server/wire/wire.h"

struct addresses;
struct lingering;

TAILQ_HEAD(listeners, listener);
TAILQ_HEAD(http_conns, http_conn);
TAILQ_HEAD(lingerings, lingering);

/* Do connections leave, and how? */
enum leave {
	LEAVE_NOT,   /* idle ones stay for idle_timeout_ms */
	LEAVE_END,   /* each ends with its next answer, or after a silence of idle_linger_ms */
	LEAVE_AWAIT, /* somebody may come who takes them: they stay until then */
	LEAVE_GIVE,  /* idle ones are offered; what cannot be given away ends */
	LEAVE_CUT    /* all were cut, and what is left ends */
};

/* What becomes of an idle connection that is offered. */
enum offer {
	OFFER_MADE,      /* it is idle no more */
	OFFER_NOT_IDLE,  /* or never: it is not at the boundary of a request */
	OFFER_NO_ANSWER, /* enough are offered: when an answer has come, again */
	OFFER_NO_ROOM    /* no room to say so: again in a moment */
};

/* What net/ asks of those above it; data is that of struct net. */
struct net_events {
	/* While connections leave by LEAVE_GIVE: an idle one that may be given away. */
	enum offer (*offer)(void *data, struct http_conn *c);
};

struct net {
	/* Given at its beginning. */
	const struct http_settings *set;
	struct counters *counters;
	struct wire *wire;
	const int64_t *now_ms; /* the loop's: read once a turn */
	TALLOC_CTX *mem;       /* everything here hangs on it */
	int epoll_fd;          /* the loop's, known once it is open; -1: not yet, or no more */
	const struct net_events *events; /* set by who gives connections away */
	void *data;                      /* passed to them */

	struct listeners listeners;
	int64_t accept_retry_ms;      /* listeners are not polled until then; 0: they are */
	int64_t accept_complained_ms; /* when it was last logged that accepting fails */
	bool accepting_on;            /* newcomers are wanted */
	bool room;                    /* a connection has ended since listeners were last polled */

	struct http_conns conns; /* all that are ours */
	size_t conns_n;
	struct http_conns in[CONN_LISTS]; /* by their state */
	unsigned in_n[CONN_LISTS];
	struct http_conns oldest; /* the idle ones again, the one idle for longest first */
	struct http_conns hups; /* those whose peer has sent its last, and nothing was made of it */
	enum leave leave;
	int64_t heard_ms; /* the last time the parser may have read something */
	int64_t timeouts_look_ms;
	struct addresses *addresses; /* NULL: not counted */

	struct lingerings lingers; /* the one that began first comes first */
	unsigned lingers_n;

	size_t files_given; /* the limit of descriptors as the program was given it */
	bool files_raised;  /* it needs more */
};

/* ---- net.c: all of it ------------------------------------------------------------------------------ */

/* With nothing in it. The settings and counters are those of the parser. */
void net_init(struct net *net, TALLOC_CTX *mem, struct wire *wire, const int64_t *now_ms);
/* Closes the listeners, whose descriptors others may have, too. */
void net_close(struct net *net);

/* ---- listener.c: listening sockets ----------------------------------------------------------------- */

struct listener {
	enum source source;
	const char *name;
	const char *address; /* as configured; NULL for an inherited one nobody named */
	int fd;
	int port; /* known once it is open; -ENOENT for other than TCP */
	bool polled;
	TAILQ_ENTRY(listener) entry;
};

/* A socket that was handed down to us. */
struct inherited {
	int fd;
	const char *name;
	bool taken;
};

/* To be opened later; NULL only for lack of memory. */
struct listener *listener_new(struct net *net, const char *name, const char *address);
/* By its name; NULL if there is none. */
struct listener *listener_named(const struct net *net, const char *name);
/* Opens all, but for those that are inherited; on error *why tells about which and what to do. */
int listener_open_all(struct net *net, struct inherited *in, size_t n, char **why);
/* One line of log for each. */
void listener_announce(const struct net *net);

/* ---- accept.c: newcomers --------------------------------------------------------------------------- */

/* Newcomers are wanted from now on. */
void accept_begin(struct net *net);
void accept_ready(struct net *net, struct listener *l);
/* Polls the listeners again, if they rest and the time has come or there is room; returns when to
 * look again. */
int64_t accept_expire(struct net *net);
/* Stops for now, and keeps the sockets. */
void accept_rest(struct net *net);
/* Stops for good; unless `keep`, since the stop may be called off, the sockets are closed. */
void accept_stop(struct net *net, bool keep);
/* Begins again after accept_rest or accept_stop; false if the sockets are closed. */
bool accept_go_on(struct net *net);
/* Asks anew who waits: another process was told of them, and died. */
void accept_again(struct net *net);

/* ---- conn.c: connections -------------------------------------------------------------------------- */

struct http_conn {
	enum source source;
	enum conn_state state;
	struct net *net;
	const struct listener *listener;
	struct wire_conn wire;
	int64_t since_ms;            /* idle, or busy with a request */
	int64_t look_ms;             /* idle: when it is looked at */
	int64_t sent, sent_since_ms; /* sending: how much the peer has got, and since when */
	int64_t began_ms;            /* part of a request was seen then; 0: not yet */
	int64_t opened_ms;           /* accepted here */
	int64_t opened_unix_ms;      /* accepted by a predecessor; 0: here */
	uint64_t offer_id;           /* in a handover */
	/* What is true of it in several states. */
	bool counted;   /* it is in the table of addresses, where there is room for it */
	bool refused;   /* by this successor, which is not asked again */
	bool inherited; /* from a predecessor, which may still have a duplicate */
	TAILQ_ENTRY(http_conn) all_entry, list_entry, oldest_entry, hup_entry;
};

/* In CONN_NEW; NULL only for lack of memory. */
struct http_conn *conn_new(struct net *net, const struct listener *l, int fd);
/*
 * Something has happened to it: it goes into its next state, and its orders are carried out. They are
 * returned for the sake of those that are the handover's. After CONN_FORGET it is there no more.
 */
unsigned conn_advance(struct http_conn *c, enum conn_event event);
/* What the parser tells (struct wire_events). */
void conn_opened(struct wire_conn *w);
void conn_begun(struct wire_conn *w);
void conn_head(struct wire_conn *w);
bool conn_is_last(const struct wire_conn *w);
void conn_ended(struct wire_conn *w);
void conn_closed(struct wire_conn *w, bool ours);
void conn_lost(struct wire_conn *w);
static inline struct http_conn *
conn_of(const struct wire_conn *w)
{
	return (struct http_conn *)((char *)w - offsetof(struct http_conn, wire));
}
/* How long after it has become idle, or was looked at, an idle one is looked at. */
int64_t conn_look_interval(const struct net *net);
/* So long from now; 0: before all others. */
void conn_look_later(struct http_conn *c, int64_t interval);
/* The peer has sent its last: something is made of it by conn_settle_hups, after the parser has read
 * what came before. */
void conn_hup(struct http_conn *c);
void conn_settle_hups(struct net *net);
/* Ends it with a last answer, of which the parser, who must not have begun one, knows nothing. */
void conn_end(struct http_conn *c, const char *answer);

#define HTTP_408_CLOSE \
	"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define HTTP_429_CLOSE                                                              \
	"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\n" \
	"Content-Length: 0\r\n\r\n"

/* ---- conn_idle.c: idle connections --------------------------------------------------------------- */

/* Ends what has been idle too long; returns when to look again, INT64_MAX if never. */
int64_t conn_expire(struct net *net);
/* From now on connections leave, or no more, or in another way: idle ones are looked at anew. */
void conn_leave(struct net *net, enum leave leave);

/* ---- timeouts.c: connections that have a request ----------------------------------------------------------- */

/* Ends what is too slow in the middle of something; returns when to look again. */
int64_t timeouts_expire(struct net *net);

/* ---- address.c: connections of each client address ----------------------------------------------------- */

int address_start(struct net *net);
/* Once for each; false if the address has as many as it may. A NULL table counts nothing. */
bool address_count(struct addresses *a, struct http_conn *c);
void address_uncount(struct addresses *a, struct http_conn *c);

/* ---- linger.c: connections that are closed while the client may still be sending --------------------- */

/*
 * All that is to be sent has been given to the kernel: a FIN follows. The fd must not be in the
 * outer epoll, whose registration would outlive it, for the duplicate keeps the file open. False
 * if it is not to be: no memory, no descriptor.
 */
bool linger_start(struct net *net, int fd);
/* Ends the one that has lingered for longest; false if there is none. */
bool linger_make_room(struct net *net);
void linger_read(struct net *net, struct lingering *l);
int64_t linger_expire(struct net *net);

/* ---- peer.c: addresses as text ----------------------------------------------------------------------- */

void peer_format(const struct sockaddr_storage *ss, char text[PEER_TEXT_BYTES]);

/* ---- files.c: the limit of descriptors ----------------------------------------------------------------- */

/* Makes room in the table of descriptors, before there are threads; fd is any that is open. */
void files_open(struct net *net, int fd);
/* Raises the limit of descriptors while there are too many connections for the given one. */
void files_fit(struct net *net);
/* The limit was reached: true if there is more room now. */
bool files_raise(struct net *net);
void files_close(struct net *net);

#endif
