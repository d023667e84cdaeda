/* SPDX-License-Identifier: MIT */
/* Sockets that are inherited by LISTEN_FDS: which listener gets which, and what is refused. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/harness/tempdir.h"
#include "tests/server/serving.h"

/* Where inherited sockets begin (sd_listen_fds(3)), and how many places are kept for them. */
enum { FIRST = 3, PLACES = 4 };

/* So that nothing else takes these numbers. */
static void
keep_places(void)
{
	for (int i = 0; i < PLACES; i++)
		dup2(STDIN_FILENO, FIRST + i);
}

static int
set_up(void **state)
{
	keep_places();
	return harness_setup(state);
}

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

/* A listening socket in that place; returns its port. */
static int
put_socket(int place)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(dup2(fd, FIRST + place), FIRST + place);
	close(fd);
	return ntohs(at.sin_port);
}

static void
announce(const char *fds, const char *names)
{
	setenv("LISTEN_PID", talloc_asprintf(harness_mem(), "%d", getpid()), 1);
	setenv("LISTEN_FDS", fds, 1);
	if (names != NULL)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
}

static void
assert_unset(void)
{
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
}

static void
sockets_go_to_the_listeners_of_their_names(void **state)
{
	struct http_server *s = server();
	int admin, web;

	(void)state;
	log_open();
	admin = put_socket(0);
	web = put_socket(1);
	announce("2", "admin:web");
	http_server_listen(s, "web", "192.0.2.1:1"); /* which cannot be had */
	http_server_listen(s, "admin", "192.0.2.1:2");
	assert_int_equal(http_server_start(s), 0);
	assert_unset();
	assert_int_equal(http_server_port(s, "web"), web);
	assert_int_equal(http_server_port(s, "admin"), admin);
	assert_string_equal(client_fetch((uint16_t)web, "/"), "web 127.");
	assert_string_equal(client_fetch((uint16_t)admin, "/"), "admin 127.");
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(FIRST + i, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(FIRST + i, F_GETFL) & O_NONBLOCK);
	}
	serving_stop(s);
}

/* Which of the sockets a, b, c (of that name in LISTEN_FDNAMES) serves the listener "web". */
static void
sockets_without_a_claim_are_taken_in_order(void **state)
{
	static const struct {
		const char *fds, *names;
		const char *other; /* a second listener, declared before "web", or NULL */
		int web;           /* place of its socket */
	} table[] = {
	    {"1", NULL, NULL, 0},
	    {"1", "else", NULL, 0},
	    {"2", "else:web", NULL, 1},
	    {"2", "else:more", NULL, 0},
	    {"2", "else:more", "other", 1},
	    {"2", "other:more", "other", 1},
	    {"2", "more:other", "other", 0},
	    {"3", "web", NULL, 0},  /* names are missing */
	    {"2", ":web", NULL, 1}, /* or empty */
	    {"2", "web:web", NULL, 0},
	    {"1", "web:more:names:than:sockets", NULL, 0},
	};

	(void)state;
	log_open();
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_server *s;
		int ports[3] = {0};

		keep_places(); /* the last server has closed them */
		s = server();
		for (int p = 0; p < atoi(table[i].fds); p++)
			ports[p] = put_socket(p);
		announce(table[i].fds, table[i].names);
		if (table[i].other != NULL)
			http_server_listen(s, table[i].other, "127.0.0.1:0");
		http_server_listen(s, "web", "127.0.0.1:0");
		assert_int_equal(http_server_start(s), 0);
		if (http_server_port(s, "web") != ports[table[i].web])
			harness_fail("row %zu", i);
		/* All are served, also those that nobody declared. */
		for (int p = 0; p < atoi(table[i].fds); p++)
			assert_non_null(strstr(client_fetch((uint16_t)ports[p], "/"), " 127."));
		serving_stop(s);
		serving_free(s);
	}
}

static void
sockets_alone_are_enough(void **state)
{
	struct http_server *s = server();
	struct log *log = log_open();
	int port = put_socket(0);

	(void)state;
	announce("1", NULL);
	assert_int_equal(http_server_start(s), 0);
	assert_string_equal(client_fetch((uint16_t)port, "/"), "unknown 127.");
	assert_int_equal(http_server_port(s, "unknown"), port);
	log_expect(log, "(inherited)");
	serving_stop(s);
}

static void
a_unix_socket_is_served(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct http_server *s = server();
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	log_open();
	strcpy(at.sun_path, tempdir_path(tempdir_new(), "socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 16), 0);
	dup2(fd, FIRST);
	close(fd);
	announce("1", "web");
	assert_int_equal(http_server_start(s), 0);
	assert_int_equal(http_server_port(s, "web"), -ENOENT);
	for (int i = 0; i < 2; i++) {
		struct client *c = client_open_unix(at.sun_path);

		assert_string_equal(client_get(c, "/")->body, "web unix");
		assert_string_equal(client_get(c, "/")->body, "web unix");
		client_close(c);
	}
	serving_stop(s);
}

static void
what_is_no_listening_socket_is_refused(void **state)
{
	struct log *log = log_open();

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct http_server *s = server();
		int fd = kind == 0   ? socket(AF_INET, SOCK_STREAM, 0)
			 : kind == 1 ? socket(AF_INET, SOCK_DGRAM, 0)
				     : open("/dev/null", O_RDONLY);

		put_socket(0);
		dup2(fd, FIRST + 1);
		if (kind == 3)
			close(FIRST + 1); /* announced, and not there */
		log_skip(log);
		announce("2", "web:odd");
		http_server_listen(s, "web", "127.0.0.1:0");
		assert_int_equal(http_server_start(s), -ENOTSOCK);
		log_expect(log, "inherited fd 4 (odd): expected a listening stream socket");
		assert_unset();
		close(fd);
		serving_free(s);
		keep_places();
	}
}

static void
an_environment_for_others_is_left_alone(void **state)
{
	static const struct {
		const char *pid, *fds; /* NULL pid: ours */
	} table[] = {{"1", "1"}, {"0", "1"}, {"", "1"}, {NULL, "0"}, {NULL, "-1"}, {NULL, "many"},
	    {NULL, ""}, {NULL, "9999999"}};

	(void)state;
	log_open();
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_server *s;
		int port = put_socket(0);

		s = server();
		announce(table[i].fds, "web");
		if (table[i].pid != NULL)
			setenv("LISTEN_PID", table[i].pid, 1);
		assert_int_not_equal(serving_start(s), port);
		assert_unset();
		serving_stop(s);
		assert_int_equal(client_try((uint16_t)port), 0); /* still open */
		serving_free(s);
	}
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, harness_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(sockets_go_to_the_listeners_of_their_names),
	    test(sockets_without_a_claim_are_taken_in_order),
	    test(sockets_alone_are_enough),
	    test(a_unix_socket_is_served),
	    test(what_is_no_listening_socket_is_refused),
	    test(an_environment_for_others_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
