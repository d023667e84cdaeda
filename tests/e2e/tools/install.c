/* SPDX-License-Identifier: MIT */
/*
 * `make install` and what can be done with the result: the first handler of README.md, compiled
 * by README.md's own commands, serves; so does a program in C++; uninstall leaves nothing.
 */
#include "tests/harness/client.h"
#include "tests/harness/hello.h"
#include "tests/harness/installed.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <regex.h>
#include <signal.h>
#include <string.h>

/* The first match's first group, NULL if there is none. */
static const char *
group(const char *text, const char *regex)
{
	regmatch_t match[2];
	regex_t re;
	int no;

	assert_int_equal(regcomp(&re, regex, REG_EXTENDED | REG_NEWLINE), 0);
	no = regexec(&re, text, 2, match, 0);
	regfree(&re);
	return no ? NULL
		  : talloc_strndup(harness_mem(), text + match[1].rm_so,
			(size_t)(match[1].rm_eo - match[1].rm_so));
}

static void
install_puts_everything_in_its_place(void **state)
{
	static const char *const expected[] = {"bin/baton", "lib/libbaton.a", "lib/libbaton.so",
	    "lib/libbaton.so.1", "lib/pkgconfig/baton.pc", "include/baton/http.h",
	    "include/baton/ctx.h", "share/man/man1/baton.1", "share/man/man5/baton.conf.5",
	    "share/bash-completion/completions/baton", "lib/systemd/system/baton.service",
	    "share/doc/baton/baton.socket", "share/doc/baton/systemd.md"};
	const struct installed i = installed_new();
	const char *files = installed_sh(&i, "cd prefix && find . ! -type d | sort");

	(void)state;
	for (size_t n = 0; n < sizeof(expected) / sizeof(expected[0]); n++)
		if (strstr(files, talloc_asprintf(harness_mem(), "./%s\n", expected[n])) == NULL)
			harness_fail("not installed: %s; there is\n%s", expected[n], files);
	/* no other umask, no rights for others to write */
	assert_string_equal(installed_sh(&i, "find prefix ! -type l -perm /022"), "");
	assert_string_equal(installed_sh(&i, "readlink prefix/lib/libbaton.so"), "libbaton.so.1\n");
	installed_sh(&i, "prefix/bin/baton --version");
}

static void
destdir_stays_out_of_what_is_installed(void **state)
{
	const char *dir = tempdir_new();
	const char *const variables[] = {
	    talloc_asprintf(harness_mem(), "DESTDIR=%s/stage", dir), "PREFIX=/opt/baton", NULL};
	const char *pc;

	(void)state;
	installed_make("install", variables);
	pc = tempdir_read(tempdir_path(dir, "stage/opt/baton/lib/pkgconfig/baton.pc"));
	assert_non_null(pc);
	assert_non_null(strstr(pc, "prefix=/opt/baton\n"));
	assert_null(strstr(pc, "stage"));
	assert_null(strchr(pc, '@'));
}

static void
uninstall_removes_exactly_that(void **state)
{
	const char *dir = tempdir_new();
	const char *const variables[] = {
	    talloc_asprintf(harness_mem(), "DESTDIR=%s", dir), "PREFIX=/usr", NULL};
	const struct installed here = {.dir = dir};

	(void)state;
	installed_make("install", variables);
	installed_sh(&here, "touch usr/bin/other usr/lib/libother.so usr/include/other.h");
	installed_make("uninstall", variables);
	assert_string_equal(installed_sh(&here, "find . ! -type d | sort"),
	    "./usr/bin/other\n./usr/include/other.h\n./usr/lib/libother.so\n");
	assert_string_equal(installed_sh(&here, "find . -path '*baton*'"), "");
}

