/* SPDX-License-Identifier: MIT */
/*
 * What the parser has left of a connection, and what becomes of connections whose bytes cannot
 * be counted where that is not known: they are ended politely, the others move.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/handover/channel.h"
#include "server/wire/probe.h"
#include "tests/server/serving.h"

#define CHUNKED                                                            \
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" \
	"3\r\nabc\r\n0\r\n\r\n"

static int
hello(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "hello");
}

static void
the_place_is_found(void **state)
{
	struct http_server *s = serving_new();

	(void)state;
	readahead_learn(&s->wire);
	assert_true(s->wire.traits.readahead_at > 0);
}

struct scene {
	struct http_server *server;
	uint16_t port;
	int channel; /* the taker's end */
};

static struct scene
scene_new(void)
{
	struct scene t = {.server = serving_new()};
	char value[32];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	snprintf(value, sizeof(value), "%d,-1", ends[0]);
	setenv(BATON_ENV_HANDOVER, value, 1);
	http_server_handle(t.server, "/", hello, NULL);
	t.port = serving_start(t.server);
	t.channel = ends[1];
	return t;
}

/* Says HELLO, drains, and takes so many, each told by the requests that it has had. */
static void
take(struct scene *t, int n, uint64_t requests[])
{
	assert_int_equal(handover_send(t->channel, BATON_HANDOVER_HELLO, 0, NULL, -1), 0);
	http_server_drain(t->server);
	for (int taken = 0; taken < n;) {
		struct pollfd pfd = {.fd = t->channel, .events = POLLIN};
		struct handover_message m;

		assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
		assert_int_equal(handover_receive(t->channel, &m), 1);
		if (m.type == BATON_HANDOVER_YOURS)
			taken++;
		if (m.type != BATON_HANDOVER_OFFER)
			continue;
		requests[m.id - 1] = m.state.requests;
		close(m.fd);
		assert_int_equal(handover_send(t->channel, BATON_HANDOVER_HAVE, m.id, NULL, -1), 0);
	}
}

/* Chunks and empty lines are not in the account, and all of them move. */
static void
what_was_not_counted_moves(void **state)
{
	struct log *log = log_open();
	struct scene t = scene_new();
	struct client *c[4];
	uint64_t requests[COUNT(c)];

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(t.port);
		client_get(c[i], "/");
	}
	client_send(c[1], CHUNKED);
	client_read(c[1], "POST");
	client_send(c[2], client_empty_lines_taken(client_open(t.port)) ? "\r\n\r\n" : "\r\n");
	client_send(c[3], CHUNKED "\r\n");
	client_read(c[3], "POST");
	client_get(c[0], "/");
	take(&t, COUNT(c), requests);
	assert_int_equal(http_server_wait(t.server), 0);
	log_expect(log, "moved=4 ");
	close(t.channel);
}

static void
where_it_is_unknown_they_end_politely(void **state)
{
	struct log *log = log_open();
	struct scene t = scene_new();
	struct client *plain, *chunked, *silent;
	uint64_t requests[1];
	const struct answer *a;

	(void)state;
	plain = client_open(t.port);
	client_get(plain, "/");
	client_get(plain, "/");
	chunked = client_open(t.port);
	client_send(chunked, CHUNKED);
	client_read(chunked, "POST");
	silent = client_open(t.port);
	client_send(silent, CHUNKED);
	client_read(silent, "POST");
	t.server->wire.traits.readahead_at = 0; /* the drain comes after it, for the leader, too */
	take(&t, 1, requests);
	assert_int_equal(requests[0], 2);
	a = client_get(chunked, "/");
	assert_int_equal(a->status, 200);
	assert_true(a->close);
	assert_int_equal(client_wait_end(silent), CLIENT_EOF);
	assert_int_equal(http_server_wait(t.server), 0);
	log_expect(log, "moved=1 ");
	log_expect(log, "ended=2 cut=0");
	close(t.channel);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_place_is_found),
	    e2e_test(what_was_not_counted_moves),
	    e2e_test(where_it_is_unknown_they_end_politely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
