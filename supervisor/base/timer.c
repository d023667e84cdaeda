/* SPDX-License-Identifier: MIT */
/* A sorted list of timers over one timerfd. There are a handful per instance: a list will do. */
#include "supervisor/base/timer.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* A timer that is missing is a start, or an end, that never comes. */
#define TIMERS_RESERVE 16

struct timers {
	int fd;
	struct tevent_fd *fde;
	TAILQ_HEAD(timer_list, timer) list; /* sorted by due_ms, oldest first among equals */
	int64_t armed_for_ms;               /* what the timerfd is set to; 0 when it is not set */
	struct timer *reserve[TIMERS_RESERVE]; /* for when there is no memory */
};

struct timer {
	struct timers *timers; /* NULL once the list is gone */
	TAILQ_ENTRY(timer) entry;
	int64_t due_ms;
	timer_fn *fn;
	void *data;
};

int64_t
timer_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Sets the timerfd to the first timer. One that is due already fires at once. */
static void
arm(struct timers *t)
{
	const struct timer *first = TAILQ_FIRST(&t->list);
	int64_t due = first == NULL ? 0 : first->due_ms;
	struct itimerspec its = {
	    .it_value = {.tv_sec = due / 1000, .tv_nsec = due % 1000 * 1000000}};

	if (due == t->armed_for_ms)
		return;
	t->armed_for_ms = due;
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static int
timer_unlink(struct timer *timer)
{
	if (timer->timers == NULL)
		return 0;
	TAILQ_REMOVE(&timer->timers->list, timer, entry);
	arm(timer->timers);
	return 0;
}

static void
timers_due(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct timers *t = talloc_get_type_abort(data, struct timers);
	int64_t now = timer_now_ms();
	uint64_t expirations;

	(void)ev;
	(void)fde;
	(void)flags;
	if (read(t->fd, &expirations, sizeof(expirations)) < 0)
		return;
	t->armed_for_ms = 0;
	/* Timers made by these calls are due at NOW or later: they wait for the next turn, so
	 * that a timer that makes itself anew cannot keep the loop. */
	for (struct timer *timer = TAILQ_FIRST(&t->list); timer != NULL && timer->due_ms <= now;
	     timer = TAILQ_FIRST(&t->list)) {
		const struct timer *next;
		timer_fn *fn = timer->fn;
		void *arg = timer->data;

		talloc_free(timer);
		fn(arg);
		next = TAILQ_FIRST(&t->list);
		if (next != NULL && next->due_ms == now)
			break;
	}
	arm(t);
}

static int
timers_close(struct timers *t)
{
	struct timer *timer;

	TAILQ_FOREACH(timer, &t->list, entry)
		timer->timers = NULL;
	TALLOC_FREE(t->fde);
	close(t->fd);
	return 0;
}

int64_t
timer_unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
fill_reserve(struct timers *t)
{
	for (size_t i = 0; i < TIMERS_RESERVE; i++) {
		if (t->reserve[i] == NULL)
			t->reserve[i] = talloc(t, struct timer);
	}
}

struct timers *
timers_new(TALLOC_CTX *mem, struct tevent_context *ev)
{
	struct timers *t = talloc_zero(mem, struct timers);

	if (t == NULL)
		return NULL;
	TAILQ_INIT(&t->list);
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->fd < 0) {
		talloc_free(t);
		return NULL;
	}
	talloc_set_destructor(t, timers_close);
	t->fde = tevent_add_fd(ev, t, t->fd, TEVENT_FD_READ, timers_due, t);
	if (t->fde == NULL)
		TALLOC_FREE(t);
	else
		fill_reserve(t);
	return t;
}

int64_t
timer_due_ms(const struct timer *timer)
{
	return timer->due_ms;
}

struct timer *
timer_after(TALLOC_CTX *mem, struct timers *timers, int64_t after_ms, timer_fn *fn, void *data)
{
	return timer_at(mem, timers, timer_now_ms() + after_ms, fn, data);
}

static struct timer *
from_reserve(TALLOC_CTX *mem, struct timers *t)
{
	for (size_t i = 0; i < TIMERS_RESERVE; i++) {
		if (t->reserve[i] != NULL)
			return talloc_move(mem, &t->reserve[i]);
	}
	return NULL;
}

struct timer *
timer_at(TALLOC_CTX *mem, struct timers *timers, int64_t due_ms, timer_fn *fn, void *data)
{
	struct timer *timer = talloc(mem, struct timer), *before;

	if (timer == NULL)
		timer = from_reserve(mem, timers);
	else
		fill_reserve(timers);
	if (timer == NULL)
		return NULL;
	*timer = (struct timer){.timers = timers, .due_ms = due_ms, .fn = fn, .data = data};
	TAILQ_FOREACH_REVERSE(before, &timers->list, timer_list, entry)
	{
		if (before->due_ms <= due_ms)
			break;
	}
	if (before == NULL)
		TAILQ_INSERT_HEAD(&timers->list, timer, entry);
	else
		TAILQ_INSERT_AFTER(&timers->list, before, timer, entry);
	talloc_set_destructor(timer, timer_unlink);
	arm(timers);
	return timer;
}
