/* SPDX-License-Identifier: MIT */
/* The pieces of the state's document: plain values, and the memfd that holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "supervisor/base/state.h"

/* --- plain values ------------------------------------------------------------------------ */

struct plain {
	int8_t byte;
	uint16_t word;
	int number;
	unsigned count;
	int64_t big;
	uint64_t huge;
	bool yes, no;
	char *text, *odd, *none;
};

static const struct state_field plain_fields[] = {
    STATE_NUMBER(struct plain, byte),
    STATE_NUMBER(struct plain, word),
    STATE_NUMBER(struct plain, number),
    STATE_NUMBER(struct plain, count),
    STATE_NUMBER(struct plain, big),
    STATE_NUMBER(struct plain, huge),
    STATE_FLAG(struct plain, yes),
    STATE_FLAG(struct plain, no),
    STATE_STRING(struct plain, text),
    STATE_STRING(struct plain, odd),
    STATE_STRING(struct plain, none),
};

static struct plain *
through_text(TALLOC_CTX *mem, struct plain *from)
{
	struct state_doc *doc = state_doc_new(mem);
	struct state s = state_root(doc);
	struct plain *to = talloc_zero(mem, struct plain);
	char *text;

	STATE_FIELDS(&s, from, plain_fields);
	text = state_doc_text(mem, doc);
	assert_non_null(text);
	doc = state_doc_parse(mem, text, strlen(text));
	s = state_root(doc);
	STATE_FIELDS(&s, to, plain_fields);
	assert_null(state_error(doc));
	return to;
}

static void
values_come_out_as_they_went_in(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct plain from = {.byte = INT8_MIN,
	    .word = UINT16_MAX,
	    .number = -1,
	    .count = UINT32_MAX,
	    .big = INT64_MIN,
	    .huge = UINT64_MAX,
	    .yes = true,
	    .text = (char *)"\"quoted\"\n\tand more: \xc3\xa4",
	    .odd = (char *)"not UTF-8: \xff\xfe"};
	struct plain *to = through_text(mem, &from);

	(void)state;
	assert_int_equal(to->byte, from.byte);
	assert_int_equal(to->word, from.word);
	assert_int_equal(to->number, from.number);
	assert_int_equal(to->count, from.count);
	assert_true(to->big == from.big && to->huge == from.huge);
	assert_true(to->yes && !to->no);
	assert_string_equal(to->text, from.text);
	assert_string_equal(to->odd, from.odd);
	assert_null(to->none);
	talloc_free(mem);
}

static const struct {
	const char *text, *error;
} wrong[] = {
    {"", "line 1, column 0: "},
    {"{\"byte\":1", "line 1, column 9: "},
    {"[]", "it is no JSON object"},
    {"{\"byte\":128}", "byte: the number 128 does not fit"},
    {"{\"count\":-1}", "count: the number -1 does not fit"},
    {"{\"count\":4294967296}", "count: the number 4294967296 does not fit"},
    {"{\"number\":\"7\"}", "number: expected a number"},
    {"{\"number\":7.5}", "number: expected a number"},
    {"{\"yes\":1}", "yes: expected true or false"},
    {"{\"text\":1}", "text: expected a text"},
    {"{\"text\":{\"hex\":\"abc\"}}", "text: expected a text"},
    {"{\"text\":{\"hex\":\"zz\"}}", "text: expected a text"},
};

static void
what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		struct plain *to = talloc_zero(mem, struct plain);
		struct plain untouched = {.byte = 0};
		struct state_doc *doc = state_doc_parse(mem, wrong[i].text, strlen(wrong[i].text));
		struct state s = state_root(doc);

		STATE_FIELDS(&s, to, plain_fields);
		assert_non_null(state_error(doc));
		if (strstr(state_error(doc), wrong[i].error) != state_error(doc))
			fail_msg("%s: %s", wrong[i].text, state_error(doc));
		assert_memory_equal(to, &untouched, sizeof(untouched));
		talloc_free(mem);
	}
}

static void
what_is_missing_or_unknown_does_no_harm(void **state)
{
	static const char text[] = "{\"number\":3,\"text\":null,\"from the future\":[1,{}]}";
	TALLOC_CTX *mem = talloc_new(NULL);
	struct plain *to = talloc_zero(mem, struct plain);
	struct state_doc *doc = state_doc_parse(mem, text, strlen(text));
	struct state s = state_root(doc);

	(void)state;
	to->count = 9;
	to->text = talloc_strdup(to, "default");
	STATE_FIELDS(&s, to, plain_fields);
	assert_null(state_error(doc));
	assert_int_equal(to->number, 3);
	assert_int_equal(to->count, 9);
	assert_string_equal(to->text, "default");
	talloc_free(mem);
}

/* --- the memfd ---------------------------------------------------------------------------- */

static void
the_memfd_is_sealed_and_nothing_else_is_taken_for_it(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *why = NULL;
	int fd = state_memfd_write("{\"a\":1}"), other = memfd_create("x", MFD_ALLOW_SEALING);
	size_t len;

	(void)state;
	assert_true(fd >= 0);
	assert_string_equal(state_memfd_read(mem, fd, &len, &why), "{\"a\":1}");
	assert_string_equal(state_memfd_read(mem, fd, &len, &why), "{\"a\":1}");
	assert_int_equal(len, 7);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(write(other, "{}", 2), 2);
	assert_null(state_memfd_read(mem, other, &len, &why));
	assert_string_equal(why, "it is not the sealed state of a baton");
	close(fd);
	close(other);
	assert_null(state_memfd_read(mem, fd, &len, &why));
	talloc_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_come_out_as_they_went_in),
	    cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
	    cmocka_unit_test(what_is_missing_or_unknown_does_no_harm),
	    cmocka_unit_test(the_memfd_is_sealed_and_nothing_else_is_taken_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
