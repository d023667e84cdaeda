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

struct MHD_Connection;
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
	struct MHD_Connection *mhd;
	int fd; /* owned by the parser */
	struct sockaddr_storage peer;
	socklen_t peer_len;
	char peer_text[PEER_TEXT_BYTES];
	struct http_request *current; /* from its request line to its answer's last byte */
	int64_t since_ms;             /* idle, or busy with current */
	int64_t look_ms;              /* idle: when it is looked at */
	int64_t sent, sent_since_ms;  /* sending: how much the peer has got, and since when */
	int64_t used;                 /* bytes of complete requests (account.c) */
	int64_t requests;             /* so many were begun */
	bool uncertain;               /* used cannot be told exactly */
	int64_t began_ms;             /* part of a request was seen then; 0: not yet */
	bool counted;                 /* in the table of addresses */
	struct http_conns *in;        /* the list it is in: idle, busy, offered or held */
	int64_t opened_ms;            /* accepted here */
	int64_t opened_unix_ms;       /* accepted by a predecessor; 0: here */
	uint64_t offer_id;            /* in a handover */
	int give, take;               /* enum give_state, enum take_state */
	bool owed;                    /* the next word of the handover, for want of room */
	bool left;                    /* the peer has ended it, not we */
	bool refused;                 /* by this successor */
	bool inherited;               /* from a predecessor, which may still have a duplicate */
	bool hup;                     /* in the hup list: the peer will send no more */
	bool peer_done;               /* the peer has sent its FIN */
	bool cut;                     /* we end it, past the parser; it will notice */
	bool linger;                  /* we end it: read what still comes, so the answer arrives */
	uint64_t completed_run;       /* the parser's run in which a request last ended */
	TAILQ_ENTRY(http_conn) all_entry, list_entry, oldest_entry, hup_entry;
};

struct http_conn *conn_new(struct http_server *s, const struct listener *l, int fd);
void conn_open(struct http_conn *c);
/* The parser is about to close the fd; `ours`: that is not because the peer has ended it. */
void conn_closed(struct http_conn *c, bool ours);
/* Has the peer sent its last, and has that been read? */
bool conn_ended(const struct http_conn *c);
/* Listens for the end of the peer's data. */
void conn_watch(struct http_conn *c);
void conn_move(struct http_conn *c, struct http_conns *list);
/* It was given away: it is none of ours any more, although the parser still has it. */
void conn_forget(struct http_conn *c);
/* It is ours again, in whatever list it is now. */
void conn_recall(struct http_conn *c);
void conn_busy(struct http_conn *c, struct http_request *req);
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

/* ---- account.c: the kernel's count of a connection's bytes ------------------------------------------- */

void account_open(struct http_conn *c);
/* A complete request has used them. */
void account_use(struct http_conn *c, size_t bytes);
/* Called with each piece of chunked content: is what frames it in proportion? */
bool account_framing_fair(struct http_conn *c, struct http_request *req);
/* Bytes that have arrived and were not taken yet. */
int account_unread(const struct http_conn *c);
/* Has the parser a part of a request? False also where it cannot be told. */
bool account_partial(struct http_conn *c);
/* Is it open, and has every byte taken from it been used by a complete request? */
bool account_between_requests(struct http_conn *c);
/* Of one that was given: has nobody read from it since? */
bool account_untouched(const struct http_conn *c);
/* Where the residue is unknown, whoever is not between requests may never seem to be: it is
 * ended politely. */
void account_doubt(struct http_conn *c);
/* Bytes that were taken and not used yet by complete requests; 0 also where it cannot be told. */
int64_t account_pending(struct http_conn *c);
/* Was never anything sent? False also where it cannot be told. */
bool account_mute(const struct http_conn *c);
/* Since anything arrived, or since it is idle, whichever is shorter. */
int64_t account_silent_ms(const struct http_conn *c);
/* Something that changes when the peer takes in more of the answer. */
int64_t account_sent(const struct http_conn *c);

/* ---- residue.c: what the parser has read and not used ------------------------------------------------ */

/* Finds out how to tell: s->parser.residue_at. */
void residue_learn(struct http_server *s);
/* Has the parser so many bytes of the connection's next request? False if that is unknown. */
bool residue_is(const struct http_conn *c, size_t bytes);
/* Finds out where it begins: s->parser.residue_begins_at. */
void residue_learn_where(struct http_server *s);
/* In the parser's buffer: the end of what it has used. NULL if that is unknown. */
const char *residue_begins(const struct http_conn *c);

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

/* ---- guard.c: what no handler may see ------------------------------------------------------------ */

