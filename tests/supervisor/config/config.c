/* SPDX-License-Identifier: MIT */
/* Configuration files: what good ones mean, and what each broken one is told, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/config/config.h"

static char dir[] = "/tmp/baton-config-XXXXXX";
static char file[64];

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/f", dir);
	return chdir(dir); /* so that errors name just "f" */
}

static int
remove_dir(void **state)
{
	(void)state;
	unlink(file);
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static struct config *
read_bytes(const char *text, size_t len)
{
	FILE *f = fopen("f", "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return config_read(NULL, "f");
}

static struct config *
read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

#define GOOD_TAIL "\n[service w]\ncommand=w\n"

static const struct {
	const char *text;
	const char *errors; /* all of them, one a line */
} broken[] = {
    {"[service a]\ncommand=x\nhttp.body_max_byte = 7\n",
	"f:3: [service a] http.body_max_byte: expected http.NAME with a value, found \"7\": baton's "
	"server library has no such setting (did you mean \"http.body_max_bytes\"?); for a program "
	"with another version of it say env.BATON_HTTP_BODY_MAX_BYTE\n"},
    {"[service a]\ncommand=x\nhttp.quite_other = 7\nhttp.log_level = loud\n"
     "http.threads_max = 3\nhttp.worker_nice = 19\n",
	"f:3: [service a] http.quite_other: expected http.NAME with a value, found \"7\": baton's "
	"server library has no such setting; for a program with another version of it say "
	"env.BATON_HTTP_QUITE_OTHER\n"
	"f:4: [service a] http.log_level: expected http.NAME with a value, found \"loud\": it is "
	"error or warning or info or debug\n"
	"f:5: [service a] http.threads_max: expected http.NAME with a value, found \"3\": it is a "
	"number from 4 to 100000\n"},
    {"", "f: expected at least one section [service NAME], found none\n"},
    {"; nothing\n[supervisor]\ncontrol = s\n",
	"f: expected at least one section [service NAME], found none\n"},
    {"command = x\n[service a]\ncommand = x\n",
	"f:1: command: expected a section before the first key, found none\n"},
    {"[service a]\ncommand = x\nlisen = 127.0.0.1:80\n",
	"f:3: [service a] lisen: unknown key; did you mean \"listen\"?\n"},
    {"[service a]\ncommand = x\nready = \n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"\"\n"},
    {"[service a]\ncommand = x\nready = fd:2\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"fd:2\"\n"},
    {"[service a]\ncommand = x\nready = fd:256\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"fd:256\"\n"},
    {"[service a]\ncommand = x\nready = fd:\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"fd:\"\n"},
    {"[service a]\ncommand = x\nready = fdx\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"fdx\"\n"},
    {"[service a]\ncommand = x\nready = fd:3x\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"fd:3x\"\n"},
    {"[service a]\ncommand = x\nready = http:x\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"http:x\"\n"},
    {"[service a]\ncommand = x\nready = http:/a b\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"http:/a b\"\n"},
    {"[service a]\ncommand = x\nready = http:/a#b\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"http:/a#b\"\n"},
    {"[service a]\ncommand = x\nready = delay:5\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"delay:5\"\n"},
    {"[service a]\ncommand = x\nready = delay:-1s\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"delay:-1s\"\n"},
    {"[service a]\ncommand = x\nready = delay:3601s\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"delay:3601s\"\n"},
    {"[service a]\ncommand = x\nready = delay:99999999ms\n",
	"f:3: [service a] ready: expected notify, fd, fd:N, http:/PATH, delay:Nms, delay:Ns or none, found \"delay:99999999ms\"\n"},
    {"[service a]\ncommand = x\nhealth = /x\n",
	"f:3: [service a] health: expected http:/PATH, found \"/x\"\n"},
    {"[service a]\ncommand = x\nhealth = https:/x\n",
	"f:3: [service a] health: expected http:/PATH, found \"https:/x\"\n"},
    {"[service a]\ncommand = x\nready = http:/x\n",
	"f:3: [service a] ready: expected a `listen` on which http:/x can be asked, found none\n"},
    {"[service a]\ncommand = x\nhealth = http:/x\n",
	"f:3: [service a] health: expected a `listen` on which http:/x can be asked, found none\n"},
    {"[service a]\ncommand = x\nlisten = 127.0.0.1:80\nready = fd:3\n",
	"f:4: [service a] ready: expected fd:N with N from 4 on, as its sockets are 3 to 3, found fd:3\n"},
    {"[service a]\ncommand = x\nready = delay:2s\nstart_timeout_ms = 2000\n",
	"f:3: [service a] ready: expected a delay below start_timeout_ms (2000), found 2000 ms\n"},
    {"[service a]\ncommand = x\ncolour = red\n",
	"f:3: [service a] colour: unknown key; `baton help config` lists them all\n"},
    {"[supervisor]\ncommand = x\n" GOOD_TAIL,
	"f:2: [supervisor] command: unknown key; `baton help config` lists them all\n"},
    {"[supervisor]\ncontol = x\n" GOOD_TAIL,
	"f:2: [supervisor] contol: unknown key; did you mean \"control\"?\n"},
    {"[supervisor]\ncontrol =\n" GOOD_TAIL,
	"f:2: [supervisor] control: expected a path of at most 107 bytes, found \"\"\n"},
    {"[supervisor]\n[supervisor]\n" GOOD_TAIL,
	"f:2: [supervisor]: stands twice; the first is on line 1\n"},
    {"[services]\nx = y\n" GOOD_TAIL,
	"f:1: [services]: unknown section; expected [supervisor] or [service NAME]\n"},
    {"[service]\ncommand = x\n" GOOD_TAIL,
	"f:1: [service]: unknown section; expected [supervisor] or [service NAME]\n"},
    {"[service a.b]\ncommand = x\n" GOOD_TAIL,
	"f:1: [service a.b]: expected a service name of 1 to 32 letters, digits, '-' and '_', found "
	"\"a.b\"\n"},
    {"[service abcdefghijklmnopqrstuvwxyz0123456]\ncommand = x\n" GOOD_TAIL,
	"f:1: [service abcdefghijklmnopqrstuvwxyz0123456]: expected a service name of 1 to 32 "
	"letters, digits, '-' and '_', found \"abcdefghijklmnopqrstuvwxyz0123456\"\n"},
    {"[service a]\ncommand = x\n\n[service a]\ninstances = 2\n",
	"f:4: [service a]: stands twice; the first is on line 1\n"},
    {"[service a]\ninstances = 2\n",
	"f:1: [service a] command: missing; expected a program and its arguments\n"},
    {"[service a]\ncommand =\n",
	"f:2: [service a] command: expected a program and its arguments, found \"\": it is empty\n"},
    {"[service a]\ncommand = 'x\n",
	"f:2: [service a] command: expected a program and its arguments, found \"'x\": a quote or a "
	"brace is not closed\n"},
    {"[service a]\ncommand = a | b\n",
	"f:2: [service a] command: expected a program and its arguments, found \"a | b\": one of | & "
	"; < > ( ) { } stands outside of quotes; no shell runs here\n"},
    {"[service a]\ncommand = a $(b)\n",
	"f:2: [service a] command: expected a program and its arguments, found \"a $(b)\": a command "
	"substitution; no shell runs here\n"},
    {"[service a]\ncommand = a $BATON_NOT_SET_ANYWHERE\n",
	"f:2: [service a] command: expected a program and its arguments, found \"a "
	"$BATON_NOT_SET_ANYWHERE\": a variable is named that is not set\n"},
    {"[service a]\ncommand = x\ninstances = two\n",
	"f:3: [service a] instances: expected a number from 1 to 256, found \"two\"\n"},
    {"[service a]\ncommand = x\ninstances = 0\n",
	"f:3: [service a] instances: expected a number from 1 to 256, found \"0\"\n"},
    {"[service a]\ncommand = x\ninstances = 2 x\n",
	"f:3: [service a] instances: expected a number from 1 to 256, found \"2 x\"\n"},
    {"[service a]\ncommand = x\ninstances = 99999999999999999999\n",
	"f:3: [service a] instances: expected a number from 1 to 256, found "
	"\"99999999999999999999\"\n"},
    {"[service a]\ncommand = x\ninstances = 2\ninstances = 2\n",
	"f:4: [service a] instances: set twice; the first is on line 3\n"},
    {"[service a]\ncommand = x\ndrain_timeout_ms = 30s\n",
	"f:3: [service a] drain_timeout_ms: expected a number of milliseconds from 1 to 86400000, "
	"found \"30s\"\n"},
    {"[service a]\ncommand = x\nlisten = localhost:80\n",
	"f:3: [service a] listen: expected IPV4:PORT, [IPV6]:PORT, :PORT or unix:PATH, found "
	"\"localhost:80\": names are not looked up, so the host must be an address\n"},
    {"[service a]\ncommand = x\nlisten.a:b = 127.0.0.1:80\n",
	"f:3: [service a] listen.a: expected IPV4:PORT, [IPV6]:PORT, :PORT or unix:PATH, found \"b = "
	"127.0.0.1:80\": names are not looked up, so the host must be an address\n"},
    {"[service a]\ncommand = x\nlisten.a.b = 127.0.0.1:80\n",
	"f:3: [service a] listen.a.b: expected IPV4:PORT, [IPV6]:PORT, :PORT or unix:PATH, found "
	"\"127.0.0.1:80\": a socket's name is 1 to 32 letters, digits, '-' and '_'\n"},
    {"[service a]\ncommand = x\ninstances = 3\nlisten = 127.0.0.1:65534\n",
	"f:4: [service a] listen: expected a port with room for 3 instances, found 65534: the last "
	"instance would need port 65536\n"},
    {"[service a]\ncommand = x\ninstances = 2\nlisten = 127.0.0.1:80\n[service b]\ncommand = x\n"
     "listen = 127.0.0.1:81\n",
	"f:7: listen: 127.0.0.1:81 with 1 instance of b needs a port that f:4 has for a\n"},
    {"[service a]\ncommand = x\ninstances = 2\nlisten = :80\nlisten.x = :81\n",
	"f:5: listen: :81 with 2 instances of a needs a port that f:4 has for a\n"},
    {"[service a]\nno equals sign\ncommand = x\n[half\nx=y\n",
	"f:2: expected \"key = value\" or [section], found \"no equals sign\"\n"
	"f:4: expected \"key = value\" or [section], found \"[half\"\n"},
    {"[service a]\ncommand = x\nlast line",
	"f:3: expected \"key = value\" or [section], found \"last line\"\n"},
    /* All of them at once, in the order of the file. */
    {"[service a]\ninstances = x\nlisten = y\nfoo = z\n",
	"f:2: [service a] instances: expected a number from 1 to 256, found \"x\"\n"
	"f:3: [service a] listen: expected IPV4:PORT, [IPV6]:PORT, :PORT or unix:PATH, found \"y\": the port is "
	"missing\n"
	"f:4: [service a] foo: unknown key; `baton help config` lists them all\n"
	"f:1: [service a] command: missing; expected a program and its arguments\n"},
};

static char *
all_errors(struct config *c)
{
	char *all = talloc_strdup(c, "");

	for (unsigned i = 0; i < c->nerrors && i < CONFIG_ERRORS_MAX; i++)
		all = talloc_asprintf_append(all, "%s\n", c->errors[i]);
	return all;
}

static void
broken_files_are_told_so_word_for_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct config *c = read_text(broken[i].text);
		const char *got = all_errors(c), *want = broken[i].errors;

		if (strcmp(got, want) != 0)
			fail_msg(
			    "file:\n%s\nerrors:\n%s\nexpected:\n%s", broken[i].text, got, want);
		talloc_free(c);
	}
}

static void
a_whole_file_means_what_it_says(void **state)
{
	struct config *c = read_text("\xef\xbb\xbf; a comment\n"
				     "# another\n"
				     "[supervisor]\n"
				     "control = baton.sock            ; optional\n"
				     "\n"
				     "  [service hello]   ; indented\r\n"
				     "command   = build/hello --say 'a ; b' \"c d\"\\ e ; comment\n"
				     "instances = 2\n"
				     "listen    = 127.0.0.1:8080\t\t; instance n\n"
				     "listen.admin = [::1]:9000\n"
				     "drain_timeout_ms = 5000\n"
				     "[service idle]\n"
				     "command = sleep 9\n");
	const struct service_config *s;

	(void)state;
	assert_string_equal(all_errors(c), "");
	assert_string_equal(c->control, "baton.sock");
	assert_int_equal(c->nservices, 2);
	s = c->services[0];
	assert_string_equal(s->name, "hello");
	assert_int_equal(s->line, 6);
	assert_string_equal(s->command[0], "build/hello");
	assert_string_equal(s->command[1], "--say");
	assert_string_equal(s->command[2], "a ; b");
	assert_string_equal(s->command[3], "c d e");
	assert_null(s->command[4]);
	assert_int_equal(s->instances, 2);
	assert_int_equal(s->nlistens, 2);
	assert_string_equal(s->listens[0].name, "hello");
	assert_int_equal(address_port(&s->listens[0].base), 8080);
	assert_string_equal(s->listens[1].name, "admin");
	assert_string_equal(s->listens[1].where, "f:10");
	assert_int_equal(s->drain_timeout_ms, 5000);
	/* What is not set is what the table says. */
	s = c->services[1];
	assert_int_equal(s->instances, 1);
	assert_int_equal(s->nlistens, 0);
	assert_int_equal(s->start_timeout_ms, 30000);
	assert_int_equal(s->drain_timeout_ms, 30000);
	assert_int_equal(s->backoff_first_ms, 100);
	assert_int_equal(s->backoff_max_ms, 30000);
	assert_int_equal(s->quiet_time_ms, 10000);
	talloc_free(c);
}

/* What the library knows. */
static const struct http_row {
	const char *name;
	int64_t min, max;
	const char *const *words;
} http_rows[] = {
#define ROW(name, min, max, def, text) \
	{                              \
#name, min, max, NULL  \
	}
#define WORDS(name, min, max, def, words, text) \
	{                                       \
#name, min, max, words          \
	}
#include "server/base/settings.def"
};

static void
settings_of_the_server_are_known(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(http_rows) / sizeof(http_rows[0]); i++) {
		const struct http_row *r = &http_rows[i];
		const char *least = talloc_asprintf(mem, "%lld", (long long)r->min);
		const char *most = talloc_asprintf(mem, "%lld", (long long)r->max);
		const char *more = talloc_asprintf(mem, "%lld", (long long)r->max + 1);

		if (r->words != NULL)
			least = r->words[0], most = r->words[r->max], more = least + 1;
		assert_int_equal(config_http_check(mem, r->name, least, &why), 0);
		assert_int_equal(config_http_check(mem, r->name, most, &why), 0);
		assert_int_equal(config_http_check(mem, r->name, more, &why), -EINVAL);
		assert_int_equal(config_http_check(mem, r->name, "", &why), -EINVAL);
		assert_int_equal(config_http_check(mem, r->name, "-1", &why), -EINVAL);
	}
	talloc_free(mem);
}

