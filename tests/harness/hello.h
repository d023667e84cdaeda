/* SPDX-License-Identifier: MIT */
/* The example program `hello` under test, alone. */
#ifndef BATON_TESTS_HELLO_H
#define BATON_TESTS_HELLO_H

#include "tests/harness/proc.h"

struct hello {
	struct proc *proc;
	uint16_t port;
};

/* Starts it on a port of the kernel's choice; `env` as in proc_spec, may be NULL. Listening. */
struct hello hello_start(const char *const *env);
#define hello_start(...) HARNESS_HERE(hello_start(__VA_ARGS__))

/* Waits for the line that says on which port listener `name` (a regular expression) is. */
uint16_t hello_port(struct proc *p, const char *name);
#define hello_port(...) HARNESS_HERE(hello_port(__VA_ARGS__))

/* SIGTERM, and the end with status 0. */
void hello_stop(struct hello *h);
#define hello_stop(...) HARNESS_HERE(hello_stop(__VA_ARGS__))

#endif
