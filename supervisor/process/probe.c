/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP/1.1 client: it connects, finds out who has accepted if that matters, asks, and
 * reads the status line. Nothing blocks; what is read is bounded.
 */
#include "supervisor/process/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Interim answers and the last one's status line must be in so much. */
#define ANSWER_MAX_BYTES 4096
/* How often it is looked whether somebody has accepted: from the first up to the last. */
#define LOOK_FIRST_MS    1
#define LOOK_LAST_MS     64

struct probe {
	struct tevent_context *ev;
	struct timers *timers;
	struct probe_target target;
	probe_fn *fn;
	void *data;
	int fd;
	struct tevent_fd *fde;
	int64_t due_ms; /* of the timeout */
	struct timer *look;
	int64_t look_ms;
	bool seen_other; /* it looked as if another process had accepted it */
	bool sent;
	char *request;
	size_t request_len, request_done;
	char answer[ANSWER_MAX_BYTES];
	size_t answer_len;
};

static void
finish(struct probe *p, enum probe_verdict verdict, const char *why)
{
	probe_fn *fn = p->fn;
	void *data = p->data;
	TALLOC_CTX *held = talloc_new(NULL);
	char *words = talloc_strdup(held, why == NULL ? "" : why);

	talloc_free(p);
	fn(verdict, words, data);
	talloc_free(held);
}

/* "HTTP/1.1 200 OK" without its end; the reason phrase may be missing, as many servers do. */
static int
status_line(const char *line, size_t len)
{
	int status = 0;

	if (len < 12 || strncmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' ||
	    line[8] != ' ' || (len > 12 && line[12] != ' '))
		return -1;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		status = status * 10 + line[i] - '0';
	}
	return status >= 100 && status <= 599 ? status : -1;
}

int
probe_status(const char *text, size_t len, const char **why)
{
	for (;;) {
		const char *end = memmem(text, len, "\r\n", 2);
		int status;

		if (end == NULL)
			break;
		status = status_line(text, (size_t)(end - text));
		if (status < 0)
			*why = "the answer is not HTTP/1.1";
		if (status < 0 || status >= 200)
			return status;
		end = memmem(end, len - (size_t)(end - text), "\r\n\r\n", 4);
		if (end == NULL)
			break;
		len -= (size_t)(end + 4 - text);
		text = end + 4;
	}
	/* What cannot become a status line any more need not be waited for. */
	if (len > 0 && strncmp(text, "HTTP/1.", len < 7 ? len : 7) != 0) {
		*why = "the answer is not HTTP/1.1";
		return -1;
	}
	return 0;
}

static void
judge(struct probe *p, bool end)
{
	const char *why = NULL;
	char text[40];
	int status = probe_status(p->answer, p->answer_len, &why);

	if (status >= 200) {
		snprintf(text, sizeof(text), "status %d", status);
		finish(p, status < 400 ? PROBE_WELL : PROBE_SICK, text);
	} else if (status < 0) {
		finish(p, PROBE_SICK, why);
	} else if (end) {
		finish(p, PROBE_SICK, "the connection was closed without an answer");
	} else if (p->answer_len == sizeof(p->answer)) {
		finish(p, PROBE_SICK, "the answer has no status line");
	}
}

static void
receive(struct probe *p)
{
	ssize_t n =
	    recv(p->fd, p->answer + p->answer_len, sizeof(p->answer) - p->answer_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		finish(p, PROBE_SICK, strerror(errno));
		return;
	}
	p->answer_len += (size_t)n;
	judge(p, n == 0);
}

static void
transmit(struct probe *p)
{
	ssize_t n = send(p->fd, p->request + p->request_done, p->request_len - p->request_done,
	    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		finish(p, PROBE_SICK, strerror(errno));
		return;
	}
	p->request_done += n > 0 ? (size_t)n : 0;
	p->sent = p->request_done == p->request_len;
	tevent_fd_set_flags(p->fde, p->sent ? TEVENT_FD_READ : TEVENT_FD_READ | TEVENT_FD_WRITE);
}

static void look(void *data);

static void
look_later(struct probe *p)
{
	p->look = timer_after(p, p->timers, p->look_ms, look, p);
	p->look_ms = p->look_ms * 2 < LOOK_LAST_MS ? p->look_ms * 2 : LOOK_LAST_MS;
}

/* Between accept(2) and the descriptor's being in place the other end is nobody's: so that is looked
 * at twice. */
static void
found(enum accepted_by by, const char *why, void *data)
{
	struct probe *p = talloc_get_type_abort(data, struct probe);

	switch (by) {
	case ACCEPTED_BY_SESSION:
		transmit(p);
		break;
	case ACCEPTED_BY_UNKNOWN:
		finish(p, PROBE_BLIND, why);
		break;
	case ACCEPTED_BY_OTHER:
		if (p->seen_other) {
			finish(p, PROBE_OTHER, "another process has accepted the connection");
			break;
		}
		p->seen_other = true;
		look_later(p);
		break;
	case ACCEPTED_BY_NOBODY:
		look_later(p);
		break;
	}
}

