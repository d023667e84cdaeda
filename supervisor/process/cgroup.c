/* SPDX-License-Identifier: MIT */
/*
 * Control groups. A group that hands controllers down may not have processes itself, so where
 * that stands in the way baton moves into a group of its own, beside those of its instances, and
 * takes those along that have no limits.
 */
#include "supervisor/process/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where baton itself goes, and its instances that have no limits. */
#define OWN_GROUP "/baton.supervisor"
/* How often it looks for children of those whom it has just moved. */
#define MOVES_MAX 8

/* ---- Where it is --------------------------------------------------------------------------- */

/* One field of mountinfo, with "\040" and the like as what they mean; *LINE is moved behind it. */
static char *
next_field(TALLOC_CTX *mem, const char **line)
{
	size_t len = strcspn(*line, " \n");
	char *text = talloc_strndup(mem, *line, len), *to = text;

	*line += len + ((*line)[len] == ' ');
	for (const char *from = text; from != NULL && *from != '\0';) {
		unsigned c = (unsigned char)*from;
		int used = 1;

		if (*from == '\\' && sscanf(from + 1, "%3o", &c) == 1)
			used = 4;
		from += strnlen(from, (size_t)used);
		*to++ = (char)c;
	}
	if (to != NULL)
		*to = '\0';
	return text;
}

/* The mount of version 2: which part of the tree it shows, and where. */
static bool
find_mount(TALLOC_CTX *mem, const char *mountinfo, char **root, char **at)
{
	for (const char *line = mountinfo; *line != '\0'; line += strcspn(line, "\n") + 1) {
		const char *end = line + strcspn(line, "\n"), *p = line;
		const char *type = strstr(line, " - cgroup2 ");

		if (type == NULL)
			return false;
		if (type > end)
			continue;
		for (int i = 0; i < 3; i++) /* its number, its parent's, the device */
			next_field(mem, &p);
		*root = next_field(mem, &p);
		*at = next_field(mem, &p);
		return *root != NULL && *at != NULL;
	}
	return false;
}

char *
cgroup_directory(TALLOC_CTX *mem, const char *mountinfo, const char *cgroup, const char **why)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *line = strncmp(cgroup, "0::", 3) == 0 ? cgroup - 1 : strstr(cgroup, "\n0::");
	char *root = NULL, *at = NULL, *path, *dir = NULL;
	size_t len;

	*why = "no cgroup filesystem of version 2 is mounted";
	if (line != NULL && find_mount(tmp, mountinfo, &root, &at)) {
		path = talloc_strndup(tmp, line + 4, strcspn(line + 4, "\n"));
		len = strcmp(root, "/") == 0 ? 0 : strlen(root);
		*why = "baton's own control group is not below the one that is mounted";
		if (path != NULL && strncmp(path, root, len) == 0 && strncmp(path, "/..", 3) != 0 &&
		    (path[len] == '/' || path[len] == '\0'))
			dir = talloc_asprintf(
			    mem, "%s%s", at, strcmp(path + len, "/") == 0 ? "" : path + len);
	}
	talloc_free(tmp);
	return dir;
}

static char *
read_all(TALLOC_CTX *mem, const char *path)
{
	char *text = talloc_strdup(mem, ""), line[4096];
	FILE *f = fopen(path, "re");

	while (f != NULL && text != NULL && fgets(line, sizeof(line), f) != NULL)
		text = talloc_strdup_append(text, line);
	if (f != NULL)
		fclose(f);
	return text;
}

/* That of baton, or if it has moved already, of where it was. */
static char *
own_directory(TALLOC_CTX *mem, const char **why)
{
	const char *mountinfo = read_all(mem, "/proc/self/mountinfo");
	const char *cgroup = read_all(mem, "/proc/self/cgroup");
	char *dir;
	size_t len;

	*why = "there is no memory";
	if (mountinfo == NULL || cgroup == NULL)
		return NULL;
	dir = cgroup_directory(mem, mountinfo, cgroup, why);
	len = dir == NULL ? 0 : strlen(dir);
	if (len > strlen(OWN_GROUP) && strcmp(dir + len - strlen(OWN_GROUP), OWN_GROUP) == 0)
		dir[len - strlen(OWN_GROUP)] = '\0';
	return dir;
}

/* ---- What is written there ----------------------------------------------------------------- */

