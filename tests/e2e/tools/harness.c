/* SPDX-License-Identifier: MIT */
/*
 * The tests' own tools: what they say must be true, or every other test is worth nothing. A
 * load must notice what a server does wrong; nothing that a test started may outlive it.
 */
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
output_lines_are_found_in_order(void **state)
{
	struct proc *p = proc_run("/bin/sh", "-c", "echo one; echo two; echo three >&2; echo two");

	(void)state;
	assert_string_equal(proc_expect(p, PROC_OUT, "^t.o$"), "two");
	assert_string_equal(proc_expect(p, PROC_OUT, "o"), "two");
	assert_string_equal(proc_expect(p, PROC_ERR, "ree"), "three");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT), "one\ntwo\ntwo\n");
}

static void
exit_status_and_signal_are_told_apart(void **state)
{
	struct proc *p;

	(void)state;
	assert_int_equal(proc_wait(proc_run("/bin/sh", "-c", "exit 7")), 7);
	p = proc_run("/bin/sh", "-c", "echo up; exec sleep 600");
	proc_expect(p, PROC_OUT, "up");
	assert_false(proc_ended(p));
	proc_signal(p, SIGTERM);
	assert_int_equal(proc_wait(p), 128 + SIGTERM);
}

static void
more_output_than_a_pipe_holds_blocks_nobody(void **state)
{
	struct proc *p = proc_run("/bin/sh", "-c", "seq 100000; echo end >&2");

	(void)state;
	proc_finish(p, 0);
	assert_int_equal(strlen(proc_text(p, PROC_OUT)), 588895);
	assert_string_equal(proc_text(p, PROC_ERR), "end\n");
}

static void
environment_is_changed_as_asked(void **state)
{
	struct proc *p;

	(void)state;
	setenv("BATON_CONTROL", "/nowhere", 1);
	setenv("LISTEN_FDS", "1", 1);
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/bin/sh", "-c",
		"echo ${A-no} ${B-no} ${BATON_CONTROL-no} ${LISTEN_FDS-no} ${HOME-no}", NULL},
	    .env = (const char *const[]){"A=1", "BATON_CONTROL=/here", "HOME", NULL},
	});
	proc_finish(p, 0);
	unsetenv("BATON_CONTROL");
	unsetenv("LISTEN_FDS");
	assert_string_equal(proc_text(p, PROC_OUT), "1 no /here no no\n");
}

static pid_t orphan;

/* First half: leaves a grandchild behind, and a directory. */
static void
leaves_an_orphan(void **state)
{
	struct proc *p = proc_run("/bin/sh", "-c", "sleep 600 & echo $!; exec sleep 600");

	(void)state;
	orphan = (pid_t)atol(proc_expect(p, PROC_OUT, "^[0-9]+$"));
	assert_int_equal(kill(orphan, 0), 0);
	proc_signal(p, SIGKILL);
	proc_wait(p);
}

/* Second half: the teardown between them has ended it. */
static void
teardown_ends_orphans(void **state)
{
	(void)state;
	assert_true(orphan > 1);
	assert_int_equal(kill(orphan, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(harness_count_children(), 0);
}

static void
free_ports_are_free_and_apart(void **state)
{
	uint16_t a = port_free(3), b = port_free(3);

	(void)state;
	assert_true(a + 3 <= b || b + 3 <= a);
	for (int i = 0; i < 3; i++)
		assert_int_equal(client_try((uint16_t)(a + i)), ECONNREFUSED);
}

/* A listening socket whose other side this file plays by hand. */
static int
listen_on(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* Plays a server: reads one request's head, sends that, closes (with a reset if asked). */
static void
play(int listener, const char *answer, bool reset)
{
	int fd = accept(listener, NULL, NULL);
	char request[4096];
	size_t len = 0;

	while (memmem(request, len, "\r\n\r\n", 4) == NULL) {
		ssize_t n = recv(fd, request + len, sizeof(request) - len, 0);

		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_true(send(fd, answer, strlen(answer), MSG_NOSIGNAL) >= 0);
	if (reset)
		setsockopt(
		    fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
}

/* What a load of one keep-alive client counts when a server answers like this, once. */
static void
a_load_counts_what_goes_wrong(void **state)
{
	static const struct {
		const char *answer;
		bool reset;
		size_t counter; /* offset in struct load_result */
	} table[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n", false,
		offsetof(struct load_result, ok)},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	     "4\r\nhell\r\n2\r\no\n\r\n0\r\n\r\n",
		false, offsetof(struct load_result, ok)},
	    {"", false, offsetof(struct load_result, failed)},
	    {"", true, offsetof(struct load_result, failed)},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhell", false,
		offsetof(struct load_result, failed)},
	    {"HTTQ/1.1 200 OK\r\n\r\n", false, offsetof(struct load_result, failed)},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhellO\n", false,
		offsetof(struct load_result, wrong)},
	    {"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false,
		offsetof(struct load_result, other)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint16_t port = port_free(1);
		int fd = listen_on(port);
		struct load *l = load_start(
		    &(struct load_spec){.port = port, .keepalive = 1, .gap_ms = 3600000});
		struct load_result r;
		const uint64_t *counter = (const void *)((const char *)&r + table[i].counter);

		play(fd, table[i].answer, table[i].reset);
		r = load_stop(l);
		close(fd);
		if (*counter != 1 ||
		    r.ok + r.failed + r.refused + r.other + r.wrong + r.reopened != 1)
			harness_fail("answer %zu: ok %d failed %d refused %d other %d wrong %d", i,
			    (int)r.ok, (int)r.failed, (int)r.refused, (int)r.other, (int)r.wrong);
	}
}

/* A connection closed while the client pauses, without a word, is the next request's loss. */
static void
a_load_notices_a_silent_close(void **state)
{
	uint16_t port = port_free(1);
	int fd = listen_on(port);
	struct load *l =
	    load_start(&(struct load_spec){.port = port, .keepalive = 1, .gap_ms = 50});
	struct load_result r;

	(void)state;
	play(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n", false);
	play(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n", false);
	r = load_stop(l);
	close(fd);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.ok, 2);
	assert_int_equal(r.reopened, 1);
}

static void
a_load_notices_a_refusal(void **state)
{
	uint16_t port = port_free(1);
	struct load *l =
	    load_start(&(struct load_spec){.port = port, .oneshot = 1, .gap_ms = 3600000});
	int fd;
	struct load_result r;

	(void)state;
	wait_until("the load has been refused", load_so_far(l).refused > 0);
	fd = listen_on(port);
	play(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n", false);
	close(fd);
	r = load_stop(l);
	assert_int_equal(r.ok, 1);
	assert_int_equal(r.failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(output_lines_are_found_in_order),
	    e2e_test(exit_status_and_signal_are_told_apart),
	    e2e_test(more_output_than_a_pipe_holds_blocks_nobody),
	    e2e_test(environment_is_changed_as_asked),
	    e2e_test(leaves_an_orphan),
	    e2e_test(teardown_ends_orphans),
	    e2e_test(free_ports_are_free_and_apart),
	    e2e_test(a_load_counts_what_goes_wrong),
	    e2e_test(a_load_notices_a_silent_close),
	    e2e_test(a_load_notices_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
