/* SPDX-License-Identifier: MIT */
/*
 * The account of a connection's bytes, raced: while a peer writes at random moments, the kernel
 * is asked whether it is between requests. The test itself is the parser: it alone reads, so it
 * knows what was taken; an answer "idle" is wrong whenever it holds a part of a request.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/server/serving.h"

#define CHECKS  1000000
#define REQUEST 12

struct race {
	struct http_server *server;
	struct wire_conn *c;
	int peer;
	atomic_bool over;
};

static void
tcp_pair(int family, int fds[2])
{
	struct sockaddr_storage at = {.ss_family = (sa_family_t)family};
	socklen_t len = sizeof(at);
	int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&at, &len);
	fds[1] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&at, len), 0);
	fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	close(listener);
}

static struct race *
race_new(int family)
{
	struct race *r = talloc_zero(harness_mem(), struct race);
	int fds[2];

	if (family == AF_UNIX)
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	else
		tcp_pair(family, fds);
	r->server = serving_new();
	r->c = talloc(r, struct wire_conn);
	wire_conn_init(r->c, &r->server->wire, fds[0]);
	r->c->peer.ss_family = (sa_family_t)family;
	r->peer = fds[1];
	account_open(r->c);
	return r;
}

static void
race_end(struct race *r)
{
	close(r->peer);
	close(r->c->fd);
}

/* Requests in fragments of any length, at any moment. */
static void *
write_at_random(void *arg)
{
	static const char bytes[4 * REQUEST];
	struct race *r = arg;
	unsigned seed = 7;

	while (!atomic_load(&r->over)) {
		size_t len = 1 + (size_t)rand_r(&seed) % REQUEST;

		if (send(r->peer, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			break;
		for (int spin = rand_r(&seed) % 500; spin > 0; spin--)
			atomic_load_explicit(&r->over, memory_order_relaxed);
	}
	return NULL;
}

static void
never_a_false_idle(int family)
{
	struct race *r = race_new(family);
	char buffer[4096];
	int64_t taken = 0, idle = 0, busy = 0, wrong = 0, missed = 0;
	pthread_t thread;
	unsigned seed = 1;

	assert_int_equal(pthread_create(&thread, NULL, write_at_random, r), 0);
	for (int i = 0; i < CHECKS; i++) {
		if (rand_r(&seed) % 4 == 0) {
			ssize_t n = recv(r->c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

			taken += n > 0 ? n : 0;
		}
		/* what is complete is used, as when the parser has the end of a request */
		if (taken - r->c->used >= REQUEST)
			account_use(r->c, (size_t)((taken - r->c->used) / REQUEST * REQUEST));
		if (account_between_requests(r->c)) {
			idle++;
			wrong += taken != r->c->used;
		} else {
			busy++;
			missed += taken == r->c->used;
		}
	}
	atomic_store(&r->over, true);
	pthread_join(thread, NULL);
	if (wrong > 0)
		harness_fail(
		    "of %d checks, %d said idle in the middle of a request", CHECKS, (int)wrong);
	assert_true(busy > 0);
	/* once all is quiet, it is exact */
	while (recv(r->c->fd, buffer, 1, MSG_DONTWAIT) == 1)
		taken++;
	r->c->used = taken;
	assert_true(account_between_requests(r->c));
	race_end(r);
	print_message("%s: idle %d, busy %d of which needlessly %d\n",
	    family == AF_INET ? "IPv4" : "other", (int)idle, (int)busy, (int)missed);
}

static void
ipv4_shows_no_false_idle(void **state)
{
	(void)state;
	never_a_false_idle(AF_INET);
}

static void
ipv6_shows_no_false_idle(void **state)
{
	(void)state;
	never_a_false_idle(AF_INET6);
}

static void
unix_sockets_show_no_false_idle(void **state)
{
	(void)state;
	never_a_false_idle(AF_UNIX);
}

/* The offset that counts has an end; it is set up again before. */
static void
a_unix_socket_is_counted_beyond_the_offsets_range(void **state)
{
	enum { BLOCK = 1 << 16 };
	struct race *r = race_new(AF_UNIX);
	char *block = talloc_zero_array(harness_mem(), char, BLOCK);
	int64_t all = 0, most = (int64_t)5 << 29; /* 2.5 GiB */

	(void)state;
	while (all < most) {
		ssize_t n;

		assert_int_equal(send(r->peer, block, BLOCK, 0), BLOCK);
		n = recv(r->c->fd, block, BLOCK, 0);
		assert_int_equal(n, BLOCK);
		all += n;
		account_use(r->c, (size_t)n - 1);
		if ((all & ((1 << 26) - 1)) == 0) {
			assert_true(account_partial(r->c));
			assert_false(account_between_requests(r->c));
		}
		account_use(r->c, 1);
		if ((all & ((1 << 26) - 1)) == 0)
			assert_true(account_between_requests(r->c));
	}
	race_end(r);
}

/* Of an end or urgent data nobody makes a part of a request; unread data is no part either. */
static void
what_else_may_happen_to_a_connection(void **state)
{
	struct race *r = race_new(AF_INET);
	char c;

	(void)state;
	assert_true(account_between_requests(r->c));
	send(r->peer, "x", 1, 0);
	wait_until("it has arrived", account_unread(r->c) == 1);
	assert_true(account_between_requests(r->c));
	assert_int_equal(recv(r->c->fd, &c, 1, 0), 1);
	assert_true(account_partial(r->c));
	assert_false(account_between_requests(r->c));
	account_use(r->c, 1);
	assert_true(account_between_requests(r->c));
	send(r->peer, "!", 1, MSG_OOB);
	wait_until("it has arrived", !account_between_requests(r->c));
	shutdown(r->peer, SHUT_WR);
	wait_until("the end has arrived", recv(r->c->fd, &c, 1, MSG_DONTWAIT) == 0);
	assert_false(account_between_requests(r->c));
	race_end(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(ipv4_shows_no_false_idle),
	    e2e_test(ipv6_shows_no_false_idle),
	    e2e_test(unix_sockets_show_no_false_idle),
	    e2e_test(a_unix_socket_is_counted_beyond_the_offsets_range),
	    e2e_test(what_else_may_happen_to_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