static int
write_file(TALLOC_CTX *mem, const char *dir, const char *name, const char *value)
{
	char *path = talloc_asprintf(mem, "%s/%s", dir, name);
	int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (path == NULL)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* Whether the file of that name lists the word. */
static bool
lists(TALLOC_CTX *mem, const char *dir, const char *name, const char *word)
{
	const char *text = read_all(mem, talloc_asprintf(mem, "%s/%s", dir, name));
	size_t len = strlen(word);

	for (const char *p = text; p != NULL && (p = strstr(p, word)) != NULL; p += len) {
		if ((p == text || p[-1] == ' ') && strchr(" \n", p[len]) != NULL)
			return true;
	}
	return false;
}

/* "memory" of "memory.max"; NULL for what every group has. */
static char *
controller(TALLOC_CTX *mem, const struct cgroup_config *limit)
{
	char *name = talloc_strndup(mem, limit->name, strcspn(limit->name, "."));

	return name == NULL || strcmp(name, "cgroup") == 0 ? NULL : name;
}

/* Whether PID descends from baton, which is the subreaper of all that it starts. */
static bool
is_ours(pid_t pid)
{
	char path[40], text[512];

	while (pid > 1 && pid != getpid()) {
		const char *rest;
		ssize_t n;
		int fd, parent;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		text[n < 0 ? 0 : n] = '\0';
		rest = strrchr(text, ')'); /* the program's name may have blanks itself */
		if (rest == NULL || sscanf(rest + 1, " %*c %d", &parent) != 1)
			return false;
		pid = (pid_t)parent;
	}
	return pid == getpid();
}

/* Instances that have no limits were started in baton's group, and stay with it. Returns how many
 * processes were moved. */
static unsigned
move_ours(TALLOC_CTX *mem, const char *dir, const char *own)
{
	const char *text = read_all(mem, talloc_asprintf(mem, "%s/cgroup.procs", dir));
	unsigned n = 0;
	int pid, used;

	for (; text != NULL && sscanf(text, "%d%n", &pid, &used) == 1; text += used) {
		char number[16];

		snprintf(number, sizeof(number), "%d", pid);
		n += is_ours((pid_t)pid) && write_file(mem, own, "cgroup.procs", number) == 0;
	}
	return n;
}

/* One that forks while it is moved may leave a child behind, which is found the next time. */
static int
move_away(TALLOC_CTX *mem, const char *dir)
{
	char *own = talloc_asprintf(mem, "%s" OWN_GROUP, dir);
	int error;

	if (own == NULL)
		return -ENOMEM;
	if (mkdir(own, 0755) < 0 && errno != EEXIST)
		return -errno;
	error = write_file(mem, own, "cgroup.procs", "0");
	for (int i = 0; error == 0 && i < MOVES_MAX && move_ours(mem, dir, own) > 0; i++)
		;
	return error;
}

/* Has the controller work in the groups below. */
static int
hand_down(TALLOC_CTX *mem, const char *dir, const char *name)
{
	char *word = talloc_asprintf(mem, "+%s", name);
	int error;

	if (word == NULL)
		return -ENOMEM;
	if (lists(mem, dir, "cgroup.subtree_control", name))
		return 0;
	error = write_file(mem, dir, "cgroup.subtree_control", word);
	if (error != -EBUSY)
		return error;
	error = move_away(mem, dir);
	return error < 0 ? error : write_file(mem, dir, "cgroup.subtree_control", word);
}

/* What to do about an error, in words that begin with the place. */
static int
explain(TALLOC_CTX *mem, const char *place, const char *name, int error, const char **why)
{
	const char *remedy = "";

	if (error == -EACCES || error == -EPERM || error == -EROFS)
		remedy = " (it must be delegated to baton: Delegate=yes in a unit of systemd)";
	else if (error == -EBUSY)
		remedy = " (other processes are in baton's own control group)";
	*why = talloc_asprintf(mem, "%s/%s: %s%s", place, name, strerror(-error), remedy);
	return error;
}

/* ---- For others ---------------------------------------------------------------------------- */

int
cgroup_check(TALLOC_CTX *mem, const struct cgroup_config *limits, size_t n, const char **why)
{
	char *dir = own_directory(mem, why);

	if (dir == NULL)
		return -ENOENT;
	if (access(dir, W_OK | X_OK) < 0)
		return explain(mem, dir, "", -errno, why);
	for (size_t i = 0; i < n; i++) {
		const char *name = controller(mem, &limits[i]);

		if (name == NULL || lists(mem, dir, "cgroup.controllers", name))
			continue;
		*why = talloc_asprintf(mem,
		    "%s/cgroup.controllers does not list \"%s\": it is not delegated to baton, or "
		    "version 1 has it",
		    dir, name);
		return -ENOENT;
	}
	return 0;
}

int
cgroup_make(TALLOC_CTX *mem, const char *name, bool fresh, const struct cgroup_config *limits,
    size_t n, const char **why)
{
	char *dir = NULL, *own;
	int error = cgroup_check(mem, limits, n, why), fd;

	if (error < 0)
		return error;
	own = own_directory(mem, why);
	for (size_t i = 0; i < n; i++) {
		const char *c = controller(mem, &limits[i]);

		error = c == NULL ? 0 : hand_down(mem, own, c);
		if (error < 0)
			return explain(mem, own, "cgroup.subtree_control", error, why);
	}
	dir = talloc_asprintf(mem, "%s/%s", own, name);
	if (dir == NULL)
		return -ENOMEM;
	/* What a baton that was killed has left has its limits, also those that count no more. */
	if (fresh)
		rmdir(dir);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return explain(mem, own, name, -errno, why);
	for (size_t i = 0; i < n; i++) {
		error = write_file(mem, dir, limits[i].name, limits[i].value);
		if (error < 0)
			return explain(mem, dir, limits[i].name, error, why);
	}
	fd = open(talloc_asprintf(mem, "%s/cgroup.procs", dir), O_WRONLY | O_CLOEXEC);
	return fd < 0 ? explain(mem, dir, "cgroup.procs", -errno, why) : fd;
}

void
cgroup_remove(const char *name)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *why;
	char *dir = own_directory(tmp, &why);
	char *path = dir == NULL ? NULL : talloc_asprintf(tmp, "%s/%s", dir, name);

	if (path != NULL)
		rmdir(path);
	talloc_free(tmp);
}
