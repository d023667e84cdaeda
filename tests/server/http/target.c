/* SPDX-License-Identifier: MIT */
/* Request targets: their forms, percent-decoding, dot segments and queries. */
#include <errno.h>
#include <string.h>

#include "server/internal.h"
#include "tests/harness/harness.h"

static void
forms_are_told_apart(void **state)
{
	static const struct {
		const char *raw;
		const char *path; /* NULL: refused */
		const char *query;
	} table[] = {
	    /* origin-form */
	    {"/", "/", ""},
	    {"/a/b", "/a/b", ""},
	    {"/a?", "/a", ""},
	    {"/a?x=1", "/a", "x=1"},
	    {"/a?x=1?y", "/a", "x=1?y"},
	    {"/?", "/", ""},
	    {"//host/a", "//host/a", ""},
	    {"/a:80/b@c", "/a:80/b@c", ""},
	    {"/%2F%3f", "/%2F%3f", ""},
	    /* absolute-form */
	    {"http://host", "/", ""},
	    {"http://host/", "/", ""},
	    {"HTTP://host:80/a?x", "/a", "x"},
	    {"https://[::1]:443/a", "/a", ""},
	    {"http://host?x=/y", "/", "x=/y"},
	    {"http://host:80*", "/", ""}, /* the authority is looked at elsewhere */
	    {"http:///a", NULL, NULL},
	    {"http://", NULL, NULL},
	    {"http://?x", NULL, NULL},
	    {"ftp://host/a", NULL, NULL},
	    {"http:/host/a", NULL, NULL},
	    /* asterisk-form, which is for OPTIONS */
	    {"*", NULL, NULL},
	    {"*?x", NULL, NULL},
	    {"**", NULL, NULL},
	    /* authority-form is for CONNECT, which is not served */
	    {"host:443", NULL, NULL},
	    /* no form at all */
	    {"", NULL, NULL},
	    {"a", NULL, NULL},
	    {"?x", NULL, NULL},
	    /* a fragment never leaves the client */
	    {"/a#b", NULL, NULL},
	    {"/a?x#b", NULL, NULL},
	    {"http://host#b", NULL, NULL},
	    {"#", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct target t = {.path = "untouched", .path_len = 9, .query = "untouched"};
		int err = target_parse("GET", table[i].raw, &t);

		if (table[i].path == NULL) {
			if (err != -EINVAL)
				fail_msg("%s: %d instead of -EINVAL", table[i].raw, err);
			assert_string_equal(t.path, "untouched");
			continue;
		}
		if (err != 0 || t.path_len != strlen(table[i].path) ||
		    strncmp(t.path, table[i].path, t.path_len) != 0 ||
		    strcmp(t.query, table[i].query) != 0)
			fail_msg("%s: %d, path %.*s, query %s", table[i].raw, err, (int)t.path_len,
			    t.path, t.query);
	}
}

static void
options_may_ask_for_the_server(void **state)
{
	static const struct {
		const char *method, *raw;
		const char *path; /* NULL: refused */
	} table[] = {
	    {"OPTIONS", "*", "*"},
	    {"OPTIONS", "http://host", "*"},
	    {"OPTIONS", "http://host:80", "*"},
	    {"OPTIONS", "http://host/", "/"},
	    {"OPTIONS", "http://host?x", "/"},
	    {"OPTIONS", "/*", "/*"},
	    {"OPTIONS", "*?x", NULL},
	    {"options", "*", NULL},
	    {"HEAD", "*", NULL},
	    {"HEAD", "http://host", "/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct target t;
		int err = target_parse(table[i].method, table[i].raw, &t);

		if (table[i].path == NULL ? err != -EINVAL
					  : (err != 0 || t.path_len != strlen(table[i].path) ||
						strncmp(t.path, table[i].path, t.path_len) != 0))
			fail_msg("%s %s: %d", table[i].method, table[i].raw, err);
	}
}

static void
the_authority_is_what_the_absolute_form_names(void **state)
{
	static const struct {
		const char *raw, *authority; /* NULL: none */
	} table[] = {
	    {"/a", NULL},
	    {"//a/b", NULL},
	    {"http://a", "a"},
	    {"http://a/", "a"},
	    {"http://a?x", "a"},
	    {"https://[::1]:443/http://b/", "[::1]:443"},
	    {"http://u@a/", "u@a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct target t;

		assert_int_equal(target_parse("GET", table[i].raw, &t), 0);
		if (table[i].authority == NULL) {
			assert_null(t.authority);
			assert_int_equal(t.authority_len, 0);
		} else {
			assert_int_equal(t.authority_len, strlen(table[i].authority));
			assert_memory_equal(t.authority, table[i].authority, t.authority_len);
		}
	}
}

static void
escapes_are_decoded_or_refused(void **state)
{
	static const struct {
		const char *raw;
		const char *decoded; /* NULL: refused */
		bool plus;
	} table[] = {
	    {"", "", false},
	    {"abc", "abc", false},
	    {"a%20b", "a b", false},
	    {"a+b", "a+b", false},
	    {"a+b", "a b", true},
	    {"a%2bb", "a+b", true},
	    {"%2F%2f", "//", false},
	    {"%e2%82%AC", "\xe2\x82\xac", false},
	    {"%ff", "\xff", false},
	    {"%25%32%30", "%20", false},
	    {"%0a", "\n", false},
	    {"%00", NULL, false},
	    {"a%00b", NULL, false},
	    {"%", NULL, false},
	    {"%2", NULL, false},
	    {"a%2", NULL, false},
	    {"%g0", NULL, false},
	    {"%0g", NULL, false},
	    {"%%20", NULL, false},
	    {"% 1", NULL, false},
	    {"%-1", NULL, false},
	    {"%u0041", NULL, false},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = strlen(table[i].raw);
		ssize_t n = target_unescape(out, table[i].raw, len, table[i].plus);
		ssize_t want =
		    table[i].decoded == NULL ? -EINVAL : (ssize_t)strlen(table[i].decoded);

		if (n != want || (n >= 0 && strcmp(out, table[i].decoded) != 0))
			fail_msg("%s: %zd", table[i].raw, n);
	}
}

/* An escape is not completed from beyond the piece that is decoded. */
static void
decoding_stops_at_the_length_given(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(target_unescape(out, "a%20", 3, false), -EINVAL);
	assert_int_equal(target_unescape(out, "a%20", 2, false), -EINVAL);
	assert_int_equal(target_unescape(out, "a%20", 1, false), 1);
	assert_string_equal(out, "a");
}

static void
dot_segments_and_overlong_text_are_no_path(void **state)
{
	static const struct {
		const char *decoded;
		bool valid;
	} table[] = {
	    {"", true},
	    {"/", true},
	    {"//", true},
	    {"a/b/", true},
	    {"...", true},
	    {".a", true},
	    {"a.", true},
	    {"..a/b..", true},
	    {"..\\..", true}, /* a backslash separates nothing */
	    {".", false},
	    {"..", false},
	    {"a/..", false},
	    {"../a", false},
	    {"a/../b", false},
	    {"a/./b", false},
	    {"/.", false},
	    {"./", false},
	    {"//..//", false},
	    /* UTF-8, and what is neither that nor another spelling of it */
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
	    {"\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80", true}, /* the first of each length */
	    {"\xff\xfe\x80", true},
	    {"\xc0", true},
	    {"\xc0.", true},
	    {"\xc0\xae", false},
	    {"a\xc1\x81", false},
	    {"\xe0\x80\xaf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xf0\x80\x80\xaf", false},
	    {"\xf0\x8f\xbf\xbf", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (target_path_valid(table[i].decoded) != table[i].valid)
			fail_msg("%s", table[i].decoded);
}

static void
queries_give_the_first_value_of_a_name(void **state)
{
	static const struct {
		const char *query, *name;
		const char *value; /* NULL: absent or badly encoded */
	} table[] = {
	    {"", "a", NULL},
	    {"a=1", "a", "1"},
	    {"a=1", "A", NULL},
	    {"a=1", "", NULL},
	    {"a=1&b=2", "b", "2"},
	    {"a=1&a=2", "a", "1"},
	    {"aa=1&a=2", "a", "2"},
	    {"a", "a", ""},
	    {"a&b=2", "a", ""},
	    {"a=", "a", ""},
	    {"a=&b", "b", ""},
	    {"b&a", "c", NULL},
	    {"a==b", "a", "=b"},
	    {"a=1;b=2", "a", "1;b=2"},
	    {"&&a=1&", "a", "1"},
	    {"=x", "", "x"},
	    {"a=b+c%2Bd", "a", "b c+d"},
	    {"a+b=1", "a b", "1"},
	    {"%61=1", "a", "1"},
	    {"%C3%BC=%c3%9c", "\xc3\xbc", "\xc3\x9c"},
	    {"a=%26&b=%3d", "b", "="},
	    {"a%26b=1", "a&b", "1"},
	    {"a=%", "a", NULL},
	    {"a=%zz&a=2", "a", NULL},
	    {"a=%00", "a", NULL},
	    {"%zz=1&a=2", "a", "2"},
	    {"a=1&%=2", "%", NULL},
	};
	TALLOC_CTX *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *value = target_query(mem, table[i].query, table[i].name);

		if ((value == NULL) != (table[i].value == NULL) ||
		    (value != NULL && strcmp(value, table[i].value) != 0))
			fail_msg("%s of %s: %s", table[i].name, table[i].query,
			    value == NULL ? "nothing" : value);
		if (value == NULL)
			assert_int_equal(talloc_total_blocks(mem), 1);
		talloc_free_children(mem);
	}
	talloc_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forms_are_told_apart),
	    cmocka_unit_test(options_may_ask_for_the_server),
	    cmocka_unit_test(the_authority_is_what_the_absolute_form_names),
	    cmocka_unit_test(escapes_are_decoded_or_refused),
	    cmocka_unit_test(decoding_stops_at_the_length_given),
	    cmocka_unit_test(dot_segments_and_overlong_text_are_no_path),
	    cmocka_unit_test(queries_give_the_first_value_of_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
