/* SPDX-License-Identifier: MIT */
/*
 * What baton says when it cannot start: a port that is taken, a configuration that is wrong
 * (each mistake with file, line, section, key and what was expected), another baton.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		harness_fail("expected \"%s\" in:\n%s", part, text);
}

static int
lines_of(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static int
take_port(uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
a_port_that_is_taken_gets_one_clear_line(void **state)
{
	uint16_t port = port_free(2);
	int fd = take_port((uint16_t)(port + 1));
	struct baton b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service shop]\ncommand = %s\ninstances = 2\nlisten = %s\n",
		harness_built("hello"), port_address(port)),
	});
	const char *text;

	(void)state;
	proc_finish(b.proc, 1);
	text = proc_text(b.proc, PROC_ERR);
	assert_int_equal(lines_of(text), 1);
	assert_has(text, port_address((uint16_t)(port + 1)));
	assert_has(text, "shop");
	assert_has(text, "in use");
	/* nothing was started for the port that was free */
	assert_int_equal(client_try(port), ECONNREFUSED);
	assert_int_equal(harness_count_children(), 0);
	close(fd);
}

/* Every such letter that stands alone is replaced. */
static const char *
fill(const char *text, char letter, const char *by)
{
	char *out = talloc_strdup(harness_mem(), "");

	for (const char *p = text; *p != '\0'; p++)
		if (*p == letter && p[1] == '\n')
			out = talloc_strdup_append(out, by);
		else
			out = talloc_strndup_append(out, p, 1);
	return out;
}

/* P stands for the program and A for an address in these; "check" and "run" agree on them. */
static void
mistakes_in_a_configuration_are_named(void **state)
{
#define GOOD "[service s]\ncommand = P\nlisten = A\n"
	static const struct {
		const char *text, *at, *says;
	} table[] = {
	    {"", "bad.conf", "expected at least one section"},
	    {"instances = 2\n", "bad.conf:1:", "expected a section before the first key"},
	    {"[service s]\nlisten = A\n", "bad.conf:1:", "command: missing"},
	    {GOOD "instance = 2\n",
		"bad.conf:4: [service s] instance:", "did you mean \"instances\""},
	    {GOOD "colour = red\n", "bad.conf:4: [service s] colour:", "unknown key"},
	    {GOOD "instances = two\n", "bad.conf:4: [service s] instances:",
		"expected a number from 1 to 256, found \"two\""},
	    {GOOD "instances = 0\n", "bad.conf:4:", "expected a number from 1"},
	    {GOOD "instances = 2x\n", "bad.conf:4:", "found \"2x\""},
	    {GOOD "instances = 99999999999999999999\n", "bad.conf:4:", "expected a number"},
	    {GOOD "instances = 1\ninstances = 2\n", "bad.conf:5:", "set twice"},
	    {GOOD "start_timeout_ms = -1\n", "bad.conf:4:", "milliseconds"},
	    {GOOD "[service s]\ncommand = P\n", "bad.conf:4:", "stands twice"},
	    {"[servce s]\ncommand = P\n", "bad.conf:1: [servce s]", "unknown section"},
	    {"[service a b]\ncommand = P\n", "bad.conf:1:", "expected a service name"},
	    {"[service s]\ncommand = P\nlisten = nonsense\n",
		"bad.conf:3: [service s] listen:", "found \"nonsense\""},
	    {"[service s]\ncommand = P\nlisten = 127.0.0.1:99999\n", "bad.conf:3:", "99999"},
	    {"[service s]\ncommand = P\nlisten = 127.0.0.1:65535\ninstances = 2\n",
		"bad.conf:3:", "65536"},
	    {GOOD "listen = A\n", "bad.conf:4:", "listen"},
	    {"[service s]\ncommand = /nonexistent/program\n",
		"bad.conf:2: [service s] command:", "\"/nonexistent/program\""},
	    {"[service s]\ncommand = 'P\n", "bad.conf:2:", "command"},
	    {GOOD "what is this\n", "bad.conf:4:", "expected \"key = value\""},
	    {GOOD "[supervisor]\ncontrol =\n", "bad.conf:5:", "control"},
	    {GOOD "[supervisor]\nport = 1\n", "bad.conf:5: [supervisor] port:", "unknown key"},
	};
	const char *dir = tempdir_new(), *program = harness_built("hello");
	const char *address = port_address(port_free(1));

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		static const char *const commands[] = {"check", "run"};
		const char *file = tempdir_write(
		    dir, "bad.conf", "%s", fill(fill(table[i].text, 'P', program), 'A', address));

		for (int j = 0; j < 2; j++) {
			struct proc *p = proc_finish(proc_run("baton", commands[j], "-c", file), 2);

			assert_has(proc_text(p, PROC_ERR), table[i].at);
			assert_has(proc_text(p, PROC_ERR), table[i].says);
		}
	}
}

