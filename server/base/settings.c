/* SPDX-License-Identifier: MIT */
/*
 * The table of settings: each with its name, range, default and text, from settings.def. The
 * setter, the environment and the manual page's check all work from it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "server/base/base.h"

#define ROW(field, min, max, def, text) WORDS(field, min, max, def, NULL, text)
#define WORDS(field, min, max, def, words, text)                                          \
	{                                                                                 \
#field, min, max, def, offsetof(struct http_settings, field), words, text \
	}

const struct http_setting http_settings_table[] = {
#include "server/base/settings.def"
};

const size_t http_settings_count = sizeof(http_settings_table) / sizeof(http_settings_table[0]);

/* A word's number, or a decimal number. */
static int
parse_value(const struct http_setting *row, const char *value, int64_t *out)
{
	char *end;
	long long n;

	for (int i = 0; row->words != NULL && row->words[i] != NULL; i++)
		if (strcmp(row->words[i], value) == 0) {
			*out = i;
			return 0;
		}
	errno = 0;
	n = strtoll(value, &end, 10);
	if (row->words != NULL || !isdigit((unsigned char)value[0]) || *end != '\0')
		return -EINVAL;
	if (errno != 0 || n < row->min || n > row->max)
		return -ERANGE;
	*out = n;
	return 0;
}

static int64_t *
field_of(struct http_settings *set, const struct http_setting *row)
{
	return (int64_t *)((char *)set + row->offset);
}

void
settings_defaults(struct http_settings *set)
{
	for (size_t i = 0; i < http_settings_count; i++)
		*field_of(set, &http_settings_table[i]) = http_settings_table[i].def;
}

int
settings_set(struct http_settings *set, const char *name, const char *value)
{
	for (size_t i = 0; i < http_settings_count; i++)
		if (strcmp(http_settings_table[i].name, name) == 0)
			return parse_value(
			    &http_settings_table[i], value, field_of(set, &http_settings_table[i]));
	return -ENOENT;
}

static const struct http_setting *
row_of(const char *name)
{
	for (size_t i = 0; i < http_settings_count; i++)
		if (strcasecmp(http_settings_table[i].name, name) == 0)
			return &http_settings_table[i];
	return NULL;
}

const char *
settings_expected(TALLOC_CTX *mem, const char *name)
{
	const struct http_setting *row = row_of(name);
	char *text;

	if (row == NULL || row->words == NULL)
		return row == NULL ? ""
				   : talloc_asprintf(mem, "a number from %lld to %lld",
					 (long long)row->min, (long long)row->max);
	text = talloc_strdup(mem, row->words[0]);
	for (int i = 1; row->words[i] != NULL && text != NULL; i++)
		text = talloc_asprintf_append(text, " or %s", row->words[i]);
	return text;
}

void
settings_warn_unknown(void)
{
	static const char prefix[] = "BATON_HTTP_";

	for (char **e = environ; e != NULL && *e != NULL; e++) {
		char name[64];
		size_t len = strcspn(*e, "=");

		if (strncmp(*e, prefix, sizeof(prefix) - 1) != 0 || len >= sizeof(name))
			continue;
		memcpy(name, *e, len);
		name[len] = '\0';
		if (row_of(name + sizeof(prefix) - 1) == NULL)
			log_line(
			    LOG_WARNING, "%s: there is no such setting; it has no effect", name);
	}
}

static char *
complaint(TALLOC_CTX *mem, const struct http_setting *row, const char *name, const char *value)
{
	return talloc_asprintf(
	    mem, "%s=%s: expected %s", name, value, settings_expected(mem, row->name));
}

int
settings_from_environment(struct http_settings *set, TALLOC_CTX *mem, char **culprit)
{
	for (size_t i = 0; i < http_settings_count; i++) {
		char *name = talloc_asprintf(mem, "BATON_HTTP_%s", http_settings_table[i].name);
		const char *value;
		int err;

		if (name == NULL)
			return -ENOMEM;
		for (char *p = name; *p != '\0'; p++)
			*p = (char)toupper((unsigned char)*p);
		value = getenv(name);
		err = value == NULL ? 0 : settings_set(set, http_settings_table[i].name, value);
		if (err != 0) {
			*culprit = complaint(mem, &http_settings_table[i], name, value);
			talloc_free(name);
			return err;
		}
		talloc_free(name);
	}
	return 0;
}
