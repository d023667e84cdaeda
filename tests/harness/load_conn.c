/* SPDX-License-Identifier: MIT */
/*
 * One client of a load: pause, connect, send, read, and again. A keep-alive client does not
 * look at its connection while it pauses: what the server does to it meanwhile shows when the
 * next request is sent, as with any client whose request is already on its way.
 */
#include "tests/harness/answer.h"
#include "tests/harness/load_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REFUSED_PAUSE_MS = 20 };

void
conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

uint32_t
conn_events(const struct conn *c)
{
	return c->state == CONN_PAUSE ? 0 : c->state == CONN_READ ? EPOLLIN : EPOLLOUT;
}

static void
enter(struct conn *c, enum conn_state state, int64_t ms)
{
	c->state = state;
	c->until_ms = harness_now_ms() + ms;
}

static void
refused(struct conn *c, int error)
{
	char why[80];

	snprintf(why, sizeof(why), "connect: %s", strerror(error));
	load_count(c->load, &c->load->result.refused, c, why);
	conn_close(c);
	enter(c, CONN_PAUSE, REFUSED_PAUSE_MS);
}

static void
failed(struct conn *c, const char *what)
{
	char why[160];

	snprintf(why, sizeof(why), "%s, after %zu of %zu bytes sent and %zu received", what,
	    c->out_done, c->out_len, c->in_len);
	load_count(c->load, &c->load->result.failed, c, why);
	conn_close(c);
	enter(c, CONN_PAUSE, c->load->spec.gap_ms);
}

static char *
room(char *old, size_t size)
{
	char *p = realloc(old, size);

	if (p == NULL)
		abort();
	return p;
}

/* A body that no other request of this load has. */
static void
make_post(struct conn *c)
{
	const struct load_spec *s = &c->load->spec;
	const uint64_t seed = c->requests * 1000 + (uint64_t)c->number;
	size_t at;

	c->body_len = s->post_bytes + seed % 7;
	c->body = room(c->body, c->body_len + 1);
	for (size_t i = 0; i < c->body_len; i++)
		c->body[i] = (char)('a' + (seed * 31 + i * 7 + i / 26) % 26);
	c->out = room(c->out, c->body_len + strlen(s->post) + 256);
	at = (size_t)sprintf(c->out, "POST %s HTTP/1.1\r\nHost: load\r\n%s", s->post,
	    c->oneshot ? "Connection: close\r\n" : "");
	if (s->chunked)
		at += (size_t)sprintf(
		    c->out + at, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", c->body_len);
	else
		at += (size_t)sprintf(c->out + at, "Content-Length: %zu\r\n\r\n", c->body_len);
	memcpy(c->out + at, c->body, c->body_len);
	at += c->body_len;
	if (s->chunked)
		at += (size_t)sprintf(c->out + at, "\r\n0\r\n\r\n");
	c->out_len = at;
}

static void
make_get(struct conn *c)
{
	const struct load_spec *s = &c->load->spec;

	c->body_len = strlen(s->expect);
	c->body = room(c->body, c->body_len + 1);
	memcpy(c->body, s->expect, c->body_len + 1);
	c->out = room(c->out, strlen(s->get) + 256);
	c->out_len = (size_t)sprintf(c->out, "GET %s HTTP/1.1\r\nHost: load\r\n%s\r\n", s->get,
	    c->oneshot ? "Connection: close\r\n" : "");
}

static void
send_some(struct conn *c)
{
	while (c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			failed(c, strerror(errno));
			return;
		}
		c->out_done += (size_t)n;
	}
	c->state = CONN_READ;
}

static void
begin_request(struct conn *c)
{
	c->requests++;
	c->posting = c->load->spec.post_bytes > 0 && (c->requests + (uint64_t)c->number) % 2 == 0;
	if (c->posting)
		make_post(c);
	else
		make_get(c);
	c->out_done = c->in_len = 0;
	enter(c, CONN_SEND, PATIENCE_MS);
	send_some(c);
}

static void
begin_connect(struct conn *c)
{
	const struct sockaddr_in to = {
	    .sin_family = AF_INET,
	    .sin_port = htons(c->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		refused(c, errno);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	enter(c, CONN_CONNECT, PATIENCE_MS);
	if (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		refused(c, errno);
}

static void
finish_connect(struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		refused(c, error);
		return;
	}
	if (c->had_one && !c->oneshot)
		load_count(c->load, &c->load->result.reopened, c, NULL);
	c->had_one = true;
	begin_request(c);
}

static void
judge(struct conn *c, const struct answer *a)
{
	struct load_result *r = &c->load->result;
	char why[64];

	if (a->status != 200) {
		snprintf(why, sizeof(why), "status %d", a->status);
		load_count(c->load, &r->other, c, why);
	} else if (!answer_body_is(a, c->in, c->body, c->body_len)) {
		load_count(c->load, &r->wrong, c, "another body than expected");
	} else if (a->used != c->in_len) {
		load_count(c->load, &r->wrong, c, "bytes after the answer's end");
	} else {
		load_count(c->load, &r->ok, c, NULL);
	}
	if (a->close || c->oneshot)
		conn_close(c);
	enter(c, CONN_PAUSE, c->load->spec.gap_ms);
}

static void
read_some(struct conn *c)
{
	struct answer a;
	ssize_t n;

	if (c->in_size - c->in_len < 16384) {
		c->in_size = c->in_size * 2 + 32768;
		c->in = room(c->in, c->in_size);
	}
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN)
			failed(c, strerror(errno));
		return;
	}
	c->in_len += (size_t)n;
	switch (answer_parse(&a, c->in, c->in_len, false, n == 0)) {
	case ANSWER_COMPLETE:
		judge(c, &a);
		break;
	case ANSWER_PARTIAL:
		break;
	case ANSWER_EOF:
		failed(c, "the connection ended");
		break;
	default:
		failed(c, a.why);
	}
}

void
conn_step(struct conn *c, bool ready)
{
	if (!ready && c->state != CONN_PAUSE) {
		if (c->state == CONN_CONNECT)
			refused(c, ETIMEDOUT);
		else
			failed(c, "the deadline passed");
		return;
	}
	switch (c->state) {
	case CONN_PAUSE:
		if (c->fd < 0)
			begin_connect(c);
		else
			begin_request(c);
		break;
	case CONN_CONNECT:
		finish_connect(c);
		break;
	case CONN_SEND:
		send_some(c);
		break;
	case CONN_READ:
		read_some(c);
		break;
	}
}
