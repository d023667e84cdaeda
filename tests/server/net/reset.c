/* SPDX-License-Identifier: MIT */
/*
 * Clients that reset their connection, in every phase of a request: the server goes on, tells
 * the handler, and keeps nothing of it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/server/serving.h"

#define LARGE (8 << 20)

static char large[LARGE];

static int
hello(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "hello");
}

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req;
	atomic_fetch_add((atomic_int *)data, 1);
	return http_response_static(res, 200, NULL, large, LARGE);
}

static struct http_server *
server(struct gate *g)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/", hello, NULL);
	http_server_handle(s, "/gate", gate_pass, g);
	http_server_handle(s, "/large", much, &g->entered);
	return s;
}

/* Closes so that the server gets a reset. */
static void
reset(struct client *c)
{
	const struct linger now = {.l_onoff = 1};

	assert_int_equal(setsockopt(client_fd(c), SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	client_close(c);
}

/* The server has let every connection go, and is as well as before. */
static void
expect_well(struct http_server *s, uint16_t port, size_t blocks)
{
	assert_string_equal(client_fetch(port, "/"), "hello");
	serving_stop(s);
	assert_int_equal(s->net.conns_n, 0);
	assert_true(TAILQ_EMPTY(&s->net.lingers));
	assert_int_equal(talloc_total_blocks(s), blocks);
}

/* Blocks of a server that was started and stopped and has served one good request. */
static size_t
blocks_of_a_quiet_one(struct gate *g)
{
	struct http_server *s = server(g);
	uint16_t port = serving_start(s);

	client_fetch(port, "/");
	serving_stop(s);
	return talloc_total_blocks(s);
}

static void
a_reset_before_the_request_is_complete(void **state)
{
	static const char *const pieces[] = {
	    "",
	    "G",
	    "GET /gate",
	    "GET /gate HTTP/1.1\r\n",
	    "GET /gate HTTP/1.1\r\nHost: ",
	    "GET /gate HTTP/1.1\r\nHost: a\r\n",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /gate HT",
	};
	struct gate *g = gate_new();
	struct http_server *s;
	uint16_t port;
	size_t blocks;

	(void)state;
	log_open();
	blocks = blocks_of_a_quiet_one(g);
	s = server(g);
	port = serving_start(s);
	for (size_t i = 0; i < 3 * COUNT(pieces); i++) {
		struct client *c = client_open(port);

		client_send_bytes(c, pieces[i / 3], strlen(pieces[i / 3]));
		if (i % 3 > 0) /* it has been read by then, most likely */
			client_fetch(port, "/");
		if (i % 3 > 1)
			client_shutdown(c);
		reset(c);
	}
	expect_well(s, port, blocks);
	assert_int_equal(atomic_load(&g->entered), 0);
}

static void
a_reset_while_the_handler_runs_is_told_to_it(void **state)
{
	enum { MANY = 8 };
	struct gate *g = gate_new();
	struct http_server *s;
	struct client *c[MANY];
	uint16_t port;
	size_t blocks;

	(void)state;
	log_open();
	blocks = blocks_of_a_quiet_one(g);
	s = server(g);
	port = serving_start(s);
	for (int round = 0; round < 3; round++) {
		atomic_store(&g->entered, 0);
		atomic_store(&g->left, 0);
		atomic_store(&g->cause, NULL);
		for (int i = 0; i < MANY; i++) {
			c[i] = client_open(port);
			client_send(c[i], "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
		}
		wait_until("all are in their handlers", atomic_load(&g->entered) == MANY);
		for (int i = 0; i < MANY; i++)
			reset(c[i]);
		/* Nobody lets them through: their contexts do. */
		wait_until("all have left", atomic_load(&g->left) == MANY);
		assert_ptr_equal(atomic_load(&g->cause), &http_client_gone);
	}
	wait_until("all are counted", http_server_counter(s, "client_gone") == 3 * MANY);
	expect_well(s, port, blocks);
}

/* The answer of a handler that does not look at its context goes nowhere. */
static void
a_reset_while_the_answer_is_being_sent(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s;
	uint16_t port;
	size_t blocks;

	(void)state;
	log_open();
	blocks = blocks_of_a_quiet_one(g);
	s = server(g);
	port = serving_start(s);
	for (int i = 0; i < 20; i++) {
		struct client *c = client_open(port);

		client_send(c, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_until("the answer has begun",
		    poll(&(struct pollfd){client_fd(c), POLLIN, 0}, 1, 0) == 1);
		reset(c);
	}
	assert_int_equal(atomic_load(&g->entered), 20);
	expect_well(s, port, blocks);
}

static void
a_reset_after_the_answer(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s;
	uint16_t port;
	size_t blocks;

	(void)state;
	log_open();
	blocks = blocks_of_a_quiet_one(g);
	s = server(g);
	port = serving_start(s);
	for (int i = 0; i < 20; i++) {
		struct client *c = client_open(port);

		client_get(c, i % 2 ? "/" : "/nowhere");
		if (i % 3 == 0) /* the last answer, and lingering */
			client_request(c, "GET", "/", "Connection: close\r\n", NULL);
		reset(c);
	}
	expect_well(s, port, blocks);
}

/* By its descriptor alone: the reset is told once, by a read that fails. */
static void
a_reset_is_an_end(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);
	int listens = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct linger now = {.l_onoff = 1};
	struct wire_conn c = {.fd = -1};
	struct pollfd told;

	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listens, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(listens, 1), 0);
	assert_int_equal(getsockname(listens, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, size), 0);
	c.fd = accept4(listens, NULL, NULL, SOCK_CLOEXEC);
	assert_false(wire_conn_ended(&c));
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(client);
	told = (struct pollfd){.fd = c.fd, .events = POLLRDHUP};
	assert_int_equal(poll(&told, 1, 10000), 1);
	assert_true(wire_conn_ended(&c));
	close(c.fd);
	close(listens);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_reset_before_the_request_is_complete),
	    e2e_test(a_reset_while_the_handler_runs_is_told_to_it),
	    e2e_test(a_reset_while_the_answer_is_being_sent),
	    e2e_test(a_reset_after_the_answer),
	    cmocka_unit_test(a_reset_is_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
