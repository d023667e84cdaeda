/* SPDX-License-Identifier: MIT */
/*
 * The registry in a server: values by request, and the middleware that clears them. After
 * ClearHandler of gorilla/context, and its Context test with a request that was received.
 */
#include <errno.h>
#include <string.h>

#include <baton/registry.h>

#include "server/internal.h"
#include "tests/server/serving.h"

CTX_KEY(key1, const char);
CTX_KEY(key2, const char);

static struct ctx_registry *reg;

/* What a handler may come to; "data" of the handlers below. */
struct end {
	int err;
	int status;
};

/* Knows no context: all that it has is the request. */
static int
remember(const struct http_request *req, struct http_response *res, void *data)
{
	const struct end *end = data;

	if (ctx_registry_get(reg, req, &key1) != NULL)
		return http_response_error(res, 409, "this request has values of another one");
	if (ctx_registry_set(reg, req, &key1, "1") != 0)
		return -ENOMEM;
	ctx_registry_set(reg, req, &key2, http_request_id(req));
	if (end->err != 0)
		return end->err;
	return end->status == 0 ? 0
				: http_response_printf(
				      res, end->status, "%s", ctx_registry_get(reg, req, &key1));
}

/* Behind it the values are there still; it looks how many requests are registered. */
static int
count_behind(const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	int err = http_next_same(req, res, next);

	*(size_t *)data = ctx_registry_count(reg);
	return err;
}

static int
serve(struct http_server *s, const char *head)
{
	struct http_request *req = http_test_request(harness_mem(), head, NULL, 0);
	const struct http_response *res;

	assert_non_null(req);
	return http_test_serve(s, ctx_background(), req, &res);
}

/* ---- Context, in its order, with a received request ------------------------------------------- */

static void
registry_by_request(void **state)
{
	struct http_request *r = http_test_request(harness_mem(), "GET /", NULL, 0);
	struct ctx_registry_value *all;
	size_t n;
	bool ok;

	(void)state;
	reg = ctx_registry_new(harness_mem(), http_request_identity);
	assert_null(ctx_registry_get(reg, r, &key1));
	ctx_registry_set(reg, r, &key1, "1");
	assert_string_equal(ctx_registry_get(reg, r, &key1), "1");
	ctx_registry_set(reg, r, &key2, "2");
	assert_string_equal(ctx_registry_get(reg, r, &key2), "2");
	assert_string_equal(ctx_registry_get_ok(reg, r, &key1, &ok), "1");
	assert_true(ok);
	ctx_registry_set(reg, r, &key2, NULL);
	assert_null(ctx_registry_get_ok(reg, r, &key2, &ok));
	assert_true(ok);
	assert_int_equal(ctx_registry_get_all_ok(reg, harness_mem(), r, &all, &n), 0);
	assert_int_equal(n, 2);
	ctx_registry_delete(reg, r, &key1);
	assert_null(ctx_registry_get(reg, r, &key1));
	assert_null(ctx_registry_get_ok(reg, r, &key1, &ok));
	assert_false(ok);
	ctx_registry_clear(reg, r);
	assert_int_equal(ctx_registry_count(reg), 0);
	ctx_registry_set(reg, r, &key1, "1");
	assert_int_equal(ctx_registry_purge(reg, 3600), 0);
	assert_int_equal(ctx_registry_purge(reg, 0), 1);
}

/* A middleware makes a request from another one; who has either finds the values of both. */
static void
a_copied_request_orphans_no_values(void **state)
{
	struct http_request *r = http_test_request(harness_mem(), "GET /", NULL, 0);
	struct http_request *copy = talloc_memdup(harness_mem(), r, sizeof(*r));

	(void)state;
	copy->path = "/elsewhere";
	reg = ctx_registry_new(harness_mem(), http_request_identity);
	ctx_registry_set(reg, r, &key1, "1");
	ctx_registry_set(reg, copy, &key2, "2");
	assert_string_equal(ctx_registry_get(reg, copy, &key1), "1");
	assert_string_equal(ctx_registry_get(reg, r, &key2), "2");
	assert_int_equal(ctx_registry_count(reg), 1);
	ctx_registry_clear(reg, r);
	assert_int_equal(ctx_registry_count(reg), 0);
	assert_null(ctx_registry_get(reg, copy, &key2));
}

