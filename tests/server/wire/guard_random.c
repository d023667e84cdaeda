/* SPDX-License-Identifier: MIT */
/*
 * No false positive: random valid requests, several on a connection, in random fragments, to a
 * real server whose handler says what it has received. All of it must be what was sent. The
 * seed is printed; GUARD_SEED and GUARD_ROUNDS set seed and number of connections.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/harness/client.h"
#include "tests/server/wire/random_request.h"

#include <baton/http.h>

/* Method, target, fields and content, as the handler sees them. */
static int
reflect(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	TALLOC_CTX *mem = http_request_mem(req);
	size_t n, len;
	const struct http_field *fields = http_request_headers(req, &n);
	const char *body = http_request_body(req, &len);
	char *text =
	    talloc_asprintf(mem, "%s %s\n", http_request_method(req), http_request_target(req));
	size_t at;

	(void)ctx, (void)data;
	for (size_t i = 0; i < n; i++)
		text =
		    talloc_asprintf_append_buffer(text, "%s=%s\n", fields[i].name, fields[i].value);
	at = strlen(text);
	text = talloc_realloc(mem, text, char, at + len);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text + at, body, len);
	return http_response_static(res, 200, "text/plain", text, at + len);
}

static void
send_in_fragments(struct client *c, struct rng *r, const char *bytes, size_t len)
{
	size_t most = rng_one_in(r, 3) ? len : rng_one_in(r, 4) ? 1 : 1 + rng_below(r, 200);

	for (size_t at = 0; at < len;) {
		size_t n = 1 + rng_below(r, most);

		n = n < len - at ? n : len - at;
		client_send_bytes(c, bytes + at, n);
		at += n;
		if (rng_one_in(r, 2))
			sched_yield();
	}
}

static void
check(struct client *c, const struct random_request *q, uint64_t seed, int round)
{
	const struct answer *a = client_read_any(c, q->method);
	bool head = strcmp(q->method, "HEAD") == 0;

	if (a->state == ANSWER_COMPLETE && a->status == 200 &&
	    (head ||
		(a->body_len == q->expect_len && memcmp(a->body, q->expect, q->expect_len) == 0)))
		return;
	harness_fail(
	    "seed %llu, connection %d: %s, status %d:\n%.*s\n--- expected:\n%.*s\n--- got:\n%.*s",
	    (unsigned long long)seed, round, answer_state_text(a->state), a->status,
	    (int)q->bytes_len, q->bytes, (int)q->expect_len, q->expect, (int)a->body_len,
	    a->state == ANSWER_COMPLETE ? a->body : "");
}

static void
one_connection(uint16_t port, struct rng *r, uint64_t seed, int round)
{
	struct random_request *q[6];
	size_t n = 1 + rng_below(r, sizeof(q) / sizeof(q[0]));
	TALLOC_CTX *mem = talloc_new(harness_mem());
	struct client *c = client_open(port);
	char *bytes = talloc_strdup(mem, "");
	size_t len = 0;
	int on = 1;

	setsockopt(client_fd(c), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; i < n; i++) {
		q[i] = random_request(mem, r);
		bytes = talloc_realloc(mem, bytes, char, len + q[i]->bytes_len);
		memcpy(bytes + len, q[i]->bytes, q[i]->bytes_len);
		len += q[i]->bytes_len;
	}
	send_in_fragments(c, r, bytes, len);
	for (size_t i = 0; i < n; i++)
		check(c, q[i], seed, round);
	client_close(c);
	talloc_free(mem);
}

static void
random_valid_requests_are_answered(void **state)
{
	const char *seed_text = getenv("GUARD_SEED"), *rounds_text = getenv("GUARD_ROUNDS");
	uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 20220;
	int rounds = rounds_text != NULL ? atoi(rounds_text) : 400;
	struct http_server *s = http_server_new(NULL);
	struct rng r = {.state = seed};

	(void)state;
	/* Some come byte by byte, which may last on a busy machine. */
	assert_int_equal(http_server_set(s, "header_timeout_ms", "300000"), 0);
	printf("seed %llu, %d connections\n", (unsigned long long)seed, rounds);
	assert_int_equal(http_server_listen(s, "web", "127.0.0.1:0"), 0);
	assert_int_equal(http_server_handle(s, "/{rest...}", reflect, NULL), 0);
	assert_int_equal(http_server_set(s, "idle_linger_ms", "1"), 0);
	assert_int_equal(http_server_start(s), 0);
	r.no_extensions =
	    !client_extensions_taken(client_open((uint16_t)http_server_port(s, "web")), "/");
	for (int i = 0; i < rounds; i++)
		one_connection((uint16_t)http_server_port(s, "web"), &r, seed, i);
	http_server_drain(s);
	assert_int_equal(http_server_wait(s), 0);
	talloc_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		random_valid_requests_are_answered, harness_setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
