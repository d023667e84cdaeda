/* SPDX-License-Identifier: MIT */
/*
 * What a start would meet, seen from outside. Before a start, only what it cannot find out itself
 * before it has changed something; for `baton check`, all that can be judged without doing it: by
 * whoever asks, who need not be the user that runs baton. What he cannot judge is noted, no error.
 */
#include "supervisor/instance/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/base/trusted_path.h"
#include "supervisor/config/config.h"
#include "supervisor/process/cgroup.h"
#include "supervisor/process/credentials.h"
#include "supervisor/process/environment.h"
#include "supervisor/process/program.h"

/* One service that is looked at. */
struct look {
	struct config *c;
	const struct service_config *s; /* NULL: [supervisor] */
	TALLOC_CTX *tmp;
	bool only;             /* nothing is to be started */
	bool needs_root;       /* and who asks is not root, so that his own rights say nothing */
	struct credentials id; /* as whom it would run */
	bool known;            /* … id is good */
};

static void __attribute__((format(printf, 3, 4)))
wrong(struct look *l, const char *key, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(l->tmp, format, ap);
	va_end(ap);
	config_error(l->c, "%s: %s%s: %s", config_place(l->tmp, l->c, config_line(l->s, key)),
	    config_section_text(l->tmp, l->c, l->s), key,
	    text == NULL ? "there is no memory" : text);
}

static void
not_judged(struct look *l, const char *key, const char *why)
{
	config_note(l->c, "%s: %s%s: note: not judged: %s",
	    config_place(l->tmp, l->c, config_line(l->s, key)),
	    config_section_text(l->tmp, l->c, l->s), key, why);
}

static bool
is_about_rights(int error)
{
	return error == -EPERM || error == -EACCES;
}

/* An error, unless root would have no such trouble and root it must be. */
static void
wrong_or_not_judged(struct look *l, const char *key, int error, const char *why)
{
	if (l->needs_root && is_about_rights(error))
		not_judged(l, key, why);
	else
		wrong(l, key, "%s", why);
}

/* --- rights -------------------------------------------------------------------------------------- */

static bool
has_capability(unsigned capability)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capget, &head, data) == 0 &&
	       (data[capability / 32].effective & (1U << capability % 32)) != 0;
}

static bool
in_group(const struct credentials *id, gid_t gid)
{
	bool in = id->gid == gid;

	for (size_t i = 0; i < id->ngroups; i++)
		in = in || id->groups[i] == gid;
	return in;
}

/* Whether ID may execute PATH, or go through it, by its mode. True if it cannot be known. */
static bool
may_pass(const struct credentials *id, const char *path)
{
	struct stat st;
	mode_t bit;

	if (id->uid == 0 || stat(path, &st) < 0 ||
	    syscall(SYS_getxattr, path, "system.posix_acl_access", NULL, 0) > 0)
		return true;
	bit = st.st_uid == id->uid ? S_IXUSR : in_group(id, st.st_gid) ? S_IXGRP : S_IXOTH;
	return (st.st_mode & bit) != 0;
}

/* What of PATH, a file or directory or one above it, the service's user may not pass; or NULL. */
static const char *
closed_to(struct look *l, const char *path)
{
	char *part = realpath(path, NULL), *copy = talloc_strdup(l->tmp, part);

	free(part);
	for (char *end = copy; l->known && l->id.other && end != NULL;) {
		char was;

		end = strchr(end + 1, '/');
		was = end == NULL ? '\0' : *end;
		if (end != NULL)
			*end = '\0';
		if (!may_pass(&l->id, copy))
			return copy;
		if (end != NULL)
			*end = was;
	}
	return NULL;
}

static const char *
user_name(const struct look *l)
{
	return l->id.name != NULL ? l->id.name : talloc_asprintf(l->tmp, "%u", l->id.uid);
}

/* --- what is looked at before each start, too --------------------------------------------------- */

static void
check_command(struct look *l)
{
	const char *why, *closed;
	char *path;
	int error;

	if (l->s->command == NULL)
		return;
	error = program_find(l->tmp, l->s->command[0], &path, &why);
	if (error < 0) {
		wrong_or_not_judged(l, "command", error,
		    talloc_asprintf(l->tmp,
			"expected a program that can be executed, found \"%s\": %s",
			l->s->command[0], why));
		return;
	}
	closed = l->only ? closed_to(l, path) : NULL;
	if (closed != NULL)
		wrong(l, "command",
		    "expected a program that %s may execute, found \"%s\": %s is "
		    "closed to this user",
		    user_name(l), l->s->command[0], closed);
}

