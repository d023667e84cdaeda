/* SPDX-License-Identifier: MIT */
/*
 * What the tests of server/ share: what the server writes to stderr, as text; and a server on
 * a port of its own.
 */
#ifndef BATON_TESTS_SERVING_H
#define BATON_TESTS_SERVING_H

#include "tests/harness/client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/internal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The log ------------------------------------------------------------------------------- */

struct log {
	int file;    /* what is stderr now */
	int stderr_; /* and what was */
	size_t seen; /* log_since looks behind this */
};

static inline int
log_close(struct log *l)
{
	char text[4096];
	ssize_t n;

	/* A test that fails is read together with what the server had to say. */
	dup2(l->stderr_, STDERR_FILENO);
	for (off_t at = 0; (n = pread(l->file, text, sizeof(text), at)) > 0; at += n)
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			break;
	close(l->file);
	close(l->stderr_);
	return 0;
}

/* Present only in sanitizer builds: what they find must not go to memory with the log. */
extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* From now to the end of the test (or talloc_free), stderr goes to memory. */
static inline struct log *
log_open(void)
{
	struct log *l = talloc_zero(harness_mem(), struct log);

	l->file = memfd_create("log", MFD_CLOEXEC);
	l->stderr_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(l->file >= 0 && l->stderr_ >= 0);
	/* Appending: several threads, and several processes, write to it. */
	fcntl(l->file, F_SETFL, O_APPEND);
	if (__sanitizer_set_report_fd != NULL)
		__sanitizer_set_report_fd((void *)(intptr_t)fcntl(l->stderr_, F_DUPFD_CLOEXEC, 10));
	dup2(l->file, STDERR_FILENO);
	talloc_set_destructor(l, log_close);
	return l;
}

/* All that was written since the last call of log_skip. */
static inline const char *
log_text(const struct log *l)
{
	off_t size = lseek(l->file, 0, SEEK_END);
	size_t len = (size_t)size - l->seen;
	char *text = talloc_zero_array(harness_mem(), char, len + 1);

	assert_int_equal(pread(l->file, text, len, (off_t)l->seen), (ssize_t)len);
	return text;
}

static inline void
log_skip(struct log *l)
{
	l->seen += strlen(log_text(l));
}

static inline bool
log_has(const struct log *l, const char *what)
{
	return strstr(log_text(l), what) != NULL;
}

static inline void
log_expect(const struct log *l, const char *what)
{
	if (!log_has(l, what))
		harness_fail("not logged: %s\nbut:\n%s", what, log_text(l));
}

/* ---- A server ------------------------------------------------------------------------------ */

/* A test that failed leaves its server running: it ends before its memory goes. */
static inline int
serving_end(struct http_server **holder)
{
	if (*holder != NULL && (*holder)->started) {
		http_server_drain(*holder);
		http_server_wait(*holder);
	}
	return 0;
}

static inline struct http_server *
serving_new(void)
{
	struct http_server **holder = talloc_zero(harness_mem(), struct http_server *);

	talloc_set_destructor(holder, serving_end);
	*holder = http_server_new(holder);
	assert_non_null(*holder);
	return *holder;
}

/* Before the test's end. */
static inline void
serving_free(struct http_server *s)
{
	talloc_free(talloc_parent(s));
}

/* Starts it, on a port that the kernel chooses. */
static inline uint16_t
serving_start(struct http_server *s)
{
	int port;

	assert_int_equal(http_server_listen(s, "web", "127.0.0.1:0"), 0);
	assert_int_equal(http_server_start(s), 0);
	port = http_server_port(s, "web");
	assert_in_range(port, 1, 65535);
	return (uint16_t)port;
}

/* Drains it to its end. */
static inline void
serving_stop(struct http_server *s)
{
	http_server_drain(s);
	assert_int_equal(http_server_wait(s), 0);
}

/* ---- A handler that waits -------------------------------------------------------------------- */

struct gate {
	int fd; /* an eventfd: each unit lets one request through */
	atomic_int entered, left;
	_Atomic(const struct ctx_cause *) cause; /* why one gave up waiting */
};

static inline int
gate_close(struct gate *g)
{
	close(g->fd);
	return 0;
}

static inline struct gate *
gate_new(void)
{
	struct gate *g = talloc_zero(harness_mem(), struct gate);

	g->fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	talloc_set_destructor(g, gate_close);
	return g;
}

static inline void
gate_let(struct gate *g, uint64_t requests)
{
	assert_int_equal(write(g->fd, &requests, sizeof(requests)), sizeof(requests));
}

/* The handler; `data` is the gate. Gives up when its context ends. */
static inline int
gate_pass(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct gate *g = data;
	struct pollfd pfd = {.fd = g->fd, .events = POLLIN};
	uint64_t n;
	int rc;

	(void)req;
	atomic_fetch_add(&g->entered, 1);
	do
		rc = ctx_poll(ctx, &pfd, 1, -1);
	while (rc > 0 && read(g->fd, &n, sizeof(n)) < 0); /* another one was faster */
	if (rc < 0)
		atomic_store(&g->cause, ctx_cause(ctx));
	atomic_fetch_add(&g->left, 1);
	return rc < 0 ? rc : http_response_printf(res, 200, "through\n");
}

#endif