/* 0, or the status to refuse the request with, and why. Looks at the head alone. */
int guard_check(struct http_request *req, const char **why);
/* The announced content length; -1: none, or chunked. Call after guard_check. */
int64_t guard_content_length(const struct http_request *req);
/* The transfer codings that a head names, all its fields together, in their order. */
struct guard_codings {
	const char *value; /* of the last field */
	unsigned fields, n, chunked_n;
	bool chunked_last;
};

void guard_codings_add(struct guard_codings *codings, const char *value);
/* 0 if it is chunked and nothing else; or the status to refuse the request with, and why. */
int guard_codings_check(const struct guard_codings *codings, const char **why);
/* What is wrong with one field, or NULL. */
const char *guard_field(const char *name, const char *value);
/* Is what follows a chunk's size, up to the line's end, made of extensions? */
bool guard_extensions_valid(const char *text, size_t len);

/* ---- guard_bytes.c: how the bytes of a request lay in the parser's buffer ------------------------ */

struct guard_bytes {
	const char *begin; /* of a trailer */
	const char *next;  /* where the next line must begin */
	const char *why;   /* what was wrong so far; NULL: nothing */
};

/* The head: begin, each field in order, end. The pointers are the parser's own. */
void guard_bytes_begin(struct guard_bytes *g, const char *method, const char *target,
    size_t target_len, const char *version);
void guard_bytes_begin_trailer(struct guard_bytes *g, const char *begin);
void guard_bytes_trailer_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len);
void guard_bytes_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len);
/* What was wrong, or NULL; end is the head's, NULL if unknown. */
const char *guard_bytes_end(const struct guard_bytes *g, const char *end);
/* Is what stands before a chunk's data well-formed, as far back as begin? */
bool guard_bytes_chunk(const char *begin, const char *data);

/* ---- guard_answer.c, guard_selftest.c ------------------------------------------------------------ */

/* Answers in the parser's place, and ends the connection. False if the client is gone. */
bool guard_answer(struct http_conn *c, int status, const char *why);
/* The parser is about to answer a bad Content-Length, or a coding that it does not know: finds
 * the connection, and comes first. */
void guard_answer_bad_length(struct http_server *s);
void guard_answer_bad_coding(struct http_server *s);
/* Does the parser, with the guard, refuse what is malformed? Sets lenient and sure of s->parser;
 * *what names the request that is read otherwise than it should be, NULL: none. */
int guard_selftest(struct http_server *s, const char **what);

/* ---- parser_probe.c: what this libmicrohttpd is like --------------------------------------------------- */

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
	size_t residue_at;
	size_t residue_begins_at; /* and where that begins */
};

/* Fills s->parser, and says in one line what is missing; on error *why tells, under s. */
int parser_probe(struct http_server *s, char **why);

/* What the parser has taken out of a head. */
struct parser_extracts {
	int arguments, cookies;
};

/* A server of its own for an experiment, on socket pairs. */
struct probe {
	struct http_server *server;
	struct listener listener;
	struct parser_extracts extracted; /* of the last head */
	size_t head_size;
	/* Shown each request that is complete, if not NULL. */
	void (*seen)(void *data, const struct http_request *req);
	void *data;
};

/* With the traits that are known so far. Close it in any case. */
int probe_open(struct probe *p, struct http_server *s);
void probe_close(struct probe *p);
/* A connection; *fd is the client's end. NULL if there is none; then *fd is -1. */
struct http_conn *probe_connect(struct probe *p, int *fd);
/* The parser runs; what is ready is answered with 200. */
void probe_turn(struct probe *p);

/* ---- parser.c, parser_answer.c, parser_daemon.c: libmicrohttpd, all of it ----------------------------- */

int parser_start(struct http_server *s);
void parser_stop(struct http_server *s);
/* In its place: nothing runs any more, and no connection is closed. */
void parser_abandon(struct http_server *s);
/* Gives the connection to the parser; on error it is gone, fd and record. */
int parser_add(struct http_conn *c);
void parser_run(struct http_server *s);
/* Of the current request, from the method to the empty line's end; 0 until that was seen. */
size_t parser_head_size(const struct http_conn *c);
/* The transfer codings of a head that was received, but not given to us yet. */
void parser_codings(const struct http_conn *c, struct guard_codings *codings);
/* Of the answer that is under way, whoever made it; 0: none. */
int parser_status(const struct http_conn *c);
/* Of the current request. */
struct parser_extracts parser_extracts(const struct http_conn *c);
const char *parser_version(void);
int parser_fd(const struct http_server *s);
/* Milliseconds until it must run again; -1: never. */
int64_t parser_timeout_ms(const struct http_server *s);
/* Keeps the parser from reading of an idle connection, and lets it again. */
void parser_hold(struct http_conn *c);
void parser_release(struct http_conn *c);
/* Makes the parser ask for the answer again, if it was told not to. */
void parser_resume(struct http_request *req);

#endif
