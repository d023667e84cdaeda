/* SPDX-License-Identifier: MIT */
/*
 * Chains of middleware. After New, Append, AppendDoesNotMutate, Then, ThenHandler,
 * ThenHandlerFunc, MixedMiddleware and Inject of alexedwards/stack, and the order, immutability
 * and extend tests of justinas/alice, under these names. The middleware of the original writes
 * to the answer as it goes; here an answer is made at once, so it notes in the request's bag.
 */
#include <errno.h>
#include <string.h>

#include <baton/bag.h>

#include "server/internal.h"
#include "tests/server/serving.h"

/* ---- What the originals are made of ---------------------------------------------------------- */

/* Appends to what the answer will begin with: it is in the bag, under "said". */
static const struct ctx *
say(const struct ctx *ctx, const struct http_request *req, const char *what)
{
	const char *said = ctx_bag_get(ctx, "said");

	said = talloc_asprintf(http_request_mem(req), "%s%s", said != NULL ? said : "", what);
	assert_int_equal(ctx_bag_put(ctx, "said", (void *)(uintptr_t)said), 0);
	return ctx;
}

static const char *
text(const struct ctx *ctx, const char *key)
{
	const char *value = ctx_bag_get(ctx, key);

	return value != NULL ? value : "";
}

static int
bish_middleware(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)data;
	ctx_bag_put(ctx, "bish", "bash");
	return http_next(say(ctx, req, "bishMiddleware>"), req, res, next);
}

static int
flip_middleware(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)data;
	return http_next(say(ctx, req, "flipMiddleware>"), req, res, next);
}

/* Says what its data says. */
static int
tag(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	return http_next(say(ctx, req, data), req, res, next);
}

/* Knows no context; what it does is seen in a header field. */
static int
wobble_middleware(const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	int err = http_next_same(req, res, next);

	return err != 0 ? err : http_response_header_add(res, "X-Wobble", data);
}

static int
bish_handler(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	return http_response_printf(
	    res, 200, "%sbishHandler [bish=%s]", text(ctx, "said"), text(ctx, "bish"));
}

static int
flip_handler(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	return http_response_printf(res, 200, "%sflipHandler [bish=%s,flip=%s]", text(ctx, "said"),
	    text(ctx, "bish"), text(ctx, "flip"));
}

static int
plain_handler(const struct http_request *req, struct http_response *res, void *data)
{
	return http_response_printf(
	    res, 200, "%s: %s", http_request_method(req), (const char *)data);
}

static int
plain_not_found(const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	return http_response_error(res, 404, NULL);
}

/* ---- Serving ----------------------------------------------------------------------------------- */

static struct http_server *
server_of(struct http_chained *chained)
{
	struct http_server *s = http_server_new(harness_mem());

	assert_int_equal(http_server_handle(s, "/", http_chain_serve, chained), 0);
	return s;
}

static const char *
serve(struct http_server *s)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /", NULL, 0);
	const struct http_response *res;
	const char *content;
	size_t len;

	assert_non_null(req);
	http_test_serve(s, ctx_background(), req, &res);
	content = http_response_content(res, &len);
	return talloc_asprintf(harness_mem(), "%s%.*s%s",
	    http_response_header_get(res, "X-Wobble") != NULL ? "wobbled " : "", (int)len, content,
	    http_response_status(res) == 200 ? "" : "!");
}

static void
expect(const struct http_chain *chain, http_handler *h, const char *what)
{
	assert_string_equal(serve(server_of(http_chain_then(harness_mem(), chain, h, NULL))), what);
}

static const struct http_link bish = {bish_middleware, NULL}, flip = {flip_middleware, NULL};

/* ---- stack --------------------------------------------------------------------------------------- */

static void
stack_new(void **state)
{
	struct http_link links[] = {bish, flip};
	struct http_chain *c = http_chain_new(harness_mem(), links, COUNT(links));

	(void)state;
	memset(links, 0, sizeof(links)); /* they were copied */
	expect(c, bish_handler, "bishMiddleware>flipMiddleware>bishHandler [bish=bash]");
}

