/* SPDX-License-Identifier: MIT */
/* What good.c keeps, for those who start from it. */
#ifndef SUPERVISOR_GOOD_H
#define SUPERVISOR_GOOD_H

#include "supervisor/daemon/supervisor.h"

struct good {
	int fd;                /* a sealed memory file */
	struct executable exe; /* the file of which it is a copy */
	const struct service_config *config;
	unsigned config_number;
	char *instance; /* which proved it first, "hello.0" */
	unsigned generation;
	int64_t since_unix_ms;
};

/* An empty one; NULL: no memory. */
struct good *good_new(TALLOC_CTX *mem);
/* Whether G was started from the same file, or a copy of it, with the same configuration. */
bool good_is(const struct good *good, const struct generation *g);

#endif
