/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail: accepting for want of files or memory, and watching for want of
 * memory. The server neither spins nor fills the log, and serves on when they succeed again.
 * The calls are replaced in this program by ones that can fail.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/server/holding.h"

/* ---- Failing --------------------------------------------------------------------------------- */

static atomic_int accept_error, watch_error; /* 0: none */
static atomic_int accepts, watches, waits;   /* so often was it called */
static atomic_int watch_after;               /* so many calls succeed first */

int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int (*real)(int, struct sockaddr *, socklen_t *, int);

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "accept4");
	atomic_fetch_add(&accepts, 1);
	errno = atomic_load(&accept_error);
	return errno != 0 ? -1 : real(fd, addr, len, flags);
}

int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	static int (*real)(int, int, int, struct epoll_event *);

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "epoll_ctl");
	if (op != EPOLL_CTL_DEL && atomic_load(&watch_error) != 0 &&
	    atomic_fetch_sub(&watch_after, 1) <= 0) {
		atomic_fetch_add(&watches, 1);
		errno = atomic_load(&watch_error);
		return -1;
	}
	return real(epfd, op, fd, ev);
}

int
epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	static int (*real)(int, struct epoll_event *, int, int);

	if (real == NULL)
		real = dlsym(RTLD_NEXT, "epoll_wait");
	atomic_fetch_add(&waits, 1);
	return real(epfd, events, max, timeout_ms);
}

static int
count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static struct http_server *
server(void)
{
	struct http_server *s = brief_server();

	http_server_handle(s, "/", name_thread, NULL);
	return s;
}

/* ---- Accepting --------------------------------------------------------------------------------- */

/* No room: it waits, and tries again by itself, and whenever somebody leaves. */
static void
without_room_accepting_rests(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
	struct http_server *s = server();
	struct log *log = log_open();
	struct client *old, *c;
	uint16_t port;

	(void)state;
	port = serving_start(s);
	old = client_open(port);
	for (size_t i = 0; i < COUNT(errors); i++) {
		int64_t paused = http_server_counter(s, "accept_paused"), begin;
		int turns, calls;

		assert_int_equal(client_get(old, "/")->status, 200);
		log_skip(log);
		atomic_store(&accept_error, errors[i]);
		c = ask(port, "/");
		begin = harness_now_ms();
		turns = atomic_load(&waits);
		calls = atomic_load(&accepts);
		wait_until("it has tried a few times",
		    http_server_counter(s, "accept_paused") >= paused + 3);
		turns = atomic_load(&waits) - turns;
		calls = atomic_load(&accepts) - calls;
		assert_true(turns <= 20 + (harness_now_ms() - begin) / 50);
		assert_true(calls <= 10 + (harness_now_ms() - begin) / 100);
		/* Those who are here are served. */
		for (int k = 0; k < 20; k++)
			assert_int_equal(client_get(old, "/")->status, 200);
		assert_true(
		    count(log_text(log), "cannot accept") <= 1 + (harness_now_ms() - begin) / 1000);
		atomic_store(&accept_error, 0);
		assert_int_equal(client_read(c, "GET")->status, 200);
		client_close(c);
	}
	serving_stop(s);
}

/* A newcomer's own trouble is nobody else's. */
static void
a_newcomer_that_fails_is_passed_over(void **state)
{
	static const int errors[] = {ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EINTR, EPERM};
	struct http_server *s = server();
	struct client *c;
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(errors); i++) {
		int before = atomic_load(&accepts);

		atomic_store(&accept_error, errors[i]);
		c = ask(port, "/");
		wait_until("it was tried", atomic_load(&accepts) > before);
		atomic_store(&accept_error, 0);
		assert_int_equal(client_read(c, "GET")->status, 200);
		client_close(c);
	}
	assert_int_equal(http_server_counter(s, "accept_paused"), 0);
	serving_stop(s);
}

/* Under a crowd that comes and goes, each end is an attempt; the log tells a line a second. */
static void
a_crowd_without_room_does_not_fill_the_log(void **state)
{
	struct http_server *s = server();
	struct log *log = log_open();
	struct client *c[200];
	uint16_t port;
	int64_t begin;

	(void)state;
	port = serving_start(s);
	for (size_t i = 0; i < COUNT(c); i++) {
		c[i] = client_open(port);
		assert_int_equal(client_get(c[i], "/")->status, 200);
	}
	begin = harness_now_ms();
	atomic_store(&accept_error, EMFILE);
	ask(port, "/");
	for (size_t i = 0; i < COUNT(c); i++) {
		int calls = atomic_load(&accepts);

		client_close(c[i]);
		wait_until("that was an occasion", atomic_load(&accepts) > calls);
	}
	assert_true(count(log_text(log), "cannot accept") <= 2 + (harness_now_ms() - begin) / 1000);
	atomic_store(&accept_error, 0);
	assert_int_equal(client_get(client_open(port), "/")->status, 200);
	serving_stop(s);
}

/* ---- Watching ---------------------------------------------------------------------------------- */

/* From the n-th call on there is no memory to watch anything, for each n; then there is again. */
static void
without_memory_for_watching_it_serves_again_later(void **state)
{
	static const int errors[] = {ENOMEM, ENOSPC};
	struct http_server *s = server();
	uint16_t port;

	(void)state;
	log_open();
	port = serving_start(s);
	for (size_t e = 0; e < COUNT(errors); e++)
		for (int n = 0; n < 6; n++) {
			struct client *c = NULL;

			atomic_store(&watch_after, n);
			atomic_store(&watch_error, errors[e]);
			/* Served or let go, but not forgotten. */
			for (int i = 0; i < 3; i++) {
				if (i != 1)
					c = client_open(port);
				client_send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
				if (i == 2)
					client_shutdown(c);
				client_read_any(c, "GET");
			}
			atomic_store(&watch_error, 0);
			client_close(c);
			assert_int_equal(client_get(client_open(port), "/")->status, 200);
		}
	assert_true(atomic_load(&watches) >= 4);
	serving_stop(s);
}

/* Also when it fails at the very moment in which listening is taken up again. */
static void
a_listener_that_cannot_be_watched_is_tried_again(void **state)
{
	struct http_server *s = server();
	struct client *c;
	uint16_t port;
	int failed;

	(void)state;
	log_open();
	port = serving_start(s);
	atomic_store(&accept_error, EMFILE);
	c = ask(port, "/");
	wait_until("it rests", http_server_counter(s, "accept_paused") > 0);
	failed = atomic_load(&watches);
	atomic_store(&watch_after, 0);
	atomic_store(&watch_error, ENOMEM);
	atomic_store(&accept_error, 0);
	wait_until("it has failed", atomic_load(&watches) > failed);
	atomic_store(&watch_error, 0);
	assert_int_equal(client_read(c, "GET")->status, 200);
	serving_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(without_room_accepting_rests),
	    e2e_test(a_newcomer_that_fails_is_passed_over),
	    e2e_test(a_crowd_without_room_does_not_fill_the_log),
	    e2e_test(without_memory_for_watching_it_serves_again_later),
	    e2e_test(a_listener_that_cannot_be_watched_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
