/* SPDX-License-Identifier: MIT */
/*
 * The last lines of an instance, its stdout and stderr together, in a ring of bytes: a line
 * that comes pushes out as many of the oldest as it needs. It grows as it is used, up to
 * RECENT_MAX_BYTES. Of a line that is too long for it the ring has only the place; those are rare,
 * and few of them are kept. Lines are numbered through the whole supervisor, so that those of
 * several instances can be told in their order.
 */
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/utf8.h"
#include "supervisor/instance/instances.h"

#define RECENT_FIRST_BYTES 4096U

struct recent {
	size_t size, first, used;
	size_t lines; /* how many there are */
	char *bytes;
	size_t long_bytes; /* of long lines; they are counted in *all as well */
	size_t *all;
};

struct head {
	uint64_t number;
	uint32_t len;
	uint32_t err;
	char *text; /* of a long line; NULL: it follows here */
};

/* What an entry takes of the ring. */
static size_t
size_of(const struct head *h)
{
	return sizeof(*h) + (h->text == NULL ? h->len : 0);
}

/* For putting lines of several instances in order. */
struct found {
	uint64_t number;
	const struct instance *inst;
	size_t at; /* counted from the ring's first byte */
};

static void
copy_in(struct recent *r, const void *from, size_t n)
{
	size_t at = (r->first + r->used) % r->size;
	size_t part = n < r->size - at ? n : r->size - at;

	memcpy(r->bytes + at, from, part);
	memcpy(r->bytes, (const char *)from + part, n - part);
	r->used += n;
}

static void
copy_out(const struct recent *r, size_t from, void *to, size_t n)
{
	size_t at = (r->first + from) % r->size;
	size_t part = n < r->size - at ? n : r->size - at;

	memcpy(to, r->bytes + at, part);
	memcpy((char *)to + part, r->bytes, n - part);
}

static bool
grow(struct recent *r)
{
	size_t size = r->size == 0 ? RECENT_FIRST_BYTES : 2 * r->size;
	char *bytes = size > RECENT_MAX_BYTES ? NULL : talloc_size(r, size);

	if (bytes == NULL)
		return false;
	if (r->size > 0)
		copy_out(r, 0, bytes, r->used);
	talloc_free(r->bytes);
	r->bytes = bytes;
	r->size = size;
	r->first = 0;
	return true;
}

static void
give_back(struct recent *r, const struct head *h)
{
	if (h->text == NULL)
		return;
	r->long_bytes -= h->len;
	*r->all -= h->len;
	talloc_free(h->text);
}

static void
forget_oldest(struct recent *r)
{
	struct head h;

	copy_out(r, 0, &h, sizeof(h));
	r->first = (r->first + size_of(&h)) % r->size;
	r->used -= size_of(&h);
	r->lines--;
	give_back(r, &h);
}

/* The text of the line whose head, H, is at AT; as TO has room for the longest. */
static const char *
text_of(const struct recent *r, size_t at, const struct head *h, char *to)
{
	if (h->text != NULL)
		return h->text;
	copy_out(r, at + sizeof(*h), to, h->len);
	return to;
}

static int
recent_end(struct recent *r)
{
	*r->all -= r->long_bytes;
	return 0;
}

static struct recent *
recent_new(struct instance *inst)
{
	struct recent *r = talloc_zero(inst, struct recent);

	if (r == NULL)
		return NULL;
	r->all = &inst->all->recent_long_bytes;
	talloc_set_destructor(r, recent_end);
	return r;
}

/* A copy of a long line, for which those before have made room; NULL: there is none for it. */
static char *
keep_long(struct recent *r, const char *text, size_t len)
{
	char *copy;

	while (r->long_bytes > 0 && r->long_bytes + len > RECENT_LONG_MAX_BYTES)
		forget_oldest(r);
	if (*r->all + len > RECENT_LONG_ALL_MAX_BYTES)
		return NULL;
	copy = talloc_memdup(r, text, len);
	if (copy == NULL)
		return NULL;
	r->long_bytes += len;
	*r->all += len;
	return copy;
}

void
recent_add(struct instance *inst, bool err, const char *text, size_t len)
{
	struct head h = {.number = ++inst->all->lines, .len = (uint32_t)len, .err = err ? 1 : 0};
	struct recent *r = inst->recent;

	if (r == NULL)
		r = inst->recent = recent_new(inst);
	if (r == NULL)
		return;
	if (len > RECENT_SHORT_MAX_BYTES) {
		h.text = keep_long(r, text, len);
		h.len = h.text == NULL ? RECENT_SHORT_MAX_BYTES : h.len;
	}
	while (r->size - r->used < size_of(&h)) {
		if (grow(r))
			continue;
		if (r->used == 0)
			break; /* there is no memory */
		forget_oldest(r);
	}
	if (r->size - r->used < size_of(&h)) {
		give_back(r, &h);
		return;
	}
	copy_in(r, &h, sizeof(h));
	if (h.text == NULL)
		copy_in(r, text, h.len);
	r->lines++;
}

json_t *
recent_line_json(const char *instance, bool err, const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	char *clean;

	if (value == NULL && (clean = malloc(len)) != NULL) {
		/* Not UTF-8, which JSON must be. */
		for (size_t i = 0, n; i < len; i += n) {
			n = utf8_character(text + i, len - i);
			if (n > 0)
				memcpy(clean + i, text + i, n);
			else
				clean[i] = (signed char)text[i] < 0 ? '?' : text[i];
			n = n == 0 ? 1 : n;
		}
		value = json_stringn(clean, len);
		free(clean);
	}
	return json_pack("{s:s s:s s:o}", "instance", instance, "stream", err ? "stderr" : "stdout",
	    "text", value);
}

static int
by_number(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Adds where each of INST's last COUNT lines is to *LIST. */
static void
find_lines(
    const struct instance *inst, size_t count, TALLOC_CTX *mem, struct found **list, size_t *n)
{
	const struct recent *r = inst->recent;
	size_t skip = r != NULL && r->lines > count ? r->lines - count : 0;
	struct head h;

	for (size_t at = 0; r != NULL && at < r->used; at += size_of(&h)) {
		copy_out(r, at, &h, sizeof(h));
		if (skip > 0) {
			skip--;
			continue;
		}
		if (*n == talloc_array_length(*list))
			*list = talloc_realloc(mem, *list, struct found, (unsigned)(2 * *n + 64));
		if (*list == NULL)
			return;
		(*list)[(*n)++] = (struct found){h.number, inst, at};
	}
}

json_t *
recent_list(struct instances *all, const char *name, long count)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **instances;
	size_t ninstances = instances_select(all, name, tmp, &instances), n = 0;
	struct found *list = talloc_array(tmp, struct found, 64);
	char *text = talloc_size(tmp, RECENT_SHORT_MAX_BYTES);
	size_t last = count < RECENT_TOLD_MAX ? (size_t)count : RECENT_TOLD_MAX;
	json_t *lines = json_array();
	struct head h;

	for (size_t i = 0; list != NULL && i < ninstances; i++)
		find_lines(instances[i], last, tmp, &list, &n);
	if (list == NULL || text == NULL)
		n = 0;
	else
		qsort(list, n, sizeof(list[0]), by_number);
	for (size_t i = n > last ? n - last : 0; i < n; i++) {
		const struct recent *r = list[i].inst->recent;

		copy_out(r, list[i].at, &h, sizeof(h));
		json_array_append_new(lines, recent_line_json(list[i].inst->name, h.err != 0,
						 text_of(r, list[i].at, &h, text), h.len));
	}
	talloc_free(tmp);
	return lines;
}
