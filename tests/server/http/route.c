/* SPDX-License-Identifier: MIT */
/*
 * Patterns: what is refused and why, and which two of them conflict. Beside a table there is
 * an oracle: by definition, two patterns conflict if some request matches both while neither
 * matches a true subset of the other's requests. Over a small world that can be counted.
 */
#include <errno.h>
#include <string.h>

#include "server/internal.h"
#include "tests/harness/harness.h"

static void
malformed_patterns_are_refused_with_the_reason(void **state)
{
	static const char form[] = "expected \"/path\" or \"METHOD /path\"";
	static const char whole[] = "a wildcard is a whole segment: {name} or {name...}";
	static const char name[] = "a wildcard's name consists of letters, digits and _";
	static const char last[] = "{name...} is only possible as the last segment";
	static const char twice[] = "two wildcards have the same name";
	static const char escape[] = "bad percent-encoding";
	static const char dots[] = "dot segments and overlong UTF-8 never match";
	static const struct {
		const char *pattern, *why;
	} table[] = {
	    {"", form},
	    {" ", form},
	    {"GET", form},
	    {"GET ", form},
	    {"a/b", form},
	    {"{a}/b", form},
	    {"example.com/a", form},
	    {"GET example.com/a", form},
	    {"G(T /", form},
	    {"A=B /", form},
	    {"GET/a", form},
	    {"/{", whole},
	    {"/}", whole},
	    {"/{w}x", whole},
	    {"/x{w}", whole},
	    {"/{wx", whole},
	    {"/wx}", whole},
	    {"/{a/b}", whole},
	    {"/{}", name},
	    {"/{...}", name},
	    {"/{1a}", name},
	    {"/{a-b}", name},
	    {"/{a b}", name},
	    {"/{$}", name},
	    {"/{a..}", name},
	    {"/{a}{b}", name},
	    {"/{a...}/", last},
	    {"/{a...}/b", last},
	    {"/{a...}/{b...}", last},
	    {"/{a}/{a}", twice},
	    {"/a/{x}/b/{x...}", twice},
	    {"/%", escape},
	    {"/%2", escape},
	    {"/%zz", escape},
	    {"/a%00", escape},
	    {"/.", dots},
	    {"/a/../b", dots},
	    {"/%2e%2E/a", dots},
	};
	TALLOC_CTX *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *why = NULL;

		if (route_parse(mem, table[i].pattern, &why) != NULL)
			fail_msg("\"%s\" is accepted", table[i].pattern);
		if (why == NULL || strcmp(why, table[i].why) != 0)
			fail_msg("\"%s\": %s", table[i].pattern, why);
		assert_int_equal(talloc_total_blocks(mem), 1);
	}
	talloc_free(mem);
}

/* A route's segments as "l:literal o:one r:rest". */
static const char *
segments_text(const struct route *r)
{
	static const char kinds[] = {
	    [SEGMENT_LITERAL] = 'l', [SEGMENT_ONE] = 'o', [SEGMENT_REST] = 'r'};
	char *text = talloc_strdup(harness_mem(), r->method != NULL ? r->method : "*");

	for (size_t i = 0; i < r->segments_n; i++)
		text = talloc_asprintf_append(
		    text, " %c:%s", kinds[r->segments[i].kind], r->segments[i].text);
	return text;
}

