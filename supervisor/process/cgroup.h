/* SPDX-License-Identifier: MIT */
/*
 * Limits by control groups (cgroups(7), version 2): each instance that has some gets a group of
 * its own below that of baton, "SERVICE.N", for all its processes.
 */
#ifndef SUPERVISOR_CGROUP_H
#define SUPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

#include "supervisor/config/config.h"

/* The directory of a process's group, from the texts of its /proc/PID/mountinfo and cgroup; NULL
 * with *WHY set (static text) if there is none of version 2, or no memory. */
char *
cgroup_directory(TALLOC_CTX *mem, const char *mountinfo, const char *cgroup, const char **why);

/* Whether baton can have groups with these limits made. Returns 0, or -errno with *WHY set. */
int cgroup_check(TALLOC_CTX *mem, const struct cgroup_config *limits, size_t n, const char **why);

/*
 * Makes the group NAME with these limits; FRESH: nobody is in it who counts. Returns a descriptor, the caller's: who writes "0" to it
 * is in the group; or a negative errno with *WHY set (in MEM).
 */
int cgroup_make(TALLOC_CTX *mem, const char *name, bool fresh, const struct cgroup_config *limits,
    size_t n, const char **why);
/* Removes it, if nobody is in it. */
void cgroup_remove(const char *name);

#endif