static void
long_lines_and_binary_files_are_refused(void **state)
{
	char *text = malloc(2UL * 1024 * 1024);
	struct config *c;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', 20000);
	strcpy(text + 20000, GOOD_TAIL);
	c = read_text(text);
	assert_string_equal(
	    all_errors(c), "f:1: expected a line of at most 8189 bytes, found a longer one\n");
	talloc_free(c);
	/* The longest that fits: a comment, so that nothing else is wrong with it. */
	memset(text, 'a', 8189);
	text[0] = ';';
	strcpy(text + 8189, GOOD_TAIL);
	c = read_text(text);
	assert_string_equal(all_errors(c), "");
	talloc_free(c);
	c = read_bytes("[service a]\ncommand = x\n\0y\n", 27);
	assert_string_equal(all_errors(c), "f:3: expected text, found a NUL byte\n");
	talloc_free(c);
	memset(text, '\n', 2UL * 1024 * 1024);
	c = read_bytes(text, 2UL * 1024 * 1024);
	assert_int_equal(c->nerrors, 1);
	assert_non_null(strstr(c->errors[0], "expected a file of at most 1048576 bytes"));
	talloc_free(c);
	free(text);
}

static void
errors_are_bounded_but_counted(void **state)
{
	char *text = talloc_strdup(NULL, "[service a]\ncommand = x\n");
	struct config *c;

	(void)state;
	for (int i = 0; i < 1000; i++)
		text = talloc_asprintf_append(text, "k%d = v\n", i);
	c = read_text(text);
	assert_int_equal(c->nerrors, 1000);
	talloc_free(c);
	talloc_free(text);
}

static void
a_missing_file_is_an_error(void **state)
{
	struct config *c = config_read(NULL, "nothing-here");

	(void)state;
	assert_int_equal(c->nerrors, 1);
	assert_string_equal(
	    c->errors[0], "nothing-here: cannot be opened: No such file or directory");
	talloc_free(c);
}

static void
reading_leaves_nothing_behind(void **state)
{
	size_t before = talloc_total_blocks(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		talloc_free(read_text(broken[i].text));
	assert_int_equal(talloc_total_blocks(NULL), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(broken_files_are_told_so_word_for_word),
	    cmocka_unit_test(a_whole_file_means_what_it_says),
	    cmocka_unit_test(settings_of_the_server_are_known),
	    cmocka_unit_test(long_lines_and_binary_files_are_refused),
	    cmocka_unit_test(errors_are_bounded_but_counted),
	    cmocka_unit_test(a_missing_file_is_an_error),
	    cmocka_unit_test(reading_leaves_nothing_behind),
	};

	int failed;

	/* Counting all blocks of the process needs a root for them. */
	talloc_enable_null_tracking();
	failed = cmocka_run_group_tests(tests, make_dir, remove_dir);
	talloc_disable_null_tracking();
	return failed;
}
