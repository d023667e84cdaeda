/* SPDX-License-Identifier: MIT */
/*
 * The face of server/wire/: bytes of connections become requests, and answers become bytes, by
 * libmicrohttpd, whose only user this is. net/ gives it connections, the loop runs it, and what
 * comes of that it tells by a table of events. It knows no listener, no list of connections,
 * no thread, no drain and no server: a self-test has one of its own.
 */
#ifndef BATON_SERVER_WIRE_H
#define BATON_SERVER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include "server/base/base.h"
#include "server/http/http_internal.h"

struct MHD_Connection;
struct MHD_Daemon;
struct wire_conn;

enum parser_strictness { STRICTNESS_UNKNOWN, STRICTNESS_0_9, STRICTNESS_1_0 };

/* What is relied on and its documentation does not promise, or what differs between its versions:
 * found by experiment before serving. Whatever is false is done without. */
struct parser_traits {
	enum parser_strictness strictness; /* which option makes it strict */
	bool asks_again;   /* after a final call without an answer, in the next run */
	bool counts_heads; /* tells the exact size of a request's head */
	bool holds;        /* lets an idle connection be suspended and resumed */
	bool hides_queries, hides_cookies; /* leaves them alone when told to (parser.c) */
	bool lenient; /* lets malformed lines through: guard_bytes.c must look */
	bool sure;    /* with that, no request is read in another way than it should be */
	/* Where its record of a connection says what it has read ahead, in words; 0: unknown. */
	size_t readahead_at;
	size_t readahead_begins_at; /* and where that begins */
};

/*
 * What the parser tells, in the order of a connection's life: opened; for each request begun, head,
 * complete and ended, where a request that is refused or given up leaves out what is between begun
 * and ended; closed. Each comes in the leader, from within parser_add, parser_run or parser_stop.
 */
struct wire_events {
	/* The parser has it, without a request. */
	void (*opened)(struct wire_conn *c);
	/* A request line was seen: c->current. */
	void (*begun)(struct wire_conn *c);
	/* Its head was seen: what follows is content. */
	void (*head)(struct wire_conn *c);
	/* It may be run; the parser asks for its answer until it gets one (request_life.h). */
	void (*complete)(struct wire_conn *c, struct http_request *req);
	/* True if the connection is to end with the answer that it is about to get. */
	bool (*is_last)(const struct wire_conn *c);
	/* c->current is answered, or will never be. */
	void (*ended)(struct wire_conn *c);
	/* The parser is about to close the descriptor; `ours`: that is not because the peer has
	 * ended it. The record is the receiver's again. */
	void (*closed)(struct wire_conn *c, bool ours);
	/* It was never opened: its descriptor is closed, and the record is the receiver's again. */
	void (*lost)(struct wire_conn *c);
};

TAILQ_HEAD(wire_conns, wire_conn);

/* A parser with what it was told at its start. Only the leader thread touches it. */
struct wire {
	const struct http_settings *set;
	struct counters *counters;
	struct request_store *store;
	const struct wire_events *events;
	struct parser_traits traits;
	bool quiet;  /* its messages are not logged */
	bool ending; /* every connection was cut: no answer is waited for any more */
	struct MHD_Daemon *mhd;
	uint64_t runs;
	bool resumed;                  /* it must run again, for a connection was resumed */
	struct wire_conns arriving;    /* between parser_add and its notice of it */
	struct wire_conns begun;       /* those that have a request */
	struct http_request *answered; /* the last, in this run */
};

/* What the parser needs of a connection, and knows of it: a part of its owner's record. */
struct wire_conn {
	struct wire *wire;
	struct MHD_Connection *mhd;
	int fd; /* the parser's, once it was added */
	struct sockaddr_storage peer;
	socklen_t peer_len;
	char peer_text[PEER_TEXT_BYTES];
	const char *listener;         /* its name, for requests */
	struct http_request *current; /* from its request line to its answer's last byte */
	int64_t requests;             /* so many were begun */
	int64_t used;                 /* bytes of complete requests (account.c) */
	bool used_inexact;            /* used cannot be told exactly */
	bool peer_done;               /* the peer has sent its FIN */
	bool cut;                     /* we have ended it, past the parser, which will notice */
	bool linger;                  /* we end it: read what still comes, so the answer arrives */
	uint64_t completed_run;       /* the parser's run in which a request last ended */
	TAILQ_ENTRY(wire_conn) entry; /* arriving, or begun */
};

