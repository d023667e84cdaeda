/* SPDX-License-Identifier: MIT */
/*
 * Generations of one server that hand over to each other, without a supervisor: the test keeps
 * the listening socket and both ends of every channel, and says what a supervisor would say.
 */
#ifndef BATON_TESTS_RELAY_H
#define BATON_TESTS_RELAY_H

#include "supervisor/protocol.h"
#include "tests/harness/client.h"
#include "tests/harness/proc.h"

struct relay {
	int listener;            /* of 127.0.0.1, [::1] or a Unix socket */
	uint16_t port;           /* 0: Unix */
	const char *path;        /* of the Unix socket */
	const char *const *argv; /* the server; hello by default */
	const char *const *env;  /* settings, may be NULL */
	int n;                   /* generations so far */
};

struct generation {
	struct proc *proc;
	int number;
	int give, take; /* both ends of the channel in which it gives: what is sent to `take`
			   comes to it, what is sent to `give` comes to its successor */
	bool told;      /* to stop */
	int notify;
	void *fds;       /* their owner */
	char said[8192]; /* to the notify socket, so far; every datagram ends with a newline */
};

enum relay_family { RELAY_IPV4, RELAY_IPV6, RELAY_UNIX };

struct relay relay_new(enum relay_family family);
#define relay_new(...) HARNESS_HERE(relay_new(__VA_ARGS__))

/* Starts one that takes from `take_fd` (-1: from nobody), without waiting. */
struct generation *relay_start(struct relay *r, int take_fd);
#define relay_start(...) HARNESS_HERE(relay_start(__VA_ARGS__))

/* Waits until it has said that line. */
void relay_expect(struct generation *g, const char *line);
#define relay_expect(...) HARNESS_HERE(relay_expect(__VA_ARGS__))

/* Starts one that takes from the other (may be NULL), and waits until it is ready. */
struct generation *relay_next(struct relay *r, const struct generation *giver);
#define relay_next(...) HARNESS_HERE(relay_next(__VA_ARGS__))

/* What the supervisor would say: to a giver of its taker, to its taker of the giver. */
void relay_tell_giver(const struct generation *g, enum baton_handover_type type);
void relay_tell_taker(const struct generation *g, enum baton_handover_type type);

/* The number after X_BATON_MOVED= and its kin, once it has drained; or -1. */
int relay_count(struct generation *g, const char *name);
#define relay_count(...) HARNESS_HERE(relay_count(__VA_ARGS__))

/* Tells it to stop, once. */
void relay_stop(struct generation *g);

/* Ends it with status 0, told to stop or not, and closes what the test has of it. */
void relay_end(struct generation *g);
#define relay_end(...) HARNESS_HERE(relay_end(__VA_ARGS__))

/* Kills it, and closes what the test has of it. */
void relay_kill(struct generation *g);

/* A connection to the relay. */
struct client *relay_client(const struct relay *r);
#define relay_client(...) HARNESS_HERE(relay_client(__VA_ARGS__))

/* The pid of the process that answers on this connection. */
pid_t relay_pid(struct client *c);
#define relay_pid(...) HARNESS_HERE(relay_pid(__VA_ARGS__))

/* How many descriptors a process has open, how many kB are resident, and what it has used. */
int relay_fds(const struct generation *g);
long relay_memory_kb(const struct generation *g);
long relay_cpu_ms(const struct generation *g);

#endif
