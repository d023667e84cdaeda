/* SPDX-License-Identifier: MIT */
/*
 * What is left of a request when it is over, while the next ones get its memory: work that goes
 * on and logs, functions that its context's end has called, values in a registry.
 */
#include <errno.h>
#include <syslog.h>

#include <baton/registry.h>

#include "server/internal.h"
#include "tests/server/serving.h"

/* Fills as much of its memory as the requests below use. */
static int
fill(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	enum { BYTES = 4096 };

	(void)ctx, (void)data;
	memset(talloc_size(http_request_mem(req), BYTES), '#', BYTES);
	return http_response_printf(res, 200, "filled\n");
}

/* Requests that get the memory of those before them. */
static void
others(struct client *c)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(client_get(c, "/fill")->status, 200);
}

/* ---- Work that goes on ----------------------------------------------------------------------- */

/* data: where to put the context of the work, which the test goes on with. */
static int
spawn(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	_Atomic(const struct ctx *) *work = data;
	const struct ctx *own = ctx_with_timeout(http_request_mem(req), ctx, 60000);

	atomic_store(work, ctx_without_cancel(NULL, own));
	return http_response_printf(res, 200, "%s", http_request_id(req));
}

static void
work_that_outlives_its_request_logs_under_its_id(void **state)
{
	struct http_server *s = serving_new();
	_Atomic(const struct ctx *) work;
	struct log *log = log_open();
	const char *id;
	struct client *c;

	(void)state;
	http_server_handle(s, "GET /spawn", spawn, &work);
	http_server_handle(s, "GET /fill", fill, NULL);
	c = client_open(serving_start(s));
	id = talloc_strdup(harness_mem(), client_get(c, "/spawn")->body);
	others(c);
	log_skip(log);
	http_log(atomic_load(&work), LOG_INFO, "still at it");
	serving_stop(s);
	http_log(atomic_load(&work), LOG_INFO, "done");
	log_expect(log, talloc_asprintf(harness_mem(), "request=%s msg=\"still at it\"\n", id));
	log_expect(log, talloc_asprintf(harness_mem(), "request=%s msg=\"done\"\n", id));
	talloc_free((void *)(uintptr_t)atomic_load(&work));
}

/* ---- Functions after its end ------------------------------------------------------------------ */

/* What the function finds in the request's memory, and when. */
static struct {
	atomic_int begun, go, over, freed;
	char seen[64];
} scene;

struct query {
	char text[64];
};

static int
query_free(struct query *q)
{
	(void)q;
	atomic_fetch_add(&scene.freed, 1);
	return 0;
}

static void
look_when_told(void *query)
{
	const struct query *q = query;

	atomic_fetch_add(&scene.begun, 1);
	while (atomic_load(&scene.go) == 0)
		usleep(1000);
	strcpy(scene.seen, q->text);
	atomic_fetch_add(&scene.over, 1);
}

static void
count_call(void *query)
{
	const struct query *q = query;

	atomic_fetch_add(&scene.over, strcmp(q->text, "a query") == 0);
}

/* A function that it leaves behind; data is the function. */
static int
leave_behind(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	TALLOC_CTX *mem = http_request_mem(req);
	struct query *q = talloc(mem, struct query);
	void (*fn)(void *) = *(void (**)(void *))data;

	strcpy(q->text, "a query");
	talloc_set_destructor(q, query_free);
	/* On one that is derived from the request's, as most are. */
	if (ctx_after_func(mem, ctx_with_timeout(mem, ctx, 60000), fn, q) == NULL)
		return -ENOMEM;
	return http_response_printf(res, 200, "left\n");
}

static struct client *
open_scene(struct http_server *s, void (**fn)(void *))
{
	memset(&scene, 0, sizeof(scene));
	http_server_handle(s, "GET /leave", leave_behind, fn);
	http_server_handle(s, "GET /fill", fill, NULL);
	return client_open(serving_start(s));
}

