/* SPDX-License-Identifier: MIT */
/*
 * Limits on how much and how many: heads, content, connections and requests. Each answers with
 * its status, also to a client that is still sending, and has its counter.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "tests/server/holding.h"

static int
echo(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t len;
	const void *body = http_request_body(req, &len);

	(void)ctx, (void)data;
	return http_response_bytes(res, 200, "text/plain", body, len);
}

static struct http_server *
server(const char *name, const char *value)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	http_server_handle(s, "/echo", echo, NULL);
	http_server_set(s, name, value);
	return s;
}

static char *
repeat(const char *what, int times)
{
	size_t len = strlen(what);
	char *text = talloc_size(harness_mem(), len * (size_t)times + 1), *end = text;

	for (int i = 0; i < times; i++)
		end = stpcpy(end, what);
	return text;
}

/* ---- The head --------------------------------------------------------------------------------- */

static void
too_many_fields_get_431(void **state)
{
	struct http_server *s = server("header_fields_max", "10");
	struct client *c;
	const struct answer *a;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = client_open(port);
	a = client_request(c, "GET", "/", repeat("X: y\r\n", 9), NULL); /* and Host */
	assert_int_equal(a->status, 200);
	a = client_request(c, "GET", "/", repeat("X: y\r\n", 10), NULL);
	assert_int_equal(a->status, 431);
	assert_true(a->close);
	assert_int_equal(http_server_counter(s, "header_fields_max"), 1);
	/* Also one that has more to say. */
	c = client_open(port);
	a = client_request(c, "POST", "/echo", repeat("X: y\r\n", 10), repeat("0123456789", 50000));
	assert_int_equal(a->status, 431);
	client_close(c); /* who stays is lingered for */
	serving_stop(s);
}

/* The client sends all it has before it reads. */
static void
heads_that_are_too_large_are_told_so(void **state)
{
	static const int sizes[] = {20000, 100000, 3000000};
	struct http_server *s = server("header_max_bytes", "8192");
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const char *fill = repeat("0123456789", sizes[i] / 10);
		struct client *c;

		c = client_open(port);
		client_send(c, "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", fill);
		assert_int_equal(client_read(c, "GET")->status, 431);
		client_close(c);
		c = client_open(port);
		client_send(c, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", fill);
		assert_int_equal(client_read(c, "GET")->status, 414);
		client_close(c);
		assert_int_equal(atoi(client_fetch(port, "/echo")), 0);
	}
	serving_stop(s);
}

static void
content_that_is_too_large_is_counted(void **state)
{
	struct http_server *s = server("body_max_bytes", "1000");
	struct client *c;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = client_open(port);
	assert_int_equal(
	    client_request(c, "POST", "/echo", NULL, repeat("0123456789", 100))->status, 200);
	assert_int_equal(
	    client_request(c, "POST", "/echo", NULL, repeat("0123456789", 100001))->status, 413);
	assert_int_equal(http_server_counter(s, "body_max_bytes"), 1);
	client_close(c); /* who stays is lingered for */
	serving_stop(s);
}

/* ---- Requests of a connection ------------------------------------------------------------------ */

static void
a_connection_ends_after_its_requests(void **state)
{
	struct http_server *s = server("requests_per_connection_max", "3");
	struct client *c;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	c = client_open(port);
	for (int i = 1; i <= 3; i++) {
		const struct answer *a = client_get(c, "/");

		assert_int_equal(a->status, 200);
		assert_int_equal(a->close, i == 3);
	}
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	/* What was sent behind is not answered, and the answer before it arrives. */
	c = client_open(port);
	for (int i = 0; i < 5; i++)
		client_send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 1; i <= 3; i++)
		assert_int_equal(client_read(c, "GET")->close, i == 3);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_int_equal(http_server_counter(s, "requests_per_connection_max"), 2);
	assert_int_equal(http_server_counter(s, "requests"), 6);
	client_close(c); /* who stays is lingered for */
	serving_stop(s);
}

/* ---- Connections of an address ------------------------------------------------------------------ */