/* Before parser_probe and parser_start; what is given must outlive it. */
void wire_init(struct wire *w, const struct http_settings *set, struct counters *counters,
    const struct wire_events *events);
void wire_conn_init(struct wire_conn *c, struct wire *w, int fd);
/* True if the peer has sent its last byte, and all of them were read. */
bool wire_conn_ended(const struct wire_conn *c);

/* ---- account.c: the kernel's count of a connection's bytes ------------------------------------------- */

void account_open(struct wire_conn *c);
/* Counts the bytes that a complete request has used. */
void account_use(struct wire_conn *c, size_t bytes);
/* Called with each piece of chunked content. False if it is framed by more than its share. */
bool account_framing_fair(struct wire_conn *c, struct http_request *req);
/* Bytes that have arrived and were not taken yet. */
int account_unread(const struct wire_conn *c);
/* True if the parser holds the beginning of a request; false also where that cannot be told. */
bool account_partial(struct wire_conn *c);
/* True if it is open, and complete requests have used every byte that was taken from it. */
bool account_between_requests(struct wire_conn *c);
/* True if nobody has read from it since it was given to a successor. */
bool account_untouched(const struct wire_conn *c);
/* Called when nothing of it is unread. Where nobody knows what the parser has read ahead, bytes that
 * no request seems to have used may be framing or empty lines, and it may never seem to be between
 * requests: `used` is inexact from now on, so that a drain ends it politely. */
void account_note_inexact(struct wire_conn *c);
/* Bytes that were taken and not used yet by complete requests; 0 also where it cannot be told. */
int64_t account_pending(struct wire_conn *c);
/* True if nothing was ever sent on it; false also where that cannot be told. */
bool account_mute(const struct wire_conn *c);
/* How long nothing has arrived, or it has been idle, whichever is shorter. */
int64_t account_silent_ms(const struct wire_conn *c, int64_t idle_ms);
/* Something that changes when the peer takes in more of the answer. */
int64_t account_sent(const struct wire_conn *c);

/* ---- wire_conn.c: what the parser has read and not used ------------------------------------------------ */

/* True if the parser has read so many bytes ahead: they are of the next request, or before it. False
 * also where that is unknown. */
bool readahead_is(const struct wire_conn *c, size_t bytes);
/* Where in the parser's buffer that begins, which is the end of what it has used. NULL if that is
 * unknown. */
const char *readahead_begins(const struct wire_conn *c);

/* ---- parser_probe.c: what this libmicrohttpd is like --------------------------------------------------- */

/* Fills w->traits, and says in one line what is missing; on error *why tells, under mem. */
int parser_probe(struct wire *w, TALLOC_CTX *mem, char **why);

/* ---- parser.c, parser_answer.c, parser_daemon.c: libmicrohttpd, all of it ----------------------------- */

int parser_start(struct wire *w);
void parser_stop(struct wire *w);
/* Instead of parser_stop: the parser runs no more, and closes no connection. */
void parser_abandon(struct wire *w);
/* Gives the connection to the parser; on error it is gone, fd and record. */
int parser_add(struct wire_conn *c);
void parser_run(struct wire *w);
/* Of the current request, from the method to the empty line's end; 0 until that was seen. */
size_t parser_head_size(const struct wire_conn *c);
const char *parser_version(void);
int parser_fd(const struct wire *w);
/* Milliseconds until it must run again; -1: never. */
int64_t parser_timeout_ms(const struct wire *w);
/* Keeps the parser from reading of an idle connection, and lets it again. */
void parser_hold(struct wire_conn *c);
void parser_release(struct wire_conn *c);
/* REQUEST_DO_RESUME: the parser asks for the answer again. */
void parser_resume(struct http_request *req);

#endif
