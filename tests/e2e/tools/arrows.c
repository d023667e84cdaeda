/* SPDX-License-Identifier: MIT */
/*
 * tests/arrows.py, which holds the code against the table of who may use whom, in a house of three
 * rooms: whatever way an arrow is added, it is told. The files are as small as they can be.
 */
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The house: loop.c above net/, which is above base/. */
#define HOUSE                                                                                       \
	"mkdir -p server/net server/base tests && git init -q . && "                                \
	"echo 'void loop(void);' >server/loop.h && "                                                \
	"printf '#include \"server/net/net.h\"\\nvoid loop(void) { net(); }\\n' >server/loop.c && " \
	"echo 'void net(void);' >server/net/net.h && "                                              \
	"printf '#include \"server/base/base.h\"\\nvoid net(void) { base(); }\\n' "                 \
	">server/net/net.c && "                                                                     \
	"echo 'void base(void);' >server/base/base.h && "                                           \
	"echo 'void base(void) {}' >server/base/base.c && "                                         \
	"printf 'server: server/net\\nserver/net: server/base\\nserver/base:\\n' "                  \
	">tests/arrows.txt && "

/* Builds what is there, and asks. */
#define ASK                                                                             \
	" && git add . && for f in $(git ls-files '*.c'); do mkdir -p obj/${f%%/*} && " \
	"cc -w -I. -c -o obj/${f%%.c}.o $f || exit 9; done; exec python3 \"$ARROWS\" obj"

static const char *
ask(const char *change)
{
	const char *argv[] = {"/bin/sh", "-c", NULL, NULL};
	const char *env[] = {NULL, NULL};
	char here[PATH_MAX];

	argv[2] = talloc_asprintf(harness_mem(), HOUSE "%s" ASK, change);
	assert_non_null(getcwd(here, sizeof(here)));
	env[0] = talloc_asprintf(harness_mem(), "ARROWS=%s/tests/arrows.py", here);
	return proc_text(
	    proc_finish(proc_start(&(struct proc_spec){
			    .argv = argv, .env = env, .cwd = tempdir_new(), .merge = true}),
		0),
	    PROC_OUT);
}

static void
every_arrow_that_is_added_is_told(void **state)
{
	static const struct {
		const char *change, *told;
	} table[] = {
	    {"true", ""},
	    /* By an include, and by a name that is declared by hand. */
	    {"echo '#include \"server/loop.h\"' >>server/net/net.c",
		"server/net uses server, which is not in tests/arrows.txt: net.c -> loop.h\n"},
	    {"echo 'extern void net(void); void b(void) { net(); }' >>server/base/base.c",
		"server/base uses server/net, which is not in tests/arrows.txt: base.c -> net\n"},
	    /* Downwards, too: it is seen in review. */
	    {"echo '#include \"server/base/base.h\"' >>server/loop.c",
		"server uses server/base, which is not in tests/arrows.txt: loop.c -> base.h\n"},
	    /* The table allows no arrow that runs up, nor one that there is not. */
	    {"sed -i 's|^server/base:|& server/net|' tests/arrows.txt",
		"server/base uses server/net, which stands above it: arrows point down\n"},
	    {"sed -i 's|^server/base:|& ctx|; $ actx:' tests/arrows.txt",
		"server/base does not use ctx any more\n"},
	    {"mkdir server/tls && echo 'void tls(void) {}' >server/tls/tls.c && "
	     "echo 'extern void tls(void); void n(void) { tls(); }' >>server/net/net.c",
		"server/tls: no line in tests/arrows.txt\n"},
	    /* Files of one folder that reach each other. */
	    {"echo 'void net(void); void n2(void) { net(); }' >server/net/n2.c && "
	     "echo 'void n2(void); void n3(void) { n2(); }' >>server/net/net.c",
		"server/net: a ring of n2.c net.c\n"},
	    /* And an arrow that hides in a table of functions. */
	    {"printf 'struct events {\\n\\tvoid (*a)(void);\\n\\tvoid (*b)(void);\\n};\\n' "
	     ">>server/net/net.h && "
	     "echo 'static const struct events e = {0};' >>server/loop.c && "
	     "printf '#include \"server/net/net.h\"\\nvoid n(struct events *e) { e->b(); }\\n' "
	     ">>server/net/net.c",
		"struct events in server/net: installed by server, called by server/net: "
		"not so in tests/arrows.txt\n"},
	    {"echo 'struct gone in server/net: installed by server, called by server/net' "
	     ">>tests/arrows.txt",
		"tests/arrows.txt: there is no struct gone any more\n"},
	};

	(void)state;
	if (system("python3 --version >/dev/null 2>&1 && git --version >/dev/null 2>&1") != 0) {
		harness_skip("python3 or git is not installed");
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *told = ask(table[i].change);

		if (table[i].told[0] == '\0' ? told[0] != '\0'
					     : strstr(told, table[i].told) == NULL)
			harness_fail("after %s: told \"%s\", expected \"%s\"", table[i].change,
			    told, table[i].told);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_arrow_that_is_added_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
