/* SPDX-License-Identifier: MIT */
/* What proved.c keeps, for those who start from it. */
#ifndef SUPERVISOR_GOOD_H
#define SUPERVISOR_GOOD_H

#include "supervisor/daemon/supervisor.h"

struct proved {
	int fd;                /* a sealed memory file */
	struct executable exe; /* the file of which it is a copy */
	const struct service_config *config;
	unsigned config_number;
	char *instance; /* which proved it first, "hello.0" */
	unsigned generation;
	int64_t since_unix_ms;
};

/* An empty one; NULL: no memory. */
struct proved *proved_new(TALLOC_CTX *mem);
/* Whether G was started from the same file, or a copy of it, with the same configuration. */
bool proved_is(const struct proved *proved, const struct generation *g);

#endif
