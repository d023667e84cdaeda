/* SPDX-License-Identifier: MIT */
/*
 * Room for heads. A request's head within header_max_bytes is served, whatever it consists of; an
 * answer's within answer_head_max_bytes is sent, whatever the request was and whatever came behind
 * it. What is beyond gets its status before a handler runs, and no connection ends without an
 * answer and a counter.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/server/holding.h"

#define HEAD_MAX   14336
#define ANSWER_MAX 8192

static atomic_int ran;

/* Answers with n fields of `size` bytes each, as the target says: /large/{n}/{size}. */
static int
large(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	int n = atoi(http_request_path_value(req, "n")),
	    size = atoi(http_request_path_value(req, "size"));
	char *value = talloc_zero_array(
	    http_request_mem(req), char, size - (int)strlen("Set-Cookie: \r\n") + 1);

	(void)ctx, (void)data;
	atomic_fetch_add(&ran, 1);
	memset(value, 'v', talloc_get_size(value) - 1);
	for (int i = 0; i < n; i++)
		if (http_response_header_add(res, "Set-Cookie", value) != 0)
			return -ENOMEM;
	return http_response_bytes(res, 200, "text/plain", "large", 5);
}

/* The query's length and the fields', of what the handler was shown. */
static int
count(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	size_t n, bytes = 0;
	const struct http_field *fields = http_request_headers(req, &n);

	(void)ctx, (void)data;
	atomic_fetch_add(&ran, 1);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(fields[i].name) + strlen(fields[i].value) + strlen(": \r\n");
	return http_response_printf(
	    res, 200, "%zu %zu %zu", strlen(http_request_query_string(req)), n, bytes);
}

static struct http_server *
server(void)
{
	struct http_server *s = brief_server();

	atomic_store(&ran, 0);
	http_server_handle(s, "/", count, NULL);
	http_server_handle(s, "/{rest...}", count, NULL);
	http_server_handle(s, "/large/{n}/{size}", large, NULL);
	return s;
}

static char *
repeat(const char *what, size_t times)
{
	size_t len = strlen(what);
	char *text = talloc_size(harness_mem(), len * times + 1), *end = text;

	*text = '\0';
	for (size_t i = 0; i < times; i++)
		end = stpcpy(end, what);
	return text;
}

/* ---- Requests --------------------------------------------------------------------------------- */

/* "1a; 2a; …" or "1a&2a&…" */
static const char *
numbered(const char *text, const char *between, int n)
{
	char *all = talloc_strdup(harness_mem(), "");

	for (int i = 0; i < n; i++)
		all = talloc_asprintf_append(all, "%s%d%s", i > 0 ? between : "", 1000 + i, text);
	return all;
}

struct head {
	const char *query, *fields;
	size_t fields_n; /* Host apart */
};

static struct head
field(const char *name, const char *value)
{
	return (struct head){"", talloc_asprintf(harness_mem(), "%s: %s\r\n", name, value), 1};
}

/* Head after head on one connection, all of them in full. */
static void
expect_served(struct http_server *s, const struct head *heads, size_t n)
{
	uint16_t port = serving_start(s);
	struct client *c = client_open(port);

	for (size_t i = 0; i < n; i++) {
		const struct head *h = &heads[i];
		const struct answer *a;

		client_send(c, "GET /?%s HTTP/1.1\r\nHost: a\r\n%s\r\n", h->query, h->fields);
		a = client_read_any(c, "GET");
		if (a->state != ANSWER_COMPLETE || a->status != 200)
			harness_fail("%zu: a query of %zu bytes, fields of %zu: %s, %d", i,
			    strlen(h->query), strlen(h->fields), answer_state_text(a->state),
			    a->status);
		assert_string_equal(
		    a->body, talloc_asprintf(harness_mem(), "%zu %zu %zu", strlen(h->query),
				 h->fields_n + 1, strlen(h->fields) + strlen("Host: a\r\n")));
	}
	serving_stop(s);
}

static void
a_head_is_served_whatever_it_consists_of(void **state)
{
	const struct head heads[] = {
	    {repeat("a&", 1000), "", 0},
	    {repeat("a&", 7000), "", 0},
	    {numbered("ids%5B%5D=", "&", 300), "", 0},
	    {numbered("=value", "&", 900), "", 0},
	    {repeat("b", 14000), "", 0},
	    field("Cookie", repeat("b", 8000)),
	    field("Cookie", numbered("n=v", "; ", 300)),
	    field("X", repeat("b", 14000)),
	    {"", repeat("X: y\r\n", 99), 99},
	    {"", repeat(talloc_asprintf(harness_mem(), "X: %s\r\n", repeat("y", 130)), 99), 99},
	};

	(void)state;
	log_open();
	expect_served(server(), heads, COUNT(heads));
}

