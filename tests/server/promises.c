/* SPDX-License-Identifier: MIT */
/*
 * What http.h promises of arguments that are wrong: a server that there is no memory for, names
 * and texts that are NULL, and functions that are called at the wrong time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static int
handler(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_empty(res, 204);
}

static int
middleware(const struct ctx *ctx, const struct http_request *req, struct http_response *res,
    const struct http_next *next, void *data)
{
	(void)data;
	return http_next(ctx, req, res, next);
}

static void
no_server_is_lack_of_memory(void **state)
{
	static const struct http_route_options options;
	struct log *log = log_open();
	struct http_chain *chain = http_chain_new(harness_mem(), HTTP_LINKS({middleware, NULL}));
	struct http_request *req = http_test_request(harness_mem(), "GET /\nHost: a", NULL, 0);
	const struct http_response *res = NULL;

	(void)state;
	assert_int_equal(http_server_listen(NULL, "web", ":0"), -ENOMEM);
	assert_int_equal(http_server_port(NULL, "web"), -ENOMEM);
	assert_int_equal(http_server_use(NULL, middleware, NULL), -ENOMEM);
	assert_int_equal(http_server_handle(NULL, "/", handler, NULL), -ENOMEM);
	assert_int_equal(http_server_handle_with(NULL, "/", handler, NULL, &options), -ENOMEM);
	assert_int_equal(http_server_handle_chain(NULL, "/", chain, handler, NULL), -ENOMEM);
	assert_int_equal(http_server_thread_hooks(NULL, NULL, NULL, NULL), -ENOMEM);
	assert_int_equal(http_server_counter(NULL, "requests"), -1);
	assert_int_equal(http_server_set(NULL, "queue_max", "1"), -ENOMEM);
	assert_int_equal(http_server_set(NULL, "no_such", "1"), -ENOMEM);
	http_server_drain(NULL);
	assert_int_equal(http_server_wait(NULL), -ENOMEM);
	assert_int_equal(http_test_serve(NULL, ctx_background(), req, &res), 500);
	assert_int_equal(http_response_status(res), 500);
	assert_string_equal(log_text(log), "");
	assert_int_equal(http_server_start(NULL), -ENOMEM);
	log_expect(log, "level=error msg=\"cannot serve: out of memory\"\n");
	log_skip(log);
	assert_int_equal(http_server_run(NULL), EXIT_FAILURE);
	log_expect(log, "level=error msg=\"cannot serve: out of memory\"\n");
}

static void
arguments_that_are_missing_are_set_up_errors(void **state)
{
	enum {
		LISTEN_NAME,
		LISTEN_ADDRESS,
		HANDLE,
		HANDLER,
		OPTIONS,
		USE,
		SET_NAME,
		SET_VALUE,
		ALL
	};
	struct log *log = log_open();

	(void)state;
	for (int i = 0; i < ALL; i++) {
		struct http_server *s = http_server_new(harness_mem());
		int err = i == LISTEN_NAME      ? http_server_listen(s, NULL, ":0")
			  : i == LISTEN_ADDRESS ? http_server_listen(s, "web", NULL)
			  : i == HANDLE         ? http_server_handle(s, NULL, handler, NULL)
			  : i == HANDLER        ? http_server_handle(s, "/", NULL, NULL)
			  : i == OPTIONS  ? http_server_handle_with(s, "/", handler, NULL, NULL)
			  : i == USE      ? http_server_use(s, NULL, NULL)
			  : i == SET_NAME ? http_server_set(s, NULL, "1")
					  : http_server_set(s, "queue_max", NULL);

		if (err != -EINVAL)
			fail_msg("%d: %d", i, err);
		assert_int_equal(http_server_port(s, NULL), -ENOENT);
		assert_int_equal(http_server_counter(s, NULL), -1);
		/* It is remembered, and said. */
		log_skip(log);
		assert_int_equal(http_server_start(s), -EINVAL);
		log_expect(log, "cannot serve: http_server_");
	}
}

static void
answers_refuse_what_is_missing(void **state)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /\nHost: a", NULL, 0);
	struct http_response *res = &req->res;
	const char *none = NULL;
	size_t len;

	(void)state;
	assert_null(http_test_request(harness_mem(), NULL, NULL, 0));
	assert_int_equal(http_response_printf(res, 201, "made %s", "before"), 0);
	assert_int_equal(http_response_printf(res, 200, none, 1), -EINVAL);
	assert_int_equal(http_response_bytes(res, 200, NULL, NULL, 1), -EINVAL);
	assert_int_equal(http_response_static(res, 200, NULL, NULL, 1), -EINVAL);
	assert_int_equal(http_response_unauthorized(res, NULL, NULL), -EINVAL);
	assert_int_equal(http_response_redirect(res, 302, NULL), -EINVAL);
	assert_int_equal(http_response_header(res, NULL, "a"), -EINVAL);
	assert_int_equal(http_response_header(res, "A", NULL), -EINVAL);
	assert_int_equal(http_response_header_add(res, NULL, "a"), -EINVAL);
	assert_int_equal(http_response_header_add(res, "A", NULL), -EINVAL);
	assert_int_equal(http_response_empty(res, 99), -EINVAL);
	/* What was made before stays. */
	assert_int_equal(http_response_status(res), 201);
	assert_memory_equal(http_response_content(res, &len), "made before", 11);
	assert_int_equal(http_response_static(res, 200, NULL, NULL, 0), 0);
	assert_string_equal(http_response_content(res, &len), "");
	assert_int_equal(http_response_bytes(res, 200, NULL, NULL, 0), 0);
	assert_int_equal(len, 0);
}

static void
the_wrong_time_is_an_error_and_no_harm(void **state)
{
	struct http_server *s = serving_new();

	(void)state;
	log_open();
	http_server_handle(s, "GET /", handler, NULL);
	assert_int_equal(http_server_wait(s), -ESRCH);
	assert_int_equal(http_server_port(s, "web"), -ENOENT);
	assert_int_equal(http_server_counter(s, "requests"), 0);
	/* It ends as soon as it has started. */
	http_server_drain(s);
	(void)serving_start(s);
	assert_int_equal(http_server_wait(s), 0);
	assert_int_equal(http_server_wait(s), -ESRCH);
	http_server_drain(s);
	assert_int_equal(http_server_start(s), -EALREADY);
	assert_int_equal(http_server_counter(s, "no_such"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(no_server_is_lack_of_memory),
	    e2e_test(arguments_that_are_missing_are_set_up_errors),
	    e2e_test(answers_refuse_what_is_missing),
	    e2e_test(the_wrong_time_is_an_error_and_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
