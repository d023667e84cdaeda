/* SPDX-License-Identifier: MIT */
/*
 * Chains in a server: what registration refuses, where a chain stands, and one chain that eight
 * threads share; and the bag that every request has, also where there is no chain.
 */
#include <errno.h>
#include <string.h>

#include <baton/bag.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static int
show(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const char *said = ctx_bag_get(ctx, "said"), *own = ctx_bag_get(ctx, "own");

	(void)req;
	return http_response_printf(res, 200, "%s%s%s", said != NULL ? said : "",
	    (const char *)data, own != NULL ? own : "");
}

/* Appends its data to what is said. */
static int
tag(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	const char *said = ctx_bag_get(ctx, "said");
	int err;

	said = talloc_asprintf(
	    http_request_mem(req), "%s%s>", said != NULL ? said : "", (const char *)data);
	err = ctx_bag_put(ctx, "said", (void *)(uintptr_t)said);
	return err != 0 ? err : http_next(ctx, req, res, next);
}

static int
refuse(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)ctx, (void)req, (void)next, (void)data;
	return http_response_unauthorized(res, "Bearer", NULL);
}

static int
plain(const struct http_request *req, struct http_response *res, const struct http_next *next,
    void *data)
{
	(void)data;
	return http_next_same(req, res, next);
}

static const char *
serve(struct http_server *s, const char *head)
{
	struct http_request *req = http_test_request(harness_mem(), head, NULL, 0);
	const struct http_response *res;
	const char *content;
	size_t len;

	assert_non_null(req);
	http_test_serve(s, ctx_background(), req, &res);
	content = http_response_content(res, &len);
	return talloc_strndup(harness_mem(), content, len);
}

/* ---- Where a chain stands ------------------------------------------------------------------- */

static void
a_chain_comes_after_the_servers_middleware(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct http_chain *c = http_chain_new(harness_mem(), HTTP_LINKS({tag, "c"}));

	(void)state;
	http_server_handle_chain(s, "GET /in", c, show, "in");
	http_server_handle(s, "GET /out", show, "out");
	http_server_use(s, tag, "s");
	http_server_use(s, http_adapted, http_adapt(s, plain, NULL));
	assert_string_equal(serve(s, "GET /in"), "s>c>in");
	assert_string_equal(serve(s, "GET /out"), "s>out");
	assert_string_equal(serve(s, "GET /no"), "404 Not Found\n");
}

static void
a_middleware_of_a_chain_may_answer(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct http_chain *c =
	    http_chain_new(harness_mem(), HTTP_LINKS({tag, "c"}, {refuse, NULL}));

	(void)state;
	http_server_handle_chain(s, "GET /", c, show, "");
	assert_string_equal(serve(s, "GET /"), "401 Unauthorized\n");
}

/* What http_chain_then makes is a handler like others: with options, and in other chains. */
static void
a_chain_ends_in_any_handler(void **state)
{
	struct http_server *s = http_server_new(harness_mem());
	struct http_chain *outer = http_chain_new(harness_mem(), HTTP_LINKS({tag, "o"}));
	struct http_chain *inner = http_chain_new(harness_mem(), HTTP_LINKS({tag, "i"}));
	struct http_chained *end;

	(void)state;
	outer = http_chain_inject(harness_mem(), outer, "own", " outer");
	inner = http_chain_inject(harness_mem(), inner, "own", " inner");
	end = http_chain_then(harness_mem(), inner, show, "x");
	http_server_handle_with(
	    s, "GET /a", http_chain_serve, end, &(struct http_route_options){.flags = HTTP_QUICK});
	http_server_handle_chain(s, "GET /b", outer, http_chain_serve, end);
	talloc_free(outer);
	talloc_free(inner);
	assert_string_equal(serve(s, "GET /a"), "i>x inner");
	assert_string_equal(serve(s, "GET /b"), "o>i>x inner");
}

/* ---- Mistakes -------------------------------------------------------------------------------- */

static void
mistakes_are_kept_for_registration(void **state)
{
	static const char *const why[] = {"expected a middleware, not NULL",
	    "http_chain_inject: expected a key, not NULL",
	    "http_adapt: expected a middleware, not NULL"};
	TALLOC_CTX *mem = harness_mem();
	struct http_chain *ok = http_chain_new(mem, HTTP_LINKS({tag, "c"})), *bad[3];

	(void)state;
	bad[0] = http_chain_append(mem, http_chain_new(mem, HTTP_LINKS({NULL, NULL})),
	    HTTP_LINKS({http_clear_registry, NULL}));
	bad[1] = http_chain_extend(mem, ok, http_chain_inject(mem, ok, NULL, NULL));
	bad[2] = http_chain_new(mem, HTTP_LINKS(HTTP_ADAPT(mem, NULL, NULL)));
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct http_server *s = http_server_new(mem);

		assert_int_equal(http_server_handle_chain(s, "GET /", bad[i], show, ""), -EINVAL);
		assert_string_equal(s->setup_error,
		    talloc_asprintf(mem, "http_server_handle(\"GET /\"): %s", why[i]));
		/* The first one is kept, and nothing was registered. */
		assert_int_equal(http_server_handle_chain(s, "GET /", ok, NULL, ""), -EINVAL);
		assert_non_null(strstr(s->setup_error, why[i]));
		assert_int_equal(http_server_handle_chain(s, "GET /", ok, show, ""), 0);
	}
}

