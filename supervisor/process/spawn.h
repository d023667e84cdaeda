/* SPDX-License-Identifier: MIT */
/* From a description of a process to a running one, watched by a pidfd. */
#ifndef SUPERVISOR_SPAWN_H
#define SUPERVISOR_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/config/config.h"
#include "supervisor/process/credentials.h"

struct spawn {
	const char *path; /* for execve */
	int program;      /* a descriptor, executed instead of PATH; 0: none */
	char **argv;
	int *fds; /* the child's descriptors 3, 4, …, -1: none; the child writes over its copy */
	size_t nfds;
	int out, err; /* the child's stdout and stderr */
	int cgroup;   /* who writes "0" there is in its control group; 0: it has none */
	const struct service_config *config; /* umask, limits, directory and the like */
	/* In the child, before its program: as whom, and with which environment. That may take
	 * long, and nobody but the child waits. Returns 0, or -errno with *WHY set. */
	int (*look_up)(
	    TALLOC_CTX *mem, void *data, struct credentials *id, char ***envp, const char **why);
	void *data; /* for look_up */
};

/*
 * Raises baton's own limit of open descriptors as far as it may: each process costs it some.
 * What is started gets the limit that baton was given.
 */
void spawn_raise_descriptor_limit(void);
/* The limit as it was given, to the document of state.h or from it. */
struct state;
void spawn_state(struct state *s);
/* In a child, before its exec: no handlers, nothing ignored, nothing blocked. */
void spawn_reset_signals(void);

/*
 * Starts it in a session of its own, with default signals, stdin from /dev/null, and no
 * descriptor but those named. *EXEC_FD is for spawn_failure and spawn_has_looked_up; it and
 * *PIDFD are close-on-exec and the caller's. Returns 0, or a negative errno with nothing started.
 */
int spawn_process(const struct spawn *s, pid_t *pid, int *pidfd, int *exec_fd);

/* Whether the child has done its look_up, with *UID set. It says so once. */
bool spawn_has_looked_up(int exec_fd, uid_t *uid);
/* Whether it runs its program, after its look_up: it has nothing more to say then. */
bool spawn_is_executed(int exec_fd);
/* After the process has ended: why it never ran its program, in words, or NULL if it did;
 * *STARVED then says whether spawn_is_starved. */
char *spawn_failure(TALLOC_CTX *mem, int exec_fd, const char *path, bool *starved);
/* Whether that errno means a want of memory, descriptors or processes: nobody's fault. */
bool spawn_is_starved(int error);

#endif
