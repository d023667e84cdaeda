/* SPDX-License-Identifier: MIT */
/*
 * The face of server/base/: what every room of server/ stands on and nobody is asked to wait for:
 * settings, the log, counters and the clock. Every room calls it; it knows of no request, no
 * connection, no thread and no server.
 */
#ifndef BATON_SERVER_BASE_H
#define BATON_SERVER_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

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

/* The settings' log_level: of the process, as its stderr is. */
void log_set_level(int64_t level);
/* Lines that found no room, in this process. */
uint64_t log_lost(void);
/* Tells of them, if it has not been possible yet; returns when to try again. */
int64_t log_expire(int64_t now_ms);
void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of a request, by its id; NULL: of none. */
void log_of(int priority, const char *id, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* ---- log_write.c ------------------------------------------------------------------------------------ */

/* As write(2), but for its error, which is negative, and that it never waits: then -EAGAIN. At most
 * PIPE_BUF bytes. */
ssize_t log_write(int fd, const void *data, size_t len);
/* The ways to that for pipes and terminals, in the order in which they are tried. */
enum log_way { LOG_BY_CALL, LOG_BY_OWN_DESCRIPTION, LOG_BY_ROOM, LOG_WAYS };
ssize_t log_write_from(enum log_way way, int fd, const void *data, size_t len);

/* ---- clock.c ---------------------------------------------------------------------------------------- */

/* Of the monotonic clock. */
int64_t clock_now_ms(void);

/* ---- counter.c ---------------------------------------------------------------------------------------- */

/* The counter of a limit has the name of its setting. */
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

/* Written by one thread at a time, the leader; read by anyone. */
struct counters {
	_Atomic uint64_t n[COUNTERS];
};

void counter_add(struct counters *c, enum counter which);
/* By its name; -1 if there is none of that name. */
int64_t counter_named(const struct counters *c, const char *name);
/* The i-th name; NULL after the last. */
const char *counter_name(size_t i);

#endif
