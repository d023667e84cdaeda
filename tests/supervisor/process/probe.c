/* SPDX-License-Identifier: MIT */
/* Asking over HTTP: what counts as an answer, and what becomes of servers of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/process/accepted_by.h"
#include "supervisor/process/probe.h"

#define NOT_HTTP "the answer is not HTTP/1.1"

static const struct {
	const char *text;
	int status;
} answers[] = {
    {"HTTP/1.1 200 OK\r\n", 200},
    {"HTTP/1.0 404 Not Found\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n", 404},
    {"HTTP/1.1 204\r\n", 204},
    {"HTTP/1.1 302 \r\n", 302},
    {"HTTP/1.1 503 It's \"late\"\r\n", 503},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 200},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 500 No\r\n", 500},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", 0},
    {"HTTP/1.1 100 Continue\r\n\r\n", 0},
    {"HTTP/1.1 100 Continue\r\n\r\nSSH-2.0", -1},
    {"", 0},
    {"H", 0},
    {"HTTP/1.", 0},
    {"HTTP/1.1 200 OK", 0},
    {"HTTP/1.1 200 OK\n\n", 0},
    {"h", -1},
    {"SSH-2.0-OpenSSH\r\n", -1},
    {"HTTP/2.0 200 OK\r\n", -1},
    {"HTTP/2", -1},
    {"HTTP/1.x 200 OK\r\n", -1},
    {"HTTP/1.1  200 OK\r\n", -1},
    {"HTTP/1.1 20 OK\r\n", -1},
    {"HTTP/1.1 2000 OK\r\n", -1},
    {"HTTP/1.1 2x0 OK\r\n", -1},
    {"HTTP/1.1 099 OK\r\n", -1},
    {"HTTP/1.1 600 OK\r\n", -1},
    {"HTTP/1.1\r\n", -1},
    {"\r\n", -1},
    {"ICY 200 OK\r\n", -1},
};

static void
the_status_line_is_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const char *why = NULL;
		int status = probe_status(answers[i].text, strlen(answers[i].text), &why);

		if (status != answers[i].status)
			fail_msg("%s: %d, not %d", answers[i].text, status, answers[i].status);
		assert_int_equal(why != NULL, status < 0);
	}
}

/* ---- Against processes ---------------------------------------------------------------------- */

struct scene {
	struct tevent_context *ev;
	struct timers *timers;
	int listener;
	struct probe_target target;
	pid_t child;
	bool crowded; /* the child keeps all descriptors, before that of what it accepts */
	bool told;
	enum probe_verdict verdict;
	char why[100];
};

static struct scene *
scene_of(int family)
{
	struct scene *s = talloc_zero(NULL, struct scene);
	struct address *a = &s->target.address;

	s->ev = tevent_context_init(s);
	s->timers = timers_new(s, s->ev);
	s->target.accepted_by = accepted_by_queue_new(s, s->timers);
	s->target.path = "/up?x=1";
	a->sa.sa_family = (sa_family_t)family;
	a->len = family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
	if (family == AF_INET6)
		a->in6.sin6_addr = in6addr_loopback;
	else
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_UNIX) {
		snprintf(a->un.sun_path, sizeof(a->un.sun_path), "/tmp/baton-test-probe-%d",
		    (int)getpid());
		a->len = sizeof(a->un);
		unlink(a->un.sun_path);
	}
	s->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, &a->sa, a->len) < 0) {
		talloc_free(s);
		return NULL; /* no IPv6 here */
	}
	assert_int_equal(listen(s->listener, 64), 0);
	getsockname(s->listener, &a->sa, &a->len);
	return s;
}

static void
scene_end(struct scene *s)
{
	if (s->child > 0) {
		kill(s->child, SIGKILL);
		waitpid(s->child, NULL, 0);
	}
	if (s->target.address.sa.sa_family == AF_UNIX)
		unlink(s->target.address.un.sun_path);
	close(s->listener);
	talloc_free(s);
}

/* A process of its own session that accepts one connection after the other, sends TEXT when it
 * has the request's end, and closes if CLOSES. */
