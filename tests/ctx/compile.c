/* SPDX-License-Identifier: MIT */
/*
 * What the compiler must refuse, and what it must take without a word: runs $CC (default cc)
 * on little programs. The headers must also pass as strict C11 and as C++.
 */
#include "tests/ctx/support.h"

/* Compiles text; the exit status, or 77 if there is no such compiler. */
static int
compile(const char *compiler, const char *options, const char *text)
{
	char command[1024];
	FILE *pipe;
	int status;

	snprintf(command, sizeof(command),
	    "command -v %s >/dev/null || exit 77; exec %s %s -I. -I%s/include -fsyntax-only - "
	    "2>/dev/null",
	    compiler, compiler, options, getenv("BATON_BUILD") ? getenv("BATON_BUILD") : "build");
	pipe = popen(command, "w");
	assert_non_null(pipe);
	fputs(text, pipe);
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *
cc(void)
{
	const char *name = getenv("CC");

	return name == NULL || *name == '\0' ? "cc" : name;
}

#define BEFORE                                                                        \
	"#include <baton/ctx.h>\n"                                                    \
	"struct user { int id; }; struct item { int id; };\n"                         \
	"CTX_KEY(user_key, struct user); CTX_KEY(text_key, const char);\n"            \
	"CTX_KEY_DECLARE(shared_key, int); CTX_KEY_DEFINE(shared_key, int);\n"        \
	"int test(void *mem, const struct ctx *c, struct ctx *own, struct user *u,\n" \
	"    const struct user *cu, struct item *it, char *s, int *n, void *v);\n"    \
	"int test(void *mem, const struct ctx *c, struct ctx *own, struct user *u,\n" \
	"    const struct user *cu, struct item *it, char *s, int *n, void *v)\n"     \
	"{\n"                                                                         \
	"	(void)mem, (void)c, (void)own, (void)u, (void)cu, (void)it, (void)s;\n"     \
	"	(void)n, (void)v;\n"                                                        \
	"	(void)user_key, (void)text_key;\n"
#define AFTER "\nreturn 0;\n}\n"

static const char *const right[] = {
    "c = ctx_with_value(mem, c, &user_key, u);",
    "c = ctx_with_value(mem, own, &user_key, NULL);",
    "c = ctx_with_value(mem, c, &shared_key, n);",
    "struct user *w = ctx_value(c, &user_key); return w == u;",
    "const char *w = ctx_value(c, &text_key); return w[0];",
    "return ctx_has(c, &user_key) && ctx_value(c, &user_key)->id == 1;",
    "ctx_cancel(own);",
};
/* `const char` values may be made of what is not const; C++ says the same. */
static const char *const right_in_c_if_cast[] = {
    "c = ctx_with_value(mem, c, &text_key, (const char *)s);",
    "c = ctx_with_value(mem, c, &text_key, (const char *)\"x\");",
};
static const char *const wrong[] = {
    "c = ctx_with_value(mem, c, &user_key, it);",
    "c = ctx_with_value(mem, c, &user_key, cu);",
    "c = ctx_with_value(mem, c, &user_key, v);",
    "c = ctx_with_value(mem, c, &user_key, *u);",
    "c = ctx_with_value(mem, c, &user_key, 5);",
    "c = ctx_with_value(mem, c, &shared_key, s);",
    "c = ctx_with_value(mem, c, user_key, u);",
    "c = ctx_with_value(mem, c, \"user\", u);",
    "c = ctx_with_value(mem, c, v, u);",
    "it = ctx_value(c, &user_key);",
    "return ctx_value(c, \"user\") != NULL;",
    "return ctx_has(c, \"user\");",
    "return ctx_has(c, &user_key.key);",
    "ctx_cancel(c);",
    "user_key.key.name = s;",
    "return c->kind;",
};

static void
all(const char *compiler, const char *options, const char *const *statements, size_t n, bool good)
{
	char text[4096];

	for (size_t i = 0; i < n; i++) {
		int status;

		snprintf(text, sizeof(text), "%s%s%s", BEFORE, statements[i], AFTER);
		status = compile(compiler, options, text);
		if (status == 77)
			harness_skip("%s is not installed", compiler);
		if ((status == 0) != good)
			fail_msg("%s %s: %s\"%s\"", compiler, options, good ? "refuses " : "takes ",
			    statements[i]);
	}
}
#define ALL(compiler, options, list, good) \
	all((compiler), (options), (list), sizeof(list) / sizeof((list)[0]), (good))

/* Wrong means an error without any option; right not even a warning with all of them. */
#define STRICT "-Wall -Wextra -Wpedantic -Wshadow -Werror"

static void
wrong_types_do_not_compile(void **state)
{
	(void)state;
	ALL(cc(), "-x c -Werror=incompatible-pointer-types -Werror=discarded-qualifiers", wrong,
	    false);
}

static void
right_types_compile_without_a_warning(void **state)
{
	(void)state;
	ALL(cc(), "-x c -std=c11 " STRICT, right, true);
	ALL(cc(), "-x c -std=c11 " STRICT, right_in_c_if_cast, true);
}

static void
the_same_with_clang(void **state)
{
	(void)state;
	ALL("clang", "-x c -std=c11 " STRICT, right, true);
	ALL("clang",
	    "-x c -Werror=incompatible-pointer-types-discards-qualifiers "
	    "-Werror=incompatible-pointer-types",
	    wrong, false);
}

static void
headers_are_good_cxx(void **state)
{
	(void)state;
	ALL("g++", "-x c++ -std=c++11 " STRICT, right, true);
	ALL("g++", "-x c++ -std=c++11 " STRICT, right_in_c_if_cast, true);
	ALL("g++", "-x c++ -std=c++11", wrong, false);
}

static void
headers_stand_alone(void **state)
{
	static const char *const headers[] = {
	    "#include <baton/ctx.h>\n#include <baton/ctx.h>\n",
	    "#include <baton/bag.h>\n#include <baton/bag.h>\n",
	    "#include <baton/registry.h>\n#include <baton/registry.h>\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		assert_int_equal(compile(cc(), "-x c -std=c11 " STRICT, headers[i]), 0);
		assert_int_equal(compile("g++", "-x c++ -std=c++11 " STRICT, headers[i]), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_types_do_not_compile),
	    cmocka_unit_test(right_types_compile_without_a_warning),
	    cmocka_unit_test(the_same_with_clang),
	    cmocka_unit_test(headers_are_good_cxx),
	    cmocka_unit_test(headers_stand_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