static void
check_user(struct look *l)
{
	const struct service_config *s = l->s;
	const char *key = s->user != NULL ? "user" : "group", *why;
	int error = credentials_find(l->tmp, s->user, s->group, &l->id, &why);

	if (error == -EPERM && l->only) {
		l->needs_root = true;
		not_judged(l, key, why);
		error = credentials_look_up(l->tmp, s->user, s->group, &l->id, &why);
	}
	l->known = error == 0;
	if (error < 0)
		wrong(l, key, "%s", why);
}

static void
check_socket_owner(struct look *l)
{
	const char *key = l->s->socket_user != NULL ? "socket_user" : "socket_group", *why;
	struct socket_owner owner;
	int error = credentials_of_sockets(l->s, l->tmp, &owner, &why);

	if (error == -EPERM && l->only)
		not_judged(l, key, why);
	else if (error < 0)
		wrong(l, key, "%s", why);
}

static void
check_cgroup(struct look *l)
{
	const char *why;
	int error;

	if (l->s->ncgroups == 0 || l->s->cgroup_optional)
		return;
	error = cgroup_check(l->tmp, l->s->cgroups, l->s->ncgroups, &why);
	if (error < 0)
		wrong_or_not_judged(l, "cgroup", error, why);
}

static void
check_directory(struct look *l)
{
	const char *path = l->s->directory, *closed;
	struct stat st;
	int error;

	if (path == NULL)
		return;
	error = stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (error < 0) {
		wrong_or_not_judged(l, "directory", error,
		    talloc_asprintf(l->tmp, "expected a directory, found \"%s\"", path));
		return;
	}
	closed = l->only ? closed_to(l, path) : NULL;
	if (closed != NULL)
		wrong(l, "directory",
		    "expected a directory that %s may enter, found \"%s\": %s is closed to this user",
		    user_name(l), path, closed);
}

static void
check_env_file(struct look *l)
{
	const char *why;
	int error;

	if (l->s->env_file == NULL)
		return;
	error = environment_check_file(l->tmp, l->s->env_file, &why);
	if (error < 0)
		wrong_or_not_judged(l, "env_file", error, why);
}

/* --- what a start finds out itself --------------------------------------------------------------- */

/* The file would be opened, or made, exactly so, but for making it. */
static int
open_like_a_log(const char *path)
{
	const char *name;
	int fd = trusted_open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK, 0), dir, error = 0;

	if (fd != -ENOENT) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : 0;
	}
	dir = trusted_directory(path, &name);
	if (dir < 0)
		return dir;
	if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
		error = -errno;
	close(dir);
	return error;
}

static void
check_log(struct look *l, const char *key, const char *where)
{
	int error = strchr(where, '/') == NULL ? 0 : open_like_a_log(where);

	if (error < 0)
		wrong_or_not_judged(l, key, error,
		    talloc_asprintf(l->tmp, "the log file %s cannot be opened or made: %s", where,
			trusted_text(error)));
}

/* Each path of a Unix socket must be in a directory in which baton may make it. */
static int
may_make(TALLOC_CTX *mem, const char *path)
{
	char *dir = talloc_strdup(mem, path), *slash = dir == NULL ? NULL : strrchr(dir, '/');

	if (slash != NULL)
		*(slash == dir ? slash + 1 : slash) = '\0';
	return faccessat(AT_FDCWD, slash == NULL ? "." : dir, W_OK | X_OK, AT_EACCESS) < 0 ? -errno
											   : 0;
}

static long
first_unprivileged_port(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	long port = 1024;

	if (f == NULL)
		return port;
	if (fscanf(f, "%ld", &port) != 1)
		port = 1024;
	fclose(f);
	return port;
}

static void
check_listen(struct look *l, const struct listen_config *line)
{
	unsigned port = address_is_unix(&line->base) ? 0 : address_port(&line->base);
	const char *text = address_text(l->tmp, &line->base);
	const char *section = config_section_text(l->tmp, l->c, l->s);
	int error;

	if (address_is_unix(&line->base)) {
		error = may_make(l->tmp, line->base.un.sun_path);
		if (error < 0 && !(l->needs_root && is_about_rights(error)))
			config_error(l->c,
			    "%s: %slisten: %s cannot be made there: its directory: %s", line->where,
			    section, text, strerror(-error));
	} else if (port > 0 && (long)port < first_unprivileged_port() &&
		   !has_capability(CAP_NET_BIND_SERVICE)) {
		/* A service manager may have bound it already. */
		config_note(l->c,
		    "%s: %slisten: note: not judged: only root, or a program with "
		    "CAP_NET_BIND_SERVICE, may bind port %u",
		    line->where, section, port);
	}
}

