/* SPDX-License-Identifier: MIT */
/* What is kept of events and lines, and what goes to clients who follow, fast and slow ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/control/control_internal.h"
#include "supervisor/daemon/supervisor.h"

static char dir[] = "/tmp/baton-follow-XXXXXX";
static char path[64];
static struct supervisor *sup;

/* Two services, "web" of two instances and "db" of one; nothing is started. */
static int
begin(void **state)
{
	struct config *c = config_new(NULL, NULL);
	struct service_config *web = config_service(c, "web", 1, true);
	char *why;

	(void)state;
	alarm(60); /* a loop that waits for nothing must not wait for ever */
	config_set(c, web, "test", 1, "command", "true");
	config_set(c, web, "test", 2, "instances", "2");
	config_set(c, config_service(c, "db", 3, true), "test", 3, "command", "true");
	config_finish(c);
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	sup = supervisor_new(NULL, c, "baton");
	talloc_steal(sup, c);
	return control_start(sup->control, path, sup, &why);
}

static int
end(void **state)
{
	(void)state;
	talloc_free(sup);
	return rmdir(dir);
}

static void
has_written(struct instance *inst, bool err, const char *text, size_t len)
{
	recent_add(inst, err, text, len);
	sup->all.policy->line(inst, err, text, len);
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

/* Runs the loop until a line has come, which is parsed; NULL at the end. */
static json_t *
message_from(int fd)
{
	static char text[65536];
	json_t *m;

	for (;;) {
		ssize_t n = recv(fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
		const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return NULL;
		if (end == NULL) {
			assert_true(n > 0 || errno == EAGAIN);
			assert_true(n < (ssize_t)sizeof(text));
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
			continue;
		}
		n = end + 1 - text;
		assert_int_equal(recv(fd, text, (size_t)n, 0), n);
		m = json_loadb(text, (size_t)n, JSON_ALLOW_NUL, NULL);
		assert_non_null(m);
		return m;
	}
}

static void
ask(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
expect(int fd, const char *type, const char *member, const char *value)
{
	json_t *m = message_from(fd);
	const char *got = json_string_value(json_object_get(m, member));

	assert_non_null(m);
	assert_string_equal(json_string_value(json_object_get(m, "type")), type);
	if (value != NULL)
		assert_string_equal(got, value);
	json_decref(m);
}

static void
the_last_events_are_kept(void **state)
{
	json_t *list;

	(void)state;
	for (int i = 1; i <= EVENTS_KEPT + 50; i++)
		event_emit(&sup->all, i % 2 == 0 ? sup->all.services[0]->instances[0] : NULL, NULL,
		    "test", json_pack("{s:i}", "i", i), "number %d", i);
	list = event_list(&sup->all, NULL, 100000);
	assert_int_equal(json_array_size(list), EVENTS_KEPT);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "i")), 51);
	json_decref(list);
	list = event_list(&sup->all, "web.0", 3);
	assert_int_equal(json_array_size(list), 3);
	json_decref(list);
	/* Those about baton as a whole are everybody's. */
	list = event_list(&sup->all, "db", 100000);
	assert_int_equal(json_array_size(list), EVENTS_KEPT / 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "i")), 51);
	json_decref(list);
	list = event_list(&sup->all, NULL, 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static void
followers_get_what_they_asked_for(void **state)
{
	int all = dial(), web = dial(), once = dial();

	(void)state;
	event_emit(&sup->all, NULL, NULL, "old", NULL, "before");
	ask(all, "{\"command\":\"events\",\"follow\":true}\n");
	expect(all, "event", "event", "old");
	ask(web, "{\"command\":\"events\",\"follow\":true,\"lines\":1,\"service\":\"web\"}\n");
	expect(web, "event", "event", "old");
	ask(once, "{\"command\":\"events\",\"lines\":0}\n");
	expect(once, "result", "type", NULL);
	event_emit(&sup->all, sup->all.services[1]->instances[0], NULL, "db", NULL, "for all only");
	event_emit(&sup->all, sup->all.services[0]->instances[1], NULL, "web", NULL, "for both");
	expect(all, "event", "event", "db");
	expect(all, "event", "instance", "web.1");
	expect(web, "event", "instance", "web.1");
	/* A follower that goes takes its place with it. */
	close(web);
	close(all);
	while (!LIST_EMPTY(&sup->control->followers))
		assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	/* Nothing more comes: who follows is told. */
	ask(once, "{\"command\":\"events\",\"follow\":true,\"lines\":1}\n");
	expect(once, "event", "event", "web");
	follow_end(sup->control);
	expect(once, "result", "type", NULL);
	assert_true(LIST_EMPTY(&sup->control->followers));
	close(once);
}

/* Whether baton has closed FD; nothing is read from it. */
static bool
is_cut_off(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void
who_does_not_read_events_is_cut_off(void **state)
{
	int slow = dial(), other = dial();
	unsigned emitted = 0;

	(void)state;
	event_emit(&sup->all, NULL, NULL, "first", NULL, "x");
	ask(slow, "{\"command\":\"events\",\"follow\":true}\n");
	ask(other, "{\"command\":\"events\",\"follow\":true}\n");
	expect(slow, "event", "event", "first");
	expect(other, "event", "event", "first");
	while (!is_cut_off(slow)) {
		assert_true(emitted < 100000);
		event_emit(&sup->all, NULL, NULL, "more", NULL, "%u", ++emitted);
		expect(other, "event", "event", "more");
	}
	assert_in_range(emitted, 1000, 99999);
	assert_true(talloc_total_size(sup->control) < 3UL * 1024 * 1024);
	/* Of the two who followed one is left. */
	event_emit(&sup->all, NULL, NULL, "last", NULL, "x");
	expect(other, "event", "event", "last");
	close(slow);
	close(other);
}

static void
who_does_not_read_lines_misses_some_and_is_told(void **state)
{
	struct instance *inst = sup->all.services[0]->instances[0];
	unsigned sent = 0, got = 0, missed = 0;
	int slow = dial();

	(void)state;
	has_written(inst, false, "0", 1);
	ask(slow, "{\"command\":\"logs\",\"follow\":true}\n");
	expect(slow, "lines", "type", NULL);
	for (char text[16]; sent < 20000; sent++)
		has_written(inst, true, text, (size_t)sprintf(text, "%u", sent));
	assert_true(talloc_total_size(sup->control) < 1UL * 1024 * 1024);
	while (missed == 0 || got + missed < sent) {
		json_t *m = message_from(slow);
		const json_t *lines = json_object_get(m, "lines");

		got += (unsigned)json_array_size(lines);
		missed += (unsigned)json_integer_value(lines);
		json_decref(m);
		/* When it has read enough there is room for a line, which tells of the gap. */
		if (missed == 0 && got % 500 == 0) {
			has_written(inst, true, "x", 1);
			sent++;
		}
	}
	assert_int_equal(got + missed, sent);
	assert_in_range(got, 1000, 19999);
	close(slow);
}

static void
lines_are_kept_within_bounds_and_in_order(void **state)
{
	struct instance *a = sup->all.services[0]->instances[0],
			*b = sup->all.services[1]->instances[0];
	static char text[4096];
	json_t *list;
	size_t n;

	(void)state;
	srand(7);
	for (int i = 0; i < 30000; i++) {
		int len = sprintf(text, "%d", i);

		memset(text + len, 'x', sizeof(text) - (size_t)len);
		has_written(i % 3 == 0 ? a : b, i % 2 == 0, text,
		    (size_t)len + (size_t)rand() % (i % 100 == 0 ? 4000 : 60));
	}
	assert_true(talloc_total_size(a->recent) < RECENT_MAX_BYTES + 1000);
	list = recent_list(&sup->all, NULL, 10);
	assert_int_equal(json_array_size(list), 10);
	for (size_t i = 0; i < 10; i++) {
		const json_t *line = json_array_get(list, i);
		int number = atoi(json_string_value(json_object_get(line, "text")));

		assert_int_equal(number, 30000 - 10 + (int)i);
		assert_string_equal(json_string_value(json_object_get(line, "instance")),
		    number % 3 == 0 ? "web.0" : "db.0");
		assert_string_equal(json_string_value(json_object_get(line, "stream")),
		    number % 2 == 0 ? "stderr" : "stdout");
	}
	json_decref(list);
	/* All that is kept of one: without a gap up to the end. */
	list = recent_list(&sup->all, "web", 1000000);
	n = json_array_size(list);
	assert_in_range(n, 200, RECENT_MAX_BYTES / 16);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
		    atoi(json_string_value(json_object_get(json_array_get(list, i), "text"))),
		    29997 - 3 * (int)(n - 1 - i));
	json_decref(list);
}

static size_t
length_of_last(const char *name)
{
	json_t *list = recent_list(&sup->all, name, 1);
	size_t len = json_string_length(json_object_get(json_array_get(list, 0), "text"));

	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	return len;
}

static void
long_lines_are_kept_whole_and_few(void **state)
{
	struct instance *a = sup->all.services[0]->instances[0];
	static char text[OUTPUT_LINE_MAX_BYTES];
	const size_t all = sup->all.recent_long_bytes;
	size_t before;

	(void)state;
	memset(text, 'x', sizeof(text));
	has_written(a, false, "short", 5);
	before = talloc_total_size(a);
	has_written(a, false, text, sizeof(text));
	assert_int_equal(length_of_last("web.0"), sizeof(text));
	/* Of this instance no more are kept. */
	for (int i = 0; i < 5; i++)
		has_written(a, false, text, sizeof(text) / 2 + 1);
	assert_int_equal(length_of_last("web.0"), sizeof(text) / 2 + 1);
	assert_int_equal(sup->all.recent_long_bytes - all, sizeof(text) / 2 + 1);
	assert_true(talloc_total_size(a) - before < sizeof(text) + RECENT_MAX_BYTES);
	/* There are too many already, of others. */
	sup->all.recent_long_bytes += RECENT_LONG_ALL_MAX_BYTES;
	has_written(a, false, text, sizeof(text));
	assert_int_equal(length_of_last("web.0"), RECENT_SHORT_MAX_BYTES);
	sup->all.recent_long_bytes -= RECENT_LONG_ALL_MAX_BYTES;
	/* Short ones push it out. */
	for (unsigned i = 0; i < RECENT_MAX_BYTES / 24; i++)
		has_written(a, false, "short", 5);
	assert_int_equal(sup->all.recent_long_bytes, all);
}

/* Longer than what may pile up unread, and then its result. */
static void
a_long_answer_arrives_whole(void **state)
{
	static char line[4000], text[4 << 20];
	size_t used = 0;
	int fd = dial();

	(void)state;
	memset(line, 1, sizeof(line)); /* six characters each, in JSON */
	for (int i = 0; i < 50; i++) {
		has_written(sup->all.services[0]->instances[0], false, line, sizeof(line));
		has_written(sup->all.services[0]->instances[1], false, line, sizeof(line));
		has_written(sup->all.services[1]->instances[0], false, line, sizeof(line));
	}
	ask(fd, "{\"command\":\"logs\",\"lines\":1000}\n");
	while (used < 2 || text[used - 1] != '\n' || memchr(text, '\n', used - 1) == NULL) {
		ssize_t n = recv(fd, text + used, sizeof(text) - used, MSG_DONTWAIT);

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		used += n > 0 ? (size_t)n : 0;
		if (n < 0)
			assert_int_equal(tevent_loop_once(sup->base.ev), 0);
	}
	assert_true(used > CLIENT_UNREAD_MAX_BYTES);
	assert_non_null(memmem(text, used, "\"ok\":true", 9));
	close(fd);
}

static void
any_bytes_become_json(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
		size_t text_len;
	} rows[] = {
	    {"", 0, "", 0},
	    {"gr\303\274n", 5, "gr\303\274n", 5},
	    {"\033[31mred\t", 9, "\033[31mred\t", 9},
	    {"a\0b", 3, "a\0b", 3},
	    {"\xff\xfe\t\303\274\xc3", 6, "??\t\303\274?", 6},
	    {"\xc3", 1, "?", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *line = recent_line_json("w.0", false, rows[i].bytes, rows[i].len), *text;

		text = json_object_get(line, "text");
		assert_int_equal(json_string_length(text), rows[i].text_len);
		assert_memory_equal(json_string_value(text), rows[i].text, rows[i].text_len);
		json_decref(line);
	}
}

#define WITH_CONTROL(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_CONTROL(the_last_events_are_kept),
	    WITH_CONTROL(followers_get_what_they_asked_for),
	    WITH_CONTROL(who_does_not_read_events_is_cut_off),
	    WITH_CONTROL(who_does_not_read_lines_misses_some_and_is_told),
	    WITH_CONTROL(lines_are_kept_within_bounds_and_in_order),
	    WITH_CONTROL(long_lines_are_kept_whole_and_few),
	    WITH_CONTROL(a_long_answer_arrives_whole),
	    WITH_CONTROL(any_bytes_become_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
