/* SPDX-License-Identifier: MIT */
/* Bytes → lines, and the ring that keeps the last of them. */
#include "supervisor/base/lines.h"

#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/base/utf8.h"

/* What each has at least, and what it gives back when a longer line has gone out. */
#define FEW_BYTES 4096U

struct lines {
	lines_fn *fn;
	void *data;
	size_t max, size, used;
	char *buf; /* size bytes; the part of the current line that was not given out yet */
};

struct tail {
	unsigned size, first, used;
	size_t line_max;
	char *text; /* size * (line_max + 1) bytes */
};

struct lines *
lines_new(TALLOC_CTX *mem, size_t max, lines_fn *fn, void *data)
{
	struct lines *l = talloc(mem, struct lines);

	if (l == NULL)
		return NULL;
	*l = (struct lines){.fn = fn, .data = data, .max = max};
	l->size = max < FEW_BYTES ? max : FEW_BYTES;
	l->buf = talloc_size(l, l->size);
	if (l->buf == NULL)
		TALLOC_FREE(l);
	return l;
}

/* Room for so much, as far as there may be and there is memory: most lines are short. */
static void
make_room(struct lines *l, size_t wanted)
{
	size_t size = l->size;
	char *buf;

	while (size < wanted && size < l->max)
		size = 2 * size < l->max ? 2 * size : l->max;
	buf = size == l->size ? NULL : talloc_realloc_size(l, l->buf, size);
	if (buf == NULL)
		return;
	l->buf = buf;
	l->size = size;
}

static void
give_out(struct lines *l, bool cut)
{
	size_t few = l->max < FEW_BYTES ? l->max : FEW_BYTES;
	char *buf;

	l->fn(l->buf, l->used, cut, l->data);
	l->used = 0;
	if (cut || l->size == few)
		return;
	buf = talloc_realloc_size(l, l->buf, few);
	l->buf = buf == NULL ? l->buf : buf;
	l->size = buf == NULL ? l->size : few;
}

void
lines_feed(struct lines *l, const char *bytes, size_t n)
{
	while (n > 0) {
		const char *end = memchr(bytes, '\n', n);
		size_t part = end == NULL ? n : (size_t)(end - bytes);

		make_room(l, l->used + part);
		if (l->used + part > l->size) {
			/* Give out a full buffer; at least one byte of the line still follows. */
			size_t fits = l->size - l->used;

			memcpy(l->buf + l->used, bytes, fits);
			l->used = l->size;
			give_out(l, true);
			bytes += fits;
			n -= fits;
			continue;
		}
		memcpy(l->buf + l->used, bytes, part);
		l->used += part;
		if (end == NULL)
			return;
		give_out(l, false);
		bytes += part + 1;
		n -= part + 1;
	}
}

void
lines_flush(struct lines *l)
{
	if (l->used > 0)
		give_out(l, false);
}

struct tail *
tail_new(TALLOC_CTX *mem, unsigned count, size_t line_max)
{
	struct tail *t = talloc(mem, struct tail);

	if (t == NULL)
		return NULL;
	*t = (struct tail){.size = count, .line_max = line_max};
	t->text = talloc_zero_size(t, count * (line_max + 1));
	if (t->text == NULL)
		TALLOC_FREE(t);
	return t;
}

void
tail_add(struct tail *t, const char *line, size_t len)
{
	unsigned slot = (t->first + t->used) % t->size;
	char *to = t->text + slot * (t->line_max + 1);
	size_t used = 0;

	if (t->used < t->size)
		t->used++;
	else
		t->first = (t->first + 1) % t->size;
	while (len > 0) {
		size_t n = utf8_character(line, len);
		size_t take = n == 0 ? 1 : n;

		if (used + take > t->line_max)
			break;
		if (n == 0)
			to[used] = *line == '\t' ? ' ' : '?';
		else
			memcpy(to + used, line, n);
		used += take;
		line += take;
		len -= take;
	}
	to[used] = '\0';
}

unsigned
tail_count(const struct tail *t)
{
	return t->used;
}

const char *
tail_line(const struct tail *t, unsigned i)
{
	return t->text + (t->first + i) % t->size * (t->line_max + 1);
}

void
lines_state(struct state *s, const char *name, struct lines *l)
{
	if (!state_saving(s) && state_has(s, name))
		make_room(l, l->max);
	l->used = state_bytes(s, name, l->buf, l->used, l->size);
}

void
tail_state(struct state *s, const char *name, struct tail *t)
{
	unsigned n = state_array(s, name, t->used);

	for (unsigned i = 0; i < n && state_ok(s); i++) {
		bool saving = state_saving(s);
		char *line =
		    state_text_element(s, name, i, NULL, saving ? (char *)tail_line(t, i) : NULL);

		if (!saving && line != NULL)
			tail_add(t, line, strlen(line));
		if (!saving)
			talloc_free(line);
	}
}
