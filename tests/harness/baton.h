/* SPDX-License-Identifier: MIT */
/* The supervisor under test: `baton run` with a configuration of its own, and its commands. */
#ifndef BATON_TESTS_BATON_H
#define BATON_TESTS_BATON_H

#include "tests/harness/proc.h"

struct baton {
	struct proc *proc;
	const char *dir;     /* a temporary directory: configuration and control socket */
	const char *config;  /* its path */
	const char *control; /* the socket's path */
};

/* What to start; instances listen on port, port + 1, … */
struct baton_spec {
	const char *services; /* configuration text, after [supervisor] */
	const char *dir;      /* NULL: a new one */
	uid_t uid;            /* as in proc_spec; owns the directory */
	const char *program;  /* NULL: the baton that was built */
};

/* Writes the configuration and starts it, without waiting for anything. */
struct baton baton_start(const struct baton_spec *spec);
#define baton_start(...) HARNESS_HERE(baton_start(__VA_ARGS__))

/* One service of `hello`, all of whose instances are ready when this returns. */
struct baton baton_hello(uint16_t port, int instances);
#define baton_hello(...) HARNESS_HERE(baton_hello(__VA_ARGS__))

/* The same of any command, with more lines of configuration (may be ""). */
struct baton baton_serve(uint16_t port, int instances, const char *command, const char *lines);
#define baton_serve(...) HARNESS_HERE(baton_serve(__VA_ARGS__))

/* Waits for that many more lines that say "ready in". */
void baton_wait_ready(struct baton *b, int instances);
#define baton_wait_ready(...) HARNESS_HERE(baton_wait_ready(__VA_ARGS__))

/* Runs `baton COMMAND [ARG]` against it; the caller waits for its end. */
struct proc *baton_command(struct baton *b, const char *command, const char *arg);
#define baton_command(...) HARNESS_HERE(baton_command(__VA_ARGS__))

/* `baton restart`, which must succeed. */
void baton_restart(struct baton *b);
#define baton_restart(...) HARNESS_HERE(baton_restart(__VA_ARGS__))

/* SIGTERM; the end with 0, no process left behind, and each instance ended with status 0. */
void baton_stop(struct baton *b);
#define baton_stop(...) HARNESS_HERE(baton_stop(__VA_ARGS__))

/* What GET /pid of the instance on that port says. */
struct baton_who {
	int pid, instance, generation;
};
struct baton_who baton_who(uint16_t port);
#define baton_who(...) HARNESS_HERE(baton_who(__VA_ARGS__))

#endif
