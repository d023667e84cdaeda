/* SPDX-License-Identifier: MIT */
/*
 * The table of settings: each with its name, range, default and text. The setter, the
 * environment and the manual page's check all work from it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

#define ROW(field, min, max, def, text)                                            \
	{                                                                          \
#field, min, max, def, offsetof(struct http_settings, field), text \
	}

const struct http_setting http_settings_table[] = {
    ROW(backlog, 1, 65535, 4096, "length of the accept queue of a socket that the server opens"),
    ROW(body_max_bytes, 0, INT64_C(1) << 40, 1 << 20, "largest content of a request; beyond: 413"),
    ROW(connections_max, 1, 1000000, 32768,
	"open connections; beyond, the one idle for longest makes room"),
    ROW(drain_timeout_ms, 0, 86400000, 30000, "time for requests in flight when draining"),
    ROW(header_max_bytes, 4096, 1 << 20, 15360,
	"memory for a request's head and the answer's; beyond: 413, 414 or 431"),
    ROW(idle_linger_ms, 0, 3600000, 1000, "silence after which a drain closes an idle connection"),
    ROW(idle_timeout_ms, 1000, 86400000, 75000,
	"silence after which a connection is closed, idle or in the middle of a request"),
    ROW(lame_duck_ms, 0, 3600000, 0, "time between the call to drain and the end of accepting"),
};

const size_t http_settings_count = sizeof(http_settings_table) / sizeof(http_settings_table[0]);

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
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];
		char *end;
		long long n;

		if (strcmp(row->name, name) != 0)
			continue;
		errno = 0;
		n = strtoll(value, &end, 10);
		if (!isdigit((unsigned char)value[0]) || *end != '\0')
			return -EINVAL;
		if (errno != 0 || n < row->min || n > row->max)
			return -ERANGE;
		*field_of(set, row) = n;
		return 0;
	}
	return -ENOENT;
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
			*culprit =
			    talloc_asprintf(mem, "%s=%s: expected a number from %lld to %lld", name,
				value, (long long)http_settings_table[i].min,
				(long long)http_settings_table[i].max);
			talloc_free(name);
			return err;
		}
		talloc_free(name);
	}
	return 0;
}