static pid_t
server(const struct scene *s, const char *text, bool closes)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int fd = 3; !s->crowded && fd < 64;
		     fd++) /* the other ends of what it accepts */
			if (fd != s->listener && fd != ready[1])
				close(fd);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;) {
			char request[1000] = "";
			int fd = accept(s->listener, NULL, NULL);
			ssize_t n = recv(fd, request, sizeof(request) - 1, 0);

			if (n > 0 && (strncmp(request, "GET /up?x=1 HTTP/1.1\r\nHost: ", 28) != 0 ||
					 strstr(request, "\r\n\r\n") == NULL))
				text = "HTTP/1.1 400 odd request\r\n\r\n";
			/* Who has asked may be gone already. */
			if (n > 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0 && !closes)
				continue;
			close(fd);
		}
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void
hear(enum probe_verdict verdict, const char *why, void *data)
{
	struct scene *s = data;

	assert_false(s->told);
	s->told = true;
	s->verdict = verdict;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void
ask(struct scene *s)
{
	s->told = false;
	assert_non_null(probe_start(s, s->ev, s->timers, &s->target, hear, s));
	while (!s->told)
		assert_int_equal(tevent_loop_once(s->ev), 0);
}

static const struct {
	const char *text;
	bool closes;
	enum probe_verdict verdict;
	const char *why;
} servers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true, PROBE_WELL, "status 200"},
    {"HTTP/1.1 302 Found\r\n\r\n", false, PROBE_WELL, "status 302"},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true, PROBE_WELL, "status 200"},
    {"HTTP/1.1 404 Not Found\r\n\r\n", true, PROBE_SICK, "status 404"},
    {"HTTP/1.1 503 No\r\n\r\n", false, PROBE_SICK, "status 503"},
    {"SSH-2.0-x\r\n", true, PROBE_SICK, NOT_HTTP},
    {"", true, PROBE_SICK, "the connection was closed without an answer"},
    {"HTTP/1.1 20", true, PROBE_SICK, "the connection was closed without an answer"},
};

static void
servers_are_judged_by_their_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct scene *s = scene_of(AF_INET);

		s->target.timeout_ms = 30000;
		s->child = server(s, servers[i].text, servers[i].closes);
		for (int k = 0; k < 2; k++) {
			s->target.session = k == 0 ? 0 : s->child;
			ask(s);
			assert_string_equal(s->why, servers[i].why);
			assert_int_equal(s->verdict, servers[i].verdict);
		}
		scene_end(s);
	}
}

static void
an_answer_that_does_not_come_or_end_is_not_waited_for(void **state)
{
	struct scene *s = scene_of(AF_INET);
	char *endless = talloc_asprintf(s, "HTTP/1.1 200 %0100000d", 0);

	(void)state;
	/* Nobody accepts. */
	s->target.timeout_ms = 20;
	ask(s);
	assert_int_equal(s->verdict, PROBE_SICK);
	assert_string_equal(s->why, "no answer within 20 ms");
	s->target.session = getpid();
	ask(s);
	assert_int_equal(s->verdict, PROBE_IGNORED);
	assert_string_equal(s->why, "not accepted within 20 ms");
	s->target.session = 0;
	/* It has begun, and goes on for ever. */
	s->target.timeout_ms = 30000;
	s->child = server(s, endless, false);
	ask(s);
	assert_int_equal(s->verdict, PROBE_SICK);
	assert_string_equal(s->why, "the answer has no status line");
	scene_end(s);
	/* Nobody listens. */
	s = scene_of(AF_INET);
	close(s->listener);
	s->listener = -1;
	ask(s);
	assert_int_equal(s->verdict, PROBE_SICK);
	assert_string_equal(s->why, "Connection refused");
	scene_end(s);
}

static void
note_acceptor(enum accepted_by by, const char *why, void *data)
{
	(void)why;
	*(int *)data = (int)by;
}

