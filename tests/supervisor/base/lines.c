/* SPDX-License-Identifier: MIT */
/* The line buffer and the ring of last lines, with input cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "supervisor/base/lines.h"

static char *seen; /* each line as [line], a piece of a longer one as [piece+] */

static void
collect(const char *line, size_t len, bool cut, void *data)
{
	assert_ptr_equal(data, &seen);
	seen = talloc_asprintf_append(seen, "[%.*s%s]", (int)len, line, cut ? "+" : "");
}

static const struct {
	size_t max;
	const char *input, *lines;
} rows[] = {
    {8, "", ""},
    {8, "a\n", "[a]"},
    {8, "\n\n", "[][]"},
    {8, "one\ntwo\n", "[one][two]"},
    {8, "12345678\n", "[12345678]"},
    {8, "123456789\n", "[12345678+][9]"},
    {8, "1234567812345678\nx\n", "[12345678+][12345678][x]"},
    {8, "a\nrest", "[a][rest]"},
    {1, "abc\n", "[a+][b+][c]"},
};

static void
lines_come_out_however_they_go_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].input);

		for (size_t step = 1; step <= len + 1; step++) {
			TALLOC_CTX *mem = talloc_new(NULL);
			struct lines *l = lines_new(mem, rows[i].max, collect, &seen);

			seen = talloc_strdup(mem, "");
			for (size_t at = 0; at < len; at += step)
				lines_feed(
				    l, rows[i].input + at, at + step < len ? step : len - at);
			lines_flush(l);
			lines_flush(l); /* the second time nothing is left */
			assert_string_equal(seen, rows[i].lines);
			/* mem, the buffer's two blocks, and what was collected. */
			assert_int_equal(talloc_total_blocks(mem), 4);
			talloc_free(mem);
		}
	}
}

static void
the_tail_keeps_the_last_lines(void **state)
{
	struct tail *t = tail_new(NULL, 3, 5);

	(void)state;
	assert_int_equal(tail_count(t), 0);
	tail_add(t, "1", 1);
	tail_add(t, "two two two", 11);
	assert_int_equal(tail_count(t), 2);
	assert_string_equal(tail_line(t, 0), "1");
	assert_string_equal(tail_line(t, 1), "two t");
	tail_add(t, "", 0);
	tail_add(t, "4", 1);
	tail_add(t, "5", 1);
	assert_int_equal(tail_count(t), 3);
	assert_string_equal(tail_line(t, 0), "");
	assert_string_equal(tail_line(t, 1), "4");
	assert_string_equal(tail_line(t, 2), "5");
	talloc_free(t);
}

static void
the_tail_is_clean_utf_eight(void **state)
{
	static const struct {
		const char *in, *out;
	} lines[] = {
	    {"plain", "plain"}, {"a\tb", "a b"}, {"\033[31mred\007", "?[31mred?"},
	    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	    {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"}, {"\xff\xfe", "??"},
	    {"\xc3", "?"},                /* ends too early */
	    {"\xc0\xaf", "??"},           /* overlong */
	    {"\xed\xa0\x80", "???"},      /* a surrogate */
	    {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
	    {"\xc2\x9b"
	     "31m",
		"??31m"}, /* a control character of two bytes */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct tail *t = tail_new(NULL, 1, 64);

		tail_add(t, lines[i].in, strlen(lines[i].in));
		assert_string_equal(tail_line(t, 0), lines[i].out);
		talloc_free(t);
	}
}

static void
the_tail_does_not_cut_a_character_in_two(void **state)
{
	struct tail *t = tail_new(NULL, 1, 4);

	(void)state;
	tail_add(t, "ab\xe2\x82\xac", 5);
	assert_string_equal(tail_line(t, 0), "ab");
	talloc_free(t);
}

static void
note_longest(const char *line, size_t len, bool cut, void *data)
{
	size_t *longest = data;

	assert_false(cut);
	assert_memory_equal(line, "begins", len < 6 ? len : 6);
	*longest = len > *longest ? len : *longest;
}

/* Room is taken for it as it comes, and given back. */
static void
a_long_line_is_whole_and_others_take_little(void **state)
{
	const size_t max = 1 << 20;
	TALLOC_CTX *mem = talloc_new(NULL);
	char *line = talloc_zero_size(mem, max), *more = line;
	size_t longest = 0, before;
	struct lines *l = lines_new(NULL, max, note_longest, &longest);

	(void)state;
	before = talloc_total_size(l);
	assert_true(before < 8192);
	strcpy(line, "begins");
	for (size_t left = max, n; left > 0; left -= n, more += n) {
		n = left < 16384 ? left : 16384;
		lines_feed(l, more, n);
	}
	assert_int_equal(longest, 0);
	lines_feed(l, "\nbegins anew\n", 13);
	assert_int_equal(longest, max);
	assert_int_equal(talloc_total_size(l), before);
	talloc_free(l);
	talloc_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_come_out_however_they_go_in),
	    cmocka_unit_test(a_long_line_is_whole_and_others_take_little),
	    cmocka_unit_test(the_tail_keeps_the_last_lines),
	    cmocka_unit_test(the_tail_is_clean_utf_eight),
	    cmocka_unit_test(the_tail_does_not_cut_a_character_in_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
