/* SPDX-License-Identifier: MIT */
/*
 * Handlers that hold their thread until the test lets them go, deaf to their context; and what
 * one can see of where a handler runs.
 */
#ifndef BATON_TESTS_HOLDING_H
#define BATON_TESTS_HOLDING_H

#include <sched.h>
#include <stdlib.h>

#include "tests/server/serving.h"

struct hold {
	int fd; /* an eventfd, readable once they may go */
	atomic_bool open;
	atomic_int entered, left;
	atomic_int now, most;                    /* at a time */
	_Atomic(const struct ctx_cause *) cause; /* of the last that left */
};

static inline void
hold_open(struct hold *h)
{
	uint64_t one = 1;

	atomic_store(&h->open, true);
	assert_int_equal(write(h->fd, &one, sizeof(one)), sizeof(one));
}

/* Holds again. */
static inline void
hold_shut(struct hold *h)
{
	uint64_t n;

	assert_int_equal(read(h->fd, &n, sizeof(n)), sizeof(n));
	atomic_store(&h->open, false);
}

/* A test that failed lets everybody go before its memory does. */
static inline int
hold_free(struct hold *h)
{
	hold_open(h);
	while (atomic_load(&h->now) > 0)
		sched_yield();
	close(h->fd);
	return 0;
}

static inline struct hold *
hold_new(void)
{
	struct hold *h = talloc_zero(harness_mem(), struct hold);

	h->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	talloc_set_destructor(h, hold_free);
	return h;
}

static inline void
hold_enter(struct hold *h)
{
	int now = atomic_fetch_add(&h->now, 1) + 1, most = atomic_load(&h->most);

	while (most < now && !atomic_compare_exchange_weak(&h->most, &most, now))
		;
	atomic_fetch_add(&h->entered, 1);
}

static inline int
hold_leave(struct hold *h, const struct ctx *ctx, struct http_response *res)
{
	int rc = http_response_printf(res, 200, "held\n");

	atomic_store(&h->cause, ctx_err(ctx) != 0 ? ctx_cause(ctx) : NULL);
	atomic_fetch_add(&h->left, 1);
	atomic_fetch_sub(&h->now, 1);
	return rc;
}

/* Handlers; `data` is the hold. */
static inline int
hold_block(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct hold *h = data;
	struct pollfd pfd = {.fd = h->fd, .events = POLLIN};

	(void)req;
	hold_enter(h);
	while (poll(&pfd, 1, -1) < 1)
		;
	return hold_leave(h, ctx, res);
}

static inline int
hold_compute(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct hold *h = data;

	(void)req;
	hold_enter(h);
	while (!atomic_load_explicit(&h->open, memory_order_relaxed))
		;
	return hold_leave(h, ctx, res);
}

/* Answers with the name of its thread. */
static inline int
name_thread(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	char name[16];

	(void)ctx, (void)req, (void)data;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	return http_response_printf(res, 200, "%s", name);
}

/* A server that ends at once when it is told to, whoever is still connected. */
static inline struct http_server *
brief_server(void)
{
	struct http_server *s = serving_new();

	http_server_set(s, "idle_linger_ms", "0");
	return s;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static inline struct client *
ask(uint16_t port, const char *target)
{
	struct client *c = client_open(port);

	client_send(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
	return c;
}

static inline void
expect_answer(struct client *c, int status, const char *body)
{
	const struct answer *a = client_read(c, "GET");

	if (a->status != status || (body != NULL && strcmp(a->body, body) != 0))
		harness_fail("expected %d %s, but: %s%s", status, body != NULL ? body : "", a->head,
		    a->body);
}

/* ---- One CPU --------------------------------------------------------------------------------- */

/* Threads made from now on share one CPU with this one. */
static inline cpu_set_t
pin(void)
{
	cpu_set_t before, one;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &before)) {
			CPU_SET(cpu, &one);
			break;
		}
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	return before;
}

static inline void
unpin(cpu_set_t before)
{
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

#endif
