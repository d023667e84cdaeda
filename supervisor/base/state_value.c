/* SPDX-License-Identifier: MIT */
/* Values of the document, both ways: numbers, texts of any bytes, descriptors, and the plain
 * fields of a struct by a table of them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/state_internal.h"
#include "supervisor/base/timer.h"

static json_t *
hex_of_bytes(const char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = talloc_array(NULL, char, 2 * len + 1);
	json_t *json;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[(unsigned char)bytes[i] >> 4];
		text[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
	}
	text[2 * len] = '\0';
	json = json_pack("{s:s}", "hex", text);
	talloc_free(text);
	return json;
}

/* What programs write, and names of files, need not be UTF-8; JSON is. */
static json_t *
json_of_bytes(const char *bytes, size_t len)
{
	json_t *json = memchr(bytes, '\0', len) != NULL ? NULL : json_stringn(bytes, len);

	return json != NULL ? json : hex_of_bytes(bytes, len);
}

/* Of one that is known to be 0 to 9, or a to f. */
static unsigned
digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool
is_hex(const char *text)
{
	size_t n = strlen(text);

	return n % 2 == 0 && strspn(text, "0123456789abcdef") == n;
}

static char *
bytes_of_hex(TALLOC_CTX *mem, const char *hex, size_t *len)
{
	size_t n = strlen(hex);
	char *bytes = talloc_array(mem, char, n / 2 + 1);

	if (bytes == NULL)
		return NULL;
	for (size_t i = 0; i < n / 2; i++)
		bytes[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	bytes[n / 2] = '\0';
	*len = n / 2;
	return bytes;
}

static char *
bytes_of_json(
    const struct state *s, const char *name, const json_t *json, TALLOC_CTX *mem, size_t *len)
{
	const char *text = json_string_value(json);
	const char *hex = json_string_value(json_object_get(json, "hex"));
	char *bytes = NULL;

	if (text != NULL) {
		*len = json_string_length(json);
		bytes = talloc_strndup(mem, text, *len);
	} else if (hex != NULL && is_hex(hex)) {
		bytes = bytes_of_hex(mem, hex, len);
	} else {
		state_fail(s, name, "expected a text");
	}
	if (bytes == NULL)
		state_fail(s, name, "there is no memory");
	return bytes;
}

void
state_text(struct state *s, const char *name, TALLOC_CTX *mem, char **text)
{
	const json_t *found;
	char *copy;
	size_t len;

	if (state_saving(s)) {
		if (*text != NULL)
			state_put(s, name, json_of_bytes(*text, strlen(*text)));
		return;
	}
	found = state_get(s, name);
	if (found == NULL)
		return;
	copy = bytes_of_json(s, name, found, mem, &len);
	if (copy != NULL)
		*text = copy;
}

char *
state_text_element(struct state *s, const char *name, unsigned i, TALLOC_CTX *mem, char *text)
{
	size_t len;

	if (state_saving(s)) {
		state_append(s, name, json_of_bytes(text, strlen(text)));
		return text;
	}
	text = bytes_of_json(s, name, json_array_get(state_get(s, name), i), mem, &len);
	if (text == NULL)
		state_fail(s, name, "expected texts in it");
	return text;
}

char **
state_texts(struct state *s, const char *name, TALLOC_CTX *mem, char **list, size_t n, size_t more)
{
	const unsigned count = state_array(s, name, n);

	if (!state_saving(s) && count > 0) {
		list = talloc_zero_array(mem, char *, count + more);
		if (list == NULL)
			state_fail(s, name, "there is no memory");
	}
	for (unsigned i = 0; i < count && state_ok(s); i++)
		list[i] = state_text_element(s, name, i, list, list[i]);
	return list;
}

void *
state_list(struct state *s, const char *name, void *owner, void *list, size_t *n, size_t size,
    state_element_fn *one)
{
	const unsigned count = state_array(s, name, *n);

	if (!state_saving(s)) {
		list = count == 0 ? NULL : talloc_zero_size(owner, count * size);
		*n = list == NULL ? 0 : count;
		if (list == NULL && count > 0)
			state_fail(s, name, "there is no memory");
	}
	for (unsigned i = 0; i < *n && state_ok(s); i++) {
		struct state sub = state_element(s, name, i);

		one(&sub, owner, (char *)list + i * size);
	}
	return list;
}

void
state_number(struct state *s, const char *name, int64_t *value)
{
	const json_t *found;

	if (state_saving(s)) {
		state_put(s, name, json_integer(*value));
		return;
	}
	found = state_get(s, name);
	if (found == NULL)
		return;
	if (!json_is_integer(found))
		state_fail(s, name, "expected a number");
	else
		*value = json_integer_value(found);
}

static int64_t
load_field(const void *at, const struct state_field *f)
{
	switch (f->size) {
	case 1:
		return f->kind == STATE_SIGNED ? *(const int8_t *)at : *(const uint8_t *)at;
	case 2:
		return f->kind == STATE_SIGNED ? *(const int16_t *)at : *(const uint16_t *)at;
	case 4:
		return f->kind == STATE_SIGNED ? (int64_t) * (const int32_t *)at
					       : (int64_t) * (const uint32_t *)at;
	default:
		return *(const int64_t *)at;
	}
}

static void
store_field(void *at, const struct state_field *f, int64_t value)
{
	switch (f->size) {
	case 1:
		*(int8_t *)at = (int8_t)value;
		break;
	case 2:
		*(int16_t *)at = (int16_t)value;
		break;
	case 4:
		*(int32_t *)at = (int32_t)value;
		break;
	default:
		*(int64_t *)at = value;
	}
}

static void
number_field(struct state *s, void *at, const struct state_field *f)
{
	const unsigned bits = 8 * (unsigned)f->size - (f->kind == STATE_SIGNED);
	const int64_t max = bits >= 63 ? INT64_MAX : (INT64_C(1) << bits) - 1;
	const int64_t min = f->kind == STATE_SIGNED ? -max - 1 : 0;
	int64_t value = load_field(at, f);

	state_number(s, f->name, &value);
	if (state_saving(s) || !state_ok(s))
		return;
	/* Of 64 bits each value is good, whatever its sign: inode numbers use all of them. */
	if (f->size < 8 && (value < min || value > max))
		state_fail(s, f->name, "the number %lld does not fit", (long long)value);
	else
		store_field(at, f, value);
}

static void
flag_field(struct state *s, bool *at, const char *name)
{
	const json_t *value;

	if (state_saving(s)) {
		state_put(s, name, json_boolean(*at));
		return;
	}
	value = state_get(s, name);
	if (value == NULL)
		return;
	if (!json_is_boolean(value))
		state_fail(s, name, "expected true or false");
	else
		*at = json_is_true(value);
}

static void
one_field(struct state *s, void *owner, void *at, const struct state_field *f)
{
	switch (f->kind) {
	case STATE_SIGNED:
	case STATE_UNSIGNED:
		number_field(s, at, f);
		break;
	case STATE_BOOL:
		flag_field(s, at, f->name);
		break;
	case STATE_TEXT:
		state_text(s, f->name, owner, at);
		if (f->needed && state_ok(s) && *(char **)at == NULL)
			state_fail(s, f->name, "is missing");
		break;
	case STATE_FILE:
		state_fd(s, f->name, at);
		if (f->needed && state_ok(s) && *(int *)at < 0)
			state_fail(s, f->name, "is missing");
		break;
	}
}

void
state_fields(
    struct state *s, void *owner, void *object, const struct state_field *fields, size_t nfields)
{
	for (size_t i = 0; i < nfields; i++)
		one_field(s, owner, (char *)object + fields[i].offset, &fields[i]);
}

size_t
state_bytes(struct state *s, const char *name, void *buf, size_t used, size_t max)
{
	const json_t *found;
	size_t len = 0;
	char *copy;

	if (state_saving(s)) {
		if (used > 0)
			state_put(s, name, json_of_bytes(buf, used));
		return used;
	}
	found = state_get(s, name);
	if (found == NULL)
		return used;
	copy = bytes_of_json(s, name, found, NULL, &len);
	if (copy != NULL && len > max)
		state_fail(s, name, "expected at most %zu bytes, found %zu", max, len);
	if (copy != NULL && state_ok(s))
		memcpy(buf, copy, len);
	talloc_free(copy);
	return state_ok(s) ? len : used;
}

void
state_numbers(struct state *s, const char *name, int64_t *values, size_t n)
{
	json_t *array = state_saving(s) ? json_array() : state_get(s, name);

	for (size_t i = 0; state_saving(s) && array != NULL && i < n; i++)
		json_array_append_new(array, json_integer(values[i]));
	if (state_saving(s)) {
		state_put(s, name, json_array_size(array) == n ? json_incref(array) : NULL);
		json_decref(array);
		return;
	}
	if (array == NULL)
		return;
	if (json_array_size(array) != n)
		state_fail(s, name, "expected %zu numbers", n);
	for (size_t i = 0; i < n && state_ok(s); i++)
		values[i] = json_integer_value(json_array_get(array, i));
}

int64_t
state_timer(struct state *s, const char *name, const struct timer *t)
{
	int64_t due = state_saving(s) && t != NULL ? timer_due_ms(t) : -1;

	if (due >= 0 || !state_saving(s))
		state_number(s, name, &due);
	return due;
}

void
state_json(struct state *s, const char *name, json_t **value)
{
	if (!state_saving(s))
		*value = json_incref(state_get(s, name));
	else if (*value != NULL)
		state_put(s, name, json_incref(*value));
}

static bool
remember(struct state_doc *doc, int fd)
{
	size_t n = talloc_array_length(doc->fds);
	int *grown = talloc_realloc(doc, doc->fds, int, (unsigned)n + 1);

	if (grown == NULL)
		return false;
	doc->fds = grown;
	doc->fds[n] = fd;
	return true;
}

const int *
state_descriptors(const struct state_doc *doc, size_t *n)
{
	*n = talloc_array_length(doc->fds);
	return doc->fds;
}

static void
save_fd(struct state *s, const char *name, int fd)
{
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0)
		state_fail(s, name, "descriptor %d: %s", fd, strerror(errno));
	else if (!remember(s->doc, fd))
		state_fail(s, name, "there is no memory");
	else
		state_put(s, name,
		    json_pack("{s:i s:I s:I s:i}", "fd", fd, "device", (json_int_t)st.st_dev,
			"inode", (json_int_t)st.st_ino, "type", (int)(st.st_mode & S_IFMT)));
}

