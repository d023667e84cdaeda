/* SPDX-License-Identifier: MIT */
/*
 * The control socket against rude, slow, dead and unauthorised clients: whatever they do, baton
 * goes on supervising, answers others, and ends when it is told to.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/port.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS "{\"command\":\"status\"}\n"

static struct baton baton;
static uint16_t port;

static int
start(void **state)
{
	if (harness_setup(state) != 0)
		return -1;
	port = port_free(1);
	baton = baton_hello(port, 1);
	return 0;
}

static int
stop(void **state)
{
	baton_stop(&baton);
	return harness_teardown(state);
}

/* It still does its work: for commands, and for the instance, which may be in a restart. */
static void
assert_well(void)
{
	struct proc *p = NULL;

	wait_until("no restart is under way",
	    strstr(proc_text(p = proc_finish(baton_command(&baton, "status", NULL), 0), PROC_OUT),
		"a restart is under way") == NULL);
	proc_expect(p, PROC_OUT, "s\\.0 .*ready");
	assert_string_equal(client_fetch(port, "/"), "hello\n");
}

static void
only_its_owner_may_open_it(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(baton.control, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_uid, geteuid());
}

static void
each_bad_request_gets_a_reason(void **state)
{
	static const struct {
		const char *request, *says;
	} table[] = {
	    {"hello\n", "one JSON object a line"},
	    {"GET / HTTP/1.1\r\n\r\n", "one JSON object a line"},
	    {"[]\n", "one JSON object a line"},
	    {"{\"command\":\"status\"\n", "one JSON object a line"},
	    {"{\"command\":\"status\",\"command\":\"stop\"}\n", "one JSON object a line"},
	    {"\n", "one JSON object a line"},
	    {"{}\n", "a request needs a member"},
	    {"{\"command\":7}\n", "a request needs a member"},
	    {"{\"command\":\"explode\"}\n", "unknown command"},
	    {"{\"command\":\"status\",\"service\":\"s\"}\n", "status takes no"},
	    {"{\"command\":\"restart\",\"service\":5}\n", "is not a string"},
	    {"{\"command\":\"restart\",\"service\":\"x\"}\n", "there is no service"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client *c = client_open_unix(baton.control);
		const char *line;

		client_send_bytes(c, table[i].request, strlen(table[i].request));
		line = client_read_line(c);
		if (line == NULL || strstr(line, "\"ok\":false") == NULL ||
		    strstr(line, table[i].says) == NULL)
			harness_fail(
			    "to %sexpected \"%s\", got %s", table[i].request, table[i].says, line);
		client_close(c);
	}
	assert_well();
}

static void
requests_may_come_in_pieces_or_together(void **state)
{
	struct client *c = client_open_unix(baton.control);

	(void)state;
	for (const char *p = STATUS; *p != '\0'; p++)
		client_send_bytes(c, p, 1);
	assert_non_null(strstr(client_read_line(c), "\"ok\":true"));
	client_send(c, STATUS STATUS STATUS);
	for (int i = 0; i < 3; i++)
		assert_non_null(strstr(client_read_line(c), "\"ok\":true"));
}

static void
a_line_without_end_is_cut_off(void **state)
{
	struct client *c = client_open_unix(baton.control);
	char *much = talloc_array(harness_mem(), char, 1 << 20);

	(void)state;
	memset(much, '{', 1 << 20);
	client_send_bytes(c, much, 1 << 20);
	/* an error line or nothing, but then the end */
	while (client_wait_end(c) == CLIENT_DATA)
		client_read_line(c);
	assert_well();
}

static void
half_requests_and_dead_clients_are_forgotten(void **state)
{
	static const char *const parts[] = {
	    "", "{", "{\"command\":", STATUS, STATUS "{", "{\"command\":\"restart\"}\n"};

	(void)state;
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			struct client *c = client_open_unix(baton.control);

			client_send_bytes(c, parts[i], strlen(parts[i]));
			client_close(c);
		}
	wait_until(
	    "no restart is under way", proc_wait(baton_command(&baton, "restart", NULL)) == 0);
	proc_expect(baton_command(&baton, "status", NULL), PROC_OUT, "s\\.0 .*ready");
	assert_string_equal(client_fetch(port, "/"), "hello\n");
}

/* Asks for ever and never reads: what it is owed must not pile up, nor block the rest. */
static void
a_client_that_never_reads_is_dropped(void **state)
{
	struct client *c = client_open_unix(baton.control);
	bool cut = false;

	(void)state;
	for (int i = 0; i < 200000 && !cut; i++) {
		ssize_t n = send(client_fd(c), STATUS, strlen(STATUS), MSG_NOSIGNAL | MSG_DONTWAIT);

		/* full: it has stopped reading from us, which is as good */
		cut = n < 0;
	}
	assert_true(cut);
	assert_well();
}

