/* SPDX-License-Identifier: MIT */
/* The table of keys against itself, what baton.conf(5) says about each key, and its completion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"
#include "supervisor/config/words.h"
#include "tests/harness/harness.h"
#include "tests/harness/proc.h"

/* The manual's source, from the top of the tree (where `make test` runs) or beside it. */
static char *
read_manual(TALLOC_CTX *mem)
{
	FILE *f = fopen("etc/man/baton.conf.5", "re");
	char *text = talloc_zero_size(mem, 65536);

	if (f == NULL)
		fail_msg("etc/man/baton.conf.5 is not here: run this at the top of the tree");
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

/* The paragraph about K: from its tag to the next, with white space and macros made simple. */
static char *
paragraph(TALLOC_CTX *mem, const char *manual, const struct key *k)
{
	char *tag = talloc_asprintf(
	    mem, "\n.It Cm %s%s", k->name, k->repeats && k->kind != KEY_LISTEN ? "." : "");
	char *text;
	const char *begin = strstr(manual, tag), *end;

	if (begin == NULL) {
		fail_msg("baton.conf(5) has no item for %s", k->name);
		return NULL;
	}
	begin += strlen(tag);
	assert_true(*begin == '\n' || *begin == ' ' ||
		    *begin == '.'); /* not the beginning of a longer name */
	end = strstr(begin, "\n.It Cm ");
	if (end == NULL)
		end = strstr(begin, "\n.El");
	text = talloc_strndup(mem, begin, (size_t)(end - begin));
	for (char *p = text; *p != '\0'; p++)
		*p = isspace((unsigned char)*p) ? ' ' : *p;
	return text;
}

static void
the_manual_says_what_the_table_says(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *manual = read_manual(mem);

	(void)state;
	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];
		const char *text = paragraph(mem, manual, k);
		const char *range = talloc_asprintf(mem, "From %ld to %ld%s; default %s.", k->min,
		    k->max, strcmp(k->unit, "ms") == 0 ? " milliseconds" : "", k->text_default);

		if (k->kind == KEY_NUMBER && strstr(text, range) == NULL)
			fail_msg("%s: the manual does not say \"%s\":\n%s", k->name, range, text);
		if (k->kind != KEY_NUMBER && k->text_default != NULL &&
		    strstr(text, talloc_asprintf(mem, "Default .Ql %s .", k->text_default)) == NULL)
			fail_msg("%s: the manual does not say its default, %s:\n%s", k->name,
			    k->text_default, text);
		for (size_t w = 0; w < kinds[k->kind].nwords; w++) {
			const char *word = kinds[k->kind].words[w].name;

			if (strstr(text, word) == NULL)
				fail_msg(
				    "%s: the manual does not name %s:\n%s", k->name, word, text);
		}
		if (k->required != (strstr(text, "Must be set.") != NULL))
			fail_msg("%s: table and manual differ on whether it must be set", k->name);
		if (k->repeats != (strstr(text, "may stand several times") != NULL))
			fail_msg(
			    "%s: table and manual differ on whether it may be repeated", k->name);
	}
	talloc_free(mem);
}

static void
the_manual_has_no_key_that_does_not_exist(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *manual = read_manual(mem), *p = manual;
	unsigned items = 0;

	(void)state;
	while ((p = strstr(p, "\n.It Cm ")) != NULL) {
		char *name;

		p += strlen("\n.It Cm ");
		name = talloc_strndup(mem, p, strcspn(p, " \n"));
		if (key_find(KEY_SUPERVISOR, name) == NULL && key_find(KEY_SERVICE, name) == NULL)
			fail_msg("baton.conf(5) describes %s, which is no key", name);
		items++;
	}
	assert_int_equal(items, keys_count);
	talloc_free(mem);
}

/* Whether NAME is a word of TEXT. */
static bool
has_word(const char *text, const char *name)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz_";
	size_t len = strlen(name);

	for (const char *p = text; (p = strstr(p, name)) != NULL; p += len) {
		if (strchr(word, p[len]) == NULL && strchr(word, p[-1]) == NULL)
			return true;
	}
	return false;
}

