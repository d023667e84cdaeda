/* SPDX-License-Identifier: MIT */
/*
 * What the files of server/ share: the structures, with their invariants, and each file's
 * functions in a section of its own. A function's prefix names its file.
 *
 * Threads: at any time one thread is the leader. It runs the loop, and it alone touches
 * connections, lists, counters and the HTTP parser, so none of these has a lock. It runs
 * handlers too; one that takes long is taken over: the thread goes on with its handler and is
 * leader no more, another one is (crew.c). A handler that runs elsewhere shares with the leader
 * only its request's phase, and comes back by a list of those that are done (work.c).
 */
#ifndef BATON_SERVER_INTERNAL_H
#define BATON_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include <baton/ctx.h>
#include <baton/http.h>

struct MHD_Connection;
struct MHD_Daemon;

/* ---- settings.c: the table of settings ------------------------------------------------------ */

enum concurrency { CONCURRENCY_PREEMPTIVE, CONCURRENCY_SERIAL };

struct http_settings {
	int64_t backlog;
	int64_t body_max_bytes;
	int64_t body_rate_min_bytes;
	int64_t body_timeout_ms;
	int64_t concurrency; /* enum concurrency */
	int64_t connections_max;
	int64_t connections_per_address_max;
	int64_t drain_timeout_ms;
	int64_t handler_timeout_ms;
	int64_t header_fields_max;
	int64_t header_max_bytes;
	int64_t header_timeout_ms;
	int64_t idle_linger_ms;
	int64_t idle_timeout_ms;
	int64_t lame_duck_ms;
	int64_t log_level; /* 0: errors only … 3: also what helps to find faults */
	int64_t queue_max;
	int64_t rate_after_ms;
	int64_t requests_per_connection_max;
	int64_t send_timeout_ms;
	int64_t stack_bytes;
	int64_t takeover_after_us;
	int64_t threads_max;
	int64_t worker_nice;
};

/* A row of the table: what code, environment and manual know of a setting. */
struct http_setting {
	const char *name;
	int64_t min, max, def;
	size_t offset;            /* in struct http_settings */
	const char *const *words; /* names of the values from 0 on; NULL: it is a number */
	const char *text;
};

extern const struct http_setting http_settings_table[];
extern const size_t http_settings_count;

void settings_defaults(struct http_settings *set);
int settings_set(struct http_settings *set, const char *name, const char *value);
/* What a setting expects, in words, under mem. */
const char *settings_expected(TALLOC_CTX *mem, const char *name);
/* Logs BATON_HTTP_ variables that are none of ours: a misspelt one has no effect. */
void settings_warn_unknown(void);
/* Reads BATON_HTTP_*; on error *culprit is the variable, allocated under mem. */
int settings_from_environment(struct http_settings *set, TALLOC_CTX *mem, char **culprit);

/* ---- target.c: request targets (RFC 9112 section 3.2, RFC 3986) ------------------------------ */

struct target {
	const char *path; /* undecoded, absolute, or "*"; within the target */
	size_t path_len;
	const char *query; /* undecoded, without the question mark; "" if none */
};

int target_parse(const char *raw, struct target *t);
/* Decodes %XX; -EINVAL for a bad escape and for %00. Appends NUL; returns the length. */
ssize_t target_unescape(char *dst, const char *src, size_t len, bool plus_is_space);
/* "." or "..", also percent-encoded. */
bool target_is_dot_segment(const char *seg, size_t len);
/* First value of name in a query; NULL if absent or badly encoded. */
const char *target_query(TALLOC_CTX *mem, const char *query, const char *name);

/* ---- route.c, router.c: patterns, and the tree that finds one --------------------------------- */

enum segment_kind { SEGMENT_LITERAL, SEGMENT_ONE, SEGMENT_REST };

struct segment {
	enum segment_kind kind;
	const char *text; /* the literal, decoded; or the name */
};

