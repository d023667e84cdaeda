/* SPDX-License-Identifier: MIT */
/* What is seen of a supervisor's processes all the time while a test does something to it. */
#ifndef BATON_TESTS_WATCH_H
#define BATON_TESTS_WATCH_H

#include "tests/harness/harness.h"

#include <sys/types.h>

struct watch;

/* Looks at the children of SUPERVISOR again and again, in the background. */
struct watch *watch_start(pid_t supervisor);

/* The most processes of one instance that lived at the same time. Ends it. */
int watch_stop(struct watch *w);

/* How many of its children have ended and have not been waited for. */
int watch_zombies(pid_t supervisor);

#endif
