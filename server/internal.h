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
 * only how its request's handler stands, and comes back by a list (http/request_life.h, work.c).
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

#include "server/base/base.h"
#include "server/http/http_internal.h"
#include "server/net/net.h"
#include "server/sched/sched.h"

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

/* ---- loop.c, drain.c: the leader -------------------------------------------------------------------- */

int loop_open(struct http_server *s);
void loop_close(struct http_server *s);
/* Leads until it has drained (true), or until another thread leads (false). */
bool loop_run(struct http_server *s);
void loop_wake(struct http_server *s);
/* Asks for a drain, or a line for each running request; also from signal handlers. */
void loop_drain(struct http_server *s);
void loop_dump(struct http_server *s);

void drain_begin(struct http_server *s);
/* Moves the drain on; returns when to look again. Sets s->drain to DRAIN_OVER at its end. */
int64_t drain_step(struct http_server *s, int64_t now);
/* Is the next answer on this connection its last? */
bool drain_closes(const struct wire_conn *w);
/* After give_read: what the drain makes of a successor that has come or will never come, and of
 * a restart that was called off. */
void drain_hear(struct http_server *s);

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
/* Listens to its ends. */
int handover_watch(struct http_server *s);

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
/* Everything is open, and served from now on, or a spare waits: tells predecessor and manager. */
void spare_announce(struct http_server *s);
/* What the supervisor has said to a spare. */
enum spare_word {
	SPARE_WAITS,  /* none */
	SPARE_ALONE,  /* there is no supervisor any more: nothing to wait for */
	SPARE_SERVES, /* it is an instance from now on, with its sockets; to be announced */
	SPARE_FAILED  /* it cannot be what it shall; s->failed says why */
};
enum spare_word spare_read(struct http_server *s);
/* It waits no more. */
void spare_close(struct http_server *s);

/* ---- signals.c, files.c: what the program was given, and its handlers' children get ------------------ */

/* The masks of our threads, from the one that the program was given: handlers run with it. */
void signals_masks(struct http_server *s, const sigset_t *given);
/* Signals to stop end this server, and what our files do with others is set, until
 * signals_release; false if that is so for another server. */
bool signals_take(struct http_server *s);
void signals_release(void);

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
	struct http_dispatch dispatch;
	struct listeners listeners;
	struct sched sched;
	char *setup_error; /* the first one, in words; NULL: none */
	int setup_errno;
	/* The leader's. */
	struct notify *notify;
	struct wire wire;
	int64_t heard_ms; /* the last time the parser may have read something */
	bool collect;     /* something may have come back from workers */
	int epoll_fd, wake_fd;
	enum source source_wake, source_parser; /* what epoll points to for these two */
	struct http_conns oldest; /* the idle ones again, the one idle for longest first */
	struct http_conns conns, idle, busy, hups;
	/* Handover. */
	int give_fd, take_fd; /* -1: none */
	int spare_fd;         /* -1: it serves, or is about to */
	enum source source_give, source_take, source_spare;
	enum successor successor;
	bool successor_news; /* it has come, or will never: nothing was made of that yet */
	bool called_off;     /* the same of the restart's end */
	/* Ours to give, not answered yet; given, as far as the taker lives; theirs, not ours yet. */
	struct http_conns offered, given, held;
	unsigned offered_n, given_n, held_n;
	uint64_t offer_id;       /* the last one given out */
	uint64_t *refuse_owed;   /* talloc array: offers whose refusal found no room yet */
	struct drain_count base; /* what the counters said when the drain began */
	int64_t busy_look_ms;
	struct addresses *addresses; /* NULL: not counted */
	struct counters counters;
	struct lingerings lingers; /* the one that began first comes first */
	unsigned lingers_n;
	size_t conns_n;
	int64_t accept_retry_ms;      /* listeners are not polled until then; 0: they are */
	int64_t accept_complained_ms; /* when it was last logged that accepting fails */
	bool accepting_on;            /* newcomers are wanted */
	enum drain_state drain;
	int64_t drain_next_ms; /* lame duck or drain deadline, or end of the cut */
	int failed;            /* why it stopped without draining; 0 */
	int64_t now_ms;        /* monotonic; read once a turn */
	/* Anyone's. */
	atomic_bool drain_wanted, dump_wanted;
	struct crew_config threads; /* constant from the start on */
	bool announced;             /* the leader's: manager and predecessor know that it serves */
	atomic_int stop_signals;    /* so many have come since it was last told to serve */
	size_t files_given; /* the leader's: the limit of descriptors as the program was given it */
	bool files_raised;  /* the leader's: it needs more */
	bool debug;         /* no takeover, no deadlines */
	bool used;          /* it has been started: a server runs once */
	bool started;
};

#endif