/* systemd-analyze reports what it does not understand, and a unit that got more open. */
static void
systemd_understands_the_units(void **state)
{
	const struct installed i = installed_new();

	(void)state;
	harness_need("/usr/bin/systemd-analyze");
	installed_sh(&i, "grep -q \"^ExecStart=$PWD/prefix/bin/baton run\" "
			 "prefix/lib/systemd/system/baton.service");
	assert_string_equal(
	    installed_sh(&i, "systemd-analyze verify --man=no prefix/share/doc/baton/baton.socket "
			     "prefix/lib/systemd/system/baton.service 2>&1"),
	    "");
	installed_sh(&i, "systemd-analyze security --offline=true --threshold=40 "
			 "prefix/lib/systemd/system/baton.service");
}

static void
the_library_exports_its_own_names_only(void **state)
{
	const struct installed i = installed_new();
	const char *names = installed_sh(&i,
	    "nm -D --defined-only prefix/lib/libbaton.so | awk '$2 != \"A\" { print $3 }' |"
	    " sed 's/@.*//' | sort -u");

	(void)state;
	assert_non_null(strstr(names, "http_server_run\n"));
	assert_non_null(strstr(names, "ctx_background\n"));
	for (const char *n = names; *n != '\0'; n = strchr(n, '\n') + 1)
		if (strncmp(n, "http_", 5) != 0 && strncmp(n, "ctx_", 4) != 0)
			harness_fail("exported: %.*s", (int)strcspn(n, "\n"), n);
	assert_non_null(strstr(
	    installed_sh(&i, "readelf -d prefix/lib/libbaton.so"), "soname: [libbaton.so.1]"));
	/* what its files share among each other is hidden in the static library, too; what
	 * AddressSanitizer adds is not ours */
	assert_string_equal(installed_sh(&i, "nm -g --defined-only prefix/lib/libbaton.a |"
					     " awk 'NF == 3 && $3 !~ /^__odr_asan/ { print $3 }' |"
					     " sort -u"),
	    names);
}

/* A program's own functions may have the names that the library has for some of its own. */
static void
names_of_the_library_are_free_for_programs(void **state)
{
	static const char code[] =
	    "#include <baton/http.h>\n"
	    "int log_line(void);\n"
	    "int log_line(void) { return 40; }\n"
	    "int conn_open(void);\n"
	    "int conn_open(void) { return 2; }\n"
	    "int main(void)\n"
	    "{\n"
	    "	return http_server_new(NULL) != NULL && log_line() + conn_open() == 42 ? 0 : 1;\n"
	    "}\n";
	static const char *const libraries[] = {"$(pkg-config --libs baton)",
	    "prefix/lib/libbaton.a $(pkg-config --libs libmicrohttpd talloc) -pthread"};
	const struct installed i = installed_new();

	(void)state;
	tempdir_write(i.dir, "own.c", "%s", code);
	for (size_t n = 0; n < sizeof(libraries) / sizeof(libraries[0]); n++) {
		installed_sh(&i,
		    talloc_asprintf(harness_mem(),
			"cc -o own own.c $(pkg-config --cflags baton) %s && ./own", libraries[n]));
	}
}

/* Runs a program that listens where it wants to on a socket of ours instead: one request. */
static void
serves(const struct installed *i, const char *program, const char *target)
{
	uint16_t port = port_free(1);
	struct proc *p;

	harness_need("/usr/bin/systemd-socket-activate");
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/usr/bin/systemd-socket-activate", "-E",
		"LD_LIBRARY_PATH", "-E", "ASAN_OPTIONS", "-l", port_address(port),
		tempdir_path(i->dir, program), NULL},
	    .env = i->env,
	    .cwd = i->dir,
	});

	proc_expect(p, PROC_ERR, "Listening on");
	assert_int_not_equal(strlen(client_fetch(port, target)), 0);
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

/* The next block of README.md in that language; *at goes behind it. */
static const char *
next_block(const char **at, const char *language)
{
	const char *fence = talloc_asprintf(harness_mem(), "\n```%s\n", language);
	const char *start = strstr(*at, fence), *end;

	if (start == NULL)
		harness_fail("README.md: no block %s", fence + 1);
	start += strlen(fence);
	end = strstr(start, "\n```\n");
	if (end == NULL)
		harness_fail("README.md: a block without end: %.80s", start);
	*at = end;
	return talloc_strndup(harness_mem(), start, (size_t)(end + 1 - start));
}

