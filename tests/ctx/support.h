/* SPDX-License-Identifier: MIT */
/* What the tests of ctx/ share: waiting for an end, threads, programs that must abort. */
#ifndef TESTS_CTX_SUPPORT_H
#define TESTS_CTX_SUPPORT_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <baton/ctx.h>

#include "tests/harness/harness.h"

#define UNUSED  __attribute__((unused))
#define LONG_MS 60000         /* nothing in these tests takes that long */
#define HOUR_NS 3600000000000 /* a deadline that does not come */

/* Whether fd is readable now. */
UNUSED static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Waits, by its fd, until c has ended. */
UNUSED static void
wait_end(const struct ctx *c)
{
	struct pollfd p = {.fd = ctx_done(c), .events = POLLIN};

	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, LONG_MS), 1);
}

/* c lives: not to be told from background by any means. */
UNUSED static void
assert_alive(const struct ctx *c)
{
	assert_int_equal(ctx_err(c), 0);
	assert_null(ctx_cause(c));
	assert_false(readable(ctx_done(c)));
}

UNUSED static void
assert_ended(const struct ctx *c, int err, const struct ctx_cause *cause)
{
	assert_int_equal(ctx_err(c), err);
	assert_ptr_equal(ctx_cause(c), cause);
	if (ctx_done(c) != -ENOTSUP)
		assert_true(readable(ctx_done(c)));
}

UNUSED static pthread_t
start(void *(*run)(void *), void *arg)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, run, arg), 0);
	return t;
}

/* A flag that one thread raises and another waits for. */
struct event {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int n;
};
#define EVENT                                                          \
	{                                                              \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 \
	}

UNUSED static void
event_raise(void *event)
{
	struct event *e = event;

	pthread_mutex_lock(&e->lock);
	e->n++;
	pthread_cond_broadcast(&e->cond);
	pthread_mutex_unlock(&e->lock);
}

UNUSED static int
event_count(struct event *e)
{
	int n;

	pthread_mutex_lock(&e->lock);
	n = e->n;
	pthread_mutex_unlock(&e->lock);
	return n;
}

UNUSED static void
event_wait(struct event *e, int n)
{
	pthread_mutex_lock(&e->lock);
	while (e->n < n)
		pthread_cond_wait(&e->cond, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

/* f() must stop the program by abort(), with a message that contains text. */
UNUSED static void
assert_aborts(void (*f)(void), const char *text)
{
	char said[512];
	size_t n = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	fflush(NULL);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		f();
		_exit(0);
	}
	close(fds[1]);
	while (n < sizeof(said) - 1 && (got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(said, text) == NULL)
		fail_msg("wanted abort with \"%s\", got status %x and \"%s\"", text, status, said);
}

#endif
