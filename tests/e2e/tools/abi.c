/* SPDX-License-Identifier: MIT */
/*
 * tests/abi.sh, which guards the library's binary interface, on a library of a few lines whose
 * next version adds something, breaks something, or breaks it under another soname.
 */
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <string.h>

#define HEADER                                    \
	"struct point { int x, y; };\n"           \
	"int point_sum(const struct point *p);\n" \
	"void point_move(struct point *p, int x, int y);\n"

static const char first[] =
    "#include \"point.h\"\n"
    "int point_sum(const struct point *p) { return p->x + p->y; }\n"
    "void point_move(struct point *p, int x, int y) { p->x += x; p->y += y; }\n";

static const struct {
	const char *name, *header, *source, *soname;
	const char *said; /* NULL: that all is well */
} versions[] = {
    {"the same", HEADER, first, "libpoint.so.0", NULL},
    {"a function more", HEADER "int point_x(const struct point *p);\n",
	"#include \"point.h\"\n"
	"int point_x(const struct point *p) { return p->x; }\n"
	"int point_sum(const struct point *p) { return p->x + p->y; }\n"
	"void point_move(struct point *p, int x, int y) { p->x += x; p->y += y; }\n",
	"libpoint.so.0", NULL},
    {"a function less", HEADER,
	"#include \"point.h\"\n"
	"int point_sum(const struct point *p) { return p->x + p->y; }\n",
	"libpoint.so.0", "point_move"},
    {"a member more",
	"struct point { int x, y, z; };\nint point_sum(const struct point *p);\n"
	"void point_move(struct point *p, int x, int y);\n",
	first, "libpoint.so.0", "type size changed"},
    {"a parameter of another type",
	"struct point { int x, y; };\n"
	"int point_sum(const struct point *p);\n"
	"void point_move(struct point *p, long x, int y);\n",
	"#include \"point.h\"\n"
	"int point_sum(const struct point *p) { return p->x + p->y; }\n"
	"void point_move(struct point *p, long x, int y) { p->x += (int)x; p->y += y; }\n",
	"libpoint.so.0", "parameter 2"},
    {"all that, and the soname moved",
	"struct point { long x; };\n"
	"long point_sum(const struct point *p);\n",
	"#include \"point.h\"\n"
	"long point_sum(const struct point *p) { return p->x; }\n",
	"libpoint.so.1", NULL},
};

static void
compile(const char *dir, const char *header, const char *source, const char *soname)
{
	tempdir_write(dir, "point.h", "%s", header);
	tempdir_write(dir, "point.c", "%s", source);
	proc_finish(proc_run("/bin/sh", "-euc",
			"cd $1; gcc -g -shared -fPIC -Wl,-soname,$2 -o libpoint.so point.c", "sh",
			dir, soname),
	    0);
}

static void
a_break_without_another_soname_is_found(void **state)
{
	const char *dir = tempdir_new();
	const char *library = tempdir_path(dir, "libpoint.so");

	(void)state;
	harness_need("/usr/bin/abidiff");
	/* abi.sh --record writes beside itself: a copy of its folder is recorded into */
	proc_finish(
	    proc_run("/bin/sh", "-euc", "mkdir $1/tests; cp tests/abi.sh $1/tests", "sh", dir), 0);
	compile(dir, HEADER, first, "libpoint.so.0");
	proc_finish(proc_run(tempdir_path(dir, "tests/abi.sh"), "--record", "1", library, dir), 0);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		const char *wanted = versions[i].said, *said;
		struct proc *p;

		compile(dir, versions[i].header, versions[i].source, versions[i].soname);
		p = proc_finish(proc_run(tempdir_path(dir, "tests/abi.sh"), library, dir),
		    wanted == NULL ? 0 : 1);
		said = proc_text(p, PROC_OUT);
		if (wanted == NULL ? said[0] != '\0' : strstr(said, wanted) == NULL)
			harness_fail("%s: %s", versions[i].name, said);
		if (wanted != NULL)
			assert_non_null(strstr(said, "move the soname"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_break_without_another_soname_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
