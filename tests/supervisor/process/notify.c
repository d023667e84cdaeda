/* SPDX-License-Identifier: MIT */
/* sd_notify messages: parsing them, and who is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/process/notify.h"
#include "tests/harness/harness.h"

static void
notify_send(const char *path, const char *text)
{
	int fd = notify_connect(path);

	assert_true(fd >= 0);
	assert_int_equal(notify_post(fd, text, -1), 0);
	close(fd);
}

static const struct {
	const char *text;
	unsigned known;
	bool ready, stopping;
	const char *status;
} rows[] = {
    {"READY=1", 1, true, false, NULL},
    {"READY=1\n", 1, true, false, NULL},
    {"READY=0", 0, false, false, NULL},
    {"READY=11", 0, false, false, NULL},
    {"XREADY=1", 0, false, false, NULL},
    {"STOPPING=1\nSTATUS=bye bye", 2, false, true, "bye bye"},
    {"STATUS=a=b\nMAINPID=4711\nREADY=1\nWATCHDOG=1\nX_MINE=2", 3, true, false, "a=b"},
    {"READY=1\nX_BATON_SPARE=1", 2, true, false, NULL},
    {"X_BATON_SPARE=0\nX_BATON_SPARE", 0, false, false, NULL},
    {"STATUS=first\nSTATUS=", 2, false, false, ""},
    {"\n\n\n", 0, false, false, NULL},
    {"", 0, false, false, NULL},
    {"garbage", 0, false, false, NULL},
};

static void
messages_are_parsed_and_unknown_keys_skipped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct notify_message m;
		char text[128];

		strcpy(text, rows[i].text);
		assert_int_equal(notify_parse(text, &m), rows[i].known);
		assert_int_equal(m.ready, rows[i].ready);
		assert_int_equal(m.spare, strstr(rows[i].text, "X_BATON_SPARE=1") != NULL);
		assert_int_equal(m.stopping, rows[i].stopping);
		if (rows[i].status == NULL)
			assert_null(m.status);
		else
			assert_string_equal(m.status, rows[i].status);
	}
}

static const struct {
	const char *text;
	bool drained;
	struct notify_drained counts;
} drains[] = {
    {"X_BATON_MOVED=4\nX_BATON_FINISHED=3\nX_BATON_ENDED=2\nX_BATON_CUT=1\nSTATUS=drained", true,
	{4, 3, 2, 1}},
    {"X_BATON_MOVED=123456789012345678", true, {.moved = 123456789012345678}},
    {"X_BATON_CUT=0", true, {.cut = 0}},
    {"X_BATON_MOVED=", false, {.moved = 0}},
    {"X_BATON_MOVED=-1", false, {.moved = 0}},
    {"X_BATON_MOVED=1x", false, {.moved = 0}},
    {"X_BATON_MOVED=1234567890123456789", false, {.moved = 0}},
    {"X_BATON_MOVE=1", false, {.moved = 0}},
};

static void
how_a_drain_went_is_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(drains) / sizeof(drains[0]); i++) {
		struct notify_message m;
		char text[128];

		strcpy(text, drains[i].text);
		notify_parse(text, &m);
		assert_int_equal(m.drained, drains[i].drained);
		assert_memory_equal(&m.counts, &drains[i].counts, sizeof(m.counts));
	}
}

static const struct {
	const char *text;
	bool alive, trigger;
	int64_t usec;
} watchdogs[] = {
    {"WATCHDOG=1", true, false, -1},
    {"WATCHDOG=trigger", false, true, -1},
    {"WATCHDOG=2\nWATCHDOG=", false, false, -1},
    {"WATCHDOG_USEC=20000000\nWATCHDOG=1", true, false, 20000000},
    {"WATCHDOG_USEC=0\nREADY=1", false, false, 0},
    {"WATCHDOG_USEC=5\nWATCHDOG_USEC=x", false, false, 5},
    {"WATCHDOG_USEC=", false, false, -1},
    {"WATCHDOG_USEC=-1", false, false, -1},
    {"WATCHDOG_USEC=1234567890123456789", false, false, -1},
};

static void
what_is_said_to_a_watchdog_is_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(watchdogs) / sizeof(watchdogs[0]); i++) {
		struct notify_message m;
		char text[128];

		strcpy(text, watchdogs[i].text);
		notify_parse(text, &m);
		assert_int_equal(m.watchdog, watchdogs[i].alive);
		assert_int_equal(m.trigger, watchdogs[i].trigger);
		assert_int_equal(m.watchdog_usec, watchdogs[i].usec);
	}
}

struct heard {
	unsigned count;
	char status[64];
};

static void
hear(const struct notify_message *m, void *data)
{
	struct heard *h = data;

	h->count++;
	strncpy(h->status, m->status == NULL ? "" : m->status, sizeof(h->status) - 1);
}

/* Sends from a child, in a session of its own or not; returns when it has been sent. */
static void
send_from_child(const char *path, bool own_session, uid_t uid, bool stay, pid_t *who)
{
	int done[2];
	char byte;

	assert_int_equal(pipe(done), 0);
	*who = fork();
	if (*who == 0) {
		if (own_session)
			setsid();
		if (uid != 0 && setuid(uid) != 0)
			_exit(1);
		notify_send(path, "STATUS=child");
		if (write(done[1], "x", 1) != 1)
			_exit(1);
		if (!stay)
			_exit(0);
		for (;;)
			pause();
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
only_the_process_and_its_session_are_believed(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct tevent_context *ev = tevent_context_init(mem);
	size_t before = talloc_total_blocks(mem);
	struct heard h = {.count = 0};
	struct notify *n = notify_new(mem, ev, geteuid(), hear, &h);
	pid_t child;

	(void)state;
	assert_int_equal(notify_path(n)[0], '@');
	notify_expect(n, getpid());
	notify_send(notify_path(n), "STATUS=me");
	assert_int_equal(tevent_loop_once(ev), 0);
	assert_int_equal(h.count, 1);
	assert_string_equal(h.status, "me");

	/* This test may not lead its session; a child expected instead does, and may speak. */
	send_from_child(notify_path(n), true, 0, true, &child);
	notify_drain(n);
	assert_int_equal(h.count, 1);
	assert_int_equal(notify_refused(n), 1);
	notify_expect(n, child);
	end_child(child);
	send_from_child(notify_path(n), true, 0, true, &child);
	notify_expect(n, child);
	notify_drain(n);
	assert_int_equal(h.count, 2);
	assert_string_equal(h.status, "child");
	end_child(child);
	talloc_free(n);
	assert_int_equal(talloc_total_blocks(mem), before);
	talloc_free(mem);
}

static void
another_user_is_not_believed(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct tevent_context *ev = tevent_context_init(mem);
	struct heard h = {.count = 0};
	struct notify *n = notify_new(mem, ev, geteuid(), hear, &h);
	pid_t child;

	(void)state;
	if (geteuid() != 0) {
		talloc_free(mem);
		harness_skip("it takes root");
	}
	send_from_child(notify_path(n), true, 65534, true, &child);
	notify_expect(n, child); /* even if it is the very process */
	notify_drain(n);
	assert_int_equal(h.count, 0);
	assert_int_equal(notify_refused(n), 1);
	end_child(child);
	talloc_free(mem);
}

static void
messages_too_long_are_refused(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct tevent_context *ev = tevent_context_init(mem);
	struct heard h = {.count = 0};
	struct notify *n = notify_new(mem, ev, geteuid(), hear, &h);
	char *text = talloc_zero_array(mem, char, 3UL * NOTIFY_MESSAGE_MAX_BYTES);

	(void)state;
	notify_expect(n, getpid());
	strcpy(text, "READY=1\nSTATUS=");
	memset(text + strlen(text), 'x', 2UL * NOTIFY_MESSAGE_MAX_BYTES);
	notify_send(notify_path(n), text);
	notify_drain(n);
	assert_int_equal(h.count, 0);
	assert_int_equal(notify_refused(n), 1);
	text[NOTIFY_MESSAGE_MAX_BYTES] = '\0';
	notify_send(notify_path(n), text);
	notify_drain(n);
	assert_int_equal(h.count, 1);
	talloc_free(mem);
}

static void
a_manager_that_is_not_there_hurts_nobody(void **state)
{
	(void)state;
	assert_int_equal(notify_connect(NULL), -EINVAL);
	assert_int_equal(notify_connect(""), -EINVAL);
	assert_int_equal(notify_connect("relative"), -EINVAL);
	assert_int_equal(notify_connect("/nowhere/at/all"), -ENOENT);
	assert_int_equal(notify_connect("@nobody-has-this-name"), -ECONNREFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_are_parsed_and_unknown_keys_skipped),
	    cmocka_unit_test(how_a_drain_went_is_parsed),
	    cmocka_unit_test(what_is_said_to_a_watchdog_is_parsed),
	    cmocka_unit_test(only_the_process_and_its_session_are_believed),
	    cmocka_unit_test(another_user_is_not_believed),
	    cmocka_unit_test(messages_too_long_are_refused),
	    cmocka_unit_test(a_manager_that_is_not_there_hurts_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