static void
stack_append(void **state)
{
	struct http_chain *c = http_chain_new(harness_mem(), HTTP_LINKS(bish));

	(void)state;
	c = http_chain_append(harness_mem(), c, HTTP_LINKS(flip, flip));
	expect(c, bish_handler,
	    "bishMiddleware>flipMiddleware>flipMiddleware>bishHandler [bish=bash]");
}

static void
stack_append_does_not_mutate(void **state)
{
	struct http_chain *c1 = http_chain_new(harness_mem(), HTTP_LINKS(bish, flip));
	struct http_chain *c2 = http_chain_append(harness_mem(), c1, HTTP_LINKS(flip, flip));

	(void)state;
	expect(c1, bish_handler, "bishMiddleware>flipMiddleware>bishHandler [bish=bash]");
	expect(c2, bish_handler,
	    "bishMiddleware>flipMiddleware>flipMiddleware>flipMiddleware>bishHandler [bish=bash]");
}

static void
stack_then(void **state)
{
	(void)state;
	expect(http_chain_new(harness_mem(), NULL, 0), bish_handler, "bishHandler [bish=]");
}

static void
stack_then_handler(void **state)
{
	struct http_chain *none = http_chain_new(harness_mem(), NULL, 0);

	(void)state;
	assert_string_equal(
	    serve(server_of(http_chain_then_handler(harness_mem(), none, plain_not_found, NULL))),
	    "404 Not Found\n!");
}

static void
stack_then_handler_func(void **state)
{
	struct http_chain *c = http_chain_new(harness_mem(), NULL, 0);

	(void)state;
	assert_string_equal(serve(server_of(http_chain_then_handler(
				harness_mem(), c, plain_handler, "without a context"))),
	    "GET: without a context");
}

static void
stack_mixed_middleware(void **state)
{
	struct http_chain *c = http_chain_new(harness_mem(),
	    HTTP_LINKS(bish, HTTP_ADAPT(harness_mem(), wobble_middleware, "yes"), flip));

	(void)state;
	expect(c, bish_handler, "wobbled bishMiddleware>flipMiddleware>bishHandler [bish=bash]");
}

static void
stack_inject(void **state)
{
	struct http_chain *c = http_chain_new(harness_mem(), HTTP_LINKS(flip)), *with;

	(void)state;
	with = http_chain_inject(harness_mem(), c, "bish", "boop");
	expect(with, flip_handler, "flipMiddleware>flipHandler [bish=boop,flip=]");
	expect(c, flip_handler, "flipMiddleware>flipHandler [bish=,flip=]"); /* untouched */
	with = http_chain_inject(harness_mem(), with, "flip", "flop");
	expect(with, flip_handler, "flipMiddleware>flipHandler [bish=boop,flip=flop]");
	with = http_chain_inject(harness_mem(), with, "bish", "bop"); /* the last one counts */
	expect(with, flip_handler, "flipMiddleware>flipHandler [bish=bop,flip=flop]");
	with = http_chain_append(harness_mem(), with, HTTP_LINKS(bish)); /* what is put, too */
	expect(
	    with, flip_handler, "flipMiddleware>bishMiddleware>flipHandler [bish=bash,flip=flop]");
}

/* Two requests to one chain: what one puts, changes or deletes is not in the other's bag. */
static void
stack_context_is_each_requests_own(void **state)
{
	struct http_chain *c = http_chain_new(harness_mem(), HTTP_LINKS(bish));
	struct http_server *s;

	(void)state;
	c = http_chain_inject(harness_mem(), c, "bish", "boop");
	s = server_of(http_chain_then(harness_mem(), c, bish_handler, NULL));
	for (int i = 0; i < 3; i++)
		assert_string_equal(serve(s), "bishMiddleware>bishHandler [bish=bash]");
}

/* ---- alice --------------------------------------------------------------------------------------- */

