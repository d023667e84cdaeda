/* SPDX-License-Identifier: MIT */
/*
 * `http.NAME`: settings of baton's server library. The supervisor does not use that library, but
 * knows its table, so that a misspelt name, or a value that would end the program at its start, is
 * found when the configuration is read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/config/words.h"

struct setting {
	const char *name;
	int64_t min, max;
	const char *const *words; /* names of the values; NULL: it is a number */
};

#define ROW(name, min, max, def, text) \
	{                              \
#name, min, max, NULL  \
	}
#define WORDS(name, min, max, def, words, text) \
	{                                       \
#name, min, max, words          \
	}
static const struct setting settings[] = {
#include "server/base/settings.def"
};

static const struct setting *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	}
	return NULL;
}

static const struct setting *
nearest(const char *name)
{
	const struct setting *best = NULL;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (words_distance(name, settings[i].name) <=
		    (best == NULL ? 2 : words_distance(name, best->name) - 1))
			best = &settings[i];
	}
	return best;
}

static const char *
unknown(TALLOC_CTX *mem, const char *name)
{
	const struct setting *near = nearest(name);
	char *variable = talloc_strdup(mem, name);

	for (char *p = variable; p != NULL && *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return talloc_asprintf(mem,
	    "baton's server library has no such setting%s%s%s; for a program with another version "
	    "of it say env.BATON_HTTP_%s",
	    near == NULL ? "" : " (did you mean \"http.", near == NULL ? "" : near->name,
	    near == NULL ? "" : "\"?)", variable == NULL ? "NAME" : variable);
}

static bool
is_good(const struct setting *s, const char *value)
{
	char *end;
	long long n;

	for (size_t i = 0; s->words != NULL && s->words[i] != NULL; i++) {
		if (strcmp(s->words[i], value) == 0)
			return true;
	}
	if (s->words != NULL || !isdigit((unsigned char)value[0]))
		return false;
	errno = 0;
	n = strtoll(value, &end, 10);
	return *end == '\0' && errno == 0 && n >= s->min && n <= s->max;
}

static const char *
expected(TALLOC_CTX *mem, const struct setting *s)
{
	char *text;

	if (s->words == NULL)
		return talloc_asprintf(
		    mem, "it is a number from %lld to %lld", (long long)s->min, (long long)s->max);
	text = talloc_asprintf(mem, "it is %s", s->words[0]);
	for (size_t i = 1; s->words[i] != NULL && text != NULL; i++)
		text = talloc_asprintf_append(text, " or %s", s->words[i]);
	return text;
}

int
config_http_check(TALLOC_CTX *mem, const char *name, const char *value, const char **why)
{
	const struct setting *s = find(name);

	if (s != NULL && is_good(s, value))
		return 0;
	*why = s == NULL ? unknown(mem, name) : expected(mem, s);
	return *why == NULL ? -ENOMEM : -EINVAL;
}
