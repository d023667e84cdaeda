/* SPDX-License-Identifier: MIT */
/*
 * The manual and the program say the same: baton-settings(7) against the table of settings, in
 * both directions, and baton-http(3) against the functions that baton/http.h declares.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "tests/harness/tempdir.h"
#include "tests/server/serving.h"

static const char *
file(const char *path)
{
	const char *text = tempdir_read(path);

	if (text == NULL)
		harness_fail("cannot read %s (tests run in the project's folder)", path);
	return text;
}

/* What is between a line and the next that begins with one of two macros. */
static const char *
section(const char *text, const char *first, const char *end, const char *other_end)
{
	const char *at = strstr(text, first), *stop, *other;

	if (at == NULL)
		return NULL;
	at = strchr(at + 1, '\n');
	stop = strstr(at, end);
	other = strstr(at, other_end);
	if (other != NULL && (stop == NULL || other < stop))
		stop = other;
	return talloc_strndup(
	    harness_mem(), at + 1, stop != NULL ? (size_t)(stop - at) : strlen(at));
}

static const char *
unit_of(const char *name)
{
	static const char *const units[][2] = {
	    {"_bytes", " bytes"}, {"_ms", " milliseconds"}, {"_us", " microseconds"}};
	size_t len = strlen(name);

	for (size_t i = 0; i < COUNT(units); i++) {
		size_t suffix = strlen(units[i][0]);

		if (len > suffix && strcmp(name + len - suffix, units[i][0]) == 0)
			return units[i][1];
	}
	return "";
}

/* How the page begins an entry: range, unit, default, and the table's text as a sentence. */
static const char *
entry_of(const struct http_setting *row)
{
	char *text;

	if (row->words == NULL) {
		text = talloc_asprintf(harness_mem(), ".Pq %lld to %lld%s; default %lld\n",
		    (long long)row->min, (long long)row->max, unit_of(row->name),
		    (long long)row->def);
	} else {
		text = talloc_strdup(harness_mem(), ".Pq ");
		for (int64_t i = row->min; i <= row->max; i++)
			text = talloc_asprintf_append(text, "%s%s",
			    i == row->min   ? ""
			    : i == row->max ? " or "
					    : ", ",
			    row->words[i]);
		text = talloc_asprintf_append(text, "; default %s\n", row->words[row->def]);
	}
	return talloc_asprintf_append(
	    text, "%c%s.\n", toupper((unsigned char)row->text[0]), row->text + 1);
}

static void
every_setting_is_in_the_page(void **state)
{
	const char *page = file("etc/man/baton-settings.7");

	(void)state;
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];
		const char *want = entry_of(row);
		const char *item = talloc_asprintf(harness_mem(), "\n.It Va %s\n", row->name);
		const char *entry = section(page, item, "\n.It ", "\n.El");

		if (entry == NULL)
			harness_fail("baton-settings(7) lacks %s", row->name);
		if (strncmp(entry, want, strlen(want)) != 0)
			harness_fail("baton-settings(7), %s: expected\n%sbut it begins\n%.300s",
			    row->name, want, entry);
	}
}

static void
every_entry_of_the_page_is_a_setting(void **state)
{
	const char *page = file("etc/man/baton-settings.7");
	size_t entries = 0;

	(void)state;
	for (const char *at = page; (at = strstr(at, "\n.It Va ")) != NULL; at++, entries++) {
		const char *name = at + strlen("\n.It Va ");
		size_t i = 0, len = strcspn(name, "\n");

		while (i < http_settings_count &&
		       (strlen(http_settings_table[i].name) != len ||
			   strncmp(http_settings_table[i].name, name, len) != 0))
			i++;
		if (i == http_settings_count)
			harness_fail(
			    "baton-settings(7) has %.*s, the table has not", (int)len, name);
	}
	assert_int_equal(entries, http_settings_count);
}

/* The functions that a header declares: names that begin so and are followed by "(". */
static const char *
next_function(const char **at)
{
	while ((*at = strstr(*at, "http_")) != NULL) {
		const char *name = *at;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
		bool begins = !isalnum((unsigned char)name[-1]) && name[-1] != '_';

		*at += len;
		if (begins && name[len] == '(')
			return talloc_strndup(harness_mem(), name, len);
	}
	return NULL;
}

/* The header without its comments. */
static const char *
declarations(const char *header)
{
	char *text = talloc_strdup(harness_mem(), file(header));

	for (char *at; (at = strstr(text, "/*")) != NULL;) {
		char *end = strstr(at, "*/");

		assert_non_null(end);
		memset(at, ' ', (size_t)(end + 2 - at));
	}
	return text;
}

static void
every_function_is_in_the_page(void **state)
{
	const char *page = file("etc/man/baton-http.3");
	const char *at = declarations("server/http.h"), *name;
	const char *description = strstr(page, "\n.Sh DESCRIPTION");
	int functions = 0;

	(void)state;
	assert_non_null(description);
	for (; (name = next_function(&at)) != NULL; functions++) {
		const char *call = talloc_asprintf(harness_mem(), "\n.Fn %s ", name);
		const char *open = talloc_asprintf(harness_mem(), "\n.Fo %s\n", name);
		const char *said = talloc_asprintf(harness_mem(), "\n.Fn %s\n", name);
		const char *said_too = talloc_asprintf(harness_mem(), "\n.Fn %s ", name);
		const char *synopsis = strstr(page, call);

		if (synopsis == NULL || synopsis > description)
			synopsis = strstr(page, open);
		if (synopsis == NULL || synopsis > description)
			harness_fail("baton-http(3), SYNOPSIS: %s is missing", name);
		if (strcmp(name, "http_handler") != 0 && strcmp(name, "http_middleware") != 0 &&
		    strstr(description, said) == NULL && strstr(description, said_too) == NULL)
			harness_fail("baton-http(3), DESCRIPTION: %s is missing", name);
	}
	assert_true(functions > 40);
}

/* And nothing is described that is not there. */
static void
every_function_of_the_page_is_declared(void **state)
{
	const char *header = declarations("server/http.h");
	const char *page = file("etc/man/baton-http.3");

	(void)state;
	for (const char *at = page; (at = strstr(at, "\n.F")) != NULL; at++) {
		const char *name = at + 5;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

		if ((at[3] != 'n' && at[3] != 'o') || strncmp(name, "http_", 5) != 0)
			continue;
		if (strstr(header, talloc_asprintf(harness_mem(), "%.*s(", (int)len, name)) == NULL)
			harness_fail("baton-http(3) has %.*s, the header has not", (int)len, name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_setting_is_in_the_page),
	    e2e_test(every_entry_of_the_page_is_a_setting),
	    e2e_test(every_function_is_in_the_page),
	    e2e_test(every_function_of_the_page_is_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
