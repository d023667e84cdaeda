/* SPDX-License-Identifier: MIT */
/* Waiting that ends with a context: sleep by a futex, poll by an eventfd. At the top; uses cancel.c
 * and clock.c. */
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ctx/cancel.h"

/* On the stack of the thread that waits, which unties it before it returns. */
struct waiter {
	struct ctxi_link link;
	_Atomic uint32_t due;
	int fd; /* to be signalled; -1: who waits does so on `due` */
};

static void
waiter_due(struct ctxi_link *link)
{
	struct waiter *w = ctxi_container(link, struct waiter, link);

	atomic_store_explicit(&w->due, 1, memory_order_release);
	if (w->fd >= 0)
		ctxi_fd_signal(w->fd);
	else
		syscall(SYS_futex, &w->due, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Why a wait for ctx is over, when something said that ctx has ended. */
static int
ended(const struct ctx *ctx)
{
	int err = ctx_err(ctx);

	return err != 0 ? err : -ECANCELED;
}

int
ctx_sleep(const struct ctx *ctx, int64_t ms)
{
	struct waiter w = {.link.due = waiter_due, .fd = -1};
	int64_t at_ns = INT64_MAX;
	struct timespec at;

	CTXI_CHECK(ctx);
	if (ms >= 0 && ms < INT64_MAX / 2000000)
		at_ns = ctx_now_ns() + ms * 1000000;
	at = (struct timespec){at_ns / 1000000000, at_ns % 1000000000};
	if (ctxi_attach(&w.link, ctx->canceler) != 0)
		return ended(ctx);
	while (atomic_load_explicit(&w.due, memory_order_acquire) == 0) {
		if (syscall(SYS_futex, &w.due, FUTEX_WAIT_BITSET_PRIVATE, 0,
			at_ns == INT64_MAX ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
		    errno == ETIMEDOUT)
			break;
	}
	ctxi_detach(&w.link);
	return atomic_load_explicit(&w.due, memory_order_acquire) != 0 ? ended(ctx) : ctx_err(ctx);
}

/* poll(2) on fds and end_fd; the latter's being ready counts for all. */
static int
poll_with(const struct ctx *ctx, int end_fd, struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	struct pollfd few[16], *all = few;
	int rc, err;

	if (nfds >= sizeof(few) / sizeof(few[0])) {
		all = talloc_array(NULL, struct pollfd, nfds + 1);
		if (all == NULL)
			return -ENOMEM;
	}
	all[0] = (struct pollfd){.fd = end_fd, .events = POLLIN};
	if (nfds > 0)
		memcpy(all + 1, fds, nfds * sizeof(*fds));
	rc = poll(all, nfds + 1, timeout_ms);
	err = rc < 0 ? -errno : all[0].revents != 0 ? ended(ctx) : 0;
	if (err == 0 && nfds > 0)
		memcpy(fds, all + 1, nfds * sizeof(*fds));
	if (all != few)
		talloc_free(all);
	return err != 0 ? err : rc;
}

/* A foreign canceler has no fd of its own: one for this call. */
static int
poll_foreign(const struct ctx *ctx, struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	struct waiter w = {.link.due = waiter_due};
	int rc;

	w.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w.fd < 0)
		return -errno;
	if (ctxi_attach(&w.link, ctx->canceler) != 0) {
		rc = ended(ctx);
	} else {
		rc = poll_with(ctx, w.fd, fds, nfds, timeout_ms);
		ctxi_detach(&w.link);
	}
	close(w.fd);
	return rc;
}

int
ctx_poll(const struct ctx *ctx, struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
	int err, fd = -1;

	CTXI_CHECK(ctx);
	if (nfds > INT_MAX)
		return -EINVAL;
	err = ctx_err(ctx);
	if (err != 0)
		return err;
	if (ctx->canceler != NULL && ctx->canceler->kind == CTX_FOREIGN)
		return poll_foreign(ctx, fds, nfds, timeout_ms);
	if (ctx->canceler != NULL) {
		fd = ctx_done(ctx);
		if (fd < 0)
			return fd;
	}
	return poll_with(ctx, fd, fds, nfds, timeout_ms);
}