/* A whole gigabyte, if anybody took it. */
static void
a_line_of_a_gigabyte_is_not_read(void **state)
{
	struct client *c = client_open_unix(baton.control);
	char *much = talloc_array(harness_mem(), char, 1 << 20);
	size_t sent = 0;

	(void)state;
	memset(much, ' ', 1 << 20);
	while (sent < 1UL << 30) {
		ssize_t n = send(client_fd(c), much, 1 << 20, MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	assert_true(sent < 16UL << 20);
	assert_well();
}

enum { CROWD = 1000 };

/* Descriptors for them, whatever the shell allows at first. */
static void
raise_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < CROWD + 100)
		limit.rlim_cur = CROWD + 100;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		harness_skip("RLIMIT_NOFILE cannot be raised");
}

static void
a_crowd_that_stays_keeps_nobody_out(void **state)
{
	struct client *early = client_open_unix(baton.control);

	(void)state;
	raise_limit();
	/* One that waits for an answer has its place, whoever comes later. */
	client_send(early, "{\"command\":\"restart\"}\n");
	for (int i = 0; i < CROWD; i++) {
		struct client *c = client_open_unix(baton.control);

		if (i % 2)
			client_send_bytes(c, "{\"comm", 7);
	}
	assert_well();
	for (const char *line = ""; line != NULL && strstr(line, "\"type\":\"result\"") == NULL;) {
		line = client_read_line(early);
		assert_non_null(line);
		assert_null(strstr(line, "\"ok\":false"));
	}
}

/* They all have a request under way, but one that can be given up. */
static void
a_crowd_of_followers_keeps_nobody_out(void **state)
{
	static const char *const follow[] = {"{\"command\":\"events\",\"follow\":true}\n",
	    "{\"command\":\"logs\",\"follow\":true}\n"};
	struct client *last = NULL;

	(void)state;
	for (int i = 0; i < 200; i++) {
		last = client_open_unix(baton.control);
		client_send_bytes(last, follow[i % 2], strlen(follow[i % 2]));
		/* It is in, or it could be pushed out before it has asked. */
		assert_non_null(client_read_line(last));
	}
	assert_well();
	baton_restart(&baton);
	assert_non_null(strstr(client_read_line(last), "lines"));
}

/* Between requests a client may be silent, in the middle of one it may not for ever. */
static void
who_stops_in_the_middle_of_a_request_is_cut_off(void **state)
{
	struct client *quiet = client_open_unix(baton.control);
	struct client *half = client_open_unix(baton.control);

	(void)state;
	client_send(quiet, STATUS);
	assert_non_null(strstr(client_read_line(quiet), "\"ok\":true"));
	client_send_bytes(half, "{\"command\"", 10);
	assert_int_not_equal(client_wait_end(half), CLIENT_DATA);
	client_send(quiet, STATUS);
	assert_non_null(strstr(client_read_line(quiet), "\"ok\":true"));
}

/* The mode keeps others out; if somebody has changed it, the credentials do. */
static void
another_user_is_refused(void **state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	assert_int_equal(chmod(baton.control, 0666), 0);
	assert_int_equal(chmod(baton.dir, 0755), 0);
	strcpy(to.sun_path, baton.control);
	pid = fork();
	if (pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char text[4096] = "";
		ssize_t n;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(3);
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
			_exit(4);
		(void)!send(fd, "{\"command\":\"stop\"}\n", 19, MSG_NOSIGNAL);
		n = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);
		_exit(n > 0 && strstr(text, "\"ok\":true") != NULL ? 5 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_well();
}

static void
stop_ends_everything_and_then_answers(void **state)
{
	uint16_t other = port_free(2);
	struct baton b = baton_hello(other, 2);
	struct proc *p = proc_finish(baton_command(&b, "stop", NULL), 0);

	(void)state;
	proc_expect(p, PROC_OUT, "stopped");
	proc_finish(b.proc, 0);
	assert_int_equal(client_try(other), ECONNREFUSED);
	assert_int_equal(client_try((uint16_t)(other + 1)), ECONNREFUSED);
	assert_int_equal(access(b.control, F_OK), -1);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(only_its_owner_may_open_it),
	    test(each_bad_request_gets_a_reason),
	    test(requests_may_come_in_pieces_or_together),
	    test(a_line_without_end_is_cut_off),
	    test(half_requests_and_dead_clients_are_forgotten),
	    test(a_client_that_never_reads_is_dropped),
	    test(a_line_of_a_gigabyte_is_not_read),
	    test(a_crowd_that_stays_keeps_nobody_out),
	    test(a_crowd_of_followers_keeps_nobody_out),
	    test(who_stops_in_the_middle_of_a_request_is_cut_off),
	    test(another_user_is_refused),
	    test(stop_ends_everything_and_then_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
