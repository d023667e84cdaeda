/* SPDX-License-Identifier: MIT */
/*
 * What the files of server/ share: the structures, with their invariants, and each file's
 * functions in a section of its own, here or, by layer, in the headers that are included. A
 * function's prefix names its file.
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
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <talloc.h>

#include <baton/ctx.h>
#include <baton/http.h>

#include "server/http/request.h"
#include "server/net/conn.h"
#include "server/sched/work.h"

struct MHD_Daemon;

/* ---- settings.c: the table of settings ------------------------------------------------------ */

enum concurrency { CONCURRENCY_PREEMPTIVE, CONCURRENCY_SERIAL };

struct http_settings {
	int64_t answer_head_max_bytes;
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

/* ---- log.c ----------------------------------------------------------------------------------------- */

/* The id of the request that a context belongs to, or (as a copy) was made for. */
CTX_KEY_DECLARE(request_id_key, const char);
/* The settings' log_level: of the process, as its stderr is. */
void log_set_level(int64_t level);
/* Lines that found no room, in this process. */
uint64_t log_lost(void);
/* Tells of them, if it has not been possible yet; returns when to try again. */
int64_t log_expire(int64_t now_ms);
void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_request(int priority, const struct http_request *req, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- log_write.c ------------------------------------------------------------------------------------ */

/* As write(2), but for its error, which is negative, and that it never waits: then -EAGAIN. At most
 * PIPE_BUF bytes. */
ssize_t log_write(int fd, const void *data, size_t len);
/* The ways to that for pipes and terminals, in the order in which they are tried. */
enum log_way { LOG_BY_CALL, LOG_BY_OWN_DESCRIPTION, LOG_BY_ROOM, LOG_WAYS };
ssize_t log_write_from(enum log_way way, int fd, const void *data, size_t len);

/* ---- notify.c: sd_notify(3) and sd_listen_fds(3) --------------------------------------------------- */

struct inherited {
	int fd;
	const char *name;
	bool taken;
};

/* Reads LISTEN_FDS and its kin once, unsets them. *n may be 0. */
int notify_inherit(TALLOC_CTX *mem, struct inherited **out, size_t *n);
struct notify;
/* Reads and unsets NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; NULL only for lack of memory. */
struct notify *notify_new(TALLOC_CTX *mem);
void notify_send(const struct notify *n, const char *message);
/* Says WATCHDOG=1 when it is time to; returns when to look again. The leader's. */
int64_t notify_watchdog(struct notify *n, int64_t now_ms);
/* Asks not to be watched, before anything else is said. */
void notify_no_watchdog(struct notify *n);

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
	X(HEADER_MAX, "header_max_bytes", "requests whose head was too large")                \
	X(ANSWER_HEAD, "answer_head_max_bytes", "answers whose head was too large: 500")      \
	X(NO_MEMORY, "no_memory", "requests that found no memory: 503")                       \
	X(HEADER_TIMEOUT, "header_timeout_ms", "heads that took too long")                    \
	X(HEADER_FIELDS_MAX, "header_fields_max", "requests with too many header fields")     \
	X(IDLE_TIMEOUT, "idle_timeout_ms", "connections ended for being idle")                \
	X(LOG_LOST, "log_lost", "lines of the log that found no room, in this process")       \
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

/* ---- loop.c, drain.c: the leader -------------------------------------------------------------------- */

int loop_open(struct http_server *s);
/* Listens to the ends of the handover. */
int loop_watch_handover(struct http_server *s);
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

/* ---- spare.c: waiting to take the place of an instance that has crashed ------------------------------- */

/* Reads and unsets BATON_SPARE; if it is there, the server waits, without any socket. */
void spare_inherit(struct http_server *s);
bool spare_waits(const struct http_server *s);
/* Everything is open, and served from now on: tells predecessor and manager. */
void spare_announce(struct http_server *s);
/* The supervisor's word: which instance it is from now on; or there is no supervisor any more. */
void spare_read(struct http_server *s);

/* ---- signals.c, files.c: what the program was given, and its handlers' children get ------------------ */

/* The signal mask that the program was given: handlers run with it. Before the start. */
void signals_learn(struct http_server *s, const sigset_t *given);
/* For the calling thread of ours: while it waits for work, signals are for others; while it may run
 * a handler they are as the program was given them. */
void signals_wait(const struct http_server *s);
void signals_work(const struct http_server *s);
/* Signals to stop end this server, and what our files do with others is set, until
 * signals_release; false if that is so for another server. */
bool signals_take(struct http_server *s);
void signals_release(void);
/* Forgets a signal to stop that has come. */
void signals_forget(const struct http_server *s);

/* Makes room in the table of descriptors, before there are threads. */
void files_open(struct http_server *s);
/* Raises the limit of descriptors while there are too many connections for the given one. The
 * leader's, as the next is. */
void files_fit(struct http_server *s);
/* The limit was reached: true if there is more room now. */
bool files_raise(struct http_server *s);
void files_close(struct http_server *s);

/* ---- server.c --------------------------------------------------------------------------------------- */

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
	int64_t heard_ms; /* the last time the parser may have read something */
	uint64_t parser_runs;
	bool quiet; /* the parser's messages are not logged */
	struct parser_traits parser;
	bool resumed; /* the parser must run, for what was held back */
	bool collect; /* something may have come back from workers */
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
	int spare_fd;         /* -1: it serves, or is about to */
	enum source source_give, source_take, source_spare;
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
	struct lingerings lingers; /* the one that began first comes first */
	unsigned lingers_n;
	size_t conns_n;
	struct http_conns arriving;    /* between accept and the parser's notice of it */
	struct http_request *answered; /* the last, in this run of the parser */
	int64_t accept_retry_ms;       /* listeners are not polled until then; 0: they are */
	int64_t accept_complained_ms;  /* when it was last logged that accepting fails */
	bool accepting_on;             /* newcomers are wanted */
	enum drain_state drain;
	int64_t drain_next_ms; /* lame duck or drain deadline, or end of the cut */
	int failed;            /* why it stopped without draining; 0 */
	int64_t now_ms;        /* monotonic; read once a turn */
	/* Anyone's. */
	atomic_bool drain_wanted, dump_wanted;
	void (*thread_start)(void *), (*thread_end)(void *);
	void *thread_data;
	sigset_t signals_given,
	    signals_waiting; /* the masks of handlers, and of who waits for work */
	size_t files_given; /* the leader's: the limit of descriptors as the program was given it */
	bool files_raised;  /* the leader's: it needs more */
	bool debug;         /* no takeover, no deadlines */
	bool used;          /* it has been started: a server runs once */
	bool started;
};

#endif
