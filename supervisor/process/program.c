/* SPDX-License-Identifier: MIT */
/* Finding a program, again at each start: a deployment may have moved it. */
#include "supervisor/process/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check(const char *path, const char **why)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		*why = errno == ENOENT ? "no such file" : strerror(errno);
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		*why = "not a regular file";
		return -EACCES;
	}
	if (access(path, X_OK) < 0) {
		*why = "not executable by this user (chmod +x?)";
		return -EACCES;
	}
	return 0;
}

int
program_find(TALLOC_CTX *mem, const char *name, char **path, const char **why)
{
	const char *dirs = getenv("PATH");
	int error = -ENOENT;

	if (strchr(name, '/') != NULL) {
		error = check(name, why);
		if (error < 0)
			return error;
		*path = talloc_strdup(mem, name);
		*why = *path == NULL ? "there is no memory" : NULL;
		return *path == NULL ? -ENOMEM : 0;
	}
	*why = "no such program in any directory of PATH";
	if (dirs == NULL)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t len = strcspn(dirs, ":");
		const char *ignored;
		char *try = talloc_asprintf(
		    mem, "%.*s/%s", len == 0 ? 1 : (int)len, len == 0 ? "." : dirs, name);

		if (try == NULL) {
			*why = "there is no memory";
			return -ENOMEM;
		}
		if (check(try, &ignored) == 0) {
			*path = try;
			return 0;
		}
		talloc_free(try);
		if (dirs[len] == '\0')
			return error;
		dirs += len + 1;
	}
}