static void
a_function_left_behind_keeps_the_requests_memory(void **state)
{
	static void (*fn)(void *) = look_when_told;
	struct http_server *s = serving_new();
	struct client *c = open_scene(s, &fn);

	(void)state;
	assert_int_equal(client_get(c, "/leave")->status, 200);
	wait_until("it is called", atomic_load(&scene.begun) == 1);
	others(c);
	assert_int_equal(atomic_load(&scene.freed), 0);
	atomic_store(&scene.go, 1);
	wait_until("its memory is freed", atomic_load(&scene.freed) == 1);
	assert_int_equal(atomic_load(&scene.over), 1);
	assert_string_equal(scene.seen, "a query");
	serving_stop(s);
}

/* The server may be gone before it is. */
static void
a_function_left_behind_outlives_the_server(void **state)
{
	static void (*fn)(void *) = look_when_told;
	struct http_server *s = serving_new();
	struct client *c = open_scene(s, &fn);

	(void)state;
	assert_int_equal(client_get(c, "/leave")->status, 200);
	wait_until("it is called", atomic_load(&scene.begun) == 1);
	serving_stop(s);
	serving_free(s);
	assert_int_equal(atomic_load(&scene.freed), 0);
	atomic_store(&scene.go, 1);
	wait_until("its memory is freed", atomic_load(&scene.freed) == 1);
	assert_string_equal(scene.seen, "a query");
}

/* Each exactly once, although nobody waits for them, and some come late. */
static void
all_functions_left_behind_are_called(void **state)
{
	enum { REQUESTS = 300 };
	static void (*fn)(void *) = count_call;
	struct http_server *s = serving_new();
	struct client *c = open_scene(s, &fn);

	(void)state;
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(client_get(c, "/leave")->status, 200);
	serving_stop(s);
	wait_until("all memory is freed", atomic_load(&scene.freed) == REQUESTS);
	assert_int_equal(atomic_load(&scene.over), REQUESTS);
}

/* ---- Values by request ------------------------------------------------------------------------- */

CTX_KEY(user_key, const char);

static struct ctx_registry *reg;

static int
log_in(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	if (ctx_registry_set(reg, req, &user_key, "alice") != 0)
		return -ENOMEM;
	return http_response_printf(res, 200, "%s", ctx_registry_get(reg, req, &user_key));
}

static int
who_am_i(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const char *user = ctx_registry_get(reg, req, &user_key);

	(void)ctx, (void)data;
	return http_response_printf(res, 200, "%s", user == NULL ? "nobody" : user);
}

static void
values_that_nobody_cleared_are_no_other_requests(void **state)
{
	struct http_server *s = serving_new();
	struct client *c;

	(void)state;
	reg = ctx_registry_new(harness_mem(), http_request_identity);
	http_server_handle(s, "GET /login", log_in, NULL);
	http_server_handle(s, "GET /me", who_am_i, NULL);
	c = client_open(serving_start(s));
	for (int i = 1; i <= 20; i++) {
		assert_string_equal(client_get(c, "/login")->body, "alice");
		assert_string_equal(client_get(c, "/me")->body, "nobody");
		assert_int_equal(ctx_registry_count(reg), i);
	}
	assert_int_equal(ctx_registry_purge(reg, 0), 20);
	serving_stop(s);
}

/* One after the other in the same memory; more than a thread's block of numbers. */
static void
identities_are_never_used_again(void **state)
{
	struct request_store *store = request_store_new(harness_mem());
	const void *before = NULL, *mem = NULL;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct http_request *req = request_new(store, "/");
		const void *now = http_request_identity(req);

		assert_true((uintptr_t)now > (uintptr_t)before);
		assert_true(mem == NULL || mem == http_request_mem(req));
		before = now;
		mem = http_request_mem(req);
		request_free(req);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(work_that_outlives_its_request_logs_under_its_id),
	    e2e_test(a_function_left_behind_keeps_the_requests_memory),
	    e2e_test(a_function_left_behind_outlives_the_server),
	    e2e_test(all_functions_left_behind_are_called),
	    e2e_test(values_that_nobody_cleared_are_no_other_requests),
	    e2e_test(identities_are_never_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
