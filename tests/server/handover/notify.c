/* SPDX-License-Identifier: MIT */
/* What the server says to its manager, over a socket in the file system or an abstract one. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/internal.h"
#include "tests/harness/tempdir.h"
#include "tests/server/serving.h"

/* The manager's end; NOTIFY_SOCKET names it. An abstract one begins with '@'. */
static int
manager(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, path, strlen(path));
	if (path[0] == '@')
		at.sun_path[0] = '\0';
	else
		len++;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

/* The next message, or NULL if none comes; PATIENCE_MS for one that must. */
static const char *
message(int fd, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char text[512];
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) == 0)
		return NULL;
	n = recv(fd, text, sizeof(text), 0);
	assert_true(n >= 0);
	return talloc_strndup(harness_mem(), text, (size_t)n);
}

static atomic_bool blocking;

static int
block(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	atomic_store(&blocking, true);
	while (atomic_load(&blocking))
		if (ctx_sleep(ctx, 1) != 0)
			break;
	return http_response_printf(res, 200, "done\n");
}

static const char *
abstract_path(void)
{
	return talloc_asprintf(harness_mem(), "@baton-test-notify-%d", getpid());
}

static void
messages_arrive_at_both_kinds_of_socket(void **state)
{
	const char *const paths[] = {tempdir_path(tempdir_new(), "notify"), abstract_path()};

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		int fd = manager(paths[i]);
		struct notify *n = notify_new(harness_mem());

		assert_null(getenv("NOTIFY_SOCKET"));
		assert_null(message(fd, 0));
		notify_send(n, "READY=1");
		assert_string_equal(message(fd, PATIENCE_MS), "READY=1");
		notify_send(n, "STOPPING=1\nSTATUS=x");
		assert_string_equal(message(fd, PATIENCE_MS), "STOPPING=1\nSTATUS=x");
		talloc_free(n);
		close(fd);
	}
}

static void
a_server_says_when_it_is_ready_and_when_it_stops(void **state)
{
	const char *const paths[] = {tempdir_path(tempdir_new(), "notify"), abstract_path()};

	(void)state;
	log_open();
	for (size_t i = 0; i < COUNT(paths); i++) {
		int fd = manager(paths[i]);
		struct http_server *s = serving_new();
		uint16_t port = serving_start(s);
		const char *text = message(fd, PATIENCE_MS);

		assert_null(getenv("NOTIFY_SOCKET"));
		assert_memory_equal(text, "READY=1", 7);
		assert_int_equal(client_try(port), 0);
		assert_null(message(fd, 0));
		http_server_drain(s);
		assert_memory_equal(message(fd, PATIENCE_MS), "STOPPING=1", 10);
		assert_int_equal(http_server_wait(s), 0);
		/* The connection may have ended by itself, or by the drain: 0 or 1. */
		text = message(fd, PATIENCE_MS);
		assert_memory_equal(text, "X_BATON_MOVED=0\nX_BATON_FINISHED=0\n", 35);
		assert_non_null(strstr(text, "\nX_BATON_CUT=0\nSTATUS=drained"));
		assert_null(message(fd, 0));
		serving_free(s);
		close(fd);
	}
}

static void
a_server_that_cannot_start_is_not_ready(void **state)
{
	int fd = manager(tempdir_path(tempdir_new(), "notify"));
	struct http_server *s = serving_new();

	(void)state;
	log_open();
	http_server_listen(s, "web", "192.0.2.1:0");
	assert_int_not_equal(http_server_start(s), 0);
	assert_null(message(fd, 0));
	close(fd);
}

/* A manager that is gone, full, or never was, harms nobody. */
static void
nobody_at_the_other_end_is_no_error(void **state)
{
	static const char *const odd[] = {
	    "", "relative", "/", "@", "/nowhere/at/all", "@nobody-there", "vsock:2:1"};
	struct notify *n;
	char *endless = talloc_zero_array(harness_mem(), char, 400);
	int fd = manager(tempdir_path(tempdir_new(), "notify"));

	(void)state;
	n = notify_new(harness_mem());
	close(fd);
	notify_send(n, "READY=1");
	for (size_t i = 0; i <= COUNT(odd); i++) {
		memset(endless, '/', 399);
		setenv("NOTIFY_SOCKET", i < COUNT(odd) ? odd[i] : endless, 1);
		assert_non_null(n = notify_new(harness_mem()));
		assert_null(getenv("NOTIFY_SOCKET"));
		notify_send(n, "READY=1");
	}
	assert_non_null(n = notify_new(harness_mem()));
	notify_send(n, "READY=1");
}

