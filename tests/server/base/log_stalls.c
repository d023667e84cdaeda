/* SPDX-License-Identifier: MIT */
/*
 * Nobody reads the log, and nothing stands still for that: not the leader, not a handler, not
 * those who share standard error. What found no room is counted, and told when there is some.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <syslog.h>
#include <termios.h>

#include "server/internal.h"
#include "tests/server/serving.h"

enum { THREADS = 4, LINES = 400, BACK = 100 };

/* What stands still is ended, and has failed. */
#define PATIENCE_S 60

/* Standard error is `fd`, until the test's end. */
static int
put_back(int *kept)
{
	dup2(*kept, STDERR_FILENO);
	close(*kept);
	return 0;
}

static void
log_to(int fd)
{
	int *kept = talloc(harness_mem(), int);

	*kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, BACK);
	talloc_set_destructor(kept, put_back);
	dup2(fd, STDERR_FILENO);
	alarm(PATIENCE_S);
}

/* All that can be read of it now. */
static char *
drain(int fd)
{
	char *text = talloc_strdup(harness_mem(), "");
	char block[4096];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	while (poll(&pfd, 1, 0) > 0 && (n = read(fd, block, sizeof(block))) > 0)
		text = talloc_strndup_append_buffer(text, block, (size_t)n);
	return text;
}

/* Until nothing more goes in, nor a moment later: a terminal passes it on in its own time. */
static size_t
fill(int fd, enum log_way way)
{
	static const char block[2000];
	size_t sent = 0;
	ssize_t n;

	do {
		while ((n = log_write_from(way, fd, block, sizeof(block))) > 0)
			sent += (size_t)n;
		poll(NULL, 0, 10);
	} while (log_write_from(way, fd, block, sizeof(block)) > 0);
	assert_int_equal(n, -EAGAIN);
	return sent;
}

enum kind { PIPE, STREAM, DATAGRAM, TERMINAL, KINDS };

/* ends[1] is the log; it is left as programs find it, to wait. */
static void
open_kind(enum kind kind, int ends[2])
{
	struct termios raw;

	if (kind == PIPE) {
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	} else if (kind != TERMINAL) {
		assert_int_equal(
		    socketpair(AF_UNIX, kind == STREAM ? SOCK_STREAM : SOCK_DGRAM, 0, ends), 0);
	} else {
		ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_int_equal(grantpt(ends[0]) | unlockpt(ends[0]), 0);
		ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_int_equal(tcgetattr(ends[1], &raw), 0);
		cfmakeraw(&raw);
		assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
	}
	assert_true(ends[0] >= 0 && ends[1] >= 0);
}

static void
a_write_never_waits_and_leaves_the_file_as_it_is(void **state)
{
	(void)state;
	alarm(PATIENCE_S);
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		static const char block[2000];
		int ends[2], flags;

		open_kind(kind, ends);
		flags = fcntl(ends[1], F_GETFL);
		assert_int_equal(log_write(ends[1], "line\n", 5), 5);
		assert_string_equal(drain(ends[0]), "line\n");
		while (log_write(ends[1], block, sizeof(block)) > 0)
			;
		drain(ends[0]);
		assert_int_equal(log_write(ends[1], "line\n", 5), 5);
		assert_int_equal(fcntl(ends[1], F_GETFL), flags);
		assert_int_equal(flags & O_NONBLOCK, 0);
		close(ends[0]);
		close(ends[1]);
	}
	assert_int_equal(log_write(-1, "line\n", 5), -EBADF);
}

/* The later ways are for older systems, and for who may not open what it writes to. */
static void
every_way_writes_and_never_waits(void **state)
{
	static const enum kind kinds[] = {PIPE, TERMINAL};

	(void)state;
	alarm(PATIENCE_S);
	for (enum log_way way = LOG_BY_CALL; way < LOG_WAYS; way++)
		for (size_t i = 0; i < COUNT(kinds); i++) {
			int ends[2];

			open_kind(kinds[i], ends);
			assert_int_equal(log_write_from(way, ends[1], "line\n", 5), 5);
			assert_string_equal(drain(ends[0]), "line\n");
			assert_in_range(fill(ends[1], way), 2000, 10 << 20);
			drain(ends[0]);
			assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
			close(ends[0]);
			if (kinds[i] == PIPE)
				assert_int_equal(log_write_from(way, ends[1], "line\n", 5), -EPIPE);
			close(ends[1]);
		}
}

