/* SPDX-License-Identifier: MIT */
/*
 * Timers on the monotonic clock: one timerfd under the loop for all of them. (tevent's own
 * timers follow the wall clock: setting the date would fire a day of deadlines at once.)
 */
#ifndef SUPERVISOR_TIMER_H
#define SUPERVISOR_TIMER_H

#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

struct timers;
struct timer;

typedef void timer_fn(void *data);

/* Milliseconds on the monotonic clock. */
int64_t timer_now_ms(void);

/* Milliseconds since 1970: for people and programs that want a date, never for waiting. */
int64_t timer_unix_ms(void);

/* NULL when the kernel or memory refuses. Freeing it cancels what is left. */
struct timers *timers_new(TALLOC_CTX *mem, struct tevent_context *ev);

/*
 * Calls FN(DATA) once, from the loop, when AFTER_MS have passed; 0 means at the next turn.
 * Timers due at the same moment run in the order in which they were made. Freeing a timer
 * (or MEM) cancels it; it is freed before FN is called, so FN may free MEM.
 */
struct timer *
timer_after(TALLOC_CTX *mem, struct timers *timers, int64_t after_ms, timer_fn *fn, void *data);

/* The same for a moment on the monotonic clock; and which moment that is. */
struct timer *
timer_at(TALLOC_CTX *mem, struct timers *timers, int64_t due_ms, timer_fn *fn, void *data);
int64_t timer_due_ms(const struct timer *timer);

#endif
