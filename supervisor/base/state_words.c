/* SPDX-License-Identifier: MIT */
/*
 * Enumerations in the document: by name, never by number, for the next program may count its
 * enumerators otherwise. A word that the reader does not know means something that it cannot
 * do: it refuses.
 */
#include <string.h>

#include "supervisor/base/state_internal.h"

/* "failed, held": all of them, for an error. */
static const char *
all_words(TALLOC_CTX *mem, const struct state_word *words, size_t n)
{
	char *text = talloc_strdup(mem, "");

	for (size_t i = 0; i < n && text != NULL; i++)
		text = talloc_asprintf_append(text, "%s%s", i == 0 ? "" : ", ", words[i].name);
	return text == NULL ? "others" : text;
}

static const struct state_word *
named(const char *name, const struct state_word *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (name != NULL && strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

static const struct state_word *
numbered(json_int_t number, const struct state_word *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i].number >= 0 && words[i].number == number)
			return &words[i];
	}
	return NULL;
}

static void
fail_unknown(struct state *s, const char *name, const json_t *found, const struct state_word *words,
    size_t n)
{
	const char *known = all_words(s->doc, words, n);

	if (json_is_string(found))
		state_fail(s, name, "this baton does not know \"%s\", only %s",
		    json_string_value(found), known);
	else if (json_is_integer(found))
		state_fail(s, name, "expected one of %s, found the number %lld", known,
		    (long long)json_integer_value(found));
	else
		state_fail(s, name, "expected one of %s", known);
}

static const struct state_word *
of_value(unsigned value, const struct state_word *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i].value == value)
			return &words[i];
	}
	return NULL;
}

unsigned
state_word(
    struct state *s, const char *name, unsigned value, const struct state_word *words, size_t n)
{
	const struct state_word *w;
	const json_t *found;

	if (state_saving(s)) {
		w = of_value(value, words, n);
		if (w == NULL)
			state_fail(s, name, "there is no word for %u", value);
		else
			state_put(s, name, json_string(w->name));
		return value;
	}
	found = state_get(s, name);
	if (found == NULL)
		return value;
	w = s->doc->numbers && json_is_integer(found)
		? numbered(json_integer_value(found), words, n)
		: named(json_string_value(found), words, n);
	if (w == NULL)
		fail_unknown(s, name, found, words, n);
	return w == NULL ? value : w->value;
}

static void
save_words(
    struct state *s, const char *name, unsigned bits, const struct state_word *words, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if ((bits & words[i].value) != 0)
			json_array_append_new(array, json_string(words[i].name));
		bits &= ~words[i].value;
	}
	if (bits != 0)
		state_fail(s, name, "there is no word for %u", bits);
	state_put(s, name, array);
}

/* The first format has the bits as one number: these are ours for it. */
static unsigned
bits_of_number(struct state *s, const char *name, const json_t *found,
    const struct state_word *words, size_t n)
{
	json_int_t left = json_integer_value(found);
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		if (words[i].number > 0 && (left & words[i].number) != 0) {
			bits |= words[i].value;
			left &= ~(json_int_t)words[i].number;
		}
	}
	if (left != 0)
		fail_unknown(s, name, found, words, n);
	return bits;
}

unsigned
state_words(
    struct state *s, const char *name, unsigned bits, const struct state_word *words, size_t n)
{
	const json_t *found;
	unsigned read = 0;

	if (state_saving(s)) {
		save_words(s, name, bits, words, n);
		return bits;
	}
	found = state_get(s, name);
	if (found == NULL)
		return bits;
	if (s->doc->numbers && json_is_integer(found))
		return bits_of_number(s, name, found, words, n);
	if (!json_is_array(found))
		fail_unknown(s, name, found, words, n);
	for (size_t i = 0; i < json_array_size(found) && state_ok(s); i++) {
		const json_t *one = json_array_get(found, i);
		const struct state_word *w = named(json_string_value(one), words, n);

		if (w == NULL)
			fail_unknown(s, name, one, words, n);
		else
			read |= w->value;
	}
	return state_ok(s) ? read : bits;
}