static void *
write_lines(void *arg)
{
	char text[700];

	memset(text, 'x', sizeof(text));
	for (int i = 0; i < LINES; i++)
		log_line(LOG_INFO, "%.*s", (int)sizeof(text), text);
	return arg;
}

/* Lines that were written, and in *told those that are told to be lost. */
static int64_t
count_lines(const char *text, int64_t *told)
{
	static const char warning[] = "level=warning msg=\"";
	int64_t n = 0;

	for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1)
		if (strncmp(p, warning, strlen(warning)) == 0)
			*told += strtol(p + strlen(warning), NULL, 10);
		else if (strncmp(p, "level=info msg=\"xxx", 19) == 0 && strchr(p, '\n') == p + 717)
			n++;
		else
			fail_msg("no whole line: %.60s", p);
	return n;
}

static void
lost_lines_are_counted_and_told(void **state)
{
	const int64_t before = (int64_t)log_lost();
	pthread_t threads[THREADS];
	int64_t lost, told = 0;
	int ends[2];

	(void)state;
	open_kind(PIPE, ends);
	log_to(ends[1]);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	lost = (int64_t)log_lost() - before;
	assert_in_range(lost, 1, THREADS * LINES - 1);
	assert_int_equal(count_lines(drain(ends[0]), &told), THREADS * LINES - lost);
	/* All are told, each once, before the next line: some may have been already. */
	assert_in_range(told, 0, lost - 1);
	for (int i = 0; i < 2; i++) {
		char *text;

		log_line(LOG_ERR, "news");
		text = drain(ends[0]);
		assert_string_equal(
		    text + strcspn(text, "\n") * (i == 0) + (i == 0), "level=error msg=\"news\"\n");
		if (i == 0) {
			text[strcspn(text, "\n") + 1] = '\0';
			assert_int_equal(count_lines(text, &told), 0);
			assert_int_equal(told, lost);
		}
	}
	close(ends[0]);
	close(ends[1]);
}

/* ---- A server --------------------------------------------------------------------------------- */

static int
chatter(
    const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	static const char filler[900] = {[0 ... 898] = 'x'};

	(void)req, (void)data;
	for (int i = 0; i < 10; i++)
		http_log(ctx, LOG_INFO, "%s", filler);
	return http_response_printf(res, 200, "said\n");
}

static void
a_server_serves_on_while_nobody_reads_its_log(void **state)
{
	struct http_server *s = serving_new();
	int64_t before = http_server_counter(s, "log_lost");
	struct client *c;
	uint16_t port;
	int ends[2];

	(void)state;
	open_kind(PIPE, ends);
	log_to(ends[1]);
	http_server_handle(s, "GET /quick", chatter, NULL);
	http_server_handle_with(s, "GET /blocking", chatter, NULL,
	    &(struct http_route_options){.flags = HTTP_BLOCKING});
	port = serving_start(s);
	c = client_open(port);
	fill(ends[1], LOG_BY_CALL);
	for (int i = 0; i < 50; i++) {
		assert_string_equal(client_get(c, "/quick")->body, "said\n");
		assert_string_equal(client_get(c, "/blocking")->body, "said\n");
		assert_string_equal(client_fetch(port, "/quick"), "said\n");
	}
	assert_in_range(http_server_counter(s, "log_lost") - before, 1000, 1500);
	drain(ends[0]);
	assert_string_equal(client_get(c, "/quick")->body, "said\n");
	assert_non_null(strstr(drain(ends[0]), "lines of the log were lost"));
	client_close(c);
	serving_stop(s);
	drain(ends[0]);
	close(ends[0]);
	close(ends[1]);
}

static int
tear_down(void **state)
{
	alarm(0);
	return harness_teardown(state);
}

static int
set_up(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return harness_setup(state);
}

#define test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_write_never_waits_and_leaves_the_file_as_it_is),
	    test(every_way_writes_and_never_waits),
	    test(lost_lines_are_counted_and_told),
	    test(a_server_serves_on_while_nobody_reads_its_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
