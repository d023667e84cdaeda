/* SPDX-License-Identifier: MIT */
/*
 * Does the parser, with the guard, refuse what is malformed? Versions of libmicrohttpd differ in
 * what they refuse by themselves; where one does not, the guard looks at how the bytes lie in its
 * buffer (guard_bytes.c). So before serving, requests that are known go through it, on socket
 * pairs. Where something malformed gets in all the same, two servers in a row could see two
 * different requests in it, and only an end of the connection makes that harmless.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/wire/guard.h"
#include "server/wire/probe.h"

#define HOST    "Host: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define ROUNDS  8
#define BYTES(b)                 \
	{                        \
		b, sizeof(b) - 1 \
	}

enum expected {
	TAKEN,   /* answered with 200 */
	REFUSED, /* answered with another status, or closed */
	EITHER   /* good, but some version refuses it */
};

/* Sent in two parts where there are two: the second when the first was read. */
static const struct known {
	const char *name;
	enum expected expected;
	struct part {
		const char *bytes;
		size_t len;
	} parts[2];
} known[] = {
    {"plain", TAKEN, {BYTES("GET /?a=%20b HTTP/1.1\r\nA: \t b \r\n" HOST "Empty:\r\n\r\n")}},
    {"apart", TAKEN, {BYTES("GET / HTTP/1.1\r\nHos"), BYTES("t: a\r\n\r\n")}},
    {"content", TAKEN, {BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello")}},
    {"chunks", TAKEN, {BYTES(CHUNKED "5\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\nC: d\r\n\r\n")}},
    {"chunk extension", EITHER, {BYTES(CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n")}},
    {"chunks apart", TAKEN, {BYTES(CHUNKED "5\r\n"), BYTES("hello\r\n0\r\n\r\n")}},
    {"trailer apart", TAKEN, {BYTES(CHUNKED "5\r\nhello\r\n0\r\nA"), BYTES(": b\r\n\r\n")}},
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
	struct probe probe;
	int fds[KNOWN]; /* the client's ends */
	int status[KNOWN];
};

/* The first known request that came to something else than expected. */
struct verdict {
	const char *refused; /* although it is good */
	const char *let_in;  /* although it is malformed, or answered twice at once */
};

static void
send_part(struct selftest *t, size_t i, int part)
{
	const struct part *p = &known[i].parts[part];

	if (p->len > 0)
		(void)send(t->fds[i], p->bytes, p->len, MSG_NOSIGNAL);
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
			t->status[i] = 200;
	}
}

static int
talk(struct selftest *t)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (probe_connect(&t->probe, &t->fds[i]) == NULL)
			return -ENOMEM;
	for (size_t i = 0; i < KNOWN; i++)
		send_part(t, i, 0);
	for (int round = 0; round < ROUNDS; round++) {
		probe_turn(&t->probe);
		for (size_t i = 0; round == 1 && i < KNOWN; i++)
			send_part(t, i, 1);
		read_answers(t);
	}
	return 0;
}

static struct verdict
judge(const struct selftest *t)
{
	struct verdict v = {NULL, NULL};

	for (size_t i = KNOWN; i-- > 0;) {
		if (known[i].expected == TAKEN && t->status[i] != 200)
			v.refused = known[i].name;
		if (known[i].expected == REFUSED && t->status[i] == 200)
			v.let_in = known[i].name;
	}
	return v;
}

static int
test(struct wire *w, bool lenient, struct verdict *v)
{
	struct selftest t;
	int err;

	memset(&t, 0, sizeof(t));
	memset(t.fds, -1, sizeof(t.fds));
	w->traits.lenient = lenient;
	err = probe_open(&t.probe, w);
	if (err == 0)
		err = talk(&t);
	for (size_t i = 0; i < KNOWN; i++)
		if (t.fds[i] >= 0)
			close(t.fds[i]);
	probe_close(&t.probe);
	*v = judge(&t);
	return err;
}

int
guard_selftest(struct wire *w, const char **what)
{
	struct verdict alone, helped;
	int err = test(w, false, &alone);

	helped = alone;
	if (err == 0 && alone.let_in != NULL)
		err = test(w, true, &helped);
	/* Bytes that lie otherwise than guard_bytes.c knows make everything malformed to it. */
	if (w->traits.lenient && helped.refused != NULL && alone.refused == NULL) {
		w->traits.lenient = false;
		helped = alone;
	}
	w->traits.sure = helped.let_in == NULL;
	*what = helped.let_in != NULL ? helped.let_in : helped.refused;
	return err;
}
