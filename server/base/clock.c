/* SPDX-License-Identifier: MIT */
/* The clock that deadlines go by: it is never set. */
#include <time.h>

#include "server/base/base.h"

int64_t
clock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
