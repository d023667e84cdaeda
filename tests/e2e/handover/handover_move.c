/* SPDX-License-Identifier: MIT */
/*
 * A restart as a client sees it: whatever state its connection is in, its next request is
 * answered on the same connection, by the next process.
 */
#include "tests/harness/relay.h"

#include <signal.h>
#include <string.h>

#define HOST "Host: x\r\n"

/* The giver is told to stop; its successor has been there for a while. */
static struct generation *
restart(struct relay *r, struct generation *old)
{
	struct generation *next = relay_next(r, old);

	relay_stop(old);
	return next;
}

static void
expect_count(struct generation *g, const char *name, int n)
{
	int is = relay_count(g, name);

	if (is != n)
		harness_fail("%s is %d, not %d:\n%s", name, is, n, g->said);
}

static void
expect_pid(struct client *c, const struct generation *g)
{
	pid_t pid = relay_pid(c);

	if (pid != proc_pid(g->proc))
		harness_fail(
		    "process %d answered in place of %d", (int)pid, (int)proc_pid(g->proc));
}

/* Used, or never; of each family of sockets; over several generations. */
static void
idle_connections_move(void **state)
{
	(void)state;
	for (int family = RELAY_IPV4; family <= RELAY_UNIX; family++) {
		struct relay r = relay_new((enum relay_family)family);
		struct generation *g = relay_next(&r, NULL), *next;
		struct client *used[20], *silent[20];

		for (int i = 0; i < 20; i++) {
			used[i] = relay_client(&r);
			silent[i] = relay_client(&r);
			expect_pid(used[i], g);
		}
		for (int round = 0; round < 4; round++) {
			next = restart(&r, g);
			expect_count(g, "MOVED", 40);
			expect_count(g, "ENDED", 0);
			expect_count(g, "CUT", 0);
			relay_end(g);
			for (int i = 0; i < 20; i++)
				expect_pid(used[i], next);
			g = next;
		}
		for (int i = 0; i < 20; i++)
			expect_pid(silent[i], g);
		relay_kill(g);
	}
}

static void
a_request_in_flight_is_answered_and_then_moves(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c[8], *behind;
	const struct answer *a;

	(void)state;
	for (int i = 0; i < 8; i++)
		c[i] = relay_client(&r);
	behind = relay_client(&r);
	for (int i = 0; i < 8; i++)
		expect_pid(c[i], g);
	/* Its start may last longer than they sleep. */
	next = relay_next(&r, g);
	for (int i = 0; i < 8; i++)
		client_send(c[i], "GET /sleep/?duration=1s HTTP/1.1\r\n" HOST "\r\n");
	expect_pid(behind, g); /* they are in their handlers when that is answered behind them */
	/* It tells so in a turn of its own: what was answered is over by then. */
	proc_signal(g->proc, SIGQUIT);
	proc_expect(g->proc, PROC_ERR, "target=/sleep/");
	relay_stop(g);
	for (int i = 0; i < 8; i++) {
		a = client_read(c[i], "GET");
		assert_int_equal(a->status, 200);
		assert_false(a->close);
		assert_non_null(strstr(
		    a->body, talloc_asprintf(harness_mem(), "pid %d", (int)proc_pid(g->proc))));
	}
	expect_count(g, "MOVED", 9);
	expect_count(g, "FINISHED", 8);
	relay_end(g);
	for (int i = 0; i < 8; i++)
		expect_pid(c[i], next);
	relay_kill(next);
}

/* What some version of libmicrohttpd refuses is left out there. */
struct takes {
	bool extensions, empty_lines;
};

static struct takes
ask(const struct relay *r)
{
	return (struct takes){client_extensions_taken(relay_client(r), "/echo"),
	    client_empty_lines_taken(relay_client(r))};
}

static bool
takes(struct takes t, const char *bytes)
{
	return (t.extensions || strchr(bytes, ';') == NULL) &&
	       (t.empty_lines || strncmp(bytes, "\r\n\r\n", 4) != 0);
}

/* The rest of what had begun is sent when the restart is under way. */
static void
a_request_half_sent_is_answered_and_then_moves(void **state)
{
	static const char *const requests[] = {
	    "GET /pid HTTP/1.1\r\n" HOST "\r\n",
	    "GET /pid HTTP/1.0\r\nConnection: keep-alive\r\n" HOST "\r\n",
	    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789",
	    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "a\r\n0123456789\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
	    "\r\nGET /pid HTTP/1.1\r\n" HOST "\r\n",
	    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "a;x=y\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n",
	    "\r\n\r\nGET /pid HTTP/1.1\r\n" HOST "\r\n",
	};
	enum { KINDS = sizeof(requests) / sizeof(requests[0]) };

	(void)state;
	for (int family = RELAY_IPV4; family <= RELAY_UNIX; family += 2) {
		struct relay r = relay_new((enum relay_family)family);
		struct generation *g = relay_next(&r, NULL), *next;
		struct client *c[KINDS][8];
		struct takes t = ask(&r);
		int sent = 0;

		for (int i = 0; i < KINDS; i++)
			for (size_t part = 0; part < 8 && takes(t, requests[i]); part++, sent++) {
				size_t len = strlen(requests[i]);

				c[i][part] = relay_client(&r);
				client_send_bytes(
				    c[i][part], requests[i], 1 + part * (len - 2) / 7);
			}
		expect_pid(relay_client(&r), g);
		next = restart(&r, g);
		for (int i = 0; i < KINDS; i++)
			for (size_t part = 0; part < 8 && takes(t, requests[i]); part++) {
				size_t len = strlen(requests[i]), n = 1 + part * (len - 2) / 7;
				const struct answer *a;

				client_send_bytes(c[i][part], requests[i] + n, len - n);
				a = client_read(c[i][part], "GET");
				assert_int_equal(a->status, 200);
				assert_false(a->close);
			}
		expect_count(g, "MOVED", sent + 1);
		relay_end(g);
		for (int i = 0; i < KINDS; i++)
			for (int part = 0; part < 8 && takes(t, requests[i]); part++)
				expect_pid(c[i][part], next);
		relay_kill(next);
	}
}