/* A registered pattern with what it leads to. Immutable once registered. */
struct route {
	const char *pattern;
	const char *method; /* NULL: every method */
	struct segment *segments;
	size_t segments_n;
	http_handler *handler;
	void *data;
	struct load *load; /* the leader's */
};

struct route *route_parse(TALLOC_CTX *mem, const char *pattern, const char **why);
/* Do two patterns match a common request, while neither is the more specific? */
bool route_conflict(const struct route *a, const struct route *b);

struct router;

struct router *router_new(TALLOC_CTX *mem);
/* -EEXIST if it conflicts; *with is the other route then. Takes the route over. */
int router_add(struct router *r, struct route *route, const struct route **with);

/* A path cut into decoded segments, and what the wildcards matched. */
struct route_match {
	const struct route *route; /* NULL: none */
	const char **values;       /* in the order of the pattern's wildcards */
	const char *allow;         /* methods that would match, for 405; NULL: none */
};

/* -EINVAL for a path that is badly encoded or has dot segments. */
int router_find(const struct router *r, TALLOC_CTX *mem, const char *method, const char *path,
    size_t len, struct route_match *m);

/* ---- request.c, response.c: what handlers see ------------------------------------------------- */

/*
 * The life of a request. It belongs to the leader but for RUNNING, when it belongs to the
 * thread that runs its handler, also if that is the leader.
 */
enum request_phase {
	REQUEST_HEAD,      /* the request line was seen */
	REQUEST_BODY,      /* header fields copied, content arriving */
	REQUEST_READY,     /* complete, waiting for a thread */
	REQUEST_RUNNING,   /* in its handler */
	REQUEST_DONE,      /* answer made, not given to the parser yet */
	REQUEST_ABANDONED, /* still in its handler, whose answer nobody waits for */
	REQUEST_SENDING    /* answer being written */
};

struct http_response {
	struct http_request *req;
	int status;       /* 0: no answer yet */
	const char *type; /* Content-Type unless a field says otherwise; NULL: none */
	const void *content;
	size_t content_len;
	struct http_field *fields; /* talloc array */
	size_t fields_n;
	bool close; /* the connection ends with this answer */
};

/* "[address]:port" */
#define PEER_TEXT_BYTES 60

struct http_request {
	/* Recycling. */
	TALLOC_CTX *pool;            /* parentless talloc pool; all of this is inside it */
	struct request_store *store; /* where the pool goes back to */
	/* Ownership: one reference for the connection, one while it is queued or runs. */
	atomic_int refs;
	_Atomic(enum request_phase) phase;
	struct http_conn *conn; /* the leader's; NULL once the connection has let go of it */
	bool suspended;         /* the leader's: the parser does not ask for the answer */
	struct ctx *ctx;        /* cancelled with a cause; the handler's is derived from it */
	/* Running (work.c). */
	STAILQ_ENTRY(http_request) queued; /* in the ready list or its route's waiting list */
	TAILQ_ENTRY(http_request) away;    /* in the list of those that run elsewhere */
	struct http_request *next_done;    /* in the list of those that came back */
	struct load *load;
	int64_t started_ms;
	int64_t ran_us;            /* in a worker; -1: it was taken over */
	_Atomic(pid_t) tid;        /* who runs it; 0: nobody yet */
	int64_t deadline_ms;       /* 0: none */
	atomic_int timeout_status; /* what to answer when it passes */
	struct http_response late; /* that answer: the leader's, for res is the handler's */
	int route_error;           /* what finding its route came to */
	/* What was received. */
	char id[24];
	const char *method, *target, *version, *path, *query;
	size_t path_len;
	struct http_field *fields;
	size_t fields_n;
	char *body; /* content so far; NUL-terminated */
	size_t body_len, body_size;
	int64_t announced;  /* Content-Length; -1: none, or chunked */
	bool chunked;       /* the content comes in chunks */
	const char *buffer; /* where it comes to in the parser's memory, before its answer */
	struct sockaddr_storage peer_addr;
	char peer[PEER_TEXT_BYTES]; /* formatted when asked for */
	const char *listener;
	struct route_match match;
	struct http_response res;
};

