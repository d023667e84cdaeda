/* SPDX-License-Identifier: MIT */
/*
 * The table of settings: each with its name, range, default and text. The setter, the
 * environment and the manual page's check all work from it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "server/internal.h"

static const char *const level_words[] = {"error", "warning", "info", "debug", NULL};
static const char *const concurrency_words[] = {"preemptive", "serial", NULL};

#define ROW(field, min, max, def, text) WORDS(field, min, max, def, NULL, text)
#define WORDS(field, min, max, def, words, text)                                          \
	{                                                                                 \
#field, min, max, def, offsetof(struct http_settings, field), words, text \
	}

const struct http_setting http_settings_table[] = {
    ROW(backlog, 1, 65535, 4096, "length of the accept queue of a socket that the server opens"),
    ROW(body_max_bytes, 0, INT64_C(1) << 40, 1 << 20, "largest content of a request; beyond: 413"),
    ROW(body_rate_min_bytes, 0, 1 << 30, 500,
	"content a second that a client must send at least, after rate_after_ms; 0: any; else 408"),
    ROW(body_timeout_ms, 0, 86400000, 0, "time for all of a request's content; 0: any; else 408"),
    WORDS(concurrency, 0, 1, CONCURRENCY_PREEMPTIVE, concurrency_words,
	"whether handlers run at the same time, or one after the other"),
    ROW(connections_max, 1, 1000000, 32768,
	"open connections; beyond, the one idle for longest makes room"),
    ROW(connections_per_address_max, 0, 1000000, 0,
	"open connections of one client address; 0: any; beyond: 429"),
    ROW(drain_timeout_ms, 0, 86400000, 30000, "time for requests in flight when draining"),
    ROW(handler_timeout_ms, 0, 86400000, 0,
	"time from the last byte of a request to the end of its handler; 0: any; beyond: 503"),
    ROW(header_fields_max, 1, 10000, 100, "fields of a request's head; beyond: 431"),
    ROW(header_max_bytes, 4096, 1 << 20, 14336,
	"memory for a request's head and the answer's; beyond: 413, 414 or 431"),
    ROW(header_timeout_ms, 100, 3600000, 20000, "time for a request's head; else 408"),
    ROW(idle_linger_ms, 0, 3600000, 1000, "silence after which a drain closes an idle connection"),
    ROW(idle_timeout_ms, 1000, 86400000, 75000, "silence after which an idle connection is closed"),
    ROW(lame_duck_ms, 0, 3600000, 0, "time between the call to drain and the end of accepting"),
    WORDS(log_level, 0, 3, 2, level_words, "what is logged: this and what is worse"),
    ROW(queue_max, 0, 1000000, 8192, "requests that may wait for a thread; beyond: 503"),
    ROW(rate_after_ms, 0, 3600000, 10000, "time after which body_rate_min_bytes counts"),
    ROW(requests_per_connection_max, 0, INT64_C(1) << 40, 0,
	"requests after which a connection is closed; 0: any"),
    ROW(send_timeout_ms, 100, 86400000, 30000,
	"time without progress after which an answer that is not read is given up"),
    ROW(stack_bytes, 65536, INT64_C(1) << 30, 1 << 20, "stack of each thread that runs handlers"),
    ROW(takeover_after_us, 100, 10000000, 1000,
	"time after which a handler no longer keeps the loop waiting"),
    ROW(threads_max, 4, 100000, 2048, "threads that run handlers"),
    ROW(worker_nice, 0, 19, 10,
	"nice value of handlers that take long, so that they give way to the loop"),
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
