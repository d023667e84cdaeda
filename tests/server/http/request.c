/* SPDX-License-Identifier: MIT */
/* Requests: what handlers can ask of them, their memory, their references, their ids. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/internal.h"
#include "tests/server/serving.h"

static void
fields_are_found_in_any_case_and_without_white_space(void **state)
{
	static const struct http_field received[] = {
	    {"Host", "a"},
	    {"X-Spaces", " \t one  two\t "},
	    {"X-Empty", ""},
	    {"X-Blank", " \t "},
	    {"x-twice", "first"},
	    {"X-Twice", "second"},
	};
	static const struct {
		const char *name, *value;
	} table[] = {
	    {"host", "a"},
	    {"HOST", "a"},
	    {"X-Spaces", "one  two"},
	    {"X-Empty", ""},
	    {"X-Blank", ""},
	    {"X-Twice", "first"},
	    {"X-Twic", NULL},
	    {"X-Twicee", NULL},
	    {"", NULL},
	};
	struct http_request *req = request_new(NULL, "/");
	const struct http_field *all;
	size_t n;

	(void)state;
	assert_int_equal(request_set_head(req, "GET", "HTTP/1.1", received, COUNT(received)), 0);
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *value = http_request_header(req, table[i].name);

		if (table[i].value == NULL)
			assert_null(value);
		else
			assert_string_equal(value, table[i].value);
	}
	all = http_request_headers(req, &n);
	assert_int_equal(n, COUNT(received));
	assert_string_equal(all[4].name, "x-twice");
	assert_string_equal(all[5].value, "second");
	assert_string_equal(http_request_method(req), "GET");
	request_free(req);
}

/* The parser's memory does not last: all of it is copied. */
static void
heads_are_copied(void **state)
{
	char method[] = "GET", version[] = "HTTP/1.1", name[] = "Accept", value[] = "text/plain",
	     target[] = "/a?b";
	const struct http_field field = {name, value};
	struct http_request *req = request_new(NULL, target);

	(void)state;
	assert_int_equal(request_set_head(req, method, version, &field, 1), 0);
	memset(method, 'x', sizeof(method));
	memset(version, 'x', sizeof(version));
	memset(name, 'x', sizeof(name));
	memset(value, 'x', sizeof(value));
	memset(target, 'x', sizeof(target));
	assert_string_equal(http_request_method(req), "GET");
	assert_string_equal(req->version, "HTTP/1.1");
	assert_string_equal(http_request_header(req, "accept"), "text/plain");
	assert_string_equal(http_request_target(req), "/a?b");
	request_free(req);
}

static void
bodies_grow_and_keep_nul_bytes(void **state)
{
	static const size_t hints[] = {0, 5, 300000};
	char block[1000];

	(void)state;
	for (size_t h = 0; h < COUNT(hints); h++) {
		struct http_request *req = request_new(NULL, "/");
		const char *body;
		size_t len = 7;

		body = http_request_body(req, &len);
		assert_int_equal(len, 0);
		assert_string_equal(body, "");
		for (int i = 0; i < 300; i++) {
			memset(block, i, sizeof(block)); /* 0 and 256: NUL bytes */
			assert_int_equal(
			    request_body_append(req, block, sizeof(block), hints[h]), 0);
		}
		body = http_request_body(req, &len);
		assert_int_equal(len, 300000);
		assert_int_equal(body[len], '\0');
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)body[i] != (i / 1000 & 255))
				fail_msg("byte %zu is %d", i, body[i]);
		request_free(req);
	}
}