static void
a_good_configuration_passes_the_check(void **state)
{
	const char *file = tempdir_write(tempdir_new(), "good.conf",
	    "; a comment\n# another\n\n[service s]\n command = %s --listen '127.0.0.1:1' ; three\n"
	    "listen = 127.0.0.1:1080 ; four\nlisten.admin = 127.0.0.1:1090\ninstances=3\n",
	    harness_built("hello"));
	struct proc *p = proc_finish(proc_run("baton", "check", "-c", file), 0);

	(void)state;
	assert_has(proc_text(p, PROC_OUT), "3 instances");
	assert_string_equal(proc_text(p, PROC_ERR), "");
}

static void
bad_command_lines_are_explained(void **state)
{
	static const struct {
		const char *args[5];
		const char *says;
	} table[] = {
	    {{NULL}, "usage"},
	    {{"rum", NULL}, "did you mean \"run\""},
	    {{"frobnicate", NULL}, "unknown command"},
	    {{"status", "--xml", NULL}, "--xml"},
	    {{"restart", "a", "b", NULL}, "unexpected \"b\""},
	    {{"run", "-c", NULL}, "needs a value"},
	    {{"run", "-c", "/nonexistent/baton.conf", NULL}, "/nonexistent/baton.conf"},
	    {{"check", "-c", "/nonexistent/baton.conf", NULL}, "/nonexistent/baton.conf"},
	    {{"run", "--instances", "2", NULL}, "PROGRAM"},
	    {{"run", "--instances", "x", "/bin/true", NULL}, "--instances"},
	    {{"run", "--listen", "x", "/bin/true", NULL}, "--listen"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *argv[7] = {"baton"};
		struct proc *p;

		for (int j = 0; table[i].args[j] != NULL; j++)
			argv[j + 1] = table[i].args[j];
		p = proc_finish(proc_start(&(struct proc_spec){.argv = argv, .cwd = "/"}), 2);
		assert_has(proc_text(p, PROC_ERR), table[i].says);
	}
}

static void
a_second_baton_on_the_same_socket_is_refused(void **state)
{
	uint16_t port = port_free(1);
	struct baton first = baton_hello(port, 1), second;

	(void)state;
	second = baton_start(&(struct baton_spec){
	    .dir = first.dir,
	    .services = talloc_asprintf(harness_mem(), "[service t]\ncommand = %s\nlisten = %s\n",
		harness_built("hello"), port_address(port_free(1))),
	});
	proc_finish(second.proc, 1);
	assert_has(proc_text(second.proc, PROC_ERR), first.control);
	assert_has(proc_text(second.proc, PROC_ERR), "another baton");
	assert_string_equal(client_fetch(port, "/"), "hello\n");
	baton_stop(&first);
	assert_int_equal(access(first.control, F_OK), -1);
}

static void
commands_without_a_supervisor_say_where_they_looked(void **state)
{
	static const char *const commands[] = {"status", "restart", "stop"};
	const char *path = tempdir_path(tempdir_new(), "none.sock");

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct proc *p = proc_finish(proc_run("baton", commands[i], "--control", path), 3);

		assert_has(proc_text(p, PROC_ERR), path);
		assert_has(proc_text(p, PROC_ERR), "BATON_CONTROL");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_port_that_is_taken_gets_one_clear_line),
	    e2e_test(mistakes_in_a_configuration_are_named),
	    e2e_test(a_good_configuration_passes_the_check),
	    e2e_test(bad_command_lines_are_explained),
	    e2e_test(a_second_baton_on_the_same_socket_is_refused),
	    e2e_test(commands_without_a_supervisor_say_where_they_looked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