static bool
taken_before(const struct state_doc *doc, int fd)
{
	for (size_t i = 0; i < talloc_array_length(doc->fds); i++) {
		if (doc->fds[i] == fd)
			return true;
	}
	return false;
}

/* Whether it is what it was, as far as can be seen from outside. */
static bool
same_file(const struct stat *st, const json_t *o)
{
	return (json_int_t)st->st_dev == json_integer_value(json_object_get(o, "device")) &&
	       (json_int_t)st->st_ino == json_integer_value(json_object_get(o, "inode")) &&
	       (int)(st->st_mode & S_IFMT) == json_integer_value(json_object_get(o, "type"));
}

void
state_fd(struct state *s, const char *name, int *fd)
{
	const json_t *found;
	struct stat st;
	int n;

	if (state_saving(s)) {
		save_fd(s, name, *fd);
		return;
	}
	*fd = -1;
	found = state_get(s, name);
	if (found == NULL)
		return;
	n = (int)json_integer_value(json_object_get(found, "fd"));
	if (!json_is_integer(json_object_get(found, "fd")) || n <= STDERR_FILENO)
		state_fail(s, name, "expected a descriptor above %d", STDERR_FILENO);
	else if (taken_before(s->doc, n))
		state_fail(s, name, "descriptor %d stands in the document twice", n);
	else if (fstat(n, &st) < 0)
		state_fail(s, name, "descriptor %d is not open", n);
	else if (!same_file(&st, found))
		state_fail(s, name, "descriptor %d is another file than it was", n);
	else if (!remember(s->doc, n) || fcntl(n, F_SETFD, FD_CLOEXEC) < 0)
		state_fail(s, name, "there is no memory");
	else
		*fd = n;
}