static void
alice_then_works_with_no_middleware(void **state)
{
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	assert_int_equal(http_server_handle_chain(
			     s, "/", http_chain_new(harness_mem(), NULL, 0), bish_handler, NULL),
	    0);
	assert_string_equal(serve(s), "bishHandler [bish=]");
}

static void
alice_then_orders_handlers_right(void **state)
{
	(void)state;
	expect(http_chain_new(harness_mem(), HTTP_LINKS({tag, "t1 "}, {tag, "t2 "}, {tag, "t3 "})),
	    bish_handler, "t1 t2 t3 bishHandler [bish=]");
}

static void
alice_append_adds_handlers_correctly(void **state)
{
	struct http_chain *c =
	    http_chain_new(harness_mem(), HTTP_LINKS({tag, "t1 "}, {tag, "t2 "}));
	struct http_chain *more =
	    http_chain_append(harness_mem(), c, HTTP_LINKS({tag, "t3 "}, {tag, "t4 "}));

	(void)state;
	expect(more, bish_handler, "t1 t2 t3 t4 bishHandler [bish=]");
	expect(c, bish_handler, "t1 t2 bishHandler [bish=]");
}

/* A chain shares nothing with those that it was made from: they may be gone. */
static void
alice_append_respects_immutability(void **state)
{
	TALLOC_CTX *mem = talloc_new(harness_mem());
	struct http_chain *c = http_chain_new(mem, HTTP_LINKS({tag, "t1 "}));
	struct http_chain *more;

	(void)state;
	c = http_chain_inject(mem, c, "bish", "boop");
	more = http_chain_append(harness_mem(), c, HTTP_LINKS({tag, "t2 "}));
	talloc_free(mem);
	expect(more, bish_handler, "t1 t2 bishHandler [bish=boop]");
}

static void
alice_extend_adds_handlers_correctly(void **state)
{
	struct http_chain *c1 =
	    http_chain_new(harness_mem(), HTTP_LINKS({tag, "t1 "}, {tag, "t2 "}));
	struct http_chain *c2 =
	    http_chain_new(harness_mem(), HTTP_LINKS({tag, "t3 "}, {tag, "t4 "}));

	(void)state;
	expect(http_chain_extend(harness_mem(), c1, c2), bish_handler,
	    "t1 t2 t3 t4 bishHandler [bish=]");
	expect(c1, bish_handler, "t1 t2 bishHandler [bish=]");
	expect(c2, bish_handler, "t3 t4 bishHandler [bish=]");
}

static void
alice_extend_respects_immutability(void **state)
{
	TALLOC_CTX *mem = talloc_new(harness_mem());
	struct http_chain *c1 = http_chain_new(mem, HTTP_LINKS({tag, "t1 "}));
	struct http_chain *c2 = http_chain_new(mem, HTTP_LINKS({tag, "t2 "})), *both;

	(void)state;
	c1 = http_chain_inject(mem, http_chain_inject(mem, c1, "bish", "1"), "flip", "1");
	c2 = http_chain_inject(mem, c2, "bish", "2");
	both = http_chain_extend(harness_mem(), c1, c2);
	expect(c1, flip_handler, "t1 flipHandler [bish=1,flip=1]");
	talloc_free(mem);
	expect(both, flip_handler, "t1 t2 flipHandler [bish=2,flip=1]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(stack_new),
	    e2e_test(stack_append),
	    e2e_test(stack_append_does_not_mutate),
	    e2e_test(stack_then),
	    e2e_test(stack_then_handler),
	    e2e_test(stack_then_handler_func),
	    e2e_test(stack_mixed_middleware),
	    e2e_test(stack_inject),
	    e2e_test(stack_context_is_each_requests_own),
	    e2e_test(alice_then_works_with_no_middleware),
	    e2e_test(alice_then_orders_handlers_right),
	    e2e_test(alice_append_adds_handlers_correctly),
	    e2e_test(alice_append_respects_immutability),
	    e2e_test(alice_extend_adds_handlers_correctly),
	    e2e_test(alice_extend_respects_immutability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