/* What has come before the restart, in every form, leaves the account even. */
static void
every_kind_of_request_leaves_a_connection_that_moves(void **state)
{
	static const struct {
		const char *bytes, *method;
		int answers;
	} kinds[] = {
	    {"GET / HTTP/1.1\r\n" HOST "\r\n", "GET", 1},
	    {"HEAD / HTTP/1.1\r\n" HOST "\r\n", "HEAD", 1},
	    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n" HOST "\r\n", "GET", 1},
	    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "POST", 1},
	    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc\r\n", "POST", 1},
	    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET", 1},
	    {"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET", 1},
	    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	     "3\r\nabc\r\n0\r\n\r\n",
		"POST", 1},
	    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	     "3\r\nabc\r\n000\r\nA: b\r\n\r\n\r\n",
		"POST", 1},
	    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	     "3;a=b\r\nabc\r\n000\r\nA: b\r\n\r\n",
		"POST", 1},
	    {"GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"
	     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	     "GET / HTTP/1.1\r\n" HOST "\r\n",
		"GET", 4},
	    {"GET /missing HTTP/1.1\r\n" HOST "\r\n", "GET", 1},
	    {"DELETE /echo HTTP/1.1\r\n" HOST "\r\n", "DELETE", 1},
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

	(void)state;
	for (int family = RELAY_IPV4; family <= RELAY_UNIX; family += 2) {
		struct relay r = relay_new((enum relay_family)family);
		struct generation *g = relay_next(&r, NULL), *next;
		struct client *c[KINDS];
		struct takes t = ask(&r);
		int n = 0;

		for (int i = 0; i < KINDS; i++)
			n += takes(t, kinds[i].bytes);
		for (int round = 0; round < 3; round++) {
			for (int i = 0; i < KINDS; i++) {
				if (!takes(t, kinds[i].bytes))
					continue;
				if (round == 0)
					c[i] = relay_client(&r);
				client_send_bytes(c[i], kinds[i].bytes, strlen(kinds[i].bytes));
				for (int j = 0; j < kinds[i].answers; j++)
					client_read(c[i], kinds[i].method);
			}
			next = restart(&r, g);
			expect_count(g, "MOVED", n);
			relay_end(g);
			g = next;
			for (int i = 0; i < KINDS; i++)
				if (takes(t, kinds[i].bytes))
					expect_pid(c[i], g);
		}
		relay_kill(g);
	}
}

static void
the_content_that_was_asked_for_comes_to_who_asked(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c = relay_client(&r);
	const struct answer *a;

	(void)state;
	client_send(
	    c, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(client_read(c, "POST")->status, 100);
	next = restart(&r, g);
	relay_expect(g, "STATUS=draining");
	client_send(c, "hello");
	a = client_read(c, "POST");
	assert_string_equal(a->body, "hello");
	expect_count(g, "MOVED", 1);
	relay_end(g);
	expect_pid(c, next);
	relay_kill(next);
}

/* A client that sends without waiting: its requests are spread over two processes. */
static void
pipelined_requests_are_answered_once_and_in_order(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next = NULL;
	struct client *c = relay_client(&r);
	int sent = 0, read = 0;

	(void)state;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 300; i++, sent++) {
			client_send(c, "GET /hello/%d HTTP/1.1\r\n" HOST "\r\n", sent);
			if (i == 30 * round)
				next = restart(&r, g);
		}
		for (; read < sent; read++) {
			char *text = talloc_asprintf(harness_mem(), "hello %d\n", read);

			assert_string_equal(client_read(c, "GET")->body, text);
			talloc_free(text);
		}
		expect_count(g, "MOVED", 1);
		relay_end(g);
		g = next;
	}
	relay_kill(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(idle_connections_move),
	    e2e_test(a_request_in_flight_is_answered_and_then_moves),
	    e2e_test(a_request_half_sent_is_answered_and_then_moves),
	    e2e_test(every_kind_of_request_leaves_a_connection_that_moves),
	    e2e_test(the_content_that_was_asked_for_comes_to_who_asked),
	    e2e_test(pipelined_requests_are_answered_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
