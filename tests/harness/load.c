/* SPDX-License-Identifier: MIT */
/* The thread that drives a load's clients, and its start, progress and end (see load.h). */
#include "tests/harness/load_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#undef load_start
#undef load_stop
#undef load_wait_ok
#undef load_assert_clean

enum { PER_WAIT = 64 };

void
load_count(struct load *l, uint64_t *counter, const struct conn *c, const char *why)
{
	struct load_result *r = &l->result;
	const size_t used = strlen(r->why);

	pthread_mutex_lock(&l->lock);
	++*counter;
	if (why != NULL && used + 160 < sizeof(r->why))
		snprintf(r->why + used, sizeof(r->why) - used,
		    "%s client %d, request %llu (%s), port %u: %s\n",
		    c->oneshot ? "one-shot" : "keep-alive", c->number,
		    (unsigned long long)c->requests, c->posting ? "POST" : "GET", c->port, why);
	pthread_cond_broadcast(&l->progress);
	pthread_mutex_unlock(&l->lock);
}

/* The earliest moment at which a client needs attention without an event. */
static int
next_timeout(const struct load *l)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < l->clients; i++) {
		const struct conn *c = &l->conn[i];

		if (l->stopping && c->state == CONN_PAUSE)
			continue;
		if (c->until_ms < first)
			first = c->until_ms;
	}
	return first == INT64_MAX ? -1 : harness_left_ms(first);
}

/* The socket's registration is one shot: armed anew for each wait. */
static void
arm(struct load *l, struct conn *c)
{
	struct epoll_event ev = {.events = conn_events(c) | EPOLLONESHOT, .data.ptr = c};

	if (c->fd < 0 || conn_events(c) == 0)
		return;
	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0 && errno == ENOENT)
		epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static bool
all_resting(const struct load *l)
{
	for (int i = 0; i < l->clients; i++)
		if (l->conn[i].state != CONN_PAUSE)
			return false;
	return true;
}

static void *
drive(void *data)
{
	struct load *l = data;
	struct epoll_event ev[PER_WAIT];

	while (!(l->stopping && all_resting(l))) {
		int n = epoll_wait(l->epoll, ev, PER_WAIT, next_timeout(l));
		int64_t now = harness_now_ms();

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c == NULL) {
				l->stopping = true;
				epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->stop_fd, NULL);
				continue;
			}
			conn_step(c, true);
			arm(l, c);
		}
		for (int i = 0; i < l->clients; i++) {
			struct conn *c = &l->conn[i];

			if (now < c->until_ms || (l->stopping && c->state == CONN_PAUSE))
				continue;
			conn_step(c, false);
			arm(l, c);
		}
	}
	return NULL;
}

static void
finish(struct load *l)
{
	if (!l->running)
		return;
	eventfd_write(l->stop_fd, 1);
	pthread_join(l->thread, NULL);
	l->running = false;
}

static int
load_free(struct load *l)
{
	finish(l);
	for (int i = 0; i < l->clients; i++) {
		conn_close(&l->conn[i]);
		free(l->conn[i].out);
		free(l->conn[i].body);
		free(l->conn[i].in);
	}
	free(l->conn);
	close(l->epoll);
	close(l->stop_fd);
	return 0;
}

static void
make_clients(struct load *l)
{
	const int64_t now = harness_now_ms();

	l->clients = l->spec.keepalive + l->spec.oneshot;
	l->conn = calloc((size_t)l->clients, sizeof(*l->conn));
	if (l->conn == NULL)
		harness_fail("no memory for %d clients", l->clients);
	for (int i = 0; i < l->clients; i++)
		l->conn[i] = (struct conn){
		    .load = l,
		    .number = i,
		    .oneshot = i >= l->spec.keepalive,
		    .port = (uint16_t)(l->spec.port + i % l->spec.ports),
		    .state = CONN_PAUSE,
		    .fd = -1,
		    .until_ms = now + i % 10, /* not all at once */
		};
}

struct load *
load_start(const struct load_spec *spec)
{
	struct load *l = talloc_zero(harness_mem(), struct load);
	struct epoll_event stop = {.events = EPOLLIN};
	pthread_condattr_t monotonic;
	sigset_t all, old;

	l->spec = *spec;
	if (l->spec.ports == 0)
		l->spec.ports = 1;
	if (l->spec.get == NULL)
		l->spec.get = "/";
	if (l->spec.expect == NULL)
		l->spec.expect = "hello\n";
	if (l->spec.post == NULL)
		l->spec.post = "/echo";
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->progress, &monotonic);
	pthread_condattr_destroy(&monotonic);
	make_clients(l);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	talloc_set_destructor(l, load_free);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	l->running = epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->stop_fd, &stop) == 0 &&
		     pthread_create(&l->thread, NULL, drive, l) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!l->running)
		harness_fail("cannot start the load: %m");
	return l;
}

void
load_wait_ok(struct load *l, uint64_t more)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;
	const struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
	struct load_result r;
	uint64_t goal;
	bool late = false;

	pthread_mutex_lock(&l->lock);
	goal = l->result.ok + more;
	while (l->result.ok < goal && !late)
		late = pthread_cond_timedwait(&l->progress, &l->lock, &until) == ETIMEDOUT;
	r = l->result;
	pthread_mutex_unlock(&l->lock);
	if (r.ok < goal)
		harness_fail(
		    "the load got only %llu of %llu answers; %llu failed, %llu refused\n%s",
		    (unsigned long long)(more - (goal - r.ok)), (unsigned long long)more,
		    (unsigned long long)r.failed, (unsigned long long)r.refused, r.why);
}

struct load_result
load_so_far(struct load *l)
{
	struct load_result r;

	pthread_mutex_lock(&l->lock);
	r = l->result;
	pthread_mutex_unlock(&l->lock);
	return r;
}

struct load_result
load_stop(struct load *l)
{
	struct load_result r;

	finish(l);
	r = l->result;
	talloc_free(l);
	return r;
}

void
load_assert_clean(const struct load_result *r)
{
	if (r->ok > 0 && r->failed + r->refused + r->other + r->wrong == 0)
		return;
	harness_fail(
	    "under load: ok %llu, failed %llu, refused %llu, other status %llu, wrong body "
	    "%llu, reopened %llu\n%s",
	    (unsigned long long)r->ok, (unsigned long long)r->failed,
	    (unsigned long long)r->refused, (unsigned long long)r->other,
	    (unsigned long long)r->wrong, (unsigned long long)r->reopened, r->why);
}
