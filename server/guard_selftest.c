/* SPDX-License-Identifier: MIT */
/*
 * Is the parser one that the guard knows? The guard relies on how libmicrohttpd 0.9.75 leaves
 * the bytes in its buffer and on when it logs. So before serving, requests whose answers are
 * known go through it, on socket pairs: a server that would let one of them in does not start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/internal.h"

#define HOST    "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define ROUNDS  8
#define BYTES(b)                 \
	{                        \
		b, sizeof(b) - 1 \
	}

/* Refused, in whatever way: answered with another status than 200, or not answered. */
#define REFUSED 0
/* Some version refuses what is good. */
#define EITHER  1

/* Sent in two parts where there are two: the second when the first was read. */
static const struct known {
	const char *name;
	int status;
	struct part {
		const char *bytes;
		size_t len;
	} parts[2];
} known[] = {
    {"plain", 200, {BYTES("GET /?a=%20b HTTP/1.1\r\nA: \t b \r\n" HOST "Empty:\r\n\r\n")}},
    {"apart", 200, {BYTES("GET / HTTP/1.1\r\nHos"), BYTES("t: a\r\n\r\n")}},
    {"content", 200, {BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello")}},
    {"chunks", 200, {BYTES(CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\nC: d\r\n\r\n")}},
    {"chunk extension", EITHER, {BYTES(CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n")}},
    {"chunks apart", 200, {BYTES(CHUNKED "5\r\n"), BYTES("hello\r\n0\r\n\r\n")}},
    {"trailer apart", 200, {BYTES(CHUNKED "5\r\nhello\r\n0\r\nA"), BYTES(": b\r\n\r\n")}},
    {"LF after the request line", REFUSED, {BYTES("GET / HTTP/1.1\n" HOST "\r\n")}},
    {"LF after a field", REFUSED, {BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n")}},
    {"LF at the end", REFUSED, {BYTES("GET / HTTP/1.1\r\n" HOST "\n")}},
    {"LF apart", REFUSED, {BYTES("GET / HTTP/1.1\r\nHos"), BYTES("t: a\nA: b\r\n\r\n")}},
    {"folded line", REFUSED, {BYTES("GET / HTTP/1.1\r\nA: b\r\n c\r\n" HOST "\r\n")}},
    {"NUL in the method", REFUSED, {BYTES("GET\0A / HTTP/1.1\r\n" HOST "\r\n")}},
    {"NUL in the target", REFUSED, {BYTES("GET /\0a HTTP/1.1\r\n" HOST "\r\n")}},
    {"NUL in a value", REFUSED, {BYTES("GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n")}},
    {"NUL before a field", REFUSED, {BYTES("GET / HTTP/1.1\r\n" HOST "\0A: b\r\n\r\n")}},
    {"bad length", REFUSED, {BYTES("GET / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n")}},
    {"NUL after a chunk's size", REFUSED, {BYTES(CHUNKED "5;\0a\r\nhello\r\n0\r\n\r\n")}},
    {"LF after a chunk's size", REFUSED, {BYTES(CHUNKED "5;a\nhello\r\n0\r\n\r\n")}},
    {"LF after a chunk", REFUSED, {BYTES(CHUNKED "5\r\nhello\n1\r\n!\r\n0\r\n\r\n")}},
    {"LF in the trailer", REFUSED, {BYTES(CHUNKED "5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n")}},
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

struct selftest {
	struct http_server *server;
	struct listener listener;
	int fds[KNOWN]; /* the client's ends */
	int status[KNOWN];
};

static int
open_one(struct selftest *t, size_t i)
{
	struct http_conn *c;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	t->fds[i] = fds[1];
	c = conn_new(t->server, &t->listener, fds[0]);
	if (c == NULL) {
		close(fds[0]);
		return -ENOMEM;
	}
	c->peer.ss_family = AF_UNIX;
	c->peer_len = sizeof(sa_family_t);
	return parser_add(c);
}

static void
send_part(struct selftest *t, size_t i, int part)
{
	const struct part *p = &known[i].parts[part];

	if (p->len > 0)
		(void)send(t->fds[i], p->bytes, p->len, MSG_NOSIGNAL);
}

/* In the place of handlers: every request that comes through is answered with 200. */
static void
answer_ready(struct http_server *s)
{
	struct http_request *req;

	while ((req = STAILQ_FIRST(&s->ready)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->ready, queued);
		response_init(&req->res, req);
		http_response_empty(&req->res, 200);
		atomic_store(&req->phase, REQUEST_DONE);
		request_unref(req);
	}
}

static void
read_answers(struct selftest *t)
{
	char text[1024];

	for (size_t i = 0; i < KNOWN; i++) {
		ssize_t n = recv(t->fds[i], text, sizeof(text) - 1, 0);

		if (n <= 0 || t->status[i] != 0)
			continue;
		text[n] = '\0';
		if (strncmp(text, "HTTP/1.1 ", 9) == 0)
			t->status[i] = atoi(text + 9);
		if (strstr(text + 1, "HTTP/1.1 ") != NULL) /* one answer within the other */
			t->status[i] = -1;
	}
}

static int
talk(struct selftest *t)
{
	for (size_t i = 0; i < KNOWN; i++) {
		int err = open_one(t, i);

		if (err != 0)
			return err;
		send_part(t, i, 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		parser_run(t->server);
		answer_ready(t->server);
		for (size_t i = 0; round == 1 && i < KNOWN; i++)
			send_part(t, i, 1);
		read_answers(t);
	}
	return 0;
}

static bool
as_known(const struct known *k, int status)
{
	if (k->status == 200)
		return status == 200;
	return status >= 0 && (k->status == EITHER || status != 200);
}

static int
judge(const struct selftest *t, TALLOC_CTX *mem, char **why)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (!as_known(&known[i], t->status[i])) {
			*why = talloc_asprintf(mem,
			    "libmicrohttpd %s does not read requests as the guard against malformed "
			    "ones expects: '%s' came to %d",
			    parser_version(), known[i].name, t->status[i]);
			return -ENOTSUP;
		}
	return 0;
}

static int
test(struct http_server *s, bool lax, char **why)
{
	struct selftest t = {.listener.name = "self-test"};
	int err = -ENOMEM;

	memset(t.fds, -1, sizeof(t.fds));
	t.server = http_server_new(s);
	if (t.server == NULL)
		return err;
	t.server->quiet = true;
	t.server->lax = lax;
	t.server->store = request_store_new(t.server);
	if (t.server->store != NULL && parser_start(t.server) == 0) {
		err = talk(&t);
		parser_stop(t.server);
	}
	for (size_t i = 0; i < KNOWN; i++)
		if (t.fds[i] >= 0)
			close(t.fds[i]);
	talloc_free(t.server);
	return err != 0 ? err : judge(&t, s, why);
}

/* A parser that refuses all by itself, as that of 1.0 does, needs no help. */
int
guard_selftest(struct http_server *s, char **why)
{
	int err = test(s, false, why);

	s->lax = err == -ENOTSUP;
	return s->lax ? test(s, true, why) : err;
}