/* Some versions of libmicrohttpd take every cookie apart: then there is less room for them. */
static void
so_is_a_cookie_of_any_size(void **state)
{
	const struct head heads[] = {
	    field("Cookie", repeat("b", 14000)),
	    field("Cookie", repeat("a;", 7000)),
	    field("Cookie", numbered("n=v", "; ", 1400)),
	    field("COOKIE", repeat("a=b;", 3500)),
	    {"", repeat("Cookie: a=b; c=d; e=f; g=h; i=j; k=l; m=n; o=p\r\n", 99), 99},
	};
	struct http_server *s = server();
	char *why = NULL;

	(void)state;
	log_open();
	assert_int_equal(parser_probe(&s->wire, s, &why), 0);
	if (!s->wire.traits.hides_cookies)
		harness_skip("this libmicrohttpd shows all cookies");
	expect_served(s, heads, COUNT(heads));
}

/* The line, Host and a field that fills the head up to so many bytes. */
static const char *
head_of(const char *target, size_t bytes)
{
	char *head = talloc_asprintf(harness_mem(), "GET %s HTTP/1.1\r\nHost: a\r\nX: ", target);

	return talloc_asprintf_append(
	    head, "%s\r\n\r\n", repeat("x", bytes - strlen(head) - strlen("\r\n\r\n")));
}

static void
the_limit_is_exact(void **state)
{
	struct http_server *s = server();
	struct client *c;
	const struct answer *a;

	(void)state;
	log_open();
	c = client_open(serving_start(s));
	client_send(c, "%s", head_of("/", HEAD_MAX));
	assert_int_equal(client_read(c, "GET")->status, 200);
	client_send(c, "%s", head_of("/", HEAD_MAX + 1));
	a = client_read(c, "GET");
	assert_int_equal(a->status, 431);
	assert_true(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	assert_int_equal(http_server_counter(s, "header_max_bytes"), 1);
	assert_int_equal(atomic_load(&ran), 1);
	serving_stop(s);
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"

static void
what_is_beyond_gets_its_status_before_a_handler_runs(void **state)
{
	const struct {
		const char *bytes;
		int status;
		const char *counter;
	} table[] = {
	    {head_of("/", HEAD_MAX + 1000), 431, "header_max_bytes"},
	    {head_of("/", 40000), 431, "header_max_bytes"},
	    {head_of("/", 400000), 431, "header_max_bytes"},
	    {head_of(talloc_asprintf(harness_mem(), "/?%s", repeat("a&", HEAD_MAX / 2)),
		 HEAD_MAX + 100),
		414, "header_max_bytes"},
	    {head_of(talloc_asprintf(harness_mem(), "/%s", repeat("a", 40000)), 41000), 414,
		"header_max_bytes"},
	    {talloc_asprintf(
		 harness_mem(), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", repeat("X: y\r\n", 100)),
		431, "header_fields_max"},
	    {talloc_asprintf(harness_mem(), CHUNKED "%s\r\n", repeat("X: y\r\n", 100)), 431,
		"header_max_bytes"},
	    {talloc_asprintf(harness_mem(), CHUNKED "X: %s\r\n\r\n", repeat("y", HEAD_MAX)), 431,
		"header_max_bytes"},
	};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t before = http_server_counter(s, table[i].counter);
		struct client *c = client_open(port);
		const struct answer *a;

		client_send(c, "%s", table[i].bytes);
		a = client_read_any(c, "GET");
		if (a->state != ANSWER_COMPLETE || a->status != table[i].status)
			harness_fail("%zu: %s, %d, expected %d", i, answer_state_text(a->state),
			    a->status, table[i].status);
		assert_int_equal(client_wait_end(c), CLIENT_EOF);
		client_close(c);
		wait_until("it is counted", http_server_counter(s, table[i].counter) == before + 1);
	}
	assert_int_equal(atomic_load(&ran), 0);
	serving_stop(s);
}

/* ---- Answers ---------------------------------------------------------------------------------- */

/* Beside each of these heads, with each of these behind it. */
static void
an_answer_has_its_room_beside_every_request(void **state)
{
	const char *target = "/large/8/1000";
	const char *heads[] = {
	    head_of(target, 100),
	    head_of(target, 8000),
	    head_of(target, HEAD_MAX),
	    head_of(talloc_asprintf(harness_mem(), "%s?%s", target, repeat("a&", 6900)), HEAD_MAX),
	    talloc_asprintf(harness_mem(), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target,
		repeat("X: y\r\n", 99)),
	    talloc_asprintf(harness_mem(), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target,
		repeat(talloc_asprintf(harness_mem(), "X: %s\r\n", repeat("y", 130)), 99)),
	    talloc_asprintf(harness_mem(), "GET %s HTTP/1.1\r\nHost: a\r\nCookie: %s\r\n\r\n",
		target, repeat("c", 8000)),
	};
	const size_t behind[] = {0, 100, 6000, HEAD_MAX};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(heads) * COUNT(behind) * 2; i++) {
		const char *head = heads[i / 2 / COUNT(behind)];
		size_t more = behind[i / 2 % COUNT(behind)];
		int times = i % 2 == 0 ? 1 : 4; /* so many requests behind it */
		struct client *c = client_open(port);

		client_send(
		    c, "%s%s", head, more > 0 ? repeat(head_of("/", more), (size_t)times) : "");
		for (int n = 0; n < (more > 0 ? 1 + times : 1); n++) {
			const struct answer *a = client_read_any(c, "GET");

			if (a->state != ANSWER_COMPLETE || a->status != 200)
				harness_fail(
				    "a head of %zu bytes, %d of %zu behind it: answer %d: %s, %d",
				    strlen(head), times, more, n, answer_state_text(a->state),
				    a->status);
			assert_true(n > 0 || a->head_len > 8000);
		}
		client_close(c);
	}
	serving_stop(s);
}

static void
one_that_is_too_large_becomes_a_500(void **state)
{
	struct log *log = log_open();
	struct http_server *s = server();
	const struct answer *a;
	struct client *c;

	(void)state;
	c = client_open(serving_start(s));
	assert_int_equal(client_get(c, "/large/1/8000")->status, 200);
	a = client_get(c, "/large/9/1000");
	assert_int_equal(a->status, 500);
	assert_null(answer_field(a, "Set-Cookie"));
	assert_false(a->close);
	assert_int_equal(http_server_counter(s, "answer_head_max_bytes"), 1);
	log_expect(
	    log, "the answer to GET /large/9/1000 is lost, 500 instead: its 9 fields have 9");
	assert_int_equal(client_get(c, "/")->status, 200);
	serving_stop(s);
}

static void
the_limit_can_be_raised(void **state)
{
	struct http_server *s = server();
	struct client *c;

	(void)state;
	log_open();
	http_server_set(s, "answer_head_max_bytes", "65536");
	c = client_open(serving_start(s));
	client_send(c, "%s", head_of("/large/65/1000", HEAD_MAX));
	assert_int_equal(client_read(c, "GET")->status, 200);
	serving_stop(s);
}

/* Where the parser finds that there is no room, it closes: what it leaves unsaid is said. */
static void
one_that_finds_no_room_becomes_a_500(void **state)
{
	struct log *log = log_open();
	struct http_server *s = server();
	const struct answer *a;
	struct client *c;
	uint16_t port;

	(void)state;
	port = serving_start(s);
	s->set.answer_head_max_bytes = INT64_MAX; /* the memory is as before */
	c = client_open(port);
	a = client_get(c, "/large/100/1000");
	assert_int_equal(a->status, 500);
	assert_true(a->close);
	assert_int_equal(client_wait_end(c), CLIENT_EOF);
	wait_until(
	    "it is logged", log_has(log, "the answer to GET /large/100/1000 is lost, 500 instead"));
	assert_int_equal(http_server_counter(s, "answer_head_max_bytes"), 1);
	assert_int_equal(http_server_counter(s, "client_gone"), 0);
	serving_stop(s);
}

/* ---- What is no request ------------------------------------------------------------------------ */

static void
what_is_no_request_is_answered_and_counted(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} table[] = {
#define BYTES(b) {b, sizeof(b) - 1}
	    BYTES("GET\r\nHost: a\r\n\r\n"),
	    BYTES("hello\r\n\r\n"),
	    BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), /* TLS */
	    BYTES("\r\n\r\n\r\n\x01\r\n\r\n"),
	    BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct client *c = client_open(port);
		const struct answer *a;

		client_send_bytes(c, table[i].bytes, table[i].len);
		a = client_read_any(c, "GET");
		if (a->state != ANSWER_COMPLETE || (a->status != 400 && a->status != 505))
			harness_fail("%zu: %s, %d", i, answer_state_text(a->state), a->status);
		assert_int_equal(client_wait_end(c), CLIENT_EOF);
		client_close(c);
		wait_until("it is counted", http_server_counter(s, "malformed") == (int64_t)i + 1);
	}
	serving_stop(s);
}

