/* SPDX-License-Identifier: MIT */
/* Too many connections: at our own limit, and at the system's limit of open files. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/harness/tempdir.h"
#include "tests/server/serving.h"

static int
hello(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_printf(res, 200, "hello");
}

static struct http_server *
server(struct gate *g, const char *connections_max)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/", hello, NULL);
	http_server_handle(s, "/gate", gate_pass, g);
	http_server_set(s, "connections_max", connections_max);
	http_server_set(s, "idle_linger_ms", "0");
	return s;
}

/* A connection that has had one answer. */
static struct client *
open_one(uint16_t port)
{
	struct client *c = client_open(port);

	assert_string_equal(client_get(c, "/")->body, "hello");
	return c;
}

static void
the_longest_idle_connection_makes_room(void **state)
{
	struct http_server *s = server(NULL, "3");
	struct client *a, *b, *c, *d, *e;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	a = open_one(port);
	b = open_one(port);
	c = open_one(port);
	client_get(a, "/"); /* now b has been idle for longest */
	d = open_one(port);
	assert_int_equal(client_wait_end(b), CLIENT_EOF);
	e = open_one(port);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_string_equal(client_get(a, "/")->body, "hello");
	assert_string_equal(client_get(d, "/")->body, "hello");
	assert_string_equal(client_get(e, "/")->body, "hello");
	assert_int_equal(http_server_counter(s, "connections_max"), 2);
	serving_stop(s);
}

static void
a_busy_connection_is_never_ended_for_another(void **state)
{
	struct gate *g = gate_new();
	struct http_server *s = server(g, "2");
	struct client *busy[2], *late;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (int i = 0; i < 2; i++) {
		busy[i] = client_open(port);
		client_send(busy[i], "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	wait_until("both are in their handlers", atomic_load(&g->entered) == 2);
	late = client_open(port); /* in the kernel's queue */
	client_send(late, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_until("accepting has been paused", http_server_counter(s, "accept_paused") > 0);
	assert_true(client_is_quiet(late, 0));
	assert_true(client_is_quiet(busy[0], 0));
	gate_let(g, 2);
	assert_string_equal(client_read(busy[0], "GET")->body, "through\n");
	assert_string_equal(client_read(busy[1], "GET")->body, "through\n");
	assert_string_equal(client_read(late, "GET")->body, "hello");
	serving_stop(s);
}

/* Waves of newcomers at a limit of one: each is served, nobody is forgotten. */
static void
newcomers_at_the_limit_are_all_served(void **state)
{
	struct http_server *s = server(NULL, "1");
	struct client *c[10];
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		client_send(c[i], "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	}
	for (size_t i = 0; i < COUNT(c); i++)
		assert_string_equal(client_read(c[i], "GET")->body, "hello");
	serving_stop(s);
}

static void
an_idle_connection_is_closed_in_time(void **state)
{
	struct http_server *s = server(NULL, "10");
	struct client *c;
	int64_t begin;

	(void)state;
	log_open();
	http_server_set(s, "idle_timeout_ms", "1000");
	begin = harness_now_ms();
	c = open_one(serving_start(s));
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_true(harness_now_ms() - begin >= 1000);
	assert_int_equal(http_server_counter(s, "idle_timeout_ms"), 1);
	serving_stop(s);
}

/* ---- No file descriptors ---------------------------------------------------------------------- */

struct report {
	uint16_t port;
	int64_t cpu_us; /* of the server's whole life */
};

static int64_t
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

/*
 * In a child: a server that may open `more` files besides those that are open when it serves.
 * Says its port, serves until `control` ends, says how much CPU time it has used.
 */
static int
serve_with_few_files(int more, int report_fd, int control)
{
	struct http_server *s = server(NULL, "1000");
	uint16_t port = serving_start(s);
	struct report r = {.port = port};
	int lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0); /* all below are open */
	struct rlimit few = {(rlim_t)(lowest + more), (rlim_t)(lowest + more)};
	int64_t before = cpu_us();
	char byte;

	close(lowest);
	if (setrlimit(RLIMIT_NOFILE, &few) != 0 || write(report_fd, &r, sizeof(r)) != sizeof(r))
		return 1;
	while (read(control, &byte, 1) > 0)
		;
	r.cpu_us = cpu_us() - before;
	if (write(report_fd, &r, sizeof(r)) != sizeof(r))
		return 1;
	http_server_drain(s);
	return http_server_wait(s) == 0 ? 0 : 1;
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Else the loop would wait for the kernel to move a table that threads share. */
static void
there_is_room_for_many_descriptors_before_there_are_threads(void **state)
{
	struct http_server *s = server(NULL, "1000");
	const char *size;
	struct rlimit lim;

	(void)state;
	serving_start(s);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	size = strstr(tempdir_read("/proc/self/status"), "\nFDSize:");
	assert_non_null(size);
	assert_true(strtoul(size + strlen("\nFDSize:"), NULL, 10) >=
		    (lim.rlim_cur < 8192 ? lim.rlim_cur : 8192));
	serving_stop(s);
}

static void
without_descriptors_it_waits_and_does_not_spin(void **state)
{
	enum { FILES = 4, CLIENTS = 10 };
	struct log *log = log_open();
	int report[2], control[2], status;
	struct client *c[CLIENTS];
	struct report r;
	int64_t begin;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	assert_int_equal(pipe2(control, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(control[1]);
		_exit(serve_with_few_files(FILES, report[1], control[0]));
	}
	close(control[0]);
	assert_int_equal(read(report[0], &r, sizeof(r)), sizeof(r));
	begin = harness_now_ms();
	for (int i = 0; i < CLIENTS; i++) {
		c[i] = client_open(r.port);
		client_send(c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	}
	for (int i = 0; i < FILES; i++)
		assert_string_equal(client_read(c[i], "GET")->body, "hello");
	/* The others wait, and it tries again from time to time. */
	wait_until("it has tried a few times",
	    count(log_text(log), "cannot accept on web: Too many open files") >= 2);
	for (int i = FILES; i < CLIENTS; i++)
		assert_true(client_is_quiet(c[i], 0));
	/* Each that leaves lets one in. */
	for (int i = 0; i + FILES < CLIENTS; i++) {
		client_close(c[i]);
		assert_string_equal(client_read(c[i + FILES], "GET")->body, "hello");
	}
	close(control[1]);
	assert_int_equal(read(report[0], &r, sizeof(r)), sizeof(r));
	assert_true(r.cpu_us < (harness_now_ms() - begin) * 1000 / 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(report[0]);
	close(report[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(there_is_room_for_many_descriptors_before_there_are_threads),
	    e2e_test(without_descriptors_it_waits_and_does_not_spin),
	    e2e_test(the_longest_idle_connection_makes_room),
	    e2e_test(a_busy_connection_is_never_ended_for_another),
	    e2e_test(newcomers_at_the_limit_are_all_served),
	    e2e_test(an_idle_connection_is_closed_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
