/* SPDX-License-Identifier: MIT */
/*
 * etc/deps.sh on machines of several kinds, each played by a PATH that holds nothing but what
 * the script is written with and the programs that such a machine has.
 */
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <string.h>
#include <sys/stat.h>

/* What a program of the played machine does, as a script. */
struct tool {
	const char *name, *does;
};

/* As if all were there; cc and clang take whatever they are given. */
static const struct tool bare[] = {{"cc", "exit 0"}, {"g++", "exit 0"}, {"clang", "exit 0"},
    {"curl", "exit 0"}, {"systemd-analyze", "exit 0"}, {"pkg-config", "exit 0"}};

/* talloc is not there, and libmicrohttpd is too old. */
#define PKG_CONFIG                                                \
	"case \"$*\" in *talloc | --at*libmicrohttpd) exit 1 ;; " \
	"--modversion*libmicrohttpd) echo 0.9.60 ;; esac"

static const char *
machine(const struct tool *tools, size_t n)
{
	static const char *const real[] = {
	    "awk", "cat", "dirname", "flock", "grep", "id", "mktemp", "rm", "sh", "sort", "tr"};
	const char *dir = tempdir_new();

	for (size_t i = 0; i < sizeof(real) / sizeof(real[0]); i++)
		proc_finish(proc_run("/bin/sh", "-euc", "ln -s \"$(command -v $1)\" \"$2/\"", "sh",
				real[i], dir),
		    0);
	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]) + n; i++) {
		const bool common = i < sizeof(bare) / sizeof(bare[0]);
		const struct tool *t =
		    common ? &bare[i] : &tools[i - sizeof(bare) / sizeof(bare[0])];
		const char *path = tempdir_path(dir, t->name);

		proc_finish(proc_run("/bin/rm", "-f", path), 0);
		if (t->does == NULL)
			continue;
		tempdir_write(dir, t->name, "#!/bin/sh\n%s\n", t->does);
		assert_int_equal(chmod(path, 0755), 0);
	}
	return dir;
}

/* What deps.sh says there, to standard output and error, for the groups build, run and test. */
static const char *
deps(const char *dir, int status)
{
	struct proc *p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/bin/sh", "etc/deps.sh", "build", "run", "test", NULL},
	    .env =
		(const char *const[]){talloc_asprintf(harness_mem(), "PATH=%s", dir), "CC", NULL},
	    .merge = true,
	});

	return proc_text(proc_finish(p, status), PROC_OUT);
}
#define deps_on(status, ...)                                                        \
	deps(machine((const struct tool[]){__VA_ARGS__},                            \
		 sizeof((const struct tool[]){__VA_ARGS__}) / sizeof(struct tool)), \
	    status)

static void
without_apt_nothing_is_said_when_nothing_is_missing(void **state)
{
	(void)state;
	assert_string_equal(deps_on(0, {"dnf", "exit 99"}), "");
}

static void
without_apt_what_is_missing_is_told_and_how_to_install_it(void **state)
{
	static const char found[] =
	    "deps: not found: libmicrohttpd 0.9.75 or later, by pkg-config (it finds 0.9.60)\n"
	    "deps: not found: talloc, by pkg-config\n"
	    "deps: apt-get is not here; this is how it is installed:\n";
	static const struct {
		const char *manager, *lines;
	} table[] = {
	    {"dnf", "deps:   dnf install libmicrohttpd-devel libtalloc-devel\n"},
	    {"pacman", "deps:   pacman -S libmicrohttpd talloc\n"},
	    {"apk", "deps:   apk add libmicrohttpd-dev talloc-dev\n"},
	    {"emerge", "deps:   dnf install libmicrohttpd-devel libtalloc-devel\n"
		       "deps:   pacman -S libmicrohttpd talloc\n"
		       "deps:   apk add libmicrohttpd-dev talloc-dev\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(
		    deps_on(1, {"pkg-config", PKG_CONFIG}, {table[i].manager, "exit 99"}),
		    talloc_asprintf(harness_mem(), "%s%s", found, table[i].lines));
}

static void
the_compiler_and_its_libraries_are_looked_for_too(void **state)
{
	const char *said = deps_on(1, {"cc", NULL}, {"clang", "exit 1"}, {"pacman", "exit 99"});

	(void)state;
	assert_non_null(strstr(said, "deps: not found: the program cc\n"));
	assert_non_null(strstr(said, "deps: not found: the header stdio.h\n"));
	assert_non_null(
	    strstr(said, "deps: not found: clang's run-time library for -fsanitize=fuzzer\n"));
	assert_non_null(strstr(said, "deps:   pacman -S compiler-rt gcc glibc\n"));
}

static void
what_no_package_has_is_not_waited_for(void **state)
{
	(void)state;
	assert_string_equal(deps_on(0, {"systemd-analyze", NULL}, {"apk", "exit 99"}),
	    "deps: not found: the program systemd-analyze\n"
	    "deps: no package of this system is known to have it; what needs it is left out\n");
}

/* dpkg-query knows all but libjansson-dev. */
#define DPKG_QUERY "case \"$*\" in *libjansson-dev) exit 1 ;; *) echo installed ;; esac"

static void
with_apt_what_is_missing_is_installed(void **state)
{
	const char *note = tempdir_path(tempdir_new(), "note");
	const char *apt = talloc_asprintf(harness_mem(), "echo \"$@\" >>%s", note);

	(void)state;
	assert_string_equal(
	    deps_on(0, {"dpkg-query", DPKG_QUERY}, {"apt-get", apt}, {"id", "echo 0"}),
	    "deps: installing libjansson-dev\n");
	assert_string_equal(
	    tempdir_read(note), "update\ninstall -y --no-install-recommends libjansson-dev\n");
	assert_string_equal(deps_on(0, {"dpkg-query", "echo installed"}, {"apt-get", "exit 99"},
				{"id", "echo 1000"}),
	    "");
}

static void
what_apt_complains_of_is_shown(void **state)
{
	(void)state;
	assert_string_equal(
	    deps_on(1, {"dpkg-query", DPKG_QUERY},
		{"apt-get", "echo 'the disk is full' >&2; exit 100"}, {"id", "echo 0"}),
	    "deps: installing libjansson-dev\nthe disk is full\n"
	    "deps: apt-get failed; nothing is built without these packages\n");
}

/* Who may not install, and has what it takes from elsewhere, goes on. */
static void
without_the_right_to_install_it_is_looked_for(void **state)
{
	static const char no_jansson[] = "case \"$*\" in *jansson) exit 1 ;; esac";

	(void)state;
	assert_string_equal(
	    deps_on(0, {"dpkg-query", DPKG_QUERY}, {"apt-get", "exit 99"}, {"id", "echo 1000"}),
	    "");
	assert_string_equal(deps_on(1, {"dpkg-query", DPKG_QUERY}, {"apt-get", "exit 99"},
				{"id", "echo 1000"}, {"pkg-config", no_jansson}),
	    "deps: not found: jansson, by pkg-config\n"
	    "deps: run this as root, or with sudo installed: make deps\n"
	    "deps:   apt-get install libjansson-dev\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(without_apt_nothing_is_said_when_nothing_is_missing),
	    e2e_test(without_apt_what_is_missing_is_told_and_how_to_install_it),
	    e2e_test(the_compiler_and_its_libraries_are_looked_for_too),
	    e2e_test(what_no_package_has_is_not_waited_for),
	    e2e_test(with_apt_what_is_missing_is_installed),
	    e2e_test(what_apt_complains_of_is_shown),
	    e2e_test(without_the_right_to_install_it_is_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
