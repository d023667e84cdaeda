/* SPDX-License-Identifier: MIT */
/*
 * Thousands of connections move at once, with a bounded number of messages and descriptors under
 * way; again and again, with descriptors and memory that stay as they are. The giver loses no
 * line of its log by its end.
 *
 * HANDOVER_CONNECTIONS (2000) and HANDOVER_ROUNDS (5) make more of it for the soak test.
 */
#include "tests/harness/relay.h"

#include <baton/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

/* Descriptors that a process has beside its connections. */
#define OTHERS 200

/* So many requests are under way together where memory is compared. */
#define AT_ONCE 50

static int
number(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? atoi(text) : otherwise;
}

/* Skips the test, and says why, if so many cannot be opened. */
static void
allow_descriptors(int n)
{
	struct rlimit lim;

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_max < (rlim_t)n + OTHERS) {
		harness_skip("RLIMIT_NOFILE is %lu at the most, too few for %d connections",
		    (unsigned long)lim.rlim_max, n);
	}
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

static void
ask_all(struct client **c, int n, int first, int step)
{
	for (int i = first; i < n; i += step)
		client_send(c[i], "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n");
}

static void
expect_all(struct client **c, int n, int first, int step, const struct generation *g)
{
	char *who = talloc_asprintf(harness_mem(), "pid %d ", (int)proc_pid(g->proc));

	for (int i = first; i < n; i += step) {
		const struct answer *a = client_read(c[i], "GET");

		if (a->status != 200 || strncmp(a->body, who, strlen(who)) != 0)
			harness_fail(
			    "connection %d is not at %s: %d %s", i, who, a->status, a->body);
	}
}

static void
thousands_move_at_once(void **state)
{
	static const char *const env[] = {
	    "BATON_HTTP_CONNECTIONS_MAX=100000", "BATON_HTTP_QUEUE_MAX=1000000", NULL};
	int n = number("HANDOVER_CONNECTIONS", 2000), rounds = number("HANDOVER_ROUNDS", 5);
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g, *next;
	struct client **c;
	int fds = 0, step = n / AT_ONCE + 1;
	long kb = 0;

	(void)state;
	allow_descriptors(n);
	r.env = env;
	g = relay_next(&r, NULL);
	c = talloc_array(harness_mem(), struct client *, (unsigned)n);
	for (int i = 0; i < n; i++) {
		c[i] = relay_client(&r);
		if (i % 64 == 63)
			relay_pid(c[i]); /* no faster than it accepts */
	}
	for (int round = 0; round < rounds; round++) {
		int64_t begin;

		next = relay_next(&r, g);
		begin = harness_now_ms();
		relay_stop(g);
		ask_all(c, n, 1, 2); /* some are in the middle of a request */
		assert_int_equal(relay_count(g, "MOVED"), n);
		print_message("%d connections in %d ms\n", n, (int)(harness_now_ms() - begin));
		relay_end(g);
		for (int i = 1; i < n; i += 2)
			assert_int_equal(client_read(c[i], "GET")->status, 200);
		/* Some at a time: so many have their memory at once in each of the processes. */
		for (int i = 0; i < step; i++) {
			ask_all(c, n, i, step);
			expect_all(c, n, i, step, next);
		}
		if (round == 1) {
			fds = relay_fds(next);
			kb = relay_memory_kb(next);
		}
		talloc_free(g);
		g = next;
	}
	wait_until("it has as many descriptors as others had", relay_fds(g) <= fds);
	if (relay_memory_kb(g) > kb + kb / 4)
		harness_fail("from %ld to %ld kB", kb, relay_memory_kb(g));
	relay_kill(g);
}

/* ---- A server that logs every request: this program with an argument ------------------------- */

static int
show(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)req, (void)data;
	http_log(ctx, LOG_INFO, "shown");
	return http_response_printf(res, 200, "pid %d\n", (int)getpid());
}

static int
serve(void)
{
	struct http_server *s = http_server_new(NULL);
	int status;

	http_server_listen(s, "web", "127.0.0.1:0");
	http_server_handle(s, "GET /pid", show, NULL);
	status = http_server_run(s);
	talloc_free(s);
	return status;
}

static int
lines_with(struct generation *g, const char *what)
{
	int n = 0;

	for (const char *at = proc_text(g->proc, PROC_ERR); (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/* Requests until the very end of each, and each of them in the log of who answered it. */
static void
the_log_is_whole(void **state)
{
	enum { CLIENTS = 100, ROUNDS = 10 };
	static const char *const argv[] = {"/proc/self/exe", "serve", NULL};
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g, *next;
	struct client *c[CLIENTS];
	int lines = 0;

	(void)state;
	r.argv = argv;
	g = relay_next(&r, NULL);
	for (int i = 0; i < CLIENTS; i++)
		relay_pid(c[i] = relay_client(&r));
	for (int round = 0; round < ROUNDS; round++) {
		next = relay_next(&r, g);
		relay_stop(g);
		ask_all(c, CLIENTS, 0, 1);
		relay_end(g);
		for (int i = 0; i < CLIENTS; i++)
			assert_int_equal(client_read(c[i], "GET")->status, 200);
		lines += lines_with(g, "shown");
		assert_int_equal(lines_with(g, "drained: moved=100 "), 1);
		g = next;
	}
	relay_kill(g);
	lines += lines_with(g, "shown");
	assert_int_equal(lines, CLIENTS * (ROUNDS + 1));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(thousands_move_at_once),
	    e2e_test(the_log_is_whole),
	};

	(void)argv;
	if (argc == 2)
		return serve();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
