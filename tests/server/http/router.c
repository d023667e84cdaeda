/* SPDX-License-Identifier: MIT */
/* The router: which route a request gets, what the wildcards hold, 405 and its methods. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/internal.h"
#include "tests/harness/harness.h"

static struct route *
parse(TALLOC_CTX *mem, const char *pattern)
{
	const char *why;
	struct route *r = route_parse(mem, pattern, &why);

	if (r == NULL)
		harness_fail("\"%s\": %s", pattern, why);
	return r;
}

static void
add(struct router *r, const char *pattern)
{
	const struct route *with = NULL;

	if (router_add(r, parse(r, pattern), &with) != 0)
		fail_msg("\"%s\" conflicts with \"%s\"", pattern, with ? with->pattern : "?");
}

/* What a path leads to, as text: "pattern name=value …", "405 methods", "404" or "400". */
static const char *
find(const struct router *r, const char *method, const char *path)
{
	struct route_match m;
	int err = router_find(r, harness_mem(), method, path, strlen(path), &m);
	char *text;
	size_t wild = 0;

	if (err == -EINVAL)
		return "400";
	assert_int_equal(err, 0);
	if (m.route == NULL)
		return m.allow == NULL ? "404" : talloc_asprintf(harness_mem(), "405 %s", m.allow);
	assert_null(m.allow);
	text = talloc_strdup(harness_mem(), m.route->pattern);
	for (size_t i = 0; i < m.route->segments_n; i++)
		if (m.route->segments[i].kind != SEGMENT_LITERAL)
			text = talloc_asprintf_append(
			    text, " %s=%s", m.route->segments[i].text, m.values[wild++]);
	return text;
}

struct lookup {
	const char *method, *path, *found;
};

static void
check(const struct router *r, const struct lookup *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *found = find(r, table[i].method, table[i].path);

		if (strcmp(found, table[i].found) != 0)
			fail_msg("%s %s: \"%s\" instead of \"%s\"", table[i].method, table[i].path,
			    found, table[i].found);
	}
}
/* The same routes, registered in this order and in the opposite one, give the same. */
static void
check_both_orders(const char *const *patterns, size_t n, const struct lookup *table, size_t rows)
{
	for (int reverse = 0; reverse < 2; reverse++) {
		struct router *r = router_new(harness_mem());

		for (size_t i = 0; i < n; i++)
			add(r, patterns[reverse ? n - 1 - i : i]);
		check(r, table, rows);
		talloc_free(r);
	}
}
#define CHECK_BOTH_ORDERS(patterns, table)                                               \
	check_both_orders((patterns), sizeof(patterns) / sizeof((patterns)[0]), (table), \
	    sizeof(table) / sizeof((table)[0]))

static void
the_most_specific_path_wins(void **state)
{
	static const char *const patterns[] = {"/", "/{rest...}", "/a", "/{x}", "/a/", "/{x}/",
	    "/a/{y}", "/a/b", "/a/{y}/c", "/{x}/{y}/e", "/{p}/{q}/{r}/d", "/a%2Fb"};
	static const struct lookup table[] = {
	    {"GET", "/", "/"},
	    {"GET", "/a", "/a"},
	    {"GET", "/%61", "/a"},
	    {"GET", "/b", "/{x} x=b"},
	    {"GET", "/a/", "/a/"},
	    {"GET", "/b/", "/{x}/ x=b"},
	    {"GET", "/a/b", "/a/b"},
	    {"GET", "/a%2fb", "/a%2Fb"},
	    {"GET", "/a/z", "/a/{y} y=z"},
	    {"GET", "/a/z/c", "/a/{y}/c y=z"},
	    {"GET", "//", "/{rest...} rest=/"},
	    {"GET", "/b/b", "/{rest...} rest=b/b"},
	    {"GET", "/a//c", "/{rest...} rest=a//c"},
	    {"GET", "/a/z/c/", "/{rest...} rest=a/z/c/"},
	    /* a step back out of "/a/…" */
	    {"GET", "/a/z/e", "/{x}/{y}/e x=a y=z"},
	    {"GET", "/a/b/e", "/{x}/{y}/e x=a y=b"},
	    {"GET", "/a/z/c/d", "/{p}/{q}/{r}/d p=a q=z r=c"},
	    {"GET", "/a/z/c/f", "/{rest...} rest=a/z/c/f"},
	};

	(void)state;
	CHECK_BOTH_ORDERS(patterns, table);
}

