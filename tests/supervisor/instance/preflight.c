/* SPDX-License-Identifier: MIT */
/* What a start would meet is told word for word before anything is started. */
#include "supervisor/instance/preflight.h"
#include "tests/supervisor/config/config_stage.h"

#include <unistd.h>

#define A "[service a]\ncommand = /bin/true\n"

static const char *
missed(const char *text)
{
	struct config *c = config_from(text);

	preflight_start(c);
	return config_errors(c);
}

static void
programs_must_exist_and_be_executable(void **state)
{
	const char *plain = tempdir_write(tempdir_new(), "plain", "no program");
	const char *text = talloc_asprintf(harness_mem(),
	    "[service a]\ncommand = /bin/sh -c true\n"
	    "[service b]\ncommand = sh\n"
	    "[service c]\ncommand = ./nothing x\n"
	    "[service d]\n\ncommand = %s\n"
	    "[service e]\ncommand = /tmp\n"
	    "[service f]\ncommand = baton-no-such-program\n",
	    plain);

	(void)state;
	assert_string_equal(missed(text),
	    talloc_asprintf(harness_mem(),
		"f:6: [service c] command: expected a program that can be executed, found \"./nothing\": "
		"no such file\n"
		"f:9: [service d] command: expected a program that can be executed, found \"%s\": not "
		"executable by this user (chmod +x?)\n"
		"f:11: [service e] command: expected a program that can be executed, found \"/tmp\": not a "
		"regular file\n"
		"f:13: [service f] command: expected a program that can be executed, found "
		"\"baton-no-such-program\": no such program in any directory of PATH\n",
		plain));
}

static void
owners_are_looked_up(void **state)
{
	(void)state;
	assert_string_equal(missed(A "listen = unix:a\nsocket_user = nobody-at-all\n"),
	    "f:4: [service a] socket_user: there is no user \"nobody-at-all\"\n");
	assert_string_equal(missed(A "listen = unix:a\nsocket_group = nobody-at-all\n"),
	    "f:4: [service a] socket_group: there is no group \"nobody-at-all\"\n");
	if (geteuid() == 0)
		assert_string_equal(
		    missed(A "listen = unix:a\nsocket_user = nobody\nsocket_group = 0\n"), "");
	else
		assert_string_equal(missed(A "listen = unix:a\nsocket_user = root\n"),
		    "f:4: [service a] socket_user: only root may give files to other users, or to "
		    "groups that it is not in; run baton as root\n");
}

static void
a_limit_of_crashes_that_cannot_be_reached_is_noted(void **state)
{
	static const struct {
		const char *lines, *note;
	} cases[] = {
	    {"", ""},
	    {"crashes_max = 0\nbackoff_first_ms = 60000\n", ""},
	    {"crashes_max = 11\n", ""},
	    {"crashes_max = 12\n",
		"f:3: [service a] crashes_max: note: no instance can ever be given up: with waits "
		"from backoff_first_ms (100) to backoff_max_ms (30000) there are at most 11 crashes "
		"within crashes_time_ms (60000), and crashes_max is 12; say `crashes_max = 11` or "
		"less, or 0 if it is to be tried for ever\n"},
	    {"crashes_time_ms = 12700\n", ""},
	    {"umask = 022\ncrashes_time_ms = 12699\n",
		"f:4: [service a] crashes_time_ms: note: no instance can ever be given up: with "
		"waits from backoff_first_ms (100) to backoff_max_ms (30000) there are at most 8 "
		"crashes within crashes_time_ms (12699), and crashes_max is 9; say `crashes_max = "
		"8` or less, or 0 if it is to be tried for ever\n"},
	    {"crashes_max = 64\nbackoff_max_ms = 10\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = config_from(
		    talloc_asprintf(harness_mem(), "[service a]\ncommand = x\n%s", cases[i].lines));

		assert_string_equal(config_errors(c), "");
		notes_crashes(c);
		assert_string_equal(config_notes(c), cases[i].note);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(programs_must_exist_and_be_executable),
	    e2e_test(owners_are_looked_up),
	    e2e_test(a_limit_of_crashes_that_cannot_be_reached_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
