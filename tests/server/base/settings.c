/* SPDX-License-Identifier: MIT */
/* The table of settings: defaults, ranges, and the environment, which wins. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static int64_t
value_of(const struct http_settings *set, const struct http_setting *row)
{
	return *(const int64_t *)(const void *)((const char *)set + row->offset);
}

/* A value as it is written: a word, if the row has words (and one for it). */
static const char *
written(const struct http_setting *row, int64_t n)
{
	if (row->words != NULL && n >= row->min && n <= row->max)
		return row->words[n];
	return talloc_asprintf(harness_mem(), "%lld", (long long)n);
}

static const char *
expected(const struct http_setting *row)
{
	if (row->words != NULL) {
		char *words = talloc_strdup(harness_mem(), row->words[0]);

		for (int i = 1; row->words[i] != NULL; i++)
			words = talloc_asprintf_append(words, " or %s", row->words[i]);
		return words;
	}
	return talloc_asprintf(
	    harness_mem(), "a number from %lld to %lld", (long long)row->min, (long long)row->max);
}

static const char *
variable(const struct http_setting *row)
{
	char *name = talloc_asprintf(harness_mem(), "BATON_HTTP_%s", row->name);

	for (char *p = name; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

static void
every_row_is_complete_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(http_settings_count, sizeof(struct http_settings) / sizeof(int64_t));
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];

		assert_in_range(row->def, row->min, row->max);
		for (int64_t n = row->min; row->words != NULL && n <= row->max; n++)
			assert_true(row->words[n][0] != '\0' && !isdigit(row->words[n][0]));
		assert_true(row->text[0] != '\0');
		if (i > 0)
			assert_true(strcmp(row[-1].name, row->name) < 0);
	}
}

static void
every_row_takes_its_range_and_nothing_else(void **state)
{
	struct http_settings set;

	(void)state;
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];

		settings_defaults(&set);
		assert_int_equal(value_of(&set, row), row->def);
		assert_int_equal(settings_set(&set, row->name, written(row, row->min)), 0);
		assert_int_equal(value_of(&set, row), row->min);
		assert_int_equal(settings_set(&set, row->name, written(row, row->max)), 0);
		assert_int_equal(value_of(&set, row), row->max);
		assert_int_equal(settings_set(&set, row->name, written(row, row->max + 1)),
		    row->words != NULL ? -EINVAL : -ERANGE);
		if (row->min > 0)
			assert_int_equal(
			    settings_set(&set, row->name, written(row, row->min - 1)), -ERANGE);
		assert_int_equal(value_of(&set, row), row->max);
		for (size_t j = 0; j < http_settings_count; j++)
			if (j != i)
				assert_int_equal(value_of(&set, &http_settings_table[j]),
				    http_settings_table[j].def);
	}
}

static void
bad_values_and_names_change_nothing(void **state)
{
	static const struct {
		const char *name, *value;
		int err;
	} table[] = {
	    {"backlog", "", -EINVAL}, {"backlog", " 5", -EINVAL}, {"backlog", "5 ", -EINVAL},
	    {"backlog", "+5", -EINVAL}, {"backlog", "-5", -EINVAL}, {"backlog", "5k", -EINVAL},
	    {"backlog", "5.0", -EINVAL}, {"backlog", "0x10", -EINVAL}, {"backlog", "many", -EINVAL},
	    {"backlog", "0", -ERANGE}, {"backlog", "99999999999999999999999", -ERANGE},
	    {"Backlog", "5", -ENOENT}, {"back", "5", -ENOENT}, {"backlogs", "5", -ENOENT},
	    {"", "5", -ENOENT}, {"backlog", "010", 0}, /* decimal all the same */
	};
	struct http_settings set, before;

	(void)state;
	settings_defaults(&set);
	for (size_t i = 0; i < COUNT(table); i++) {
		before = set;
		assert_int_equal(settings_set(&set, table[i].name, table[i].value), table[i].err);
		if (table[i].err != 0)
			assert_memory_equal(&set, &before, sizeof(set));
	}
	assert_int_equal(set.backlog, 10);
}

static void
the_environment_wins(void **state)
{
	char *culprit = NULL;
	struct http_settings set;

	(void)state;
	settings_defaults(&set);
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];

		assert_int_equal(settings_set(&set, row->name, written(row, row->max)), 0);
		setenv(variable(row), written(row, row->min), 1);
	}
	assert_int_equal(settings_from_environment(&set, harness_mem(), &culprit), 0);
	assert_null(culprit);
	for (size_t i = 0; i < http_settings_count; i++) {
		const struct http_setting *row = &http_settings_table[i];

		assert_int_equal(value_of(&set, row), row->min);
		unsetenv(variable(row));
	}
}

static void
an_error_names_the_variable_and_its_range(void **state)
{
	static const struct {
		const char *value;
		int err;
	} table[] = {{"", -EINVAL}, {"lots", -EINVAL}, {"99999999999", -ERANGE}};
	struct http_settings set;

	(void)state;
	settings_defaults(&set);
	for (size_t i = 0; i < http_settings_count * COUNT(table); i++) {
		const struct http_setting *row = &http_settings_table[i / COUNT(table)];
		const char *value = table[i % COUNT(table)].value;
		int err = table[i % COUNT(table)].err;
		char *culprit = NULL;

		if (err == -ERANGE && row->words != NULL)
			err = -EINVAL;
		if (table[i % COUNT(table)].err == -ERANGE)
			value = written(row, row->max + 1);
		setenv(variable(row), value, 1);
		assert_int_equal(settings_from_environment(&set, harness_mem(), &culprit), err);
		assert_string_equal(culprit, talloc_asprintf(harness_mem(), "%s=%s: expected %s",
						 variable(row), value, expected(row)));
		assert_int_equal(value_of(&set, row), row->def);
		unsetenv(variable(row));
	}
}

static void
a_server_refuses_to_start_with_the_reason(void **state)
{
	struct log *log = log_open();
	struct http_server *s = serving_new();

	(void)state;
	assert_int_equal(http_server_set(s, "backlogs", "5"), -ENOENT);
	assert_int_equal(http_server_set(s, "backlog", "0"), -ERANGE);
	assert_int_equal(http_server_start(s), -ENOENT);
	log_expect(log, "http_server_set(\\\"backlogs\\\", \\\"5\\\"): no such setting");
	serving_free(s);

	log_skip(log);
	s = serving_new();
	assert_int_equal(http_server_set(s, "backlog", "0"), -ERANGE);
	assert_int_equal(http_server_run(s), EXIT_FAILURE);
	log_expect(
	    log, "http_server_set(\\\"backlog\\\", \\\"0\\\"): expected a number from 1 to 65535");
	serving_free(s);

	log_skip(log);
	s = serving_new();
	http_server_listen(s, "web", "127.0.0.1:0");
	setenv("BATON_HTTP_BODY_MAX_BYTES", "1M", 1);
	assert_int_equal(http_server_start(s), -EINVAL);
	unsetenv("BATON_HTTP_BODY_MAX_BYTES");
	log_expect(log, "BATON_HTTP_BODY_MAX_BYTES=1M: expected a number from 0 to");
	serving_free(s);
	assert_int_equal(http_server_set(NULL, "backlog", "5"), -ENOMEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_row_is_complete_and_in_order),
	    e2e_test(every_row_takes_its_range_and_nothing_else),
	    e2e_test(bad_values_and_names_change_nothing),
	    e2e_test(the_environment_wins),
	    e2e_test(an_error_names_the_variable_and_its_range),
	    e2e_test(a_server_refuses_to_start_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
