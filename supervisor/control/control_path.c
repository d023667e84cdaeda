/* SPDX-License-Identifier: MIT */
/* Where the control socket is: the same rule for `baton run` and for those who look for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/config/config.h"
#include "supervisor/control/control.h"

#define ROOT_DIRECTORY "/run/baton"
#define SOCKET_NAME    "control.sock"

static char *
default_directory(TALLOC_CTX *mem, const char **source)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	*source = "the default for root";
	if (geteuid() == 0)
		return talloc_strdup(mem, ROOT_DIRECTORY);
	*source = "the default: $XDG_RUNTIME_DIR";
	if (runtime != NULL && runtime[0] == '/')
		return talloc_asprintf(mem, "%s/baton", runtime);
	*source = "the default without $XDG_RUNTIME_DIR";
	return talloc_asprintf(mem, "/tmp/baton-%u", (unsigned)geteuid());
}

/* A relative path begins where the file is that names it: those who are somewhere else, and
 * have nothing but the file, find the same socket. */
static char *
configured_path(TALLOC_CTX *mem, const struct control_where *where)
{
	const char *slash = where->config_file == NULL ? NULL : strrchr(where->config_file, '/');

	if (where->configured[0] == '/' || slash == NULL ||
	    strcmp(where->config_file, CONFIG_DEFAULT_HERE) == 0)
		return talloc_strdup(mem, where->configured);
	return talloc_asprintf(mem, "%.*s/%s", (int)(slash - where->config_file),
	    where->config_file, where->configured);
}

char *
control_path(TALLOC_CTX *mem, const struct control_where *where, const char **source)
{
	const char *ignored;
	char *directory, *path;

	if (source == NULL)
		source = &ignored;
	if (where->option != NULL) {
		*source = "--control";
		return talloc_strdup(mem, where->option);
	}
	if (where->environment != NULL && where->environment[0] != '\0') {
		*source = "$BATON_CONTROL";
		return talloc_strdup(mem, where->environment);
	}
	if (where->configured != NULL) {
		*source = where->config_file != NULL ? where->config_file : "the configuration";
		return configured_path(mem, where);
	}
	directory = default_directory(mem, source);
	path = talloc_asprintf(mem, "%s/%s", directory, SOCKET_NAME);
	talloc_free(directory);
	return path;
}

/* Anybody may make a directory in /tmp: it must be ours, and closed to others. */
static int
check_directory(const char *directory, TALLOC_CTX *mem, char **why)
{
	struct stat st;
	mode_t open_to = geteuid() == 0 ? 022 : 077;

	if (lstat(directory, &st) < 0) {
		*why = talloc_asprintf(mem, "%s: %s", directory, strerror(errno));
		return -errno;
	}
	if (!S_ISDIR(st.st_mode))
		*why = talloc_asprintf(mem, "%s is not a directory; remove it", directory);
	else if (st.st_uid != geteuid())
		*why =
		    talloc_asprintf(mem, "%s belongs to uid %u, not to uid %u; use --control PATH",
			directory, (unsigned)st.st_uid, (unsigned)geteuid());
	else if ((st.st_mode & open_to) != 0)
		*why = talloc_asprintf(mem,
		    "%s has mode %04o, so others could get at the control "
		    "socket; chmod it to %s",
		    directory, (unsigned)st.st_mode & 07777, geteuid() == 0 ? "0755" : "0700");
	else
		return 0;
	return -EPERM;
}

int
control_prepare_directory(const char *path, TALLOC_CTX *mem, char **why)
{
	const char *ignored;
	char *directory = default_directory(mem, &ignored);
	size_t len = strlen(directory);
	int error = 0;

	/* Only the default directory is baton's to make and check; any other is the user's. */
	if (strncmp(path, directory, len) == 0 && path[len] == '/' &&
	    strcmp(path + len + 1, SOCKET_NAME) == 0) {
		if (mkdir(directory, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST) {
			error = -errno;
			*why = talloc_asprintf(mem,
			    "cannot make the directory %s: %s; use "
			    "--control PATH",
			    directory, strerror(errno));
		} else {
			error = check_directory(directory, mem, why);
		}
	}
	talloc_free(directory);
	return error;
}
