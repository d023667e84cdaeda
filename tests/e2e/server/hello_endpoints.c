/* SPDX-License-Identifier: MIT */
/* What each endpoint of the example program answers, to good requests and to bad ones. */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"

#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct hello hello;

static int
start(void **state)
{
	static const char *const env[] = {"BATON_HTTP_IDLE_LINGER_MS=1", NULL};

	if (harness_setup(state) != 0)
		return -1;
	hello = hello_start(env);
	return 0;
}

static int
stop(void **state)
{
	hello_stop(&hello);
	return harness_teardown(state);
}

static void
assert_matches(const char *text, const char *regex, const char *of)
{
	regex_t re;
	int no;

	assert_int_equal(regcomp(&re, regex, REG_EXTENDED | REG_NOSUB), 0);
	no = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	if (no)
		harness_fail("%s: expected %s, got: %.2000s", of, regex, text);
}

struct expected {
	const char *target;
	int status;
	const char *body; /* a regular expression for the whole body */
};

/* All on one connection: none of them may cost it. */
static void
check_gets(const struct expected *table, size_t n)
{
	struct client *c = client_open(hello.port);

	for (size_t i = 0; i < n; i++) {
		const struct answer *a = client_get(c, table[i].target);

		if (a->status != table[i].status || a->close)
			harness_fail("GET %s: status %d%s, expected %d: %s", table[i].target,
			    a->status, a->close ? " and Connection: close" : "", table[i].status,
			    a->body);
		assert_matches(a->body, table[i].body, table[i].target);
	}
}

static void
get_endpoints_answer(void **state)
{
	static const struct expected table[] = {
	    {"/", 200, "^hello\n$"},
	    {"/?x=1", 200, "^hello\n$"},
	    {"/hello/world", 200, "^hello world\n$"},
	    {"/hello/J%C3%BCrgen%20M", 200, "^hello J\xc3\xbcrgen M\n$"},
	    {"/pid", 200, "^pid [0-9]+ instance 0 generation 1\n$"},
	    {"/ctx", 200, "^visit [^ ]+ from 127\\.0\\.0\\.1:[0-9]+\n$"},
	    {"/bytes/0", 200, "^$"},
	    {"/bytes/3", 200, "^abc$"},
	    {"/sleep/?duration=1ms", 200, "^slept 1ms in pid [0-9]+\n$"},
	    {"/sleep/?duration=0.01s", 200, "^slept 0\\.01s in pid [0-9]+\n$"},
	    {"/sleep/?duration=0", 200, "^slept 0 in pid [0-9]+\n$"},
	    {"/sleep/?duration=1ms2us", 200, "^slept 1ms2us in pid [0-9]+\n$"},
	    {"/spin/?duration=2ms", 200, "^spun 2ms in pid [0-9]+\n$"},
	};

	(void)state;
	check_gets(table, sizeof(table) / sizeof(table[0]));
}

static void
bad_arguments_get_status_400_and_a_reason(void **state)
{
	static const struct expected table[] = {
	    {"/sleep/", 400, "duration: missing"},
	    {"/sleep/?duration=", 400, "duration \"\": empty"},
	    {"/sleep/?duration=5", 400, "\"5\": the unit is missing"},
	    {"/sleep/?duration=5x", 400, "\"5x\": an unknown unit"},
	    {"/sleep/?duration=-5s", 400, "\"-5s\": not a number with a unit"},
	    {"/sleep/?duration=s", 400, "\"s\": not a number with a unit"},
	    {"/sleep/?duration=61s", 400, "\"61s\": too long"},
	    {"/sleep/?duration=59s2s", 400, "\"59s2s\": too long"},
	    {"/sleep/?duration=999999999999999999999999s", 400, "too long"},
	    {"/sleep/?duration=1h", 400, "\"1h\": an unknown unit"},
	    {"/spin/?duration=fast", 400, "\"fast\": not a number.* such as 250ms"},
	    {"/bytes/-1", 400, "/bytes/-1: expected a number of bytes, 0 to 16777216"},
	    {"/bytes/1k", 400, "/bytes/1k: expected"},
	    {"/bytes/16777217", 400, "expected a number of bytes"},
	    {"/bytes/99999999999999999999999", 400, "expected a number of bytes"},
	};

	(void)state;
	check_gets(table, sizeof(table) / sizeof(table[0]));
}

