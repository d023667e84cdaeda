/* SPDX-License-Identifier: MIT */
/*
 * baton/http.h in the hands of users' compilers: alone, twice, as C11 and as C++11, with all
 * that they can complain about; and what its macros make of right and wrong arguments.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/harness.h"

#define STRICT "-Wall -Wextra -Wpedantic -Wshadow -Werror"

/* What stands before each piece: all the functions that it may name. */
static const char before[] =
    "#include <baton/http.h>\n"
    "#include <baton/http.h>\n"
    "int handler(const struct ctx *, const struct http_request *, struct http_response *,\n"
    "    void *);\n"
    "int middleware(const struct ctx *, const struct http_request *, struct http_response *,\n"
    "    const struct http_next *, void *);\n"
    "int plain(const struct http_request *, struct http_response *, const struct http_next *,\n"
    "    void *);\n"
    "struct http_chain *other(void);\n"
    "struct http_chain *use(struct http_server *s, void *data);\n"
    "struct http_chain *use(struct http_server *s, void *data)\n"
    "{\n"
    "	(void)data;\n"
    "	";

static const char *const right[] = {
    "return http_chain_new(s, NULL, 0);",
    "return http_chain_new(s, HTTP_LINKS({middleware, data}));",
    "return http_chain_new(s, HTTP_LINKS({middleware, NULL}, HTTP_ADAPT(s, plain, data)));",
    "return http_chain_append(s, http_chain_new(s, NULL, 0), HTTP_LINKS({http_clear_registry, data}));",
    "return http_server_use(s, http_adapted, http_adapt(s, plain, NULL)) == 0 ? other() : NULL;",
    "int err = http_server_handle_chain(s, \"/\", NULL, handler, data); return err ? NULL : other();",
};

static const char *const wrong[] = {
    "return http_chain_new(s, HTTP_LINKS({handler, data}));",
    "return http_chain_new(s, HTTP_LINKS({plain, data}));",
    "return http_chain_new(s, HTTP_LINKS(HTTP_ADAPT(s, middleware, data)));",
    "return http_chain_append(s, http_chain_then(s, NULL, handler, data), NULL, 0);",
};

/* The compiler's exit status; 127 if there is none. */
static int
compile(const char *compiler, const char *options, const char *statement)
{
	FILE *to =
	    popen(talloc_asprintf(harness_mem(), "exec %s %s -I%s -fsyntax-only - 2>/dev/null",
		      compiler, options, harness_built("include")),
		"w");
	int status;

	assert_non_null(to);
	fprintf(to, "%s%s\n}\n", before, statement);
	status = pclose(to);
	return status == -1 ? 127 : status >> 8;
}

static void
all(const char *compiler, const char *options, const char *const *list, size_t n, bool good)
{
	for (size_t i = 0; i < n; i++) {
		int status = compile(compiler, options, list[i]);

		if (status == 127)
			harness_skip("%s is not installed", compiler);
		if ((status == 0) != good)
			harness_fail("%s %s: %s\"%s\"", compiler, options,
			    good ? "refuses " : "takes ", list[i]);
	}
}
#define ALL(compiler, options, list, good) \
	all((compiler), (options), (list), sizeof(list) / sizeof((list)[0]), (good))

static void
as_c(void **state)
{
	(void)state;
	ALL("gcc", "-x c -std=c11 " STRICT, right, true);
	ALL("gcc", "-x c -Werror=incompatible-pointer-types", wrong, false);
	ALL("clang", "-x c -std=c11 " STRICT, right, true);
}

static void
as_cxx(void **state)
{
	(void)state;
	ALL("g++", "-x c++ -std=c++11 " STRICT, right, true);
	ALL("g++", "-x c++ -std=c++11", wrong, false);
	ALL("clang++", "-x c++ -std=c++11 " STRICT, right, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {e2e_test(as_c), e2e_test(as_cxx)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
