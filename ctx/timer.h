/* SPDX-License-Identifier: MIT */
/*
 * The heap of moments at which something is due, and the wait for the first of them. It does not
 * know what that is, and ends nothing: deadline.c's thread takes off what is due, and does so.
 * Uses lock.c, clock.c and thread.c.
 */
#ifndef BATON_CTX_TIMER_H
#define BATON_CTX_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "ctx/lock.h"

/* A member of what is due. As long as it is not armed, the rest has no meaning. */
struct ctxi_timer {
	uint32_t slot;  /* CTXI_NOT_ARMED if not on the heap any more (heap's lock) */
	uint8_t stripe; /* whose lock keeps the owner from being freed */
	bool armed;     /* has been on the heap (under the stripe, or before others know it) */
};
#define CTXI_NOT_ARMED UINT32_MAX

/* Puts timer on the heap, and starts a thread that serves it if there is none. 0, -ENOMEM, or
 * -EAGAIN if there can be no thread. */
int ctxi_timer_arm(struct ctxi_timer *timer, int64_t at_ns, void *(*serve)(void *name));
/* Takes it off, if it is there; under its stripe. It has been armed. */
void ctxi_timer_take_off(struct ctxi_timer *timer);
/* The same for any. No lock for what never had anything to do with the heap. */
static inline void
ctxi_timer_disarm(struct ctxi_timer *timer)
{
	if (timer->armed)
		ctxi_timer_take_off(timer);
}

/* For the thread that serves. Waits until something is due; the stripe of what is first, and the
 * moment. */
uint8_t ctxi_timer_wait(int64_t *now_ns);
/* Takes the first off the heap, if it was due at now_ns and is of this stripe, which is held; else
 * NULL. */
struct ctxi_timer *ctxi_timer_take(uint8_t stripe, int64_t now_ns);

/* What fork() does with the heap and its thread. */
void ctxi_timer_fork(enum ctxi_fork when);

#endif