static void
the_manual_says_what_a_reload_changes_at_once(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *begin = strstr(read_manual(mem), "\n.Ss What a reload changes\n"), *text;

	(void)state;
	assert_non_null(begin);
	text = talloc_strndup(mem, begin, (size_t)(strstr(begin, "The others") - begin));
	for (size_t i = 0; i < keys_count; i++) {
		if (has_word(text, keys[i].name) != (keys[i].change == KEY_NOW))
			fail_msg("%s: table and manual differ on what a reload does", keys[i].name);
		if (keys[i].change == KEY_NEVER)
			assert_non_null(strstr(begin,
			    talloc_asprintf(mem, ".Cm %s\ncannot be changed", keys[i].name)));
	}
	talloc_free(mem);
}

/* `baton help config ` and the tabulator key. */
static void
every_key_is_completed(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *expected = talloc_strdup(mem, "");
	struct proc *p = proc_run("/bin/bash", "--norc", "-c",
	    ". etc/completion/baton; COMP_WORDS=(\"$@\"); COMP_CWORD=3; _baton;"
	    "printf '%s\\n' \"${COMPREPLY[@]}\"",
	    "bash", harness_built("baton"), "help", "config", "");

	(void)state;
	for (size_t i = 0; i < keys_count; i++)
		expected = talloc_asprintf(mem, "%s%s\n", expected, keys[i].name);
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), expected);
	talloc_free(mem);
}

static void
every_row_makes_sense(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];
		size_t len = strlen(k->name);

		assert_ptr_equal(key_find(k->section, k->name), k);
		assert_int_equal(key_index(k), i);
		assert_true(k->text[strlen(k->text) - 1] == '.');
		assert_false(k->required && k->text_default != NULL);
		assert_int_equal(k->change == KEY_NEVER, k->section == KEY_SUPERVISOR);
		assert_non_null(kinds[k->kind].parse);
		assert_non_null(kinds[k->kind].same);
		assert_non_null(key_expected(mem, k));
		if (k->kind != KEY_NUMBER)
			continue;
		/* The unit is in the name; the default is in the range. */
		assert_int_equal(
		    strcmp(k->unit, "ms") == 0, len > 3 && strcmp(k->name + len - 3, "_ms") == 0);
		if (k->text_default == NULL)
			fail_msg("%s has no default", k->name);
		else
			assert_true(strtol(k->text_default, NULL, 10) >= k->min &&
				    strtol(k->text_default, NULL, 10) <= k->max);
	}
	talloc_free(mem);
}

static void
labels_belong_to_keys_that_take_them(void **state)
{
	(void)state;
	assert_string_equal(key_find(KEY_SERVICE, "listen.web")->name, "listen");
	assert_string_equal(key_find(KEY_SERVICE, "env.PATH")->name, "env");
	assert_string_equal(key_find(KEY_SERVICE, "env_file")->name, "env_file");
	assert_null(key_find(KEY_SERVICE, "instances.web"));
	assert_null(key_find(KEY_SERVICE, "listenx"));
	assert_null(key_find(KEY_SUPERVISOR, "listen"));
	assert_null(key_find(KEY_SERVICE, ""));
}

static void
near_misses_are_suggested(void **state)
{
	static const struct {
		const char *written, *meant;
	} rows[] = {{"instanses", "instances"}, {"comand", "command"}, {"Listen", "listen"},
	    {"drain_timeout", "drain_timeout_ms"}, {"x", NULL}, {"usr", "user"}, {"colour", NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct key *k = key_nearest(KEY_SERVICE, rows[i].written);

		if (rows[i].meant == NULL)
			assert_null(k);
		else
			assert_string_equal(k == NULL ? "(none)" : k->name, rows[i].meant);
	}
	assert_int_equal(words_distance("kitten", "sitting"), 3);
	assert_int_equal(words_distance("", "abc"), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_manual_says_what_the_table_says),
	    cmocka_unit_test(the_manual_has_no_key_that_does_not_exist),
	    cmocka_unit_test(the_manual_says_what_a_reload_changes_at_once),
	    cmocka_unit_test_setup_teardown(
		every_key_is_completed, harness_setup, harness_teardown),
	    cmocka_unit_test(every_row_makes_sense),
	    cmocka_unit_test(near_misses_are_suggested),
	    cmocka_unit_test(labels_belong_to_keys_that_take_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