/* ---- ClearHandler -------------------------------------------------------------------------------- */

static const struct end ends[] = {{0, 200}, {0, 404}, {0, 0}, {-EIO, 0}, {-ENOMEM, 0}};
static const int statuses[] = {200, 404, 500, 500, 500};

/* For a route, and for all of the server; whatever the handler comes to. */
static void
clear_handler_also_on_failure(void **state)
{
	struct log *log = log_open();
	size_t behind = 0;

	(void)state;
	reg = ctx_registry_new(harness_mem(), NULL);
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct http_server *s = http_server_new(harness_mem());
		struct http_chain *chain = http_chain_new(s, NULL, 0), *with;
		struct http_chained *end =
		    http_chain_then_handler(s, chain, remember, (void *)(uintptr_t)&ends[i]);

		with = http_chain_append(s, chain,
		    HTTP_LINKS({http_clear_registry, reg}, HTTP_ADAPT(s, count_behind, &behind)));
		http_server_handle_chain(s, "GET /", with, http_chain_serve, end);
		http_server_handle(s, "GET /not", http_chain_serve, end);
		assert_int_equal(serve(s, "GET /"), statuses[i]);
		assert_int_equal(behind, 1); /* not before */
		assert_int_equal(ctx_registry_count(reg), 0);

		assert_int_equal(serve(s, "GET /not"), statuses[i]);
		assert_int_equal(ctx_registry_count(reg), 1); /* without it they stay */
		ctx_registry_purge(reg, 0);
		http_server_use(s, http_clear_registry, reg);
		assert_int_equal(serve(s, "GET /not"), statuses[i]);
		assert_int_equal(ctx_registry_count(reg), 0);
	}
	talloc_free(log);
}

/* ---- In a server ----------------------------------------------------------------------------------- */

/* Requests recycle their memory, so that one would find what another has left. */
static void
requests_of_a_server_leave_nothing(void **state)
{
	static const struct end fine = {0, 200}, fails = {-EIO, 0};
	struct http_server *s = serving_new();
	struct http_chain *none = http_chain_new(s, NULL, 0);
	struct client *c;

	(void)state;
	reg = ctx_registry_new(harness_mem(), http_request_identity);
	http_server_use(s, http_clear_registry, reg);
	http_server_handle(s, "GET /fine", http_chain_serve,
	    http_chain_then_handler(s, none, remember, (void *)(uintptr_t)&fine));
	http_server_handle(s, "GET /fails", http_chain_serve,
	    http_chain_then_handler(s, none, remember, (void *)(uintptr_t)&fails));
	c = client_open(serving_start(s));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(client_get(c, "/fine")->status, 200);
		assert_int_equal(client_get(c, "/fails")->status, 500);
	}
	assert_int_equal(ctx_registry_count(reg), 0);
	serving_stop(s);
}

/* Blocks with a value set, until its client is gone; only then it is cleared. */
static int
remember_and_wait(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	ctx_registry_set(reg, req, &key1, "1");
	return gate_pass(ctx, req, res, data);
}

static void
a_client_that_leaves_leaves_nothing(void **state)
{
	struct http_server *s = serving_new();
	struct http_chain *chain;
	struct gate *gate = gate_new();
	struct client *c;

	(void)state;
	reg = ctx_registry_new(harness_mem(), http_request_identity);
	chain = http_chain_new(s, HTTP_LINKS({http_clear_registry, reg}));
	http_server_handle_chain(s, "GET /", chain, remember_and_wait, gate);
	c = client_open(serving_start(s));
	client_send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	wait_until("it is in the handler", atomic_load(&gate->entered) == 1);
	assert_int_equal(ctx_registry_count(reg), 1);
	client_close(c);
	wait_until("it is cleared", ctx_registry_count(reg) == 0);
	assert_ptr_equal(atomic_load(&gate->cause), &http_client_gone);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(registry_by_request),
	    e2e_test(a_copied_request_orphans_no_values),
	    e2e_test(clear_handler_also_on_failure),
	    e2e_test(requests_of_a_server_leave_nothing),
	    e2e_test(a_client_that_leaves_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
