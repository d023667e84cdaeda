/* SPDX-License-Identifier: MIT */
/*
 * What is done with a head before its handler runs, where nothing can interrupt it, takes time
 * in proportion to its size, whatever it consists of: eight times the size is no 64 times the
 * cost, and a path of slashes is not much dearer than one of letters.
 */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "server/internal.h"
#include "server/wire/guard.h"
#include "tests/server/serving.h"

enum { SMALL = 1500, TIMES = 8, DEARER = 15, TRIES = 25 };

static int
look(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	(void)http_request_query(req, "last");
	(void)http_request_header(req, "last");
	(void)http_request_path_value(req, "rest");
	return http_response_static(res, 200, NULL, "", 0);
}

static struct http_server *
server(void)
{
	struct http_server *s = http_server_new(harness_mem());

	assert_int_equal(http_server_handle(s, "GET /f/{rest...}", look, NULL), 0);
	assert_int_equal(
	    http_server_handle(s, "GET /f/{a}/{b}/{c}/x/{d}/{rest...}", look, NULL), 0);
	assert_int_equal(http_server_handle(s, "PUT /{id}", look, NULL), 0);
	return s;
}

/* A head of about that size: `piece` again and again between a beginning and an end. */
static struct http_request *
request(const char *begin, const char *piece, const char *end, size_t size)
{
	size_t n = size / strlen(piece), at = strlen(begin);
	char *head = talloc_size(harness_mem(), at + n * strlen(piece) + strlen(end) + 1);
	struct http_request *req;

	strcpy(head, begin);
	for (size_t i = 0; i < n; i++, at += strlen(piece))
		strcpy(head + at, piece);
	strcpy(head + at, end);
	req = http_test_request(harness_mem(), head, NULL, 0);
	if (req == NULL)
		harness_fail("%.40s… does not parse", head);
	talloc_free(head);
	return req;
}

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Lowers *best to what one such request costs. */
static void
best(int64_t *best_ns, struct http_server *s, const char *begin, const char *piece, const char *end,
    size_t size)
{
	struct http_request *req = request(begin, piece, end, size);
	const struct http_response *res;
	const char *why;
	int64_t ns = cpu_ns();

	(void)guard_check(req, &why);
	(void)http_test_serve(s, ctx_background(), req, &res);
	ns = cpu_ns() - ns;
	*best_ns = ns < *best_ns ? ns : *best_ns;
}

static void
cost_grows_as_the_size_does(void **state)
{
	static const struct {
		const char *begin, *piece, *end;
	} shapes[] = {
	    {"GET /f/", "/", "\nHost: a"},
	    {"GET /f/a/b/c/", "/", "\nHost: a"},
	    {"GET /f/", "a/", "\nHost: a"},
	    {"GET /f/", "%2f", "\nHost: a"},
	    {"GET /f/", "%2e/", "\nHost: a"},
	    {"GET /f/", ".", "\nHost: a"},
	    {"GET /f/", "\xc3\xa4", "\nHost: a"},
	    {"PUT /", "a/", "\nHost: a"},
	    {"PUT /", "a", "\nHost: a"},
	    {"POST /f/", "/", "\nHost: a"},
	    {"GET http://", "a.", "/f/a\nHost: a"},
	    {"GET /f/a?", "&", "&last=1\nHost: a"},
	    {"GET /f/a?", "a=%20&", "&last=1\nHost: a"},
	    {"GET /f/a\nHost: a", "\nA: b", "\nLast: c"},
	    {"GET /f/a\nHost: a", "\nContent-Length: 5", "\nLast: c"},
	    {"GET /f/a\nHost: a\nTransfer-Encoding: ", "a,", "chunked"},
	    {"GET /f/a\nHost: a\nTransfer-Encoding: ", " ", "chunked"},
	};
	struct http_server *s = server();

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		int64_t plain = INT64_MAX, small = INT64_MAX, large = INT64_MAX;

		/* In turn, and the best of many: a busy machine is busy for all. */
		for (int t = 0; t < TRIES; t++) {
			best(&plain, s, "GET /f/", "a", "\nHost: a", SMALL * TIMES);
			best(&small, s, shapes[i].begin, shapes[i].piece, shapes[i].end, SMALL);
			best(&large, s, shapes[i].begin, shapes[i].piece, shapes[i].end,
			    SMALL * TIMES);
		}
		if (large > 3 * TIMES * small + 20000 || large > DEARER * plain)
			fail_msg("%s%s…: %ld ns, %d times of it %ld ns, of letters %ld ns",
			    shapes[i].begin, shapes[i].piece, (long)small, TIMES, (long)large,
			    (long)plain);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(cost_grows_as_the_size_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
