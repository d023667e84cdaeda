/* SPDX-License-Identifier: MIT */
/* The clock that deadlines, sleeps and the registry's ages go by. At the bottom of the tree. */
#include <time.h>

#include <baton/ctx.h>

int64_t
ctx_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
