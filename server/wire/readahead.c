/* SPDX-License-Identifier: MIT */
/*
 * How many bytes the parser has read ahead: read from a connection and not used yet. Between two
 * requests they are the beginning of the next one, also where the bytes that were used cannot be
 * counted: the framing of chunked content, and empty lines before a request.
 *
 * libmicrohttpd keeps the number in its record of the connection and does not tell it. Where in
 * the record it is, is found by experiment before serving: it is the one place that has the
 * right value after each of several parts of a request. Where there is no such place, or more
 * than one, nobody knows what is read ahead, and connections that have sent framing or empty lines
 * are not given away.
 *
 * Beside the number it keeps where these bytes begin, which is the end of what it has used: found
 * alike, by requests whose ends in its buffer are known. A parser that takes a lone LF for the end
 * of a trailer, where no byte after it need have come yet, is seen through by nothing else.
 */
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/wire/probe.h"

/* It has no end of a line, nor of a word, so the parser uses none of it. */
#define PART      "the-beginning-of-a-request-that-is-never-finished-and-certainly-not-short"
#define PARTS     6
#define RUNS      2
#define RECORD_AT 4096 /* bytes of the record that are looked at, at the most */

struct candidates {
	size_t at[RECORD_AT / sizeof(size_t)]; /* in words, from 1 */
	size_t n;
};

/* Keeps those words of the record, of all or of those left, that have this value. */
static void
narrow(struct candidates *left, const struct wire_conn *c, bool first, size_t value)
{
	size_t words = malloc_usable_size(c->mhd) / sizeof(size_t), n = 0;

	if (words > RECORD_AT / sizeof(size_t))
		words = RECORD_AT / sizeof(size_t);
	for (size_t i = 0; i < (first ? words : left->n); i++) {
		size_t at = first ? i : left->at[i];

		if (wire_conn_word(c, at) == value)
			left->at[n++] = at;
	}
	left->n = n;
}

/* Parts of different lengths; at the end the client leaves. The last one ends with CR, which is
 * read, but which a parser that looked at each byte (1.0) has not gone past. */
static void
experiment(struct wire *w, struct wire_conn *c, int client, struct candidates *left)
{
	size_t sent = 0;

	left->n = 0;
	for (size_t part = 0; part < PARTS; part++) {
		size_t len = part < PARTS - 1 ? sizeof(PART) - 1 - 7 * part : 1;

		if (send(client, len == 1 ? "\r" : PART, len, MSG_NOSIGNAL) != (ssize_t)len) {
			left->n = 0;
			return;
		}
		sent += len;
		for (int run = 0; run < RUNS; run++)
			parser_run(w);
		narrow(left, c, part == 0, sent);
	}
}

void
readahead_learn(struct wire *w)
{
	struct candidates left = {.n = 0};
	struct probe p;
	int client = -1;

	w->traits.readahead_at = 0;
	if (probe_open(&p, w) == 0) {
		struct wire_conn *c = probe_connect(&p, &client);

		if (c != NULL)
			experiment(&p.wire, c, client, &left);
	}
	if (client >= 0)
		close(client);
	probe_close(&p);
	if (left.n == 1)
		w->traits.readahead_at = left.at[0];
}

/* ---- Where it begins ---------------------------------------------------------------------------- */

#define HEAD    " HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "POST /" HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"

/* Whole requests, and how far behind req->buffer they end. */
static const struct {
	const char *bytes;
	size_t end;
} whole[] = {
    {"GET /" HEAD "\r\n", 0},
    {"GET /of-another-length" HEAD "A: b\r\n\r\n", 0},
    {CHUNKED "\r\n", 2},
    {CHUNKED "A: b\r\n\r\n", 8},
    {CHUNKED "A: b\r\nC: d\r\n\r\n", 14},
};

#define WHOLE (sizeof(whole) / sizeof(whole[0]))

struct begins {
	struct candidates left;
	size_t tried;
};

/* A request is complete, and not answered yet. */
static void
look_where(void *data, const struct http_request *req)
{
	struct begins *b = data;

	if (b->tried < WHOLE && req->buffer != NULL)
		narrow(&b->left, req->conn, b->tried == 0,
		    (size_t)(uintptr_t)(req->buffer + whole[b->tried].end));
	b->tried++;
}

void
readahead_learn_where(struct wire *w)
{
	struct begins b = {.tried = 0};
	struct probe p;

	w->traits.readahead_begins_at = 0;
	b.left.n = 0;
	if (probe_open(&p, w) == 0) {
		p.seen = look_where;
		p.data = &b;
		for (size_t i = 0; i < WHOLE && b.tried == i; i++) {
			size_t len = strlen(whole[i].bytes);
			int client = -1;

			if (probe_connect(&p, &client) != NULL &&
			    send(client, whole[i].bytes, len, MSG_NOSIGNAL) == (ssize_t)len)
				for (int run = 0; run < RUNS; run++)
					probe_turn(&p);
			if (client >= 0)
				close(client);
		}
	}
	probe_close(&p);
	if (b.tried == WHOLE && b.left.n == 1)
		w->traits.readahead_begins_at = b.left.at[0];
}