/* A connection from another address of this machine. */
static int
connect_from(uint32_t from, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};

	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int
status_from(uint32_t from, uint16_t port)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	int fd = connect_from(from, port);
	char text[4096] = "";
	ssize_t n = 0, len = 0;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (len < (ssize_t)sizeof(text) - 1 &&
	       (n = recv(fd, text + len, sizeof(text) - 1 - (size_t)len, 0)) > 0)
		len += n;
	close(fd);
	return len > 12 ? atoi(text + 9) : -1;
}

static void
an_address_has_so_many_connections_and_no_more(void **state)
{
	struct http_server *s = server("connections_per_address_max", "3");
	struct client *c[3], *more;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			c[i] = client_open(port);
			assert_int_equal(client_get(c[i], "/")->status, 200);
		}
		for (int i = 0; i < 3; i++) {
			const struct answer *a;

			more = client_open(port);
			a = client_request(more, "POST", "/echo", NULL, repeat("x", 3000));
			assert_int_equal(a->status, 429);
			assert_true(a->close);
			client_close(more);
		}
		assert_int_equal(status_from(INADDR_LOOPBACK, port), 429);
		assert_int_equal(status_from(0x7f000002, port), 200); /* somebody else */
		for (int i = 0; i < 3; i++)
			client_close(c[i]);
		wait_until(
		    "all have their places again", status_from(INADDR_LOOPBACK, port) == 200);
	}
	assert_true(http_server_counter(s, "connections_per_address_max") >= 12);
	serving_stop(s);
}

/* The table of addresses keeps apart what falls together, and forgets who has left. */
static void
many_addresses_are_kept_apart(void **state)
{
	enum { MANY = 500 };
	struct http_server *s = server("connections_per_address_max", "1");
	int fd[MANY];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	assert_int_equal(status_from(INADDR_LOOPBACK, port), 200);
	for (int i = 0; i < MANY; i++)
		fd[i] = connect_from(0x7f010000 + (uint32_t)i, port);
	wait_until("all have come", http_server_counter(s, "connections") == MANY + 1);
	for (int i = 0; i < MANY; i += 50)
		assert_int_equal(status_from(0x7f010000 + (uint32_t)i, port), 429);
	assert_int_equal(http_server_counter(s, "connections_per_address_max"), MANY / 50);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	for (int i = 0; i < MANY; i += 50)
		wait_until(
		    "it has its place again", status_from(0x7f010000 + (uint32_t)i, port) == 200);
	serving_stop(s);
}

/* ---- All connections ----------------------------------------------------------------------------- */

/* Newcomers find room at once, while hundreds are idle and one of them has begun a request. */
static void
at_the_limit_the_longest_idle_one_makes_room(void **state)
{
	enum { FULL = 200, MORE = 100 };
	struct http_server *s = server("connections_max", "200");
	struct client *c[FULL], *begun;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	begun = client_open(port);
	client_get(begun, "/");
	client_send(begun, "GET / HT");
	for (int i = 1; i < FULL; i++) {
		c[i] = client_open(port);
		client_get(c[i], "/");
	}
	for (int i = 0; i < MORE; i++)
		assert_int_equal(client_get(client_open(port), "/")->status, 200);
	assert_int_equal(http_server_counter(s, "connections_max"), MORE);
	for (int i = 1; i <= MORE; i++)
		assert_int_equal(client_wait_end(c[i]), CLIENT_EOF);
	assert_int_equal(client_get(c[FULL - 1], "/")->status, 200);
	client_send(begun, "TP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(client_read(begun, "GET")->status, 200);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(too_many_fields_get_431),
	    e2e_test(heads_that_are_too_large_are_told_so),
	    e2e_test(content_that_is_too_large_is_counted),
	    e2e_test(a_connection_ends_after_its_requests),
	    e2e_test(an_address_has_so_many_connections_and_no_more),
	    e2e_test(many_addresses_are_kept_apart),
	    e2e_test(at_the_limit_the_longest_idle_one_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
