/* SPDX-License-Identifier: MIT */
/* Command lines → words: quoting as in sh(1), and nothing that would need a shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/config/words.h"

static const struct {
	const char *text, *words; /* joined by '|'; NULL: refused */
} rows[] = {
    {"a", "a"},
    {"a b  c\t d ", "a|b|c|d"},
    {"a 'b c' \"d e\"", "a|b c|d e"},
    {"a\\ b", "a b"},
    {"a 'b'\"c\"d", "a|bcd"},
    {"a '' b", "a||b"},
    {"a 'x;y|z&(){}<>'", "a|x;y|z&(){}<>"},
    {"a $BATON_WORD '$BATON_WORD'", "a|w1|w2|$BATON_WORD"},
    {"a \"$BATON_WORD\"", "a|w1 w2"},
    {"a --x=${BATON_WORD#w1 }", "a|--x=w2"},
    {"a # b", "a|#|b"},
    {"", NULL},
    {"   ", NULL},
    {"''", NULL},
    {"a; b", NULL},
    {"a && b", NULL},
    {"a > b", NULL},
    {"a 'b", NULL},
    {"a \"b", NULL},
    {"a `b`", NULL},
    {"a $(b)", NULL},
    {"a $BATON_NOT_SET", NULL},
};

static void
words_are_split_as_a_shell_would(void **state)
{
	(void)state;
	setenv("BATON_WORD", "w1 w2", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		char *joined = talloc_strdup(NULL, "");
		char **words = NULL;
		const char *why = NULL;
		int error = words_split(mem, rows[i].text, &words, &why);

		if (rows[i].words == NULL) {
			assert_int_equal(error, -EINVAL);
			assert_non_null(why);
			assert_null(words);
			assert_int_equal(talloc_total_blocks(mem), 1);
		} else {
			assert_int_equal(error, 0);
			for (char **w = words; *w != NULL; w++)
				joined = talloc_asprintf_append(
				    joined, "%s%s", w == words ? "" : "|", *w);
			assert_string_equal(joined, rows[i].words);
		}
		talloc_free(joined);
		talloc_free(mem);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_split_as_a_shell_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