/* The kernel's own limit, beyond which nobody may have descriptors. */
static unsigned long long
descriptors_max(void)
{
	FILE *f = fopen("/proc/sys/fs/nr_open", "re");
	unsigned long long n = ~0ULL;

	if (f == NULL)
		return n;
	if (fscanf(f, "%llu", &n) != 1)
		n = ~0ULL;
	fclose(f);
	return n;
}

/* A hard limit is raised by nobody but root. */
static void
check_limits(struct look *l)
{
	for (size_t i = 0; i < l->s->nlimits; i++) {
		const struct limit_config *limit = &l->s->limits[i];
		const char *name = config_limit_name(limit->resource);
		struct rlimit has;

		if (limit->resource == RLIMIT_NOFILE && limit->value.rlim_max > descriptors_max())
			wrong(l, "limit",
			    "expected a hard limit.nofile of at most %llu, which is the kernel's own "
			    "(/proc/sys/fs/nr_open)",
			    descriptors_max());
		else if (!l->needs_root && !has_capability(CAP_SYS_RESOURCE) &&
			 getrlimit((__rlimit_resource_t)limit->resource, &has) == 0 &&
			 limit->value.rlim_max > has.rlim_max)
			wrong(l, "limit",
			    "expected a hard limit.%s of at most %llu, which this user has; only a "
			    "program with CAP_SYS_RESOURCE may raise it",
			    name, (unsigned long long)has.rlim_max);
	}
}

static void
check_nice(struct look *l)
{
	struct rlimit has;

	if (l->s->nice >= 0 || l->needs_root || has_capability(CAP_SYS_NICE) ||
	    getrlimit(RLIMIT_NICE, &has) < 0)
		return;
	if (20 - (nice(0) + l->s->nice) > (long)has.rlim_cur)
		wrong(l, "nice",
		    "expected 0 or more, found %ld: only root, or a program with CAP_SYS_NICE, may "
		    "have precedence",
		    l->s->nice);
}

static void
check_service(struct look *l)
{
	check_user(l);
	check_command(l);
	check_socket_owner(l);
	check_cgroup(l);
	check_directory(l);
	check_env_file(l);
	if (!l->only)
		return;
	check_log(l, "stdout", l->s->out);
	check_log(l, "stderr", l->s->err);
	for (size_t i = 0; i < l->s->nlistens; i++)
		check_listen(l, &l->s->listens[i]);
	check_limits(l);
	check_nice(l);
}

static void
check_control(struct config *c, const char *path, TALLOC_CTX *tmp, bool needs_root)
{
	int error = path == NULL ? 0 : may_make(tmp, path);

	if (error < 0 && !(needs_root && is_about_rights(error)))
		config_error(c, "%s: %scontrol: %s cannot be made there: its directory: %s",
		    config_place(tmp, c, c->seen[key_index(key_find(KEY_SUPERVISOR, "control"))]),
		    config_section_text(tmp, c, NULL), path, strerror(-error));
}

static void
check_services(struct config *c, TALLOC_CTX *tmp, bool only, bool needs_root)
{
	for (size_t i = 0; i < c->nservices; i++)
		check_service(&(struct look){.c = c,
		    .s = c->services[i],
		    .tmp = tmp,
		    .only = only,
		    .needs_root = needs_root});
}

void
preflight_start(struct config *c)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	check_services(c, tmp, false, false);
	talloc_free(tmp);
}

void
preflight_check(struct config *c, const char *control)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	bool needs_root = false;

	/* Who needs root for one service has it for all. */
	for (size_t i = 0; i < c->nservices; i++) {
		struct credentials id;
		const char *why;

		needs_root = needs_root || credentials_find(tmp, c->services[i]->user,
					       c->services[i]->group, &id, &why) == -EPERM;
	}
	check_services(c, tmp, true, needs_root);
	check_control(c, control, tmp, needs_root);
	talloc_free(tmp);
}