static void
pid_is_the_process_that_answers(void **state)
{
	int pid;

	(void)state;
	assert_int_equal(sscanf(client_fetch(hello.port, "/pid"), "pid %d", &pid), 1);
	assert_int_equal(pid, proc_pid(hello.proc));
}

static void
sleep_takes_at_least_that_long(void **state)
{
	const int64_t start_ms = harness_now_ms();

	(void)state;
	client_fetch(hello.port, "/sleep/?duration=120ms");
	assert_true(harness_now_ms() - start_ms >= 119);
}

static void
bytes_come_as_many_as_asked_for(void **state)
{
	static const size_t table[] = {1, 63, 64, 65, 4096, 65536, 1000003, 16777216};
	struct client *c = client_open(hello.port);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct answer *a =
		    client_get(c, talloc_asprintf(harness_mem(), "/bytes/%zu", table[i]));

		assert_int_equal(a->status, 200);
		assert_int_equal(a->body_len, table[i]);
		/* the same 64 bytes again and again */
		if (table[i] > 64)
			assert_memory_equal(a->body, a->body + 64, table[i] - 64);
	}
}

static void
echo_returns_every_byte(void **state)
{
	static const size_t table[] = {0, 1, 2, 1023, 65536, 300000, 1 << 20};
	struct client *c = client_open(hello.port);
	unsigned char *body = talloc_array(harness_mem(), unsigned char, 1 << 20);

	(void)state;
	for (size_t i = 0; i < 1 << 20; i++)
		body[i] = (unsigned char)(i * 7 + i / 256); /* NUL bytes too */
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct answer *a;

		client_send(c,
		    "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Type: image/x-test\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    table[i]);
		client_send_bytes(c, body, table[i]);
		a = client_read(c, "POST");
		assert_int_equal(a->status, 200);
		assert_int_equal(a->body_len, table[i]);
		assert_memory_equal(a->body, body, table[i]);
		assert_string_equal(answer_field(a, "Content-Type"), "image/x-test");
	}
}

static void
command_line_is_checked(void **state)
{
	static const struct {
		const char *arg, *arg2;
		int status;
		enum proc_stream stream;
		const char *says;
	} table[] = {
	    {"--help", NULL, 0, PROC_OUT, "^usage: hello"},
	    {"--lisen", "x", 2, PROC_ERR, "--lisen"},
	    {"--listen", NULL, 2, PROC_ERR, "requires an argument"},
	    {"serve", NULL, 2, PROC_ERR, "unexpected argument 'serve'"},
	    {"--listen", "127.0.0.1", 1, PROC_ERR, "127\\.0\\.0\\.1.*expected ADDRESS:PORT"},
	    {"--listen", "127.0.0.1:99999", 1, PROC_ERR, "127\\.0\\.0\\.1:99999"},
	    {"--listen", "127.0.0.1:nope", 1, PROC_ERR, "127\\.0\\.0\\.1:nope"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct proc *p = proc_run("hello", table[i].arg, table[i].arg2);

		proc_finish(p, table[i].status);
		proc_expect(p, table[i].stream, table[i].says);
	}
}

static void
a_port_that_is_taken_is_named(void **state)
{
	const char *address = talloc_asprintf(harness_mem(), "127.0.0.1:%u", hello.port);
	struct proc *p = proc_run("hello", "--listen", address);

	(void)state;
	proc_finish(p, 1);
	assert_matches(proc_text(p, PROC_ERR), address, "the error");
	assert_matches(proc_text(p, PROC_ERR), "already in use", "the error");
}

static void
two_listeners_serve(void **state)
{
	struct proc *p = proc_run("hello", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0");
	uint16_t first = hello_port(p, "web"), second = hello_port(p, "web2");

	(void)state;
	assert_int_not_equal(first, second);
	assert_string_equal(client_fetch(first, "/"), "hello\n");
	assert_string_equal(client_fetch(second, "/"), "hello\n");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(get_endpoints_answer),
	    test(bad_arguments_get_status_400_and_a_reason),
	    test(pid_is_the_process_that_answers),
	    test(sleep_takes_at_least_that_long),
	    test(bytes_come_as_many_as_asked_for),
	    test(echo_returns_every_byte),
	    test(command_line_is_checked),
	    test(a_port_that_is_taken_is_named),
	    test(two_listeners_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