/* Pools of requests that ended, for those to come. */
struct request_store {
	pthread_mutex_t lock;
	TALLOC_CTX **pools;
	size_t n, size;
};

#define REQUEST_POOL_BYTES 8192

struct request_store *request_store_new(TALLOC_CTX *mem);
struct http_request *request_new(struct request_store *store, const char *target);
void request_ref(struct http_request *req);
void request_unref(struct http_request *req);
/* Copies method, version and fields; the arrays are the caller's. */
int request_set_head(struct http_request *req, const char *method, const char *version,
    const struct http_field *fields, size_t n);
int request_body_append(struct http_request *req, const void *data, size_t len, size_t hint);
void request_new_id(char id[24]);

void response_init(struct http_response *res, struct http_request *req);
bool field_name_valid(const char *name);
bool field_value_valid(const char *value);

/* ---- guard.c: what no handler may see ------------------------------------------------------------ */

/* 0, or the status to refuse the request with, and why. Looks at the head alone. */
int guard_check(struct http_request *req, const char **why);
/* The announced content length; -1: none, or chunked. Call after guard_check. */
int64_t guard_content_length(const struct http_request *req);
/* What is wrong with one field, or NULL. */
const char *guard_field(const char *name, const char *value);

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

/* Answers in the parser's place, and ends the connection. */
void guard_answer(struct http_conn *c, int status, const char *why);
/* The parser is about to answer a bad Content-Length: finds the connection, and comes first. */
void guard_answer_bad_length(struct http_server *s);
/* Is the parser one that the guard knows? On error *why tells, allocated under mem. */
int guard_selftest(TALLOC_CTX *mem, char **why);

/* ---- chain.c: middleware --------------------------------------------------------------------------- */

/* What a request has still to pass; on the stack of who runs it. */
struct http_next {
	const struct http_link *at, *end;
	http_handler *last; /* behind them all */
	void *data;         /* last's */
	const struct ctx *ctx;
};

/* What is wrong with what is to be registered: 0, or a negative errno and why. */
int chain_check_link(const struct http_link *link, const char **why);
int chain_check_handler(http_handler *h, const void *data, const char **why);

/* ---- dispatch.c: routing, middleware, handler, and the answer that comes of it ------------------- */

/* Finds the route, in req->match; what fails is in req->route_error. */
void dispatch_route(const struct http_server *s, struct http_request *req);
/*
 * Runs a routed request to its answer in the calling thread, under a context derived from ctx
 * that knows its request. Never fails: at worst it is a 500.
 */
void dispatch_run(const struct http_server *s, const struct ctx *ctx, struct http_request *req);
/* An answer in the place of whatever was made; takes no memory where there is none. */
void dispatch_error(struct http_request *req, int status, const char *text);

/* ---- log.c ----------------------------------------------------------------------------------------- */

