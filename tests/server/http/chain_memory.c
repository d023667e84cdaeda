/* SPDX-License-Identifier: MIT */
/*
 * What chains cost: no malloc for a request on its way, also with injected values and a bag
 * that is read; and whichever allocation fails, a chain is NULL, a registration -ENOMEM, a
 * request answered with 500, and nothing is left. This program has a malloc of its own in front
 * of libc's, which sanitizers have as well: under one of them the tests are skipped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <baton/bag.h>

#include "server/internal.h"
#include "tests/server/serving.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

static __thread int fail_at; /* the allocation to fail, counted from now on; 0: none */
static __thread size_t allocations;

#if OWN_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t nmemb, size_t size);
void *__libc_realloc(void *ptr, size_t size);

#pragma GCC visibility push(default) /* for the shared libraries, too */
static bool
fails(void)
{
	allocations++;
	if (fail_at == 0 || --fail_at > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t nmemb, size_t size)
{
	return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *
realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __libc_realloc(ptr, size);
}
#pragma GCC visibility pop
#endif

static int
pass(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)data;
	return http_next(ctx, req, res, next);
}

static int
pass_plain(const struct http_request *req, struct http_response *res, const struct http_next *next,
    void *data)
{
	(void)data;
	return http_next_same(req, res, next);
}

/* Two mallocs would be the bag's own, if the chain had put nothing into it. */
static int
look(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	if (strcmp(ctx_bag_get(ctx, "color"), "green") != 0 || ctx_bag_exists(ctx, "shape"))
		return -EIO;
	if (!ctx_bag_delete(ctx, "size") || ctx_bag_put(ctx, "color", "red") != 0)
		return -EIO;
	return http_response_static(res, 200, "text/plain", "ok", 2);
}

/* All that there is to make; NULL for lack of memory. */
static struct http_chained *
make(TALLOC_CTX *mem)
{
	struct http_chain *c = http_chain_new(mem, HTTP_LINKS({pass, NULL}, {pass, NULL}));
	struct http_chain *plain =
	    http_chain_new(mem, HTTP_LINKS(HTTP_ADAPT(mem, pass_plain, NULL)));

	c = http_chain_inject(mem, c, "color", "green");
	plain = http_chain_inject(mem, plain, "size", NULL);
	plain = http_chain_append(mem, plain, HTTP_LINKS({pass, NULL}));
	return http_chain_then(mem, http_chain_extend(mem, c, plain), look, NULL);
}

static int
serve_once(struct http_server *s, struct http_request *req)
{
	const struct http_response *res;

	return http_test_serve(s, ctx_background(), req, &res);
}

static void
a_request_takes_no_malloc(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);

	(void)state;
	if (!OWN_MALLOC)
		harness_skip("a sanitizer has its own malloc");
	http_server_use(s, pass, NULL);
	http_server_handle(s, "GET /", http_chain_serve, make(harness_mem()));
	allocations = 0;
	assert_int_equal(serve_once(s, req), 200);
	assert_int_equal(allocations, 0);
}

/* Fails the first allocation, then the second, … until all goes well. */
static void
lack_of_memory_is_told(void **state)
{
	TALLOC_CTX *top = talloc_new(harness_mem());
	bool made = false;
	int failed = 0;

	(void)state;
	if (!OWN_MALLOC)
		harness_skip("a sanitizer has its own malloc");
	for (int at = 1; !made; at++) {
		TALLOC_CTX *mem = talloc_new(top);
		struct http_server *s = http_server_new(mem);
		struct http_chained *c;
		int rc;

		assert_non_null(s);
		fail_at = at;
		c = make(mem);
		rc = http_server_handle(s, "GET /", http_chain_serve, c);
		made = fail_at > 0;
		fail_at = 0;
		failed += rc == -ENOMEM;
		if (!made && rc != -ENOMEM && rc != -EINVAL) /* route_parse's */
			fail_msg("allocation %d failed, and it came to %d", at, rc);
		if (!made)
			assert_non_null(s->setup_error);
		assert_int_equal(s->setup_errno, rc);
		talloc_free(mem);
		assert_int_equal(talloc_total_blocks(top), 1);
	}
	assert_true(failed > 20);
	talloc_free(top);
}

/* The pool is full, so that a request allocates: whatever fails, it is answered. */
static void
a_request_without_memory_is_answered(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	int status = 0, failed = 0;

	(void)state;
	if (!OWN_MALLOC)
		harness_skip("a sanitizer has its own malloc");
	http_server_handle(s, "GET /", http_chain_serve, make(harness_mem()));
	for (int at = 1; status != 200; at++) {
		TALLOC_CTX *mem = talloc_new(NULL);
		struct http_request *req = http_test_request(mem, "GET /", NULL, 0);

		for (size_t before = allocations; allocations == before;)
			assert_non_null(talloc_size(http_request_mem(req), 16));
		fail_at = at;
		status = serve_once(s, req);
		fail_at = 0;
		failed += status == 500;
		assert_true(status == 200 || status == 500);
		talloc_free(mem);
	}
	assert_true(failed > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_request_takes_no_malloc),
	    e2e_test(lack_of_memory_is_told),
	    e2e_test(a_request_without_memory_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
