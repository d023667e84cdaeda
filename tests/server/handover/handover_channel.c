/* SPDX-License-Identifier: MIT */
/*
 * A server in this process whose handover channel ends in the test's hands: which listener a
 * connection belongs to that moved, and offers that find no room.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/handover/channel.h"
#include "tests/server/serving.h"

static int
say_listener(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(res, 200, "%s", http_request_listener(req));
}

/* One end for the server's environment, in this form; the other one for the test. */
static int
channel_new(const char *form, int *inherited)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	setenv("BATON_HANDOVER", talloc_asprintf(harness_mem(), form, fd[1]), 1);
	*inherited = fd[1];
	return fd[0];
}

static struct handover_message
hear(int channel)
{
	struct pollfd pfd = {.fd = channel, .events = POLLIN};
	struct handover_message m = {.fd = -1};

	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		harness_fail("the server says nothing");
	assert_int_equal(handover_receive(channel, &m), 1);
	return m;
}

/* ---- The taking side ------------------------------------------------------------------------- */

/* A connection that a predecessor has accepted, and its client. */
static int
accept_elsewhere(struct client **c)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	*c = client_open(ntohs(at.sin_port));
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

static void
move(int channel, uint64_t id, int fd, const char *listener)
{
	struct baton_handover_state state = {
	    .peer_size = sizeof(struct sockaddr_in), .opened_unix_ms = 1};

	((struct sockaddr *)&state.peer)->sa_family = AF_INET;
	strcpy(state.listener, listener);
	assert_int_equal(handover_send(channel, BATON_HANDOVER_OFFER, id, &state, fd), 0);
	assert_int_equal(hear(channel).type, BATON_HANDOVER_HAVE);
	assert_int_equal(handover_send(channel, BATON_HANDOVER_YOURS, id, NULL, -1), 0);
	close(fd);
}

/* That of its name; the first, if the successor has none of that name. */
static void
a_connection_that_moves_keeps_its_listener(void **state)
{
	static const struct {
		const char *was, *is;
	} names[] = {{"admin", "admin"}, {"web", "web"}, {"renamed", "web"}, {"adm", "web"}};
	struct http_server *s = serving_new();
	int inherited, channel = channel_new("-1,%d", &inherited);

	(void)state;
	http_server_handle(s, "/", say_listener, NULL);
	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_listen(s, "admin", "127.0.0.1:0");
	assert_int_equal(http_server_start(s), 0);
	assert_int_equal(hear(channel).type, BATON_HANDOVER_HELLO);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct client *c;

		move(channel, i + 1, accept_elsewhere(&c), names[i].was);
		assert_string_equal(client_get(c, "/")->body, names[i].is);
		client_close(c);
	}
	serving_stop(s);
	close(channel);
}

/* ---- The giving side ------------------------------------------------------------------------- */

/*
 * The channel is full, though not of offers: no answer will come that tells when to go on. The
 * successor reads at last, and gets what there is.
 */
static void
offers_that_found_no_room_are_made_when_there_is_some(void **state)
{
	enum { N = 20 };
	struct http_server *s = serving_new();
	struct log *log = log_open();
	int inherited, channel = channel_new("%d,-1", &inherited), filled = 0;
	struct client *c[N];
	uint16_t port;

	(void)state;
	http_server_handle(s, "/", say_listener, NULL);
	http_server_set(s, "drain_timeout_ms", "600000"); /* its end would make them, too */
	port = serving_start(s);
	for (int i = 0; i < N; i++) {
		c[i] = client_open(port);
		assert_int_equal(client_get(c[i], "/")->status, 200);
	}
	while (handover_send(inherited, BATON_HANDOVER_YOURS, 0, NULL, -1) == 0)
		filled++;
	handover_send(channel, BATON_HANDOVER_HELLO, 0, NULL, -1);
	http_server_drain(s);
	wait_until("it drains", log_has(log, "draining: 20 connections, to the successor"));
	for (; filled > 0; filled--)
		assert_int_equal(hear(channel).type, BATON_HANDOVER_YOURS);
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(channel);

		assert_int_equal(m.type, BATON_HANDOVER_OFFER);
		close(m.fd);
		handover_send(channel, BATON_HANDOVER_REFUSE, m.id, NULL, -1);
	}
	for (int i = 0; i < N; i++)
		client_close(c[i]);
	assert_int_equal(http_server_wait(s), 0);
	close(channel);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_connection_that_moves_keeps_its_listener),
	    e2e_test(offers_that_found_no_room_are_made_when_there_is_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