static void
patterns_are_cut_into_segments(void **state)
{
	static const struct {
		const char *pattern, *segments;
	} table[] = {
	    {"/", "* l:"},
	    {"/a", "* l:a"},
	    {"/a/", "* l:a l:"},
	    {"//", "* l: l:"},
	    {"GET /a", "GET l:a"},
	    {"get \t /a", "get l:a"},
	    {"M-SEARCH /a/{b}/c", "M-SEARCH l:a o:b l:c"},
	    {"/{a}/{b_2}/{rest...}", "* o:a o:b_2 r:rest"},
	    {"/{rest...}", "* r:rest"},
	    {"/{_}", "* o:_"},
	    {"/a%20b/%7bc%7D", "* l:a b l:{c}"},
	    {"/a%2Fb", "* l:a/b"},
	    {"/...", "* l:..."},
	    {"/a b", "* l:a b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *why = "nothing said";
		struct route *r = route_parse(harness_mem(), table[i].pattern, &why);

		if (r == NULL)
			harness_fail("\"%s\": %s", table[i].pattern, why);
		assert_string_equal(r->pattern, table[i].pattern);
		assert_string_equal(segments_text(r), table[i].segments);
	}
}

static struct route *
parse(const char *pattern)
{
	const char *why;
	struct route *r = route_parse(harness_mem(), pattern, &why);

	if (r == NULL)
		harness_fail("\"%s\": %s", pattern, why);
	return r;
}

static void
conflicts_are_those_of_the_go_mux(void **state)
{
	static const struct {
		const char *a, *b;
		bool conflict;
	} table[] = {
	    {"/a", "/a", true},
	    {"/a", "/%61", true},
	    {"/a", "/b", false},
	    {"/a", "/a/", false},
	    {"/{x}", "/{y}", true},
	    {"/{x...}", "/{y...}", true},
	    {"/a", "/{x}", false},
	    {"/a", "/{x...}", false},
	    {"/{x}", "/{y...}", false},
	    {"/", "/{x}", false},
	    {"/", "/{x...}", false},
	    {"/{x}/b", "/a/{y}", true},
	    {"/{x}/b", "/a/c", false},
	    {"/{x}/b", "/a/b", false},
	    {"/{x}/b", "/{y}/c", false},
	    {"/a/{x}/b/{r...}", "/{x}/c/{r...}", true},
	    {"/a/{r...}", "/{x}/b", true},
	    {"/a/{r...}", "/{x}/{y}", true},
	    {"/a/{r...}", "/{x}/{s...}", false},
	    {"/a/{x}/{r...}", "/{y}/b/{r...}", true},
	    {"/a/b/{r...}", "/a/b/c/d/{r...}", false},
	    {"/a/{r...}", "/b/{r...}", false},
	    {"/a/{r...}", "/a", false},
	    {"/a/{r...}", "/a/", false},
	    {"/a/", "/{x}/b", false},
	    {"/{x}/", "/a/{y}", false},
	    {"GET /a", "/a", false},
	    {"GET /a", "POST /a", false},
	    {"GET /a", "get /a", false},
	    {"GET /a", "GET /a", true},
	    {"GET /a", "HEAD /a", false},
	    {"GET /{x}", "/a", true},
	    {"GET /a", "/{x}", false},
	    {"GET /a", "HEAD /{x}", true},
	    {"GET /{x}", "HEAD /a", false},
	    {"POST /{x}", "GET /a", false},
	    {"GET /{x}/b", "/a/{y}", true},
	    {"GET /{x}/b", "POST /a/{y}", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct route *a = parse(table[i].a), *b = parse(table[i].b);

		if (route_conflict(a, b) != table[i].conflict ||
		    route_conflict(b, a) != table[i].conflict)
			fail_msg("\"%s\" and \"%s\"", table[i].a, table[i].b);
	}
}

/* ---- The oracle ---------------------------------------------------------------------------- */

#define DEPTH 4 /* segments of the longest path: one more than the longest pattern's */

static const char *const words[] = {"", "a", "b", "z"};
#define WORDS 4

/* Does r match a path of n words? Straight from the documentation. */
static bool
matches(const struct route *r, const unsigned *path, size_t n)
{
	for (size_t i = 0; i < r->segments_n; i++) {
		const struct segment *s = &r->segments[i];

		if (i == n)
			return false;
		if (s->kind == SEGMENT_REST)
			return true;
		if (s->kind == SEGMENT_ONE && words[path[i]][0] == '\0')
			return false;
		if (s->kind == SEGMENT_LITERAL && strcmp(s->text, words[path[i]]) != 0)
			return false;
	}
	return n == r->segments_n;
}

struct overlap {
	bool both, only_a, only_b;
};

static bool
method_matches(const char *pattern, const char *method)
{
	return pattern == NULL || strcmp(pattern, method) == 0 ||
	       (strcmp(pattern, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* Counts over every method and path of the small world. */
static struct overlap
overlap_of(const struct route *a, const struct route *b)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	struct overlap o = {false, false, false};
	unsigned path[DEPTH];

	for (size_t n = 1; n <= DEPTH; n++)
		for (unsigned code = 0; code < 1u << (2 * n); code++) {
			bool pa, pb;

			for (size_t i = 0; i < n; i++)
				path[i] = code >> (2 * i) & (WORDS - 1);
			pa = matches(a, path, n);
			pb = matches(b, path, n);
			for (size_t m = 0; m < 3 && (pa || pb); m++) {
				bool ma = pa && method_matches(a->method, methods[m]);
				bool mb = pb && method_matches(b->method, methods[m]);

				o.both |= ma && mb;
				o.only_a |= ma && !mb;
				o.only_b |= mb && !ma;
			}
		}
	return o;
}

static void
conflicts_are_what_counting_requests_says(void **state)
{
	static const char *const methods[] = {"", "GET ", "HEAD ", "POST "};
	static const char *const ends[] = {"/", "/a", "/b", "/{x}", "/{r...}", "/a/", "/{x}/",
	    "/a/b", "/{x}/b", "/a/{y}", "/{x}/{y}", "/a/{r...}", "/{x}/{r...}", "/{x}/b/",
	    "/{x}/a/{r...}", "/a/{y}/b", "/{x}/{y}/b", "/a/{y}/{z}", "/a/b/{r...}", "//{x}",
	    "//{r...}"};
	enum { ENDS = sizeof(ends) / sizeof(ends[0]), ALL = 4 * ENDS };
	struct route *routes[ALL];
	unsigned conflicts = 0;

	(void)state;
	for (size_t i = 0; i < ALL; i++)
		routes[i] = parse(
		    talloc_asprintf(harness_mem(), "%s%s", methods[i / ENDS], ends[i % ENDS]));
	for (size_t i = 0; i < ALL; i++)
		for (size_t j = i; j < ALL; j++) {
			struct overlap o = overlap_of(routes[i], routes[j]);
			bool want = o.both && o.only_a == o.only_b;

			conflicts += want;
			if (route_conflict(routes[i], routes[j]) != want ||
			    route_conflict(routes[j], routes[i]) != want)
				fail_msg("\"%s\" and \"%s\": expected %s", routes[i]->pattern,
				    routes[j]->pattern, want ? "a conflict" : "none");
		}
	assert_true(conflicts > ALL); /* each with itself, and then some */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(malformed_patterns_are_refused_with_the_reason),
	    e2e_test(patterns_are_cut_into_segments),
	    e2e_test(conflicts_are_those_of_the_go_mux),
	    e2e_test(conflicts_are_what_counting_requests_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
