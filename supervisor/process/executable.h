/* SPDX-License-Identifier: MIT */
/*
 * The file that a process runs: which one it is, and a copy of it in memory that nobody can
 * change, from which it can be started again whatever has become of the file.
 */
#ifndef SUPERVISOR_EXECUTABLE_H
#define SUPERVISOR_EXECUTABLE_H

#include <stdbool.h>
#include <sys/types.h>
#include <talloc.h>
#include <time.h>

#include "supervisor/base/timer.h"

/* Which file, and whether it has been written to since. */
struct executable {
	bool known; /* false: it could not be looked at, and nothing is equal to it */
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	bool elf;        /* what a copy can be started from; a script or the like is not */
	bool privileged; /* set-user-ID, set-group-ID or capabilities: a copy has none of them */
};

/* What stands at PATH now; not known if that cannot be read. */
struct executable executable_at(const char *path);

/* The same of what a process runs. */
struct executable executable_of(pid_t pid);

/* The very same file, with nothing written to it in between. */
bool executable_equal(const struct executable *a, const struct executable *b);

/* The same file; it may have been renamed or changed its mode. */
bool executable_same_file(const struct executable *a, const struct executable *b);

/* Why it cannot be started from a copy, or not as it was; NULL: it can. */
const char *executable_unfit(const struct executable *e);

struct executable_copy;

/* FD is a sealed memory file, the callee's, close-on-exec; or it is a negative errno. */
typedef void executable_copied_fn(int fd, void *data);

/*
 * Copies what process PID runs, a slice at each turn of the loop, and calls DONE from the loop;
 * freeing what it returns (or MEM) gives up. NAME is what the kernel calls the copy. NULL, with
 * *ERROR a negative errno, if it cannot begin. -ESTALE: the file changed meanwhile.
 */
struct executable_copy *executable_copy(TALLOC_CTX *mem, struct timers *timers, pid_t pid,
    const char *name, executable_copied_fn *done, void *data, int *error);

#endif
