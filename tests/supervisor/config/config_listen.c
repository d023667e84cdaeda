/* SPDX-License-Identifier: MIT */
/* Unix sockets in configuration files: what is right, and what each mistake is told. */
#include "supervisor/process/credentials.h"
#include "tests/supervisor/config/config_stage.h"

#include <unistd.h>

#define A "[service a]\ncommand = /bin/true\n"

static void
mistakes_are_told_word_for_word(void **state)
{
	static const struct {
		const char *text, *errors;
	} rows[] = {
	    {A "listen = unix:a.sock\n", ""},
	    {A "instances = 3\nlisten = unix:a%i.sock\nlisten.b = unix:b%i\n", ""},
	    {A "instances = 3\nports = shared\nlisten = unix:a.sock\n", ""},
	    {A "listen = unix:a\nlisten.b = 127.0.0.1:80\nsocket_mode = 0600\n", ""},
	    {A "listen = unix:\n",
		"f:3: [service a] listen: expected IPV4:PORT, [IPV6]:PORT, :PORT "
		"or unix:PATH, found \"unix:\": the path is missing\n"},
	    {A "instances = 3\nlisten = unix:a.sock\n",
		"f:4: [service a] listen: expected a path with %i, which becomes the instance's "
		"number, found \"unix:a.sock\" for 3 instances; or say `ports = shared`\n"},
	    {A "ports = shared\nlisten = unix:a%i\n",
		"f:4: [service a] listen: expected a path without %i, as `ports = shared` means one "
		"socket for all instances, found \"unix:a%i\"\n"},
	    {A "socket_mode = 0600\nlisten = 127.0.0.1:80\n",
		"f:3: [service a] socket_mode: expected a `listen = unix:PATH` that it is for, found "
		"none\n"},
	    {A "socket_mode = 999\nlisten = unix:a\n",
		"f:3: [service a] socket_mode: expected an octal number from 0 to 777, found "
		"\"999\"\n"},
	    {A "listen = unix:a\nlisten.b = unix:a\n",
		"f:4: listen: unix:a with 1 instance of a needs a path that f:3 has for a\n"},
	    {A "instances = 12\nlisten = unix:a%i\n[service b]\ncommand = /bin/true\n"
	       "listen = unix:a11\n",
		"f:7: listen: unix:a11 with 1 instance of b needs a path that f:4 has for a\n"},
	    {A "instances = 11\nlisten = unix:a%i\n[service b]\ncommand = /bin/true\n"
	       "listen = unix:a11\n",
		""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(config_errors(config_from(rows[i].text)), rows[i].errors);
}

static void
owner_and_mode_are_what_is_said(void **state)
{
	struct config *c = config_from(talloc_asprintf(harness_mem(),
	    A "listen = unix:a\nsocket_mode = 0640\nsocket_user = %d\n", (int)geteuid()));
	struct config *plain = config_from(A "listen = unix:a\n");
	struct socket_owner owner;
	const char *why;

	(void)state;
	assert_int_equal(credentials_of_sockets(c->services[0], harness_mem(), &owner, &why), 0);
	assert_int_equal(owner.mode, 0640);
	assert_int_equal(owner.uid, geteuid());
	assert_int_equal(owner.gid, getegid());
	assert_int_equal(
	    credentials_of_sockets(plain->services[0], harness_mem(), &owner, &why), 0);
	assert_int_equal(owner.mode, 0666);
	assert_int_equal(owner.uid, (uid_t)-1);
	assert_int_equal(owner.gid, (gid_t)-1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(mistakes_are_told_word_for_word),
	    e2e_test(owner_and_mode_are_what_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
