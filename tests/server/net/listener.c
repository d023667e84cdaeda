/* SPDX-License-Identifier: MIT */
/* Listeners: addresses that are served, and addresses that are refused with the reason. */
#include <errno.h>
#include <string.h>

#include "tests/harness/port.h"
#include "tests/server/serving.h"

static int
say(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	(void)ctx, (void)data;
	return http_response_printf(
	    res, 200, "%s %.4s", http_request_listener(req), http_request_peer(req));
}

static struct http_server *
server(void)
{
	struct http_server *s = serving_new();

	http_server_handle(s, "/", say, NULL);
	return s;
}

static void
good_addresses_are_served(void **state)
{
	static const char *const table[] = {
	    "127.0.0.1:0", "localhost:0", ":0", "[::]:0", "0.0.0.0:0", "127.0.0.1:00"};

	(void)state;
	log_open();
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_server *s = server();

		assert_int_equal(http_server_listen(s, "web", table[i]), 0);
		assert_int_equal(http_server_port(s, "web"), -ENOENT);
		assert_int_equal(http_server_start(s), 0);
		if (strncmp(table[i], "localhost", 9) != 0)
			assert_string_equal(
			    client_fetch((uint16_t)http_server_port(s, "web"), "/"), "web 127.");
		assert_int_equal(http_server_port(s, "other"), -ENOENT);
		serving_stop(s);
	}
}

static void
bad_addresses_are_refused_with_the_reason(void **state)
{
	static const char form[] = "expected ADDRESS:PORT";
	static const char number[] = "expected a port from 0 to 65535";
	static const struct {
		const char *address, *why;
	} table[] = {
	    {"", form},
	    {"8080", form},
	    {"127.0.0.1", form},
	    {"127.0.0.1:", form},
	    {":", form},
	    {"[::1]", "expected [ADDRESS]:PORT"},
	    {"[::1:80", "expected [ADDRESS]:PORT"},
	    {"[:80", "expected [ADDRESS]:PORT"},
	    {"[]:80", "expected [ADDRESS]:PORT"},
	    {"::1:80", "an IPv6 address is written [ADDRESS]:PORT"},
	    {"http://127.0.0.1:80", "an IPv6 address is written [ADDRESS]:PORT"},
	    {"127.0.0.1:65536", number},
	    {"127.0.0.1:70000", number},
	    {"127.0.0.1:99999999999999999999", number},
	    {"127.0.0.1:-1", number},
	    {"127.0.0.1:+80", number},
	    {"127.0.0.1: 80", number},
	    {"127.0.0.1:80x", number},
	    {"127.0.0.1:no-such-service", "Servname not supported"},
	    {"192.0.2.1:0", "Cannot assign requested address"},
	};
	struct log *log = log_open();

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_server *s = server();

		log_skip(log);
		http_server_listen(s, "web", table[i].address);
		if (http_server_start(s) == 0)
			fail_msg("\"%s\" is served", table[i].address);
		log_expect(log, talloc_asprintf(harness_mem(), "cannot serve: listener web: %s: %s",
				    table[i].address, table[i].why));
		serving_free(s);
	}
}

static void
a_port_that_is_taken_is_named_with_a_remedy(void **state)
{
	struct http_server *first = server(), *second = server();
	struct log *log = log_open();
	uint16_t port = serving_start(first);
	const char *address = port_address(port);

	(void)state;
	http_server_listen(second, "admin", "127.0.0.1:0");
	http_server_listen(second, "web", address);
	assert_int_equal(http_server_start(second), -EADDRINUSE);
	log_expect(
	    log, talloc_asprintf(harness_mem(),
		     "cannot serve: listener web: %s: Address already in use (stop what listens "
		     "there, or choose another port)",
		     address));
	serving_stop(first);
	/* What the first one has left can be had. */
	assert_int_equal(http_server_start(second), 0);
	assert_int_equal(http_server_port(second, "web"), port);
	serving_stop(second);
}

static void
names_are_checked(void **state)
{
	static const char *const bad[] = {"", "a:b", "web"};
	struct log *log = log_open();

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct http_server *s = server();
		int err = i == 2 ? -EEXIST : -EINVAL;

		assert_int_equal(http_server_listen(s, "web", "127.0.0.1:0"), 0);
		assert_int_equal(http_server_listen(s, bad[i], "127.0.0.1:0"), err);
		assert_int_equal(http_server_start(s), err);
		log_expect(log, i == 2 ? "there is a listener of that name" : "has no colon");
		log_skip(log);
	}
	assert_int_equal(http_server_start(serving_new()), -EDESTADDRREQ);
	log_expect(log, "nothing to listen on: no http_server_listen, no LISTEN_FDS");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(good_addresses_are_served),
	    e2e_test(bad_addresses_are_refused_with_the_reason),
	    e2e_test(a_port_that_is_taken_is_named_with_a_remedy),
	    e2e_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