static void
the_method_counts_and_get_serves_head(void **state)
{
	static const char *const patterns[] = {"GET /{x}", "POST /{x}", "GET /a", "HEAD /b",
	    "/{x}/{rest...}", "PUT /c/d", "HEAD /only/head/", "get /lower/case/"};
	static const struct lookup table[] = {
	    {"GET", "/a", "GET /a"},
	    {"HEAD", "/a", "GET /a"},
	    {"POST", "/a", "POST /{x} x=a"},
	    {"GET", "/b", "GET /{x} x=b"},
	    {"HEAD", "/b", "HEAD /b"},
	    {"HEAD", "/z", "GET /{x} x=z"},
	    {"PUT", "/c/d", "PUT /c/d"},
	    {"GET", "/c/d", "/{x}/{rest...} x=c rest=d"},
	    {"HEAD", "/c/d", "/{x}/{rest...} x=c rest=d"},
	    {"HEAD", "/only/head/", "HEAD /only/head/"},
	    {"GET", "/only/head/", "/{x}/{rest...} x=only rest=head/"},
	    {"get", "/lower/case/", "get /lower/case/"},
	    {"GET", "/lower/case/", "/{x}/{rest...} x=lower rest=case/"},
	};

	(void)state;
	CHECK_BOTH_ORDERS(patterns, table);
}

static void
unknown_paths_are_not_found_known_ones_not_allowed(void **state)
{
	static const char *const patterns[] = {
	    "GET /a", "POST /b", "HEAD /h", "PUT /{x}/y", "/all", "GET /r/{rest...}"};
	static const struct lookup table[] = {
	    {"GET", "/", "404"},
	    {"GET", "/q", "404"},
	    {"GET", "/a/", "404"},
	    {"GET", "/all/", "404"},
	    {"GET", "/r", "404"},
	    {"POST", "/a", "405 GET, HEAD"},
	    {"get", "/a", "405 GET, HEAD"},
	    {"GET", "/b", "405 POST"},
	    {"HEAD", "/b", "405 POST"},
	    {"GET", "/h", "405 HEAD"},
	    {"GET", "/q/y", "405 PUT"},
	    {"DELETE", "/r/", "405 GET, HEAD"},
	    {"BREW", "/all", "/all"},
	};
	struct router *r;

	(void)state;
	CHECK_BOTH_ORDERS(patterns, table);
	r = router_new(harness_mem());
	assert_string_equal(find(r, "GET", "/"), "404");
	assert_string_equal(find(r, "OPTIONS", "*"), "405 OPTIONS");
	add(r, "/all/methods");
	assert_string_equal(find(r, "OPTIONS", "*"), "405 OPTIONS");
	add(r, "GET /a");
	assert_string_equal(find(r, "OPTIONS", "*"), "405 GET, HEAD, OPTIONS");
	add(r, "HEAD /a");
	add(r, "POST /{x}");
	assert_string_equal(find(r, "PUT", "/a"), "405 POST, GET, HEAD");
	assert_string_equal(find(r, "OPTIONS", "*"), "405 POST, GET, HEAD, OPTIONS");
	add(r, "OPTIONS /o");
	assert_string_equal(find(r, "OPTIONS", "*"), "405 OPTIONS, POST, GET, HEAD");
}

static void
wildcards_hold_decoded_text(void **state)
{
	static const char *const patterns[] = {
	    "/one/{v}", "/rest/{v...}", "/two/{a}/x/{b}", "/mix/{a}/{rest...}"};
	static const struct lookup table[] = {
	    {"GET", "/one/a%20b", "/one/{v} v=a b"},
	    {"GET", "/one/a+b", "/one/{v} v=a+b"},
	    {"GET", "/one/%2F", "/one/{v} v=/"},
	    {"GET", "/one/%e2%82%ac", "/one/{v} v=\xe2\x82\xac"},
	    {"GET", "/one/%252e", "/one/{v} v=%2e"},
	    {"GET", "/one/...", "/one/{v} v=..."},
	    {"GET", "/one/", "404"},
	    {"GET", "/one/a/", "404"},
	    {"GET", "/rest", "404"},
	    {"GET", "/rest/", "/rest/{v...} v="},
	    {"GET", "/rest//", "/rest/{v...} v=/"},
	    {"GET", "/rest/a%2fb/c/", "/rest/{v...} v=a/b/c/"},
	    {"GET", "/rest/a/b/c/d/e/f%2F/g", "/rest/{v...} v=a/b/c/d/e/f//g"},
	    {"GET", "/rest/%2f", "/rest/{v...} v=/"},
	    {"GET", "/rest/..%5c..%5Ca", "/rest/{v...} v=..\\..\\a"}, /* one segment */
	    {"GET", "/rest/%252e%252e%252fa", "/rest/{v...} v=%2e%2e%2fa"},
	    {"GET", "/rest/%2500", "/rest/{v...} v=%00"},
	    {"GET", "/one/a%2fb%2Fc", "/one/{v} v=a/b/c"},
	    {"GET", "/one/%2fetc", "/one/{v} v=/etc"},
	    {"GET", "/two/1/x/2", "/two/{a}/x/{b} a=1 b=2"},
	    {"GET", "/mix/1/", "/mix/{a}/{rest...} a=1 rest="},
	    {"GET", "/mix/1/2/3", "/mix/{a}/{rest...} a=1 rest=2/3"},
	    {"GET", "/mix/1", "404"},
	    {"GET", "/mix//2", "404"},
	};

	(void)state;
	CHECK_BOTH_ORDERS(patterns, table);
}

