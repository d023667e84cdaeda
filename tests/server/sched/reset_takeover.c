/* SPDX-License-Identifier: MIT */
/*
 * A thousand clients that reset, in each phase of a request, while handlers are taken over and
 * outrun their deadlines all the time.
 */
#include <errno.h>
#include <sys/socket.h>

#include "tests/server/holding.h"

#define LARGE (1 << 20)

static char large[LARGE];

/* Computes for two milliseconds: long enough to be taken over. */
static int
compute(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	int64_t end = harness_now_ms() + 2;

	(void)ctx, (void)data;
	while (harness_now_ms() < end)
		;
	return http_response_printf(res, 200, "%s", http_request_header(req, "X-Mine"));
}

static int
nap(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)data;
	ctx_sleep(ctx, 2);
	return http_response_printf(res, 200, "%s", http_request_header(req, "X-Mine"));
}

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, large, LARGE);
}

static void
reset(struct client *c)
{
	const struct linger now = {.l_onoff = 1};

	assert_int_equal(setsockopt(client_fd(c), SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	client_close(c);
}

static struct http_server *
server(void)
{
	static const struct http_route_options quick = {.flags = HTTP_QUICK},
					       soon = {.flags = HTTP_QUICK, .timeout_ms = 1};
	struct http_server *s = brief_server();

	http_server_handle_with(s, "/compute", compute, NULL, &quick); /* taken over each time */
	http_server_handle_with(s, "/soon", compute, NULL, &soon);
	http_server_handle(s, "/nap", nap, NULL);
	http_server_handle(s, "/large", much, NULL);
	http_server_handle(s, "/", name_thread, NULL);
	return s;
}

/* The last byte of the head is sent by itself, so that it is known to be read before. */
static void
begin(struct client *c, const char *path)
{
	client_send(c, "GET %s HTTP/1.1\r\nHost: a\r\nX-Mine: %s\r\n\r", path, path);
}

static void
a_thousand_resets(const char *path, int wait_ms)
{
	enum { MANY = 1000, AT_ONCE = 20 };
	struct http_server *s = server();
	struct client *c[AT_ONCE];
	uint16_t port;

	log_open();
	port = serving_start(s);
	for (int n = 0; n < MANY; n += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++) {
			c[i] = client_open(port);
			begin(c[i], path);
		}
		for (int i = 0; i < AT_ONCE; i++) {
			client_send(c[i], "\n");
			if (wait_ms >= 0 && i % 4 == 0) /* or until the answer begins */
				client_is_quiet(c[i], wait_ms);
			reset(c[i]);
		}
	}
	assert_int_equal(client_get(client_open(port), "/")->status, 200);
	serving_stop(s);
	assert_int_equal(s->net.conns_n, 0);
	serving_free(s);
}

static void
between_the_request_and_its_handler(void **state)
{
	(void)state;
	a_thousand_resets("/", -1);
	a_thousand_resets("/compute", -1);
}

static void
while_the_handler_runs(void **state)
{
	(void)state;
	a_thousand_resets("/compute", 1);
	a_thousand_resets("/nap", 1);
}

static void
around_the_deadline(void **state)
{
	(void)state;
	a_thousand_resets("/soon", 2);
}

static void
while_the_answer_is_written(void **state)
{
	(void)state;
	a_thousand_resets("/large", 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(between_the_request_and_its_handler),
	    e2e_test(while_the_handler_runs),
	    e2e_test(around_the_deadline),
	    e2e_test(while_the_answer_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
