/* SPDX-License-Identifier: MIT */
/* Parsing HTTP/1.1 answers (see answer.h; RFC 9112). */
#include "tests/harness/answer.h"

#include "tests/harness/harness.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum answer_state
broken(struct answer *a, const char *why)
{
	a->why = why;
	return a->state = ANSWER_BROKEN;
}

static enum answer_state
partial(struct answer *a, bool eof)
{
	return a->state = eof ? ANSWER_EOF : ANSWER_PARTIAL;
}

/* The next field of the head with that name after *at; false at the end. */
static bool
next_field(const char *head, size_t len, const char *name, size_t *at, const char **value,
    size_t *value_len)
{
	const size_t name_len = strlen(name);

	while (*at < len) {
		const char *line = head + *at;
		const char *end = memmem(line, len - *at, "\r\n", 2);
		size_t n;

		if (end == NULL)
			return false;
		n = (size_t)(end - line);
		*at += n + 2;
		if (n <= name_len || line[name_len] != ':' ||
		    strncasecmp(line, name, name_len) != 0)
			continue;
		*value = line + name_len + 1;
		for (n -= name_len + 1; n > 0 && (**value == ' ' || **value == '\t'); n--)
			++*value;
		while (n > 0 && ((*value)[n - 1] == ' ' || (*value)[n - 1] == '\t'))
			n--;
		*value_len = n;
		return true;
	}
	return false;
}

/* Whether a comma-separated field holds that token. */
static bool
has_token(const char *head, size_t len, const char *name, const char *token)
{
	const char *value;
	size_t n, at = 0;

	while (next_field(head, len, name, &at, &value, &n))
		for (size_t i = 0; i < n;) {
			size_t end = i;

			while (end < n && value[end] != ',')
				end++;
			while (i < end && value[i] == ' ')
				i++;
			if (end - i == strlen(token) && strncasecmp(value + i, token, end - i) == 0)
				return true;
			i = end + 1;
		}
	return false;
}

/* One chunk-size line at `at`: its value, or -1 for broken, or -2 for not there yet. */
static long
chunk_size(const char *data, size_t len, size_t at, size_t *next)
{
	const char *end = memmem(data + at, len - at, "\r\n", 2);
	char *stop;
	long size;

	if (end == NULL)
		return len - at > 64 ? -1 : -2;
	size = strtol(data + at, &stop, 16);
	if (stop == data + at || size < 0 || (stop != end && *stop != ';'))
		return -1;
	*next = (size_t)(end - data) + 2;
	return size;
}

/* Goes over the chunks; `out`, if not NULL, takes the decoded body. */
static enum answer_state
walk_chunks(struct answer *a, const char *data, size_t len, bool eof, char *out)
{
	size_t at = a->head_len;

	a->body_len = 0;
	for (;;) {
		long size = chunk_size(data, len, at, &at);

		if (size == -1)
			return broken(a, "a bad chunk size");
		if (size == -2)
			return partial(a, eof);
		if (size == 0)
			break;
		if (len - at < (size_t)size + 2)
			return partial(a, eof);
		if (out != NULL)
			memcpy(out + a->body_len, data + at, (size_t)size);
		a->body_len += (size_t)size;
		at += (size_t)size;
		if (memcmp(data + at, "\r\n", 2) != 0)
			return broken(a, "no line end after a chunk");
		at += 2;
	}
	/* the trailer section: lines up to an empty one */
	for (;;) {
		const char *end = memmem(data + at, len - at, "\r\n", 2);
		const size_t start = at;

		if (end == NULL)
			return partial(a, eof);
		at = (size_t)(end - data) + 2;
		if (at == start + 2)
			break;
	}
	a->used = at;
	return a->state = ANSWER_COMPLETE;
}

static enum answer_state
parse_body(struct answer *a, const char *data, size_t len, bool head_request, bool eof)
{
	const char *value;
	size_t n, at = 0;

	a->used = a->head_len;
	if (head_request || a->status < 200 || a->status == 204 || a->status == 304)
		return a->state = ANSWER_COMPLETE;
	if (has_token(data, a->head_len, "Transfer-Encoding", "chunked")) {
		a->chunked = true;
		return walk_chunks(a, data, len, eof, NULL);
	}
	if (next_field(data, a->head_len, "Content-Length", &at, &value, &n)) {
		if (n == 0 || n > 18 || strspn(value, "0123456789") != n)
			return broken(a, "a bad Content-Length");
		a->body_len = strtoul(value, NULL, 10);
		if (len - a->head_len < a->body_len)
			return partial(a, eof);
		a->used = a->head_len + a->body_len;
		return a->state = ANSWER_COMPLETE;
	}
	if (!a->close)
		return broken(a, "a body without a length on a connection that stays open");
	a->body_len = len - a->head_len;
	a->used = len;
	return a->state = eof ? ANSWER_COMPLETE : ANSWER_PARTIAL;
}

enum answer_state
answer_parse(struct answer *a, const char *data, size_t len, bool head_request, bool eof)
{
	static const char version[] = "HTTP/1.";
	const char *end;

	memset(a, 0, sizeof(*a));
	if (memcmp(data, version, len < 7 ? len : 7) != 0)
		return broken(a, "no HTTP/1.x status line");
	end = memmem(data, len, "\r\n\r\n", 4);
	if (end == NULL)
		return partial(a, eof);
	a->head_len = (size_t)(end - data) + 4;
	if (a->head_len < 16 || (data[7] != '0' && data[7] != '1') || data[8] != ' ' ||
	    strspn(data + 9, "0123456789") != 3 || data[9] == '0')
		return broken(a, "a bad status line");
	a->minor = data[7] - '0';
	a->status = atoi(data + 9);
	a->close = has_token(data, a->head_len, "Connection", "close") ||
		   (a->minor == 0 && !has_token(data, a->head_len, "Connection", "keep-alive"));
	return parse_body(a, data, len, head_request, eof);
}

bool
answer_body_is(const struct answer *a, const char *data, const char *body, size_t len)
{
	struct answer copy = *a;
	char *decoded;
	bool same;

	if (a->body_len != len)
		return false;
	if (!a->chunked)
		return memcmp(data + a->head_len, body, len) == 0;
	decoded = malloc(len + 1);
	if (decoded == NULL)
		abort();
	walk_chunks(&copy, data, a->used, true, decoded);
	same = memcmp(decoded, body, len) == 0;
	free(decoded);
	return same;
}

void
answer_copy(struct answer *a, const void *mem, const char *data)
{
	char *body = talloc_zero_array(mem, char, a->body_len + 1);
	struct answer copy = *a;

	a->head = talloc_strndup(mem, data, a->head_len);
	if (a->chunked)
		walk_chunks(&copy, data, a->used, true, body);
	else if (a->used > a->head_len)
		memcpy(body, data + a->head_len, a->body_len);
	else
		a->body_len = 0;
	a->body = body;
}

const char *
answer_field(const struct answer *a, const char *name)
{
	const char *value;
	size_t n, at = 0;

	if (a->head == NULL || !next_field(a->head, a->head_len, name, &at, &value, &n))
		return NULL;
	return talloc_strndup(harness_mem(), value, n);
}

const char *
answer_state_text(enum answer_state state)
{
	static const char *const text[] = {"complete", "incomplete", "broken", "end of connection",
	    "connection reset", "too late"};

	return text[state];
}