/* Nobody tells when it is accepted. */
static void
look(void *data)
{
	struct probe *p = talloc_get_type_abort(data, struct probe);
	char none;

	p->look = NULL;
	/* Data before anything was asked is nothing that a server of HTTP sends. */
	if (recv(p->fd, &none, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN)
		finish(p, PROBE_OTHER, "the connection was closed before it was used");
	else if (accepted_by_find(p, p->target.accepted_by, p->fd, p->target.session, found, p) ==
		 NULL)
		finish(p, PROBE_BLIND, "there is no memory");
}

static void
connected(struct probe *p)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		finish(p, PROBE_SICK, strerror(error));
	} else if (p->target.session == 0) {
		transmit(p);
	} else {
		tevent_fd_set_flags(p->fde, 0);
		look_later(p);
	}
}

static void
ready(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct probe *p = talloc_get_type_abort(data, struct probe);

	(void)ev;
	(void)fde;
	if ((flags & TEVENT_FD_READ) != 0 && p->request_done > 0)
		receive(p);
	else if (p->request_done > 0)
		transmit(p);
	else
		connected(p);
}

static void too_late(void *data);

static void
limit(struct probe *p)
{
	p->due_ms = timer_now_ms() + p->target.timeout_ms;
	timer_after(p, p->timers, p->target.timeout_ms, too_late, p);
}

static void
too_late(void *data)
{
	struct probe *p = talloc_get_type_abort(data, struct probe);
	bool accepted = p->target.session == 0 || p->request_done > 0;
	char text[80];

	/* If baton itself was away for long, the answer may be there. */
	if (timer_now_ms() - p->due_ms > p->target.timeout_ms / 4) {
		limit(p);
		return;
	}
	snprintf(text, sizeof(text),
	    accepted ? "no answer within %lld ms" : "not accepted within %lld ms",
	    (long long)p->target.timeout_ms);
	finish(p, accepted ? PROBE_SICK : PROBE_IGNORED, text);
}

static void
failed_at_once(void *data)
{
	struct probe *p = talloc_get_type_abort(data, struct probe);

	finish(p, PROBE_SICK, p->answer);
}

static int
probe_close(struct probe *p)
{
	TALLOC_FREE(p->fde);
	if (p->fd >= 0)
		close(p->fd);
	return 0;
}

/* A wildcard is no address to connect to. */
static struct address
where(const struct address *a)
{
	struct address to = *a;

	if (a->sa.sa_family == AF_INET && a->in.sin_addr.s_addr == htonl(INADDR_ANY))
		to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
		return to;
	if (a->any) {
		to = (struct address){.in = {.sin_family = AF_INET, .sin_port = a->in6.sin6_port},
		    .len = sizeof(to.in)};
		to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		to.in6.sin6_addr = in6addr_loopback;
	}
	return to;
}

static int
begin(struct probe *p)
{
	struct address to = where(&p->target.address);
	char *host = address_is_unix(&to) ? talloc_strdup(p, "localhost") : address_text(p, &to);

	p->request = talloc_asprintf(p,
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: baton/" BATON_VERSION
	    "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
	    p->target.path, host);
	if (host == NULL || p->request == NULL)
		return -ENOMEM;
	p->request_len = strlen(p->request);
	p->fd = socket(to.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	/* A full queue of a Unix socket is EAGAIN: nobody takes connections out of it. */
	if (connect(p->fd, &to.sa, to.len) < 0 && errno != EINPROGRESS)
		return -errno;
	/* Who waits for writing only is not told of errors by tevent. */
	p->fde = tevent_add_fd(p->ev, p, p->fd, TEVENT_FD_READ | TEVENT_FD_WRITE, ready, p);
	return p->fde == NULL ? -ENOMEM : 0;
}

struct probe *
probe_start(TALLOC_CTX *mem, struct tevent_context *ev, struct timers *timers,
    const struct probe_target *target, probe_fn *fn, void *data)
{
	struct probe *p = talloc_zero(mem, struct probe);
	int error;

	if (p == NULL)
		return NULL;
	p->ev = ev;
	p->timers = timers;
	p->target = *target;
	p->fn = fn;
	p->data = data;
	p->fd = -1;
	p->look_ms = LOOK_FIRST_MS;
	talloc_set_destructor(p, probe_close);
	error = begin(p);
	if (error < 0) {
		snprintf(p->answer, sizeof(p->answer), "%s",
		    error == -EAGAIN ? "its queue is full" : strerror(-error));
		timer_after(p, timers, 0, failed_at_once, p);
	} else if (target->timeout_ms > 0) {
		limit(p);
	}
	return p;
}
