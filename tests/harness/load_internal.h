/* SPDX-License-Identifier: MIT */
/* What load.c (the thread) and load_conn.c (one client's connection) share. */
#ifndef BATON_TESTS_LOAD_INTERNAL_H
#define BATON_TESTS_LOAD_INTERNAL_H

#include "tests/harness/load.h"

#include <pthread.h>

enum conn_state {
	CONN_PAUSE,   /* until `until_ms`; the socket, if any, is not looked at */
	CONN_CONNECT, /* waits to be writable */
	CONN_SEND,    /* some of the request is left */
	CONN_READ,    /* the answer is coming */
};

struct conn {
	struct load *load;
	int number; /* which client, from 0 */
	bool oneshot;
	uint16_t port;
	enum conn_state state;
	int fd;            /* -1: none */
	int64_t until_ms;  /* end of the pause, or deadline of the state */
	bool had_one;      /* it has been connected before */
	uint64_t requests; /* sent by this client */
	bool posting;
	char *out; /* the request */
	size_t out_len, out_done;
	char *body; /* what the answer's body must be */
	size_t body_len;
	char *in; /* the answer as it comes */
	size_t in_len, in_size;
};

struct load {
	struct load_spec spec;
	int epoll, stop_fd, clients;
	struct conn *conn;
	pthread_t thread;
	bool running; /* the thread exists */
	pthread_mutex_t lock;
	pthread_cond_t progress;   /* monotonic */
	struct load_result result; /* under the lock */
	bool stopping;             /* the thread's own */
};

/* Goes on with one client: its pause is over, its socket is ready or its deadline passed. */
void conn_step(struct conn *c, bool ready);

/* What it waits for: epoll events, 0 for a pause. */
uint32_t conn_events(const struct conn *c);

void conn_close(struct conn *c);

/* Counts under the lock; `why` may be NULL. */
void load_count(struct load *l, uint64_t *counter, const struct conn *c, const char *why);

#endif