/* Nor is a client that leaves one that sends nonsense. */
static void
a_client_that_leaves_is_not_malformed(void **state)
{
	static const char *const parts[] = {"", "GE", "GET / HTTP/1.1\r\n",
	    "GET / HTTP/1.1\r\nHost: a\r\n",
	    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < 2 * COUNT(parts); i++) {
		struct linger reset = {.l_onoff = 1};
		struct client *c = client_open(port);

		client_send(c, "%s", parts[i / 2]);
		if (i % 2 == 1)
			setsockopt(client_fd(c), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_close(c);
	}
	client_fetch(port, "/");
	serving_stop(s);
	assert_int_equal(http_server_counter(s, "malformed"), 0);
	assert_int_equal(http_server_counter(s, "header_max_bytes"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_head_is_served_whatever_it_consists_of),
	    e2e_test(so_is_a_cookie_of_any_size),
	    e2e_test(the_limit_is_exact),
	    e2e_test(what_is_beyond_gets_its_status_before_a_handler_runs),
	    e2e_test(an_answer_has_its_room_beside_every_request),
	    e2e_test(one_that_is_too_large_becomes_a_500),
	    e2e_test(the_limit_can_be_raised),
	    e2e_test(one_that_finds_no_room_becomes_a_500),
	    e2e_test(what_is_no_request_is_answered_and_counted),
	    e2e_test(a_client_that_leaves_is_not_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