CTX_KEY_DECLARE(request_key, struct http_request); /* the request a context belongs to */
/* The settings' log_level: of the process, as its stderr is. */
void log_set_level(int64_t level);
void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_request(int priority, const struct http_request *req, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- notify.c: sd_notify(3) and sd_listen_fds(3) --------------------------------------------------- */

struct inherited {
	int fd;
	const char *name;
	bool taken;
};

/* Reads LISTEN_FDS and its kin once, unsets them. *n may be 0. */
int notify_inherit(TALLOC_CTX *mem, struct inherited **out, size_t *n);
struct notify;
/* Reads and unsets NOTIFY_SOCKET; NULL only for lack of memory. */
struct notify *notify_new(TALLOC_CTX *mem);
void notify_send(const struct notify *n, const char *message);

/* ---- listener.c ---------------------------------------------------------------------------------- */

/* Everything in the outer epoll starts with this. */
enum source {
	SOURCE_WAKE,
	SOURCE_PARSER,
	SOURCE_LISTENER,
	SOURCE_CONN,
	SOURCE_LINGER,
	SOURCE_GIVE,
	SOURCE_TAKE
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

/* Opens or inherits all; on error *why tells about which and what to do. */
int listener_open_all(struct http_server *s, char **why);

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
	bool cut;                     /* we have shut it down; the parser will notice */
	bool linger;                  /* we end it: read what still comes, so the answer arrives */
	uint64_t completed_run;       /* the parser's run in which a request last ended */
	TAILQ_ENTRY(http_conn) all_entry, list_entry, oldest_entry, hup_entry;
};

struct http_conn *conn_new(struct http_server *s, const struct listener *l, int fd);
void conn_open(struct http_conn *c);
void conn_closed(struct http_conn *c);
/* Listens for the end of the peer's data. */
void conn_watch(struct http_conn *c);
void conn_move(struct http_conn *c, struct http_conns *list);
/* It was given away: it is none of ours any more, although the parser still has it. */
void conn_forget(struct http_conn *c);
/* It is ours again, in whatever list it is now. */
void conn_recall(struct http_conn *c);
void conn_busy(struct http_conn *c, struct http_request *req);
void conn_idle(struct http_conn *c);
void conn_cut(struct http_conn *c);
/* The peer has sent FIN: settle it after the parser has read what came before. */
void conn_hup(struct http_conn *c);
void conn_settle_hups(struct http_server *s);
/* Ends what has been idle too long; returns when to look again, INT64_MAX if never. */
int64_t conn_expire(struct http_server *s);
void conn_drain(struct http_server *s);
void conn_undrain(struct http_server *s);
void conn_say(struct http_conn *c, const char *answer);

#define HTTP_408_CLOSE \
	"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define HTTP_429_CLOSE                                                              \
	"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\n" \
	"Content-Length: 0\r\n\r\n"

/* ---- account.c: the kernel's count of a connection's bytes ------------------------------------------- */

void account_open(struct http_conn *c);
/* A complete request has used them. */
void account_use(struct http_conn *c, size_t bytes);
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
/* Since anything arrived, or since it is idle, whichever is shorter. */
int64_t account_silent_ms(const struct http_conn *c);
/* Something that changes when the peer takes in more of the answer. */
int64_t account_sent(const struct http_conn *c);

/* ---- residue.c: what the parser has read and not used ------------------------------------------------ */

/* Finds out how to tell; needs the settings. */
void residue_learn(struct http_server *s);
/* Has the parser so many bytes of the connection's next request? False if that is unknown. */
bool residue_is(const struct http_conn *c, size_t bytes);

/* ---- address.c: connections of each client address ----------------------------------------------------- */

struct addresses;

int address_start(struct http_server *s);
/* False if the address has as many as it may. A NULL table counts nothing. */
bool address_count(struct addresses *a, struct http_conn *c);
void address_uncount(struct addresses *a, struct http_conn *c);

/* ---- busy.c ------------------------------------------------------------------------------------------ */

/* Ends what is too slow in the middle of something; returns when to look again. */
int64_t busy_expire(struct http_server *s);

/* ---- counter.c ---------------------------------------------------------------------------------------- */

/* Those of a limit are named as its setting. */
#define COUNTER_TABLE(X)                                                                      \
	X(CONNECTIONS, "connections", "connections accepted")                                 \
	X(REQUESTS, "requests", "requests received")                                          \
	X(TAKEOVERS, "takeovers", "handlers that another thread took the lead from")          \
	X(CLIENT_GONE, "client_gone", "requests whose client left before the answer")         \
	X(MALFORMED, "malformed", "requests refused as malformed")                            \
	X(ACCEPT_PAUSED, "accept_paused", "pauses of accepting for lack of room")             \
	X(ABANDONED, "handler_timeout_ms", "handlers that outran their deadline")             \
	X(BODY_MAX, "body_max_bytes", "requests with too much content")                       \
	X(BODY_TIMEOUT, "body_timeout_ms", "content that took too long")                      \
	X(BODY_RATE_MIN, "body_rate_min_bytes", "content that came too slowly")               \
	X(CONNECTIONS_MAX, "connections_max", "idle connections ended to make room")          \
	X(CONNECTIONS_PER_ADDRESS, "connections_per_address_max", "connections refused")      \
	X(MOVED, "moved", "connections given to a successor")                                 \
	X(TAKEN, "taken", "connections taken from a predecessor")                             \
	X(FINISHED, "finished", "requests answered while draining")                           \
	X(ENDED, "ended", "connections politely ended by a drain")                            \
	X(DRAIN_CUT, "drain_timeout_ms", "connections cut at the drain deadline")             \
	X(HEADER_TIMEOUT, "header_timeout_ms", "heads that took too long")                    \
	X(HEADER_FIELDS_MAX, "header_fields_max", "requests with too many header fields")     \
	X(IDLE_TIMEOUT, "idle_timeout_ms", "connections ended for being idle")                \
	X(QUEUE_MAX, "queue_max", "requests refused because too many waited")                 \
	X(REQUESTS_MAX, "requests_per_connection_max", "connections ended after that many")   \
	X(ROUTE_MAX, "route_concurrent_max", "requests refused, their route having too many") \
	X(SEND_TIMEOUT, "send_timeout_ms", "answers that the client did not read")

enum counter {
#define ID(id, name, text) COUNTER_##id,
	COUNTER_TABLE(ID)
#undef ID
	    COUNTERS
};

void counter_add(struct http_server *s, enum counter which);

/* ---- linger.c: connections that are closed while the client may still be sending --------------------- */

struct lingering;
TAILQ_HEAD(lingerings, lingering);

void linger_start(struct http_server *s, int fd);
void linger_read(struct http_server *s, struct lingering *l);
int64_t linger_expire(struct http_server *s, int64_t now);

/* ---- accept.c --------------------------------------------------------------------------------------- */

void accept_poll(struct http_server *s);
void accept_ready(struct http_server *s, struct listener *l);
void accept_resume(struct http_server *s);
void accept_rest(struct http_server *s);
void accept_again(struct http_server *s);
void accept_stop(struct http_server *s);

/* ---- parser.c: libmicrohttpd, all of it ------------------------------------------------------------- */

int parser_start(struct http_server *s);
void parser_stop(struct http_server *s);
/* Gives the connection to the parser; on error it is gone, fd and record. */
int parser_add(struct http_conn *c);
void parser_run(struct http_server *s);
/* Of the current request, from the method to the empty line's end; 0 until that was seen. */
size_t parser_head_size(const struct http_conn *c);
const char *parser_version(void);
int parser_fd(const struct http_server *s);
/* Milliseconds until it must run again; -1: never. */
int64_t parser_timeout_ms(const struct http_server *s);
/* Keeps the parser from reading of an idle connection, and lets it again. */
void parser_hold(struct http_conn *c);
void parser_release(struct http_conn *c);
/* Makes the parser ask for the answer again, if it was told not to. */
void parser_resume(struct http_request *req);

/* ---- loop.c, drain.c: the leader -------------------------------------------------------------------- */

int loop_open(struct http_server *s);
void loop_close(struct http_server *s);
/* Leads until it has drained (true), or until another thread leads (false). */
bool loop_run(struct http_server *s);
void loop_wake(struct http_server *s);
int64_t loop_now_ms(void);

void drain_begin(struct http_server *s);
/* Moves the drain on; returns when to look again. Sets s->drain to DRAIN_OVER at its end. */
int64_t drain_step(struct http_server *s, int64_t now);
/* Is the next answer on this connection its last? */
bool drain_closes(const struct http_conn *c);
/* A successor is ready, or will never be. */
void drain_successor(struct http_server *s);
void drain_called_off(struct http_server *s);

/* For the report at its end. */
struct drain_count {
	int64_t finished, ended, cut;
};

enum drain_state { DRAIN_NO, DRAIN_LAME_DUCK, DRAIN_CLOSING, DRAIN_CUT, DRAIN_OVER };

/* ---- work.c: which thread runs a request ------------------------------------------------------------ */

STAILQ_HEAD(http_requests, http_request);

/* How busy a route keeps the threads. The leader's. */
struct load {
	const char *pattern;
	unsigned away;       /* its requests that run, or are about to, outside the leader */
	unsigned quick_runs; /* runs on end that would not have needed a thread */
	unsigned quick_here; /* runs on end in the leader that kept nobody waiting */
	bool blocking;       /* its requests go to workers at once */
	bool blocking_fixed; /* because its user said so, or said not */
	unsigned away_max;   /* 0: no limit of its own */
	int64_t timeout_ms;  /* 0: the server's; negative: none */
	struct http_requests waiting; /* for one of the others to end */
	unsigned waiting_n;
	bool listed; /* in the server's list of loads that have waiting ones */
	TAILQ_ENTRY(load) entry;
};
TAILQ_HEAD(loads, load);

struct load *load_new(TALLOC_CTX *mem, const char *pattern);
/* A complete request: it is run when the parser has returned. */
void work_ready(struct http_server *s, struct http_request *req);
enum work_result { WORK_NONE, WORK_SOME, WORK_LOST };
/* Runs or hands out what is ready. WORK_LOST: the caller is leader no more. */
enum work_result work_run(struct http_server *s);
/* A new leader takes note of what the old one is still running. */
void work_taken_over(struct http_server *s);
/* Takes back what has come from other threads. */
void work_collect(struct http_server *s);
/* In a worker: runs it and gives it back. */
void work_in_worker(struct http_server *s, struct http_request *req);
/* Ends the contexts of all that run elsewhere, and lets their connections go. */
void work_cut(struct http_server *s);
/* Nobody leads any more: forgets those that have not run. */
void work_drop(struct http_server *s);
/* One line for each request that runs elsewhere. */
void work_dump(const struct http_server *s);
/* Answers for handlers whose deadline has passed; returns when to look again. */
int64_t work_expire(struct http_server *s);

/* The leader answers in the handler's place: 503. */
void work_refuse(struct http_request *req, const char *why);
void work_note_deadline(struct http_server *s, const struct http_request *req);

/* ---- line.c: who waits for a thread ------------------------------------------------------------------ */

/* Joins its line, or is refused. */
void line_join(struct http_server *s, struct http_request *req);
/* Takes the first out of a line; NULL: there is none. */
struct http_request *line_next(struct http_server *s, struct load *load);
/* One at a time: all are ready, those who have waited before those who have just come. */
void line_make_ready(struct http_server *s);
/* Refuses those whose deadline has passed. */
void line_expire_all(struct http_server *s);
/* Forgets them all. */
void line_drop_all(struct http_server *s);

/* ---- crew.c, monitor.c: the threads --------------------------------------------------------------------- */

struct crew;

/* BATON_DEBUG=1, or a tracer at the start: a breakpoint is no emergency. */
bool monitor_debugging(void);
int crew_start(struct http_server *s);
/* Waits until all threads are gone, grace_ms at the most once the leader has ended; returns
 * how many are left in their handlers. */
int crew_join(struct http_server *s, int grace_ms);
/* The leader runs something itself: begin, and end: false if it was taken over meanwhile. */
uint64_t crew_begin(struct crew *c);
bool crew_end(struct crew *c, uint64_t begun);
/* Its thread, as the leader asks it: gettid(2) would be a system call for each request. */
pid_t crew_leader(const struct crew *c);
/* Hands a request to a worker; never fails, at worst it waits for a thread. */
void crew_give(struct crew *c, struct http_request *req);
/* Gives back to the leader. */
void crew_give_back(struct crew *c, struct http_request *req);
struct http_request *crew_take_back(struct crew *c);
/* So many may be handed out at a time. */
unsigned crew_size(const struct crew *c);

/* ---- handover.c, give.c, take.c: live connections to the successor ------------------------------------- */

/* NONE also while nobody has said anything: then a drain is a polite end. AWAITED: there was
 * one, it died, and the supervisor may bring another. */
enum successor { SUCCESSOR_NONE, SUCCESSOR_READY, SUCCESSOR_AWAITED };

/* Reads and unsets BATON_HANDOVER. */
void handover_inherit(struct http_server *s);

bool give_possible(const struct http_server *s);
enum give_result {
	GIVE_DONE,
	GIVE_NOT_IDLE,  /* or never: it is not at the boundary of a request */
	GIVE_NO_ANSWER, /* enough are offered: when an answer has come, again */
	GIVE_NO_ROOM    /* the channel is full: again in a moment */
};
/* Offers an idle connection. */
enum give_result give_offer(struct http_conn *c);
void give_read(struct http_server *s);
int64_t give_flush(struct http_server *s);
/* The deadline: what was not taken yet stays here. */
void give_stop(struct http_server *s);
void give_end(struct http_server *s);

void take_hello(struct http_server *s);
void take_read(struct http_server *s);
int64_t take_flush(struct http_server *s);
/* Lets go of what was not given yet; the giver has it as well. */
void take_close(struct http_server *s);

/* ---- server.c --------------------------------------------------------------------------------------- */

/* Forgets that it was told to stop. */
void server_restarted(struct http_server *s);

struct http_server {
	/* Set up before the start, constant afterwards. */
	struct http_settings set;
	struct router *router;
	struct http_link *middleware; /* talloc array */
	size_t middleware_n;
	struct listeners listeners;
	char *setup_error; /* the first one, in words; NULL: none */
	int setup_errno;
	/* The leader's. */
	struct notify *notify;
	struct request_store *store;
	struct MHD_Daemon *mhd;
	uint64_t parser_runs;
	bool quiet;        /* the parser's messages are not logged */
	size_t residue_at; /* where the parser's record says it, in words; 0: unknown */
	bool resumed;      /* the parser must run, for what was held back */
	int epoll_fd, wake_fd;
	enum source source_wake, source_parser; /* what epoll points to for these two */
	struct crew *crew;
	struct http_requests ready;      /* complete, not run yet */
	TAILQ_HEAD(, http_request) away; /* handed to other threads */
	unsigned away_n, waiting_n;
	struct loads waiting;         /* loads that have waiting requests */
	struct load *unrouted;        /* of requests without a route */
	struct http_request *running; /* what the leader itself runs, for its successor */
	struct http_conns oldest;     /* the idle ones again, the one idle for longest first */
	struct http_conns conns, idle, busy, hups;
	/* Handover. */
	int give_fd, take_fd; /* -1: none */
	enum source source_give, source_take;
	enum successor successor;
	/* Ours to give, not answered yet; given, as far as the taker lives; theirs, not ours yet. */
	struct http_conns offered, given, held;
	unsigned offered_n, given_n, held_n;
	uint64_t offer_id;       /* the last one given out */
	uint64_t *refuse_owed;   /* talloc array: offers whose refusal found no room yet */
	struct drain_count base; /* what the counters said when the drain began */
	int64_t busy_look_ms;
	int64_t deadline_look_ms;    /* the earliest deadline of those that run elsewhere or wait */
	struct addresses *addresses; /* NULL: not counted */
	_Atomic uint64_t counters[COUNTERS];
	struct lingerings lingers;
	size_t conns_n;
	struct http_conn *accepting;  /* between accept and the parser's notice of it */
	int64_t accept_retry_ms;      /* listeners are not polled until then; 0: they are */
	int64_t accept_complained_ms; /* when it was last logged that accepting fails */
	bool accepting_on;            /* newcomers are wanted */
	enum drain_state drain;
	int64_t drain_next_ms; /* lame duck or drain deadline, or end of the cut */
	int failed;            /* why it stopped without draining; 0 */
	int64_t now_ms;        /* monotonic; read once a turn */
	/* Anyone's. */
	atomic_bool drain_wanted, dump_wanted;
	void (*thread_start)(void *), (*thread_end)(void *);
	void *thread_data;
	bool debug; /* no takeover, no deadlines */
	bool used;  /* it has been started: a server runs once */
	bool started;
};

#endif