static void
middleware_of_the_server_is_checked_too(void **state)
{
	struct http_server *s = http_server_new(harness_mem());

	(void)state;
	assert_int_equal(http_server_use(s, NULL, NULL), -EINVAL);
	assert_string_equal(s->setup_error, "http_server_use: expected a middleware, not NULL");
	assert_int_equal(http_server_use(s, http_clear_registry, NULL), -EINVAL);
	assert_int_equal(http_server_use(s, http_adapted, NULL), -ENOMEM);
	assert_int_equal(http_server_handle(s, "GET /", NULL, NULL), -EINVAL);
	assert_int_equal(s->dispatch.middleware_n, 0);
}

static void
null_is_out_of_memory(void **state)
{
	TALLOC_CTX *mem = harness_mem();
	struct http_server *s = http_server_new(mem);
	struct http_chain *ok = http_chain_new(mem, NULL, 0);

	(void)state;
	assert_null(http_chain_append(mem, NULL, NULL, 0));
	assert_null(http_chain_extend(mem, NULL, ok));
	assert_null(http_chain_extend(mem, ok, NULL));
	assert_null(http_chain_inject(mem, NULL, "key", NULL));
	assert_null(http_chain_then(mem, NULL, show, NULL));
	assert_null(http_chain_then_handler(mem, NULL, NULL, NULL));
	assert_int_equal(http_server_handle_chain(NULL, "/", ok, show, NULL), -ENOMEM);
	assert_int_equal(http_server_handle_chain(s, "/", NULL, show, NULL), -ENOMEM);
	assert_string_equal(s->setup_error, "http_server_handle(\"/\"): out of memory");
	assert_int_equal(http_server_handle_chain(s, "/", ok, show, ""), 0);
	assert_int_equal(http_server_handle_chain(s, "/", ok, show, ""), -EEXIST);
}

/* ---- The bag -------------------------------------------------------------------------------- */

/* No chain, no middleware: it is there, and this request's own. */
static int
use_bag(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct ctx *child = ctx_with_cancel(http_request_mem(req), ctx);
	bool before = ctx_bag_exists(ctx, "key");

	(void)data;
	if (ctx_bag_put(child, "key", NULL) != 0 || ctx_bag_put(ctx, "other", res) != 0)
		return -EIO;
	if (!ctx_bag_exists(ctx, "key") || ctx_bag_get(child, "other") != res)
		return -EIO;
	if (!ctx_bag_delete(child, "other") || ctx_bag_exists(ctx, "other"))
		return -EIO;
	return http_response_printf(res, 200, before ? "used" : "fresh");
}

static void
every_request_has_a_bag(void **state)
{
	struct http_server *s = serving_new();
	struct client *c;

	(void)state;
	http_server_handle(s, "GET /bag", use_bag, NULL);
	c = client_open(serving_start(s));
	for (int i = 0; i < 5; i++)
		assert_string_equal(client_get(c, "/bag")->body, "fresh");
	serving_stop(s);
}

/* ---- Eight threads ---------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 200 };

static struct http_server *shared;
static atomic_int wrong;

static void *
serve_shared(void *arg)
{
	TALLOC_CTX *mem = talloc_new(NULL);

	(void)arg;
	for (int i = 0; i < EACH; i++) {
		struct http_request *req = http_test_request(mem, "GET /", NULL, 0);
		const struct http_response *res;
		size_t len;

		http_test_serve(shared, ctx_background(), req, &res);
		if (strncmp(http_response_content(res, &len), "a>b>c>x own", 11) != 0 || len != 11)
			atomic_fetch_add(&wrong, 1);
	}
	talloc_free(mem);
	return NULL;
}

static struct http_chain *
three(TALLOC_CTX *mem)
{
	struct http_chain *c = http_chain_new(mem, HTTP_LINKS({tag, "a"}, {tag, "b"}));

	c = http_chain_append(mem, c, HTTP_LINKS(HTTP_ADAPT(mem, plain, NULL), {tag, "c"}));
	return http_chain_inject(mem, c, "own", " own");
}

static void
eight_threads_share_a_chain(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	shared = http_server_new(harness_mem());
	http_server_handle_chain(shared, "/", three(harness_mem()), show, "x");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, serve_shared, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
}

/* In a server's own threads: each request is in the middle of its chain when the next comes. */
static void
requests_of_a_server_share_a_chain(void **state)
{
	struct http_server *s = serving_new();
	struct gate *gate = gate_new();
	struct client *c[THREADS];
	uint16_t port;

	(void)state;
	http_server_handle_with(s, "GET /wait", http_chain_serve,
	    http_chain_then(s, three(harness_mem()), gate_pass, gate),
	    &(struct http_route_options){.flags = HTTP_BLOCKING});
	http_server_handle_chain(s, "GET /", three(harness_mem()), show, "x");
	port = serving_start(s);
	for (int i = 0; i < THREADS; i++) {
		c[i] = client_open(port);
		client_send(c[i], "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
	}
	wait_until("all are in the handler", atomic_load(&gate->entered) == THREADS);
	assert_string_equal(client_fetch(port, "/"), "a>b>c>x own");
	gate_let(gate, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_string_equal(client_read(c[i], "GET")->body, "through\n");
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_chain_comes_after_the_servers_middleware),
	    e2e_test(a_middleware_of_a_chain_may_answer),
	    e2e_test(a_chain_ends_in_any_handler),
	    e2e_test(mistakes_are_kept_for_registration),
	    e2e_test(middleware_of_the_server_is_checked_too),
	    e2e_test(null_is_out_of_memory),
	    e2e_test(every_request_has_a_bag),
	    e2e_test(eight_threads_share_a_chain),
	    e2e_test(requests_of_a_server_share_a_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
