/* SPDX-License-Identifier: MIT */
/*
 * A last answer arrives, and the end after it in order, although the client goes on sending:
 * where it asked for the end itself, and where it was too slow. How many such ends there are at
 * a time is bounded.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/server/serving.h"

enum { LARGE = 200000, TIMES = 20, CROWD = 400, LINGERING_MOST = 256 };

static char large[LARGE];

static int
much(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)req, (void)data;
	return http_response_static(res, 200, NULL, large, LARGE);
}

static struct http_server *
server(void)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/", much, NULL);
	http_server_set(s, "body_rate_min_bytes", "0");
	log_open();
	return s;
}

/* What was sent so far has been taken, or thrown away: more is news to the server. */
static void
wait_until_taken(struct client *c)
{
	int left = 1;

	for (int i = 0; i < 3000 && left > 0; i++) {
		assert_int_equal(ioctl(client_fd(c), SIOCOUTQ, &left), 0);
		if (left > 0)
			poll(NULL, 0, 1);
	}
}

static void
expect_answer_and_end(struct client *c, int status, const char *what)
{
	const struct answer *a = client_read_any(c, "GET");
	enum client_end end;

	if (a->state != ANSWER_COMPLETE || a->status != status)
		harness_fail("%s: %s, status %d", what, answer_state_text(a->state), a->status);
	end = client_wait_end(c);
	if (end != CLIENT_EOF)
		harness_fail("%s: %s at the end", what, end == CLIENT_RESET ? "a reset" : "more");
	/* Still sending, after the answer and its end have come: no reset comes of it. */
	client_send_bytes(c, large, 1000);
	wait_until_taken(c);
	if (send(client_fd(c), large, 1000, MSG_NOSIGNAL) != 1000)
		harness_fail("%s: %s", what, strerror(errno));
	client_close(c);
}

static void
a_client_may_send_on_after_its_own_close(void **state)
{
	static const char *const heads[] = {
	    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
	    "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
	    "GET / HTTP/1.0\r\n\r\n",
	};
	struct http_server *s = server();
	uint16_t port = serving_start(s);

	(void)state;
	for (size_t i = 0; i < TIMES * COUNT(heads); i++) {
		struct client *c = client_open(port);

		client_send(c, "%s", heads[i / TIMES]);
		client_send_bytes(c, large, i % 2 == 0 ? LARGE : 10);
		expect_answer_and_end(c, 200, heads[i / TIMES]);
	}
	serving_stop(s);
}

static void
a_client_that_was_too_slow_may_send_on(void **state)
{
	static const struct {
		const char *setting, *bytes;
	} table[] = {
	    {"header_timeout_ms", "GET / HTTP/1.1\r\nHo"},
	    {"header_timeout_ms", "G"},
	    {"header_timeout_ms", "GET / HTTP/1.1\r\nHost: a\r\nX: "},
	    {"body_timeout_ms", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nab"},
	    {"body_timeout_ms",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_server *s = server();
		struct client *c[4];

		http_server_set(s, table[i].setting, "100");
		c[0] = client_open(serving_start(s));
		for (size_t n = 1; n < COUNT(c); n++)
			c[n] = client_open((uint16_t)http_server_port(s, "web"));
		for (size_t n = 0; n < COUNT(c); n++)
			client_send_bytes(c[n], table[i].bytes, strlen(table[i].bytes));
		for (size_t n = 0; n < COUNT(c); n++)
			expect_answer_and_end(c[n], 408, table[i].bytes);
		/* No request comes of what was sent on. */
		assert_int_equal(http_server_counter(s, table[i].setting), COUNT(c));
		serving_stop(s);
	}
}

static int
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* The server's end of each stays open until it lingers no more. */
static void
a_crowd_lingers_in_bounds(void **state)
{
	static struct client *crowd[CROWD];
	struct http_server *s = server();
	uint16_t port = serving_start(s);
	int before = descriptors();

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = client_open(port);
		client_send(crowd[i], "GET / HTTP/1.0\r\n\r\n");
		assert_int_equal(client_read(crowd[i], "GET")->status, 200);
		assert_int_equal(client_wait_end(crowd[i]), CLIENT_EOF);
	}
	assert_true(descriptors() <= before + CROWD + LINGERING_MOST + 2);
	for (int i = 0; i < CROWD; i++)
		client_close(crowd[i]);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_client_may_send_on_after_its_own_close),
	    e2e_test(a_client_that_was_too_slow_may_send_on),
	    e2e_test(a_crowd_lingers_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
