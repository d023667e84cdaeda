/* SPDX-License-Identifier: MIT */
/* The environment of a process, built anew at each start. */
#ifndef SUPERVISOR_ENVIRONMENT_H
#define SUPERVISOR_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct credentials;
struct service_config;

/* What the process is told of itself. The numbers are those of its descriptors; -1: none. */
struct environment {
	const struct service_config *config;   /* of its service */
	const struct credentials *credentials; /* as whom it runs */
	unsigned index, generation;
	bool spare; /* it waits to become an instance */
	const char *notify_path;
	size_t nsockets;          /* that it has from its beginning … */
	const char *socket_names; /* … with colons between them */
	int give_number;          /* a spare's: where it is told what it is */
	int take_number;
	int ready_number;
	int64_t watchdog_ms; /* 0: none */
};

/* *OUT becomes a NULL-terminated array in MEM. For the child: whoever calls this is the process of
 * LISTEN_PID and WATCHDOG_PID, and may have to wait for the env_file. Returns 0 or -errno, perhaps with *WHY set. */
int environment_build(TALLOC_CTX *mem, const struct environment *e, char ***out, const char **why);

/* Reads an env_file for its errors; it never waits for what is no regular file. Returns 0 or -errno; *WHY is NULL for want of memory. */
int environment_check_file(TALLOC_CTX *mem, const char *file, const char **why);

#endif
