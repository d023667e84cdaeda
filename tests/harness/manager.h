/* SPDX-License-Identifier: MIT */
/*
 * A service manager, as far as sd_notify(3) and sd_listen_fds(3) go: hears what its service
 * says, keeps the descriptors that it is given, and starts it with them again.
 */
#ifndef BATON_TESTS_MANAGER_H
#define BATON_TESTS_MANAGER_H

#include "tests/harness/proc.h"

enum { MANAGER_FDS_MAX = 8 };

struct manager {
	int fd;
	const char *variable; /* "NOTIFY_SOCKET=…" */
	int stored;
	struct {
		char name[256];
		int fd;
	} store[MANAGER_FDS_MAX];
};

struct manager *manager_new(void);
#define manager_new(...) HARNESS_HERE(manager_new(__VA_ARGS__))

/* The next message that is not about the store (those are obeyed), in harness_mem(). */
const char *manager_hear(struct manager *m);
#define manager_hear(...) HARNESS_HERE(manager_hear(__VA_ARGS__))

/* Hears until a message has that text in it, and returns it. */
const char *manager_expect(struct manager *m, const char *text);
#define manager_expect(...) HARNESS_HERE(manager_expect(__VA_ARGS__))

/* Obeys messages about the store until it has so many descriptors; others are dropped. */
void manager_wait_stored(struct manager *m, int count);
#define manager_wait_stored(...) HARNESS_HERE(manager_wait_stored(__VA_ARGS__))

/* Puts a descriptor there that the service has not sent: one of a socket unit, say. */
void manager_put(struct manager *m, const char *name, int fd);

/* Starts it with what is in the store; `env` may be NULL. */
struct proc *manager_run(struct manager *m, const char *const *argv, const char *const *env);
#define manager_run(...) HARNESS_HERE(manager_run(__VA_ARGS__))

#endif
