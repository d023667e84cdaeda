/* SPDX-License-Identifier: MIT */
/* The control socket: what requests are answered, and what rude clients achieve (nothing). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/control/control_internal.h"
#include "supervisor/daemon/supervisor.h"

static char dir[] = "/tmp/baton-control-XXXXXX";
static char path[64], lock[80];
static struct supervisor *sup;

static int
begin(void **state)
{
	struct config *c = config_new(NULL, NULL);
	char *why;

	(void)state;
	alarm(60); /* a loop that waits for nothing must not wait for ever */
	config_set(c, config_service(c, "web", 1, true), "test", 1, "command", "true");
	config_finish(c);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	sup = supervisor_new(NULL, c, "baton");
	talloc_steal(sup, c);
	return control_start(sup->control, path, sup, &why);
}

static int
end(void **state)
{
	(void)state;
	talloc_free(sup);
	/* Both files are gone, or the directory could not be removed. */
	return rmdir(dir);
}

static int
dial(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

/* Runs the loop until a line (without its newline) or the end ("") has come. */
static const char *
line_from(int fd)
{
	static char line[65536];
	size_t used = 0;

	for (;;) {
		ssize_t n = recv(fd, line + used, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return "";
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
		} else if (line[used] == '\n') {
			line[used] = '\0';
			return line;
		} else {
			assert_true(++used < sizeof(line));
		}
	}
}

static void
say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static const char *
ask(int fd, const char *text)
{
	say(fd, text, strlen(text));
	return line_from(fd);
}

static const struct {
	const char *request, *answer;
	bool cut_off;
} rows[] = {
    {"{}", "a request needs a member \"command\" that is a string", false},
    {"{\"command\":7}", "a request needs a member \"command\" that is a string", false},
    {"{\"command\":\"dance\"}",
	"unknown command \"dance\"; expected status, restart, continue, start, stop, reset, reload, scale, upgrade, events, logs",
	false},
    {"{\"command\":\"status\",\"x\":1}", "status takes no \"x\"", false},
    {"{\"command\":\"stop\",\"service\":\"nobody\"}", "there is no service \"nobody\"", false},
    {"{\"command\":\"restart\",\"service\":1}", "\"service\" is not a string", false},
    {"{\"command\":\"restart\",\"service\":\"nobody\"}",
	"there is no service \"nobody\"; there is: web", false},
    {"{\"command\":\"start\"}", "start needs a \"service\"", false},
    {"{\"command\":\"scale\",\"service\":\"web\"}", "scale needs \"instances\", a number", false},
    {"{\"command\":\"reset\",\"instances\":1}", "reset takes no \"instances\"", false},
    {"{\"command\":\"restart\",\"canary\":1}", "\"canary\" is neither true nor false", false},
    {"{\"command\":\"restart\",\"now\":\"yes\"}", "\"now\" is neither true nor false", false},
    {"{\"command\":\"stop\",\"canary\":true}", "stop takes no \"canary\"", false},
    {"{\"command\":\"continue\"}", "nothing is paused, and no restart is under way", false},
    {"{\"command\":\"continue\",\"service\":\"nobody\"}",
	"there is no service \"nobody\"; there is: web", false},
    {"{\"command\":\"restart\",\"command\":\"stop\"}",
	"a request is one JSON object a line: duplicate object key", true},
    {"[]", "a request is one JSON object a line", true},
    {"garbage", "a request is one JSON object a line: ", true},
    {"", "a request is one JSON object a line: ", true},
    {"{\"command\":\"status\"} {}", "a request is one JSON object a line: ", true},
};

static void
wrong_requests_are_answered_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = dial();
		json_t *answer;
		const char *error;

		say(fd, rows[i].request, strlen(rows[i].request));
		answer = json_loads(ask(fd, "\n"), 0, NULL);
		error = json_string_value(json_object_get(answer, "error"));
		assert_string_equal(json_string_value(json_object_get(answer, "type")), "result");
		assert_true(json_is_false(json_object_get(answer, "ok")));
		assert_non_null(error);
		if (strncmp(error, rows[i].answer, strlen(rows[i].answer)) != 0)
			fail_msg("%s: answered: %s", rows[i].request, error);
		json_decref(answer);
		if (rows[i].cut_off)
			assert_string_equal(line_from(fd), "");
		else
			assert_non_null(
			    strstr(ask(fd, "{\"command\":\"status\"}\n"), "\"ok\":true"));
		close(fd);
	}
}

