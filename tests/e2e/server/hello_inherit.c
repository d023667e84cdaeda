/* SPDX-License-Identifier: MIT */
/*
 * systemd's protocol, seen from the server: sockets inherited by LISTEN_FDS, states reported to
 * NOTIFY_SOCKET, and nothing of it left in the environment.
 */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <baton/http.h>

#define ACTIVATE "/usr/bin/systemd-socket-activate"

static void
a_socket_from_socket_activation_is_served(void **state)
{
	static const char *const names[] = {"--fdname=web", "--fdname=other"};

	(void)state;
	harness_need(ACTIVATE);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint16_t port = port_free(1);
		struct proc *p =
		    proc_run(ACTIVATE, "-l", port_address(port), names[i], harness_built("hello"));
		struct client *c;

		proc_expect(p, PROC_ERR, "Listening on");
		c = client_open(port);
		assert_string_equal(client_get(c, "/")->body, "hello\n");
		assert_int_equal(hello_port(p, "[a-z]+"), port);
		client_close(c);
		proc_signal(p, SIGTERM);
		proc_finish(p, 0);
	}
}

static void
names_decide_which_socket_is_which(void **state)
{
	uint16_t port = port_free(3);
	const char *text;
	struct proc *p;

	(void)state;
	harness_need(ACTIVATE);
	p = proc_run(ACTIVATE, "-l", port_address(port), "-l", port_address((uint16_t)(port + 1)),
	    "-l", port_address((uint16_t)(port + 2)), "--fdname=admin:web2:web",
	    harness_built("hello"), "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0");
	proc_expect(p, PROC_ERR, "Listening on .*3");
	for (int i = 0; i < 3; i++)
		assert_string_equal(client_fetch((uint16_t)(port + i), "/"), "hello\n");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
	text = proc_text(p, PROC_ERR);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"admin", "web2", "web"};
		const char *line =
		    talloc_asprintf(harness_mem(), "listening: %s on port %d", names[i], port + i);

		if (strstr(text, line) == NULL)
			harness_fail("expected \"%s\" in\n%s", line, text);
	}
}

/* The environment of another process's sockets, copied along, means nothing. */
static void
sockets_of_another_process_are_left_alone(void **state)
{
	static const char *const env[] = {"LISTEN_FDS=1", "LISTEN_PID=1", NULL};
	struct hello h = hello_start(env);

	(void)state;
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	hello_stop(&h);
}

static int
notify_socket(struct sockaddr_un *at, const char *path, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(at->sun_path, path);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		at->sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)at, *len), 0);
	return fd;
}

/* Waits for a datagram that holds this line. */
static void
expect_notice(int fd, const char *line)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		char text[4096] = "\n";
		ssize_t n;

		if (poll(&pfd, 1, harness_left_ms(deadline)) <= 0)
			harness_fail("nobody says %s", line);
		n = recv(fd, text + 1, sizeof(text) - 3, 0);
		assert_true(n >= 0);
		strcpy(text + 1 + n, "\n");
		if (strstr(text, talloc_asprintf(harness_mem(), "\n%s\n", line)) != NULL)
			return;
	}
}

static void
readiness_and_stopping_are_reported(void **state)
{
	const char *paths[2];

	(void)state;
	paths[0] = tempdir_path(tempdir_new(), "notify");
	paths[1] = talloc_asprintf(harness_mem(), "@baton-test-notify-%d", (int)getpid());
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un at;
		socklen_t len;
		int fd = notify_socket(&at, paths[i], &len);
		const char *env[] = {
		    talloc_asprintf(harness_mem(), "NOTIFY_SOCKET=%s", paths[i]), NULL};
		struct hello h = hello_start(env);

		expect_notice(fd, "READY=1");
		proc_signal(h.proc, SIGTERM);
		expect_notice(fd, "STOPPING=1");
		proc_finish(h.proc, 0);
		close(fd);
	}
}

static void
a_notify_socket_that_is_gone_harms_nobody(void **state)
{
	static const char *const env[] = {"NOTIFY_SOCKET=/nonexistent/notify", NULL};
	struct hello h = hello_start(env);

	(void)state;
	assert_string_equal(client_fetch(h.port, "/"), "hello\n");
	hello_stop(&h);
}

static int
answer(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	static const char *const names[] = {
	    "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"};

	(void)ctx, (void)req, (void)data;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getenv(names[i]) != NULL)
			return http_response_printf(res, 200, "%s is left\n", names[i]);
	return http_response_printf(res, 200, "%s\n",
	    fcntl(3, F_GETFD) & FD_CLOEXEC ? "clean" : "the socket would be inherited");
}

/* A server of our own in a process of its own: it says what its handlers find. */
static void
serve_inherited(int listener, const char *notify)
{
	struct http_server *s = http_server_new(NULL);
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (dup2(listener, 3) != 3)
		_exit(70);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDNAMES", "web", 1);
	setenv("NOTIFY_SOCKET", notify, 1);
	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_handle(s, "GET /", answer, NULL);
	_exit(http_server_run(s));
}

static void
nothing_is_left_for_children_of_the_server(void **state)
{
	const char *path = tempdir_path(tempdir_new(), "notify");
	uint16_t port = port_free(1);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_un notify;
	socklen_t len;
	int fd = notify_socket(&notify, path, &len), status;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 16), 0);
	pid = fork();
	if (pid == 0)
		serve_inherited(listener, path);
	expect_notice(fd, "READY=1");
	assert_string_equal(client_fetch(port, "/"), "clean\n");
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_socket_from_socket_activation_is_served),
	    e2e_test(names_decide_which_socket_is_which),
	    e2e_test(sockets_of_another_process_are_left_alone),
	    e2e_test(readiness_and_stopping_are_reported),
	    e2e_test(a_notify_socket_that_is_gone_harms_nobody),
	    e2e_test(nothing_is_left_for_children_of_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
