/* SPDX-License-Identifier: MIT */
/* A server that waits as a spare: what it says, what it becomes, and how it ends. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/handover/channel.h"
#include "tests/server/serving.h"

struct scene {
	struct http_server *server;
	int manager; /* what it says by NOTIFY_SOCKET */
	int pair;    /* the supervisor's end */
};

static int
who(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(res, 200, "%s %s %s", http_request_listener(req),
	    getenv("BATON_INSTANCE"), getenv("BATON_GENERATION"));
}

static int
open_manager(void)
{
	const char *path = talloc_asprintf(harness_mem(), "@baton-test-spare-%d", getpid());
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path + 1, path + 1, strlen(path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
	    0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static void
expect_message(struct scene *s, const char *text)
{
	struct pollfd pfd = {.fd = s->manager, .events = POLLIN};
	char got[512];
	ssize_t n;

	assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
	n = recv(s->manager, got, sizeof(got) - 1, 0);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

/* It is set up, and waits. It listens nowhere: not even on the address that cannot be had. */
static struct scene
scene_new(void)
{
	struct scene s = {.server = serving_new(), .manager = open_manager()};
	int ends[2];

	log_open();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	s.pair = ends[0];
	setenv("BATON_SPARE", talloc_asprintf(harness_mem(), "%d", ends[1]), 1);
	setenv("BATON_INSTANCE", "spare.0", 1);
	setenv("BATON_GENERATION", "1", 1);
	http_server_handle(s.server, "/", who, NULL);
	http_server_listen(s.server, "web", "192.0.2.1:1");
	assert_int_equal(http_server_start(s.server), 0);
	assert_null(getenv("BATON_SPARE"));
	expect_message(&s, "READY=1\nX_BATON_SPARE=1\nSTATUS=warm");
	assert_int_equal(http_server_port(s.server, "web"), -ENOENT);
	return s;
}

static void
scene_end(struct scene *s)
{
	if (s->server->started)
		serving_stop(s->server);
	close(s->manager);
	close(s->pair);
}

/* A listening socket; its port. */
static int
open_socket(int *fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(*fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(*fd, 16), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

/* Descriptors are closed here: they are the receiver's. */
static void
tell(struct scene *s, struct baton_spare_message m, const char *names, const int *fds, size_t n)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov[2] = {{&m, sizeof(m)}, {(void *)names, strlen(names) + 1}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (n > 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	assert_true(sendmsg(s->pair, &msg, MSG_NOSIGNAL) > 0);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static struct baton_spare_message
become(uint32_t sockets, uint32_t ends, const char *names)
{
	return (struct baton_spare_message){.version = BATON_SPARE_VERSION,
	    .type = BATON_SPARE_BECOME,
	    .instance = 3,
	    .generation = 7,
	    .sockets = sockets,
	    .ends = ends,
	    .names_size = (uint32_t)strlen(names) + 1};
}

static void
it_becomes_the_instance_that_it_is_told(void **state)
{
	struct scene s = scene_new();
	struct handover_message m;
	int fds[4], give[2], take[2], admin, web;

	(void)state;
	admin = open_socket(&fds[0]);
	web = open_socket(&fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, give), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, take), 0);
	fds[2] = give[0];
	fds[3] = take[0];
	tell(&s, become(2, 2, "admin:web"), "admin:web", fds, 4);
	expect_message(&s, "READY=1\nSTATUS=serving");
	assert_int_equal(http_server_port(s.server, "web"), web);
	assert_string_equal(client_fetch((uint16_t)web, "/"), "web 3 7");
	assert_string_equal(client_fetch((uint16_t)admin, "/"), "admin 3 7");
	/* Whoever was to give to the dead one hears of its heir. */
	assert_int_equal(handover_receive(take[1], &m), 1);
	assert_int_equal(m.type, BATON_HANDOVER_HELLO);
	/* It gives to a successor of its own. */
	assert_int_equal(handover_send(give[1], BATON_HANDOVER_HELLO, 0, NULL, -1), 0);
	scene_end(&s);
	assert_int_equal(handover_receive(give[1], &m), 1);
	assert_int_equal(m.type, BATON_HANDOVER_END);
	close(give[1]);
	close(take[1]);
}

/* Of a later version, or garbage: the descriptors that came along are closed. */
static void
words_that_it_does_not_know_change_nothing(void **state)
{
	static const struct {
		uint16_t version, type;
		uint32_t sockets, ends, more_names;
	} table[] = {
	    {1, 77, 1, 0, 0},
	    {0, BATON_SPARE_BECOME, 1, 0, 0},
	    {1, BATON_SPARE_BECOME, 2, 0, 0},
	    {1, BATON_SPARE_BECOME, 0, 0, 0},
	    {1, BATON_SPARE_BECOME, 1, 1, 0},
	    {1, BATON_SPARE_BECOME, UINT32_MAX, 2, 0},
	    {1, BATON_SPARE_BECOME, 1, 0, 1},
	    {1, BATON_SPARE_BECOME, 1, 0, UINT32_MAX},
	};
	struct scene s = scene_new();
	int fd, port;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct baton_spare_message m = become(table[i].sockets, table[i].ends, "web");
		int ends[2];

		m.version = table[i].version;
		m.type = table[i].type;
		m.names_size += table[i].more_names;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		tell(&s, m, "web", &ends[0], 1);
		wait_until("it has closed it", recv(ends[1], &fd, 1, MSG_DONTWAIT) == 0);
		close(ends[1]);
	}
	assert_int_equal(send(s.pair, "x", 1, MSG_NOSIGNAL), 1);
	port = open_socket(&fd);
	tell(&s, become(1, 0, "web"), "web", &fd, 1);
	expect_message(&s, "READY=1\nSTATUS=serving");
	assert_string_equal(client_fetch((uint16_t)port, "/"), "web 3 7");
	scene_end(&s);
}

static void
what_is_no_listening_socket_ends_it_with_an_error(void **state)
{
	struct scene s = scene_new();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	tell(&s, become(1, 0, "web"), "web", &fd, 1);
	assert_int_equal(http_server_wait(s.server), -ENOTSOCK);
	scene_end(&s);
}

static void
it_is_stopped_while_it_waits(void **state)
{
	struct scene s = scene_new();

	(void)state;
	s.server->set.lame_duck_ms = PATIENCE_MS; /* nobody comes, so nobody is waited for */
	serving_stop(s.server);
	expect_message(&s, "STOPPING=1\nSTATUS=draining");
	scene_end(&s);
}

static void
it_ends_with_its_supervisor(void **state)
{
	struct scene s = scene_new();

	(void)state;
	shutdown(s.pair, SHUT_RDWR);
	assert_int_equal(http_server_wait(s.server), 0);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_becomes_the_instance_that_it_is_told),
	    e2e_test(words_that_it_does_not_know_change_nothing),
	    e2e_test(what_is_no_listening_socket_ends_it_with_an_error),
	    e2e_test(it_is_stopped_while_it_waits),
	    e2e_test(it_ends_with_its_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