static void
peers_are_formatted(void **state)
{
	static const struct {
		int family;
		const char *address;
		uint16_t port;
		const char *text;
	} table[] = {
	    {AF_INET, "192.0.2.1", 4711, "192.0.2.1:4711"},
	    {AF_INET6, "2001:db8::1", 4711, "[2001:db8::1]:4711"},
	    {AF_INET6, "::1", 1, "[::1]:1"},
	    /* who comes by IPv4 to a socket for both */
	    {AF_INET6, "::ffff:192.0.2.1", 65535, "192.0.2.1:65535"},
	    {AF_UNIX, NULL, 0, "unix"},
	    {AF_UNSPEC, NULL, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[PEER_TEXT_BYTES];
		struct sockaddr_storage peer = {.ss_family = (sa_family_t)table[i].family};
		struct sockaddr_in *in = (struct sockaddr_in *)&peer;
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;

		if (table[i].family == AF_INET) {
			in->sin_port = htons(table[i].port);
			inet_pton(AF_INET, table[i].address, &in->sin_addr);
		} else if (table[i].family == AF_INET6) {
			in6->sin6_port = htons(table[i].port);
			inet_pton(AF_INET6, table[i].address, &in6->sin6_addr);
		}
		peer_format(&peer, text);
		assert_string_equal(text, table[i].text);
	}
}

static void
a_query_is_decoded_in_the_requests_memory(void **state)
{
	struct http_request *req = http_test_request(harness_mem(), "GET /?a=b%20c", NULL, 0);

	(void)state;
	req->query = "a=b%20c&d";
	assert_string_equal(http_request_query(req, "a"), "b c");
	assert_string_equal(http_request_query(req, "d"), "");
	assert_null(http_request_query(req, "e"));
	assert_true(talloc_is_parent(http_request_query(req, "a"), http_request_mem(req)));
}

/* ---- Ids ----------------------------------------------------------------------------------- */

#define THREADS  4
#define IDS_EACH 2000

static void *
make_ids(void *arg)
{
	char(*ids)[24] = arg;

	for (int i = 0; i < IDS_EACH; i++)
		request_new_id(ids[i]);
	return NULL;
}

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
ids_are_unique_among_threads(void **state)
{
	char(*ids)[24] = talloc_size(harness_mem(), (size_t)THREADS * IDS_EACH * sizeof(*ids));
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids[i * IDS_EACH]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	qsort(ids, (size_t)THREADS * IDS_EACH, sizeof(*ids), compare_ids);
	for (int i = 1; i < THREADS * IDS_EACH; i++)
		assert_string_not_equal(ids[i], ids[i - 1]);
	for (const char *p = ids[0]; *p != '\0'; p++)
		assert_non_null(strchr("0123456789abcdef-", *p));
}

/* A process that forks after its first request must not share its ids with the child. */
static void
ids_are_unique_among_forked_processes(void **state)
{
	char mine[24], theirs[24];
	int fds[2], status;
	pid_t pid;

	(void)state;
	request_new_id(mine);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		request_new_id(theirs);
		_exit(write(fds[1], theirs, sizeof(theirs)) != sizeof(theirs));
	}
	assert_int_equal(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
	request_new_id(mine);
	assert_string_not_equal(mine, theirs);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static void
pools_are_used_again_and_empty(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct request_store *store = request_store_new(mem);
	struct http_request *req = request_new(store, "/first");
	TALLOC_CTX *pool = http_request_mem(req);
	size_t blocks = talloc_total_blocks(pool);

	(void)state;
	for (int i = 0; i < 100; i++)
		talloc_strdup(pool, "a handler's own");
	request_body_append(req, "body", 4, 0);
	request_free(req);
	assert_int_equal(store->n, 1);
	assert_int_equal(talloc_total_blocks(pool), 1);

	req = request_new(store, "/second");
	assert_ptr_equal(http_request_mem(req), pool);
	assert_int_equal(talloc_total_blocks(pool), blocks);
	assert_string_equal(http_request_target(req), "/second");
	assert_null(req->body);
	assert_int_equal(http_response_status(&req->res), 0);
	request_free(req);
	talloc_free(mem); /* with the pools; LeakSanitizer would say if not */
}

static void
a_store_keeps_no_more_than_its_size(void **state)
{
	struct request_store *store = request_store_new(harness_mem());
	enum { MANY = 300 };
	struct http_request *reqs[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		assert_non_null(reqs[i] = request_new(store, "/"));
	for (size_t i = 0; i < MANY; i++)
		request_free(reqs[i]);
	assert_true(store->size < MANY);
	assert_int_equal(store->n, store->size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(fields_are_found_in_any_case_and_without_white_space),
	    e2e_test(heads_are_copied),
	    e2e_test(bodies_grow_and_keep_nul_bytes),
	    e2e_test(peers_are_formatted),
	    e2e_test(a_query_is_decoded_in_the_requests_memory),
	    e2e_test(ids_are_unique_among_threads),
	    e2e_test(ids_are_unique_among_forked_processes),
	    e2e_test(pools_are_used_again_and_empty),
	    e2e_test(a_store_keeps_no_more_than_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