/* Whom the search finds, in how many turns of the loop. */
static enum accepted_by
accepted_by_whom(struct scene *s, int fd, pid_t session, unsigned *turns)
{
	int by = -1;

	assert_non_null(
	    accepted_by_find(s, s->target.accepted_by, fd, session, note_acceptor, &by));
	*turns = 0;
	while (by < 0) {
		assert_int_equal(tevent_loop_once(s->ev), 0);
		++*turns;
	}
	return (enum accepted_by)by;
}

/* Of two processes with one socket, the one that did not accept has not answered. */
static void
who_has_accepted_is_found_out(void **state)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct scene *s = scene_of(families[i]);
		unsigned turns;
		int fd;

		if (s == NULL)
			continue;
		fd = socket(families[i], SOCK_STREAM, 0);
		assert_int_equal(connect(fd, &s->target.address.sa, s->target.address.len), 0);
		assert_int_equal(accepted_by_whom(s, fd, getpid(), &turns), ACCEPTED_BY_NOBODY);
		s->child = server(s, "HTTP/1.1 200 OK\r\n\r\n", false);
		while (accepted_by_whom(s, fd, s->child, &turns) != ACCEPTED_BY_SESSION)
			;
		assert_int_equal(accepted_by_whom(s, fd, getpid(), &turns), ACCEPTED_BY_OTHER);
		close(fd);
		s->target.session = s->child;
		ask(s);
		assert_int_equal(s->verdict, PROBE_WELL);
		/* Not getsid(0): in a container that is 0, for nobody there leads this session. */
		s->target.session = getpid();
		ask(s);
		assert_int_equal(s->verdict, PROBE_OTHER);
		scene_end(s);
	}
}

/* The loop does other things between some descriptors and the next ones, whoever asks. */
static void
one_who_has_many_descriptors_keeps_nobody_waiting(void **state)
{
	struct scene *s = scene_of(AF_INET);
	struct rlimit given, all;
	unsigned many = 0, turns;
	int fd, found[3] = {-1, -1, -1};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &given), 0);
	all = given;
	all.rlim_cur = all.rlim_max;
	setrlimit(RLIMIT_NOFILE, &all);
	while (many < 8U * ACCEPTED_BY_TURN_MAX && dup(s->listener) >= 0)
		many++;
	s->crowded = true;
	s->child = server(s, "HTTP/1.1 200 OK\r\n\r\n", false);
	for (unsigned i = 0; i < many; i++)
		close(s->listener + 1 + (int)i);
	setrlimit(RLIMIT_NOFILE, &given);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, &s->target.address.sa, s->target.address.len), 0);
	while (accepted_by_whom(s, fd, s->child, &turns) != ACCEPTED_BY_SESSION)
		;
	assert_true(turns >= many / ACCEPTED_BY_TURN_MAX);
	for (size_t i = 0; i < 3; i++)
		accepted_by_find(s, s->target.accepted_by, fd, s->child, note_acceptor, &found[i]);
	for (turns = 0; found[2] < 0; turns++)
		tevent_loop_once(s->ev);
	assert_true(turns >= 3 * many / ACCEPTED_BY_TURN_MAX);
	assert_int_equal(found[0], ACCEPTED_BY_SESSION);
	close(fd);
	scene_end(s);
}

/* Whoever began it may lose interest, also in the answer. */
static void
one_that_is_freed_says_nothing(void **state)
{
	struct scene *s = scene_of(AF_INET);
	struct probe *p;

	(void)state;
	s->child = server(s, "HTTP/1.1 200 OK\r\n\r\n", true);
	p = probe_start(s, s->ev, s->timers, &s->target, hear, s);
	tevent_loop_once(s->ev);
	talloc_free(p);
	ask(s);
	assert_int_equal(s->verdict, PROBE_WELL);
	scene_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_status_line_is_read_strictly),
	    cmocka_unit_test(servers_are_judged_by_their_answers),
	    cmocka_unit_test(an_answer_that_does_not_come_or_end_is_not_waited_for),
	    cmocka_unit_test(who_has_accepted_is_found_out),
	    cmocka_unit_test(one_who_has_many_descriptors_keeps_nobody_waiting),
	    cmocka_unit_test(one_that_is_freed_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
