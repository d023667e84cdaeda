/* SPDX-License-Identifier: MIT */
/* The functions by which jansson takes memory: malloc, and a count of what it did not give; and
 * strings that are no UTF-8. */
#include "supervisor/base/json_memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/utf8.h"

static unsigned failures;
static jmp_buf parser; /* where it is left */
static bool parses;

static void *
take(size_t size)
{
	void *p = malloc(size);

	failures += p == NULL;
	if (p == NULL && parses)
		longjmp(parser, 1);
	return p;
}

void
json_memory_watch(void)
{
	json_set_alloc_funcs(take, free);
}

unsigned
json_memory_failures(void)
{
	return failures;
}

json_t *
json_memory_loadb(const char *text, size_t len, json_error_t *error, bool *no_memory)
{
	json_t *json;

	json_memory_watch();
	*no_memory = setjmp(parser) != 0;
	if (*no_memory) {
		parses = false;
		return NULL;
	}
	parses = true;
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
	parses = false;
	return json;
}

char *
json_memory_dumps(const json_t *json)
{
	const unsigned before = failures;
	char *text = json_dumps(json, JSON_COMPACT);

	if (failures == before)
		return text;
	free(text);
	return NULL;
}

static char *
escaped(const char *text)
{
	size_t len = strlen(text), used = 0;
	char *clean = malloc(4 * len + 1);

	for (size_t i = 0; clean != NULL && i < len;) {
		size_t n = (signed char)text[i] >= 0 ? 1 : utf8_character(text + i, len - i);

		if (n == 0)
			used += (size_t)sprintf(clean + used, "\\x%02x", (unsigned char)text[i]);
		memcpy(clean + used, text + i, n);
		used += n;
		i += n == 0 ? 1 : n;
	}
	if (clean != NULL)
		clean[used] = '\0';
	return clean;
}

json_t *
json_text(const char *text)
{
	json_t *value = text == NULL ? NULL : json_string(text);
	char *clean;

	if (value != NULL || text == NULL)
		return value;
	clean = escaped(text);
	value = clean == NULL ? NULL : json_string(clean);
	free(clean);
	return value;
}
