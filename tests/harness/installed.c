/* SPDX-License-Identifier: MIT */
/* An installation to compile against (see installed.h). */
#include "tests/harness/installed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness/tempdir.h"

#undef installed_make
#undef installed_new
#undef installed_sh

static const char *
env_or(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* `make` is not part of the make that runs the tests: its flags and jobs are not passed on. */
void
installed_make(const char *goal, const char *const *variables)
{
	static const char *const env[] = {
	    "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "DESTDIR", "PREFIX", NULL};
	const char *argv[12] = {"/usr/bin/make", "--no-print-directory", goal,
	    talloc_asprintf(harness_mem(), "SAN=%s", env_or("SAN", "")),
	    talloc_asprintf(harness_mem(), "CC=%s", env_or("CC", "cc"))};
	int n = 5;

	for (; *variables != NULL && n < 11; variables++)
		argv[n++] = *variables;
	(proc_finish)((proc_start)(&(struct proc_spec){.argv = argv, .env = env}), 0);
}

/* The compiler of the build, with its sanitizers: the library needs them in the program too. */
static void
make_compilers(const char *bin)
{
	static const struct {
		const char *name, *variable, *otherwise;
	} compilers[] = {{"cc", "CC", "cc"}, {"c++", "CXX", "g++"}};
	const char *san = env_or("SAN", "");

	if (mkdir(bin, 0755) < 0)
		harness_fail("cannot make %s: %m", bin);
	for (size_t i = 0; i < sizeof(compilers) / sizeof(compilers[0]); i++) {
		const char *real = env_or(compilers[i].variable, compilers[i].otherwise);
		const char *path = tempdir_write(bin, compilers[i].name,
		    "#!/bin/sh\nPATH='%s'\nexec %s %s%s \"$@\"\n", getenv("PATH"), real,
		    san[0] != '\0' ? "-fsanitize=" : "", san);

		if (chmod(path, 0755) < 0)
			harness_fail("cannot make %s executable: %m", path);
	}
}

struct installed
installed_new(void)
{
	struct installed i = {.dir = (tempdir_new)()};
	const char **env = talloc_zero_array(harness_mem(), const char *, 5);
	const char *bin = tempdir_path(i.dir, "compilers");

	i.prefix = tempdir_path(i.dir, "prefix");
	/* DESTDIR=/ installs there as well, but says that the linker's cache is not ours */
	(installed_make)(
	    "install", (const char *const[]){"DESTDIR=/",
			   talloc_asprintf(harness_mem(), "PREFIX=%s", i.prefix), NULL});
	make_compilers(bin);
	env[0] = talloc_asprintf(harness_mem(), "PATH=%s:%s", bin, getenv("PATH"));
	env[1] = talloc_asprintf(harness_mem(), "PKG_CONFIG_PATH=%s/lib/pkgconfig", i.prefix);
	env[2] = talloc_asprintf(harness_mem(), "LD_LIBRARY_PATH=%s/lib", i.prefix);
	/* `return http_server_run(s)` is how a main ends; the server is left to the exit */
	env[3] = "ASAN_OPTIONS=detect_leaks=0";
	i.env = env;
	return i;
}

const char *
installed_sh(const struct installed *i, const char *commands)
{
	struct proc *p = (proc_start)(&(struct proc_spec){
	    .argv = (const char *const[]){"/bin/sh", "-euc", commands, NULL},
	    .env = i->env,
	    .cwd = i->dir,
	});

	return proc_text((proc_finish)(p, 0), PROC_OUT);
}
