/* SPDX-License-Identifier: MIT */
/* Versions of the worker that are installed over each other, and which of them runs. */
#ifndef BATON_TESTS_VERSIONS_H
#define BATON_TESTS_VERSIONS_H

#include "tests/e2e/supervisor_stage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static inline const char *
version_path(struct stage *s)
{
	return tempdir_path(s->dir, "worker");
}

/* As an installer does: under another name, then renamed. */
static inline void
version_install(struct stage *s, const char *mode)
{
	const char *fresh = tempdir_copy(s->dir, "fresh", harness_built("tests/fixtures/worker"));
	int fd = open(fresh, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(dprintf(fd, "\n#mode %s\n", mode) > 0);
	close(fd);
	assert_int_equal(rename(fresh, version_path(s)), 0);
}

/* As careless people do: the file is the same, and has another content now. Nobody may run it. */
static inline void
version_overwrite(struct stage *s, const char *mode)
{
	int fd = open(version_path(s), O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "\n#mode %s\n", mode) > 0);
	close(fd);
}

static inline const char *
version_json(struct stage *s)
{
	struct proc *p = stage_cli(s, "status", "--json");

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

static inline unsigned
version_count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* So many are kept. */
#define version_wait_kept(s, n) \
	wait_until("kept: " #n, version_count(version_json(s), "\"since_unix_ms\"") == (n))

/* Where the link of what it runs leads to; "" if the process is gone. */
static inline const char *
version_link(int pid)
{
	char link[32], path[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return talloc_strdup(harness_mem(), path);
}

/* What the process runs: "memory" for a copy, "file", "deleted" for a file that is gone; "gone"
 * if the process is. */
static inline const char *
version_of(int pid)
{
	const char *path = version_link(pid);

	if (path[0] == '\0')
		return "gone";
	if (strncmp(path, "/memfd:", 7) == 0)
		return "memory";
	return strstr(path, " (deleted)") != NULL ? "deleted" : "file";
}

#endif