static void
requests_are_answered_in_order_however_they_arrive(void **state)
{
	const char *two = "{\"command\":\"status\"}\n{\"command\":\"a\"}\n";
	int fd = dial();

	(void)state;
	assert_non_null(strstr(ask(fd, two), "\"services\""));
	assert_non_null(strstr(line_from(fd), "unknown command"));
	for (const char *p = two; *p != '\0'; p++) {
		say(fd, p, 1);
		/* The loop gets to see each byte alone; after the last there is an answer. */
		if (p[1] != '\0' && *p != '\n')
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	}
	assert_non_null(strstr(line_from(fd), "\"services\""));
	assert_non_null(strstr(line_from(fd), "unknown command"));
	close(fd);
}

static void
a_client_that_only_writes_to_the_end_is_answered(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"command\":\"status\"}\n", 21);
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(line_from(fd), "\"services\""));
	assert_string_equal(line_from(fd), "");
	close(fd);
}

static void
a_line_too_long_ends_the_client(void **state)
{
	char text[CLIENT_LINE_MAX_BYTES];
	int fd = dial();

	(void)state;
	memset(text, ' ', sizeof(text));
	say(fd, text, sizeof(text));
	assert_non_null(strstr(line_from(fd), "a request is one line of at most 4096 bytes"));
	assert_string_equal(line_from(fd), "");
	close(fd);
	/* The longest that fits. */
	fd = dial();
	snprintf(text, sizeof(text), "%-*s", (int)sizeof(text) - 1, "{\"command\":\"status\"}");
	text[sizeof(text) - 1] = '\n';
	say(fd, text, sizeof(text));
	assert_non_null(strstr(line_from(fd), "\"services\""));
	close(fd);
}

static void
a_crowd_of_idle_clients_keeps_nobody_out(void **state)
{
	enum { CROWD = 3 * CONTROL_CLIENTS_MAX };
	size_t before = talloc_total_blocks(sup);
	int idle[CROWD], fd;

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		idle[i] = dial();
		assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	}
	fd = dial();
	assert_non_null(strstr(ask(fd, "{\"command\":\"status\"}\n"), "\"services\""));
	/* Those who had to go are told by the end of their connection; the latest are in. */
	assert_string_equal(line_from(idle[0]), "");
	assert_non_null(strstr(ask(idle[CROWD - 1], "{\"command\":\"status\"}\n"), "\"services\""));
	for (int i = 0; i < CROWD; i++)
		close(idle[i]);
	close(fd);
	while (talloc_total_blocks(sup) > before)
		assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	assert_int_equal(talloc_total_blocks(sup), before);
}

static void
a_client_that_never_reads_is_cut_off(void **state)
{
	static const char request[] = "{\"command\":\"status\"}\n";
	int fd = dial(), other = dial();
	unsigned sent = 0;

	(void)state;
	/* Until it is cut off: what it does not read is bounded, so this ends. */
	while (send(fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
	       errno == EAGAIN) {
		assert_int_equal(tevent_loop_once(sup->base.ev), 0);
		assert_true(++sent < 100000);
	}
	assert_non_null(strstr(ask(other, request), "\"services\""));
	close(fd);
	close(other);
}

static void
the_socket_is_for_its_owner_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(stat(lock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

#define WITH_CONTROL(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_CONTROL(wrong_requests_are_answered_with_the_reason),
	    WITH_CONTROL(requests_are_answered_in_order_however_they_arrive),
	    WITH_CONTROL(a_client_that_only_writes_to_the_end_is_answered),
	    WITH_CONTROL(a_line_too_long_ends_the_client),
	    WITH_CONTROL(a_crowd_of_idle_clients_keeps_nobody_out),
	    WITH_CONTROL(a_client_that_never_reads_is_cut_off),
	    WITH_CONTROL(the_socket_is_for_its_owner_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