static void
malformed_paths_are_refused_before_routing(void **state)
{
	static const char *const patterns[] = {"/{rest...}", "/one/{name}"};
	static const struct lookup table[] = {
	    {"GET", "/.", "400"},
	    {"GET", "/..", "400"},
	    {"GET", "/a/../b", "400"},
	    {"GET", "/a/./b", "400"},
	    {"GET", "/a/%2e%2E/b", "400"},
	    {"GET", "/a/.%2e", "400"},
	    {"GET", "/%", "400"},
	    {"GET", "/a/%zz", "400"},
	    {"GET", "/a%00", "400"},
	    {"GET", "/a%2", "400"},
	    {"GET", "/%2/f", "400"}, /* an escape does not cross a slash */
	    /* An encoded slash separates as well, whatever pattern would take it. */
	    {"GET", "/..%2f..%2fetc%2fpasswd", "400"},
	    {"GET", "/a/..%2Fb", "400"},
	    {"GET", "/a/b%2f..", "400"},
	    {"GET", "/a/b%2f.%2fc", "400"},
	    {"GET", "/a/%2e%2e%2f%2e%2e", "400"},
	    {"GET", "/a/%2f%2e", "400"},
	    {"GET", "/one/..%2fa", "400"},
	    {"GET", "/one/a%2f%2e%2E", "400"},
	    {"GET", "/a/b/c/d/e/..%2ff", "400"}, /* deeper than any pattern */
	    {"GET", "/a/b/c/d/e/../f", "400"},
	    {"GET", "/a/b/c/d/e/%00", "400"},
	    /* Overlong UTF-8. */
	    {"GET", "/%c0%ae%c0%ae/a", "400"},
	    {"GET", "/a/..%c0%afb", "400"},
	    {"GET", "/a/%e0%80%af", "400"},
	    {"GET", "/a/%F0%80%80%AF", "400"},
	    {"GET", "/.a/..b/c..", "/{rest...} rest=.a/..b/c.."},
	};

	(void)state;
	CHECK_BOTH_ORDERS(patterns, table);
}

static void
conflicts_are_refused_and_name_the_other(void **state)
{
	struct router *r = router_new(harness_mem());
	const struct route *with = NULL;

	(void)state;
	add(r, "GET /a");
	add(r, "GET /{x}/b");
	assert_int_equal(router_add(r, parse(r, "GET /a/{y}"), &with), -EEXIST);
	assert_string_equal(with->pattern, "GET /{x}/b");
	assert_int_equal(router_add(r, parse(r, "GET /%61"), &with), -EEXIST);
	assert_string_equal(with->pattern, "GET /a");
	/* What was refused is not found. */
	assert_string_equal(find(r, "GET", "/a/z"), "404");
	assert_string_equal(find(r, "GET", "/a/b"), "GET /{x}/b x=a");
}

/* A thousand routes that share beginnings: each finds its own, nothing finds another's. */
static void
a_thousand_routes_are_kept_apart(void **state)
{
	struct router *r = router_new(harness_mem());
	const unsigned step = 617; /* prime to 1000: an order that is neither up nor down */
	char text[64];

	(void)state;
	for (unsigned i = 0, n = 0; i < 1000; i++, n = (n + step) % 1000) {
		snprintf(
		    text, sizeof(text), "%s /r%u/{id}/s%u", n % 3 ? "GET" : "POST", n / 10, n % 10);
		add(r, text);
	}
	for (unsigned n = 0; n < 1000; n++) {
		char want[80];

		snprintf(text, sizeof(text), "/r%u/%u/s%u", n / 10, n, n % 10);
		snprintf(want, sizeof(want), "%s /r%u/{id}/s%u id=%u", n % 3 ? "GET" : "POST",
		    n / 10, n % 10, n);
		assert_string_equal(find(r, n % 3 ? "GET" : "POST", text), want);
		assert_string_equal(find(r, "PUT", text), n % 3 ? "405 GET, HEAD" : "405 POST");
	}
	assert_string_equal(find(r, "GET", "/r100/1/s1"), "404");
	assert_string_equal(find(r, "GET", "/r1/1/s10"), "404");
}

static void
a_freed_router_leaves_nothing(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct router *r = router_new(mem);

	(void)state;
	add(r, "GET /a/{b}");
	add(r, "POST /a/b/{c...}");
	assert_true(talloc_total_blocks(mem) > 5);
	talloc_free(r);
	assert_int_equal(talloc_total_blocks(mem), 1);
	talloc_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_most_specific_path_wins),
	    e2e_test(the_method_counts_and_get_serves_head),
	    e2e_test(unknown_paths_are_not_found_known_ones_not_allowed),
	    e2e_test(wildcards_hold_decoded_text),
	    e2e_test(malformed_paths_are_refused_before_routing),
	    e2e_test(conflicts_are_refused_and_name_the_other),
	    e2e_test(a_thousand_routes_are_kept_apart),
	    e2e_test(a_freed_router_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