/* It is the manager who reads; the server does not wait for that for ever. */
static void
a_manager_that_does_not_read_blocks_nobody(void **state)
{
	int queue = atoi(tempdir_read("/proc/sys/net/unix/max_dgram_qlen"));
	int fd = manager(abstract_path());
	struct notify *n = notify_new(harness_mem());

	(void)state;
	assert_true(queue > 0);
	for (int i = 0; i < queue + 5; i++)
		notify_send(n, "STATUS=again");
	assert_string_equal(message(fd, 0), "STATUS=again");
	close(fd);
}

static const struct {
	const char *usec, *pid; /* "self": this process's; NULL: not set */
	int64_t interval_ms;    /* 0: there is no watchdog */
} watchdogs[] = {
    {"4000000", NULL, 2000},
    {"4000000", "self", 2000},
    {"4000000", "1", 0},
    {NULL, "self", 0},
    {"0", NULL, 0},
    {"", NULL, 0},
    {"-5", NULL, 0},
    {"1s", NULL, 0},
    {"18446744073709551615", NULL, 0},
    {"1", NULL, 1},
};

static void
a_watchdog_is_told_at_half_of_its_time(void **state)
{
	int fd = manager(abstract_path());
	const char *path = getenv("NOTIFY_SOCKET");
	const char *self = talloc_asprintf(harness_mem(), "%d", getpid());

	(void)state;
	path = talloc_strdup(harness_mem(), path);
	for (size_t i = 0; i < COUNT(watchdogs); i++) {
		const char *pid = watchdogs[i].pid;
		int64_t every = watchdogs[i].interval_ms;
		struct notify *n;

		setenv("NOTIFY_SOCKET", path, 1);
		if (watchdogs[i].usec != NULL)
			setenv("WATCHDOG_USEC", watchdogs[i].usec, 1);
		if (pid != NULL)
			setenv("WATCHDOG_PID", strcmp(pid, "self") == 0 ? self : pid, 1);
		n = notify_new(harness_mem());
		assert_null(getenv("WATCHDOG_USEC"));
		assert_null(getenv("WATCHDOG_PID"));
		assert_int_equal(notify_watchdog(n, 5000), every == 0 ? INT64_MAX : 5000 + every);
		if (every > 0) {
			assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG=1");
			assert_int_equal(notify_watchdog(n, 5000 + every - 1), 5000 + every);
			assert_null(message(fd, 0));
			assert_int_equal(notify_watchdog(n, 5000 + every), 5000 + 2 * every);
			assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG=1");
			notify_no_watchdog(n);
			assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG_USEC=0");
			assert_int_equal(notify_watchdog(n, 90000), INT64_MAX);
		}
		notify_no_watchdog(n);
		assert_null(message(fd, 0));
		talloc_free(n);
	}
	/* Without a manager nobody is told, so nobody wakes up for it. */
	setenv("WATCHDOG_USEC", "1000", 1);
	assert_int_equal(notify_watchdog(notify_new(harness_mem()), 0), INT64_MAX);
	close(fd);
}

/* Also while a handler blocks, and with nobody there at all. */
static void
a_server_tells_the_watchdog_from_its_loop(void **state)
{
	int fd = manager(abstract_path());
	struct http_server *s = serving_new();
	struct client *c;
	uint16_t port;

	(void)state;
	log_open();
	setenv("WATCHDOG_USEC", "100000", 1);
	http_server_handle(s, "GET /block", block, NULL);
	port = serving_start(s);
	assert_memory_equal(message(fd, PATIENCE_MS), "READY=1", 7);
	for (int i = 0; i < 3; i++)
		assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG=1");
	c = client_open(port);
	client_send(c, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_until("it blocks", atomic_load(&blocking));
	for (int i = 0; i < 20; i++)
		assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG=1");
	atomic_store(&blocking, false);
	assert_int_equal(client_read(c, "GET")->status, 200);
	serving_stop(s);
	close(fd);
}

/* A breakpoint stops the loop, and is no emergency. */
static void
a_server_that_is_debugged_wants_no_watchdog(void **state)
{
	int fd = manager(abstract_path());
	struct http_server *s = serving_new();

	(void)state;
	log_open();
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("BATON_DEBUG", "1", 1);
	serving_start(s);
	assert_string_equal(message(fd, PATIENCE_MS), "WATCHDOG_USEC=0");
	assert_memory_equal(message(fd, PATIENCE_MS), "READY=1", 7);
	assert_null(message(fd, 50));
	unsetenv("BATON_DEBUG");
	serving_stop(s);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(messages_arrive_at_both_kinds_of_socket),
	    e2e_test(a_server_says_when_it_is_ready_and_when_it_stops),
	    e2e_test(a_server_that_cannot_start_is_not_ready),
	    e2e_test(nobody_at_the_other_end_is_no_error),
	    e2e_test(a_manager_that_does_not_read_blocks_nobody),
	    e2e_test(a_watchdog_is_told_at_half_of_its_time),
	    e2e_test(a_server_tells_the_watchdog_from_its_loop),
	    e2e_test(a_server_that_is_debugged_wants_no_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
