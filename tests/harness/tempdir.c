/* SPDX-License-Identifier: MIT */
/* Directories and files that are gone after the test (see tempdir.h). */
#include "tests/harness/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#undef tempdir_new

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int
remove_all(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

const char *
tempdir_new(void)
{
	const char *base = getenv("TMPDIR");
	char *path = talloc_asprintf(
	    harness_mem(), "%s/baton-test-XXXXXX", base != NULL && base[0] == '/' ? base : "/tmp");

	if (mkdtemp(path) == NULL)
		harness_fail("cannot make a directory %s: %m", path);
	talloc_set_destructor(path, remove_all);
	return path;
}

const char *
tempdir_path(const char *dir, const char *name)
{
	return talloc_asprintf(harness_mem(), "%s/%s", dir, name);
}

const char *
tempdir_write(const char *dir, const char *name, const char *format, ...)
{
	const char *path = tempdir_path(dir, name);
	FILE *f = fopen(path, "we");
	va_list ap;

	if (f == NULL)
		harness_fail("cannot write %s: %m", path);
	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
	if (fclose(f) != 0)
		harness_fail("cannot write %s: %m", path);
	return path;
}

const char *
tempdir_copy(const char *dir, const char *name, const char *from)
{
	const char *path = tempdir_path(dir, name);
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	char block[65536];
	struct stat st;
	ssize_t n = -1;

	if (in >= 0 && fstat(in, &st) == 0)
		out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (out >= 0)
		while (
		    (n = read(in, block, sizeof(block))) > 0 && write(out, block, (size_t)n) == n)
			;
	if (n != 0)
		harness_fail("cannot copy %s to %s: %m", from, path);
	close(in);
	close(out);
	return path;
}

void
tempdir_own(const char *dir, uid_t uid)
{
	if (chown(dir, uid, uid) < 0)
		harness_fail("cannot give %s to user %u: %m", dir, uid);
}

const char *
tempdir_read(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = talloc_strdup(harness_mem(), "");
	char block[4096];
	size_t n;

	if (f == NULL)
		return NULL;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		text = talloc_strndup_append_buffer(text, block, n);
	fclose(f);
	return text;
}