/* Only what compiles: installing, running and asking are this test's own business. */
static const char *
compile_commands(const char *block)
{
	char *commands = talloc_strdup(harness_mem(), "");
	bool in_one = false;

	for (const char *line = block; *line != '\0'; line = strchr(line, '\n') + 1) {
		const size_t len = strcspn(line, "\n");

		in_one = in_one || strncmp(line, "cc ", 3) == 0;
		if (in_one)
			commands = talloc_strndup_append(commands, line, len + 1);
		in_one = in_one && len > 0 && line[len - 1] == '\\';
	}
	return commands;
}

static void
the_first_handler_of_the_readme_serves(void **state)
{
	const struct installed i = installed_new();
	const char *at = tempdir_read("README.md"), *code, *commands, *source, *program, *target;

	(void)state;
	if (at == NULL)
		harness_fail("no README.md");
	code = next_block(&at, "c");
	commands = compile_commands(next_block(&at, "sh"));
	source = group(commands, "([[:alnum:]_-]+\\.c)");
	program = group(commands, "-o ([[:alnum:]_-]+)");
	target = group(code, "\"GET (/[^ \"{]*)");
	if (source == NULL || program == NULL || target == NULL)
		harness_fail("README.md: no `cc … -o PROGRAM SOURCE.c`, or no \"GET /…\", in\n%s%s",
		    code, commands);
	tempdir_write(i.dir, source, "%s", code);
	installed_sh(&i, commands);
	serves(&i, program,
	    strstr(code, talloc_asprintf(harness_mem(), "\"GET %s{", target)) != NULL
		? talloc_asprintf(harness_mem(), "%sworld", target)
		: target);
}

static const char first_c[] =
    "#include <baton/http.h>\n"
    "CTX_KEY(greeting, const char);\n"
    "static int hello(const struct ctx *ctx, const struct http_request *req,\n"
    "    struct http_response *res, void *data)\n"
    "{\n"
    "	const struct ctx *c = ctx_with_value(http_request_mem(req), ctx, &greeting, \"hi\");\n"
    "	(void)data;\n"
    "	return http_response_printf(res, 200, \"%s\\n\", ctx_value(c, &greeting));\n"
    "}\n"
    "int main(void)\n"
    "{\n"
    "	struct http_server *s = http_server_new(NULL);\n"
    "	http_server_listen(s, \"web\", \"127.0.0.1:1\");\n"
    "	http_server_handle(s, \"GET /\", hello, NULL);\n"
    "	return http_server_run(s);\n"
    "}\n";

static void
programs_compile_in_every_way(void **state)
{
	static const struct {
		const char *source, *command;
	} table[] = {
	    {"first.c", "cc -std=c11 -Wall -Wextra -Wpedantic -Werror -o first first.c "
			"$(pkg-config --cflags --libs baton)"},
	    {"first.c", "cc -o first first.c $(pkg-config --cflags baton) prefix/lib/libbaton.a "
			"$(pkg-config --libs libmicrohttpd talloc) -pthread"},
	    {"first.cc", "c++ -std=c++17 -Wall -Wextra -Werror -o first first.cc "
			 "$(pkg-config --cflags --libs baton)"},
	};
	const struct installed i = installed_new();

	(void)state;
	for (size_t n = 0; n < sizeof(table) / sizeof(table[0]); n++) {
		tempdir_write(i.dir, table[n].source, "%s", first_c);
		installed_sh(&i, table[n].command);
		serves(&i, "first", "/");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(install_puts_everything_in_its_place),
	    e2e_test(destdir_stays_out_of_what_is_installed),
	    e2e_test(uninstall_removes_exactly_that),
	    e2e_test(systemd_understands_the_units),
	    e2e_test(the_library_exports_its_own_names_only),
	    e2e_test(names_of_the_library_are_free_for_programs),
	    e2e_test(programs_compile_in_every_way),
	    e2e_test(the_first_handler_of_the_readme_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
