/* SPDX-License-Identifier: MIT */
/*
 * The examples of ctx(3): each is taken from the page, compiled without a warning, run, and
 * must print what the page says.
 */
#include "tests/ctx/support.h"

#include <sys/stat.h>

#if defined(__SANITIZE_THREAD__)
#define SANITIZE "-fsanitize=thread"
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZE "-fsanitize=address,undefined"
#else
#define SANITIZE ""
#endif

static const char *
build(void)
{
	const char *dir = getenv("BATON_BUILD");

	return dir == NULL ? "build" : dir;
}

/* Reads one displayed block, undoing roff's escape for a backslash; NULL at the page's end. */
static char *
next_block(TALLOC_CTX *mem, FILE *page)
{
	char line[512], *block = NULL, *escape;

	while (fgets(line, sizeof(line), page) != NULL) {
		if (strncmp(line, ".Bd -literal", 12) == 0) {
			block = talloc_strdup(mem, "");
		} else if (strncmp(line, ".Ed", 3) == 0) {
			return block;
		} else if (block != NULL) {
			while ((escape = strstr(line, "\\e")) != NULL) {
				escape[0] = '\\';
				memmove(escape + 1, escape + 2, strlen(escape + 2) + 1);
			}
			block = talloc_strdup_append(block, line);
		}
	}
	return NULL;
}

/* Runs a command that must succeed; what it has printed. */
static char *
run(TALLOC_CTX *mem, const char *command)
{
	char *said = talloc_strdup(mem, ""), line[512];
	FILE *p = popen(command, "r");

	assert_non_null(p);
	while (fgets(line, sizeof(line), p) != NULL)
		said = talloc_strdup_append(said, line);
	if (pclose(p) != 0)
		fail_msg("%s\n%s", command, said);
	return said;
}

static void
check(TALLOC_CTX *mem, const char *program, const char *prints)
{
	const char *cc = getenv("CC");
	char *path = talloc_asprintf(mem, "%s/tests/ctx/example-%d", build(), getpid());
	char *source = talloc_asprintf(mem, "%s.c", path);
	FILE *f = fopen(source, "w");

	assert_non_null(f);
	fputs(program, f);
	fclose(f);
	run(mem, talloc_asprintf(mem,
		     "%s -std=gnu11 -Wall -Wextra -Wpedantic -Werror " SANITIZE
		     " -pthread -I%s/include -o %s %s "
		     "%s/libbaton.a -lmicrohttpd -ltalloc 2>&1",
		     cc == NULL || *cc == '\0' ? "cc" : cc, build(), path, source, build()));
	assert_string_equal(run(mem, path), prints);
	unlink(source);
	unlink(path);
}

static void
examples_of_the_page(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	FILE *page = fopen("etc/man/ctx.3", "r");
	char *program, *prints;
	int n = 0;

	(void)state;
	assert_non_null(page);
	while ((program = next_block(mem, page)) != NULL) {
		assert_int_equal(strncmp(program, "#include", 8), 0);
		prints = next_block(mem, page);
		assert_non_null(prints);
		check(mem, program, prints);
		n++;
	}
	assert_true(n >= 5);
	fclose(page);
	talloc_free(mem);
}

/* Whatever the public headers declare is on the page. */
static void
page_names_every_function(void **state)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	char *missing = run(mem,
	    "cat ctx/ctx.h ctx/bag.h ctx/registry.h | grep -o '\\bctx_[a-z_]*[a-z](' | sort -u | "
	    "tr -d '(' | while read f; do grep -qw \"$f\" etc/man/ctx.3 || echo $f; done");

	(void)state;
	assert_string_equal(missing, "");
	talloc_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(examples_of_the_page),
	    cmocka_unit_test(page_names_every_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
