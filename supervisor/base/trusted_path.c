/* SPDX-License-Identifier: MIT */
/*
 * A path is walked part by part, each one from the descriptor of the directory before it, so that
 * nothing can be put in its place in between. A symbolic link is looked at before it is followed.
 */
#include "supervisor/base/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kernel follows as many symbolic links on one path. */
#define LINKS_MAX 40

struct walk {
	unsigned links; /* that were followed */
};

static int enter(struct walk *w, int dir, const char *path);

static bool
is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* Links of procfs, as behind /dev/stdout, lead to what is no path; only the kernel places them. */
static bool
in_procfs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Where LINK (opened with O_PATH | O_NOFOLLOW) leads: 0, or a negative errno. */
static int
read_link(struct walk *w, int link, char target[PATH_MAX])
{
	struct stat st;
	ssize_t n;

	if (fstat(link, &st) < 0)
		return -errno;
	if (!is_ours(st.st_uid) || ++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link, "", target, PATH_MAX);
	if (n < 0)
		return -errno;
	if (n == PATH_MAX)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return n == 0 ? -ENOENT : 0;
}

/* From DIR, which is closed, to what NAME in it is. Returns a descriptor or a negative errno. */
static int
enter_one(struct walk *w, int dir, const char *name)
{
	char target[PATH_MAX] = "";
	struct stat st = {.st_mode = 0};
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int error = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (error == 0 && S_ISLNK(st.st_mode) && in_procfs(fd)) {
		close(fd);
		fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		error = fd < 0 ? -errno : 0;
	} else if (error == 0 && S_ISLNK(st.st_mode)) {
		error = read_link(w, fd, target);
		close(fd);
		if (error == 0)
			return enter(w, dir, target);
		fd = -1;
	} else if (error == 0 && !S_ISDIR(st.st_mode)) {
		error = -ENOTDIR;
	}
	close(dir);
	if (error < 0 && fd >= 0)
		close(fd);
	return error < 0 ? error : fd;
}

/* From DIR, which is closed, to the directory PATH. */
static int
enter(struct walk *w, int dir, const char *path)
{
	char name[NAME_MAX + 1];

	if (path[0] == '/') {
		close(dir);
		dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return -errno;
	}
	for (; dir >= 0; path += strlen(name)) {
		path += strspn(path, "/");
		if (strcspn(path, "/") > NAME_MAX) {
			close(dir);
			return -ENAMETOOLONG;
		}
		name[0] = '\0';
		strncat(name, path, strcspn(path, "/"));
		if (name[0] == '\0')
			return dir;
		dir = enter_one(w, dir, name);
	}
	return dir;
}

/* From DIR, which is closed, to the directory that PATH is in. */
static int
enter_parent(struct walk *w, int dir, const char *path, const char **name)
{
	char before[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash + 1 - path);

	*name = path + len;
	if (len >= sizeof(before) || (*name)[0] == '\0') {
		close(dir);
		return len >= sizeof(before) ? -ENAMETOOLONG : -EISDIR;
	}
	memcpy(before, path, len);
	before[len] = '\0';
	return enter(w, dir, before);
}

static int
here(void)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int
trusted_directory(const char *path, const char **name)
{
	struct walk w = {.links = 0};
	int dir = here();

	return dir < 0 ? dir : enter_parent(&w, dir, path, name);
}

/* Whoever may write to DIR can have put a name of another file into it, where the system lets
 * them (fs.protected_hardlinks). */
static bool
may_be_from_elsewhere(int dir, int fd)
{
	struct stat d, f;

	if (fstat(dir, &d) < 0 || fstat(fd, &f) < 0)
		return true;
	return S_ISREG(f.st_mode) && f.st_nlink > 1 &&
	       (!is_ours(d.st_uid) || (d.st_mode & (S_IWGRP | S_IWOTH)) != 0);
}

/* From DIR, which is closed. */
static int
open_from(struct walk *w, int dir, const char *path, int flags, mode_t mode)
{
	char target[PATH_MAX] = "";
	const char *name;
	int fd, link, error;

	dir = enter_parent(w, dir, path, &name);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	error = fd < 0 ? -errno : 0;
	if (fd >= 0 && may_be_from_elsewhere(dir, fd)) {
		close(fd);
		error = -EMLINK;
	}
	if (error != -ELOOP) {
		close(dir);
		return error < 0 ? error : fd;
	}
	link = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	error = link < 0 ? -errno : 0;
	if (link >= 0 && in_procfs(link)) {
		fd = openat(dir, name, flags | O_CLOEXEC, mode);
		error = fd < 0 ? -errno : fd;
	} else if (link >= 0) {
		error = read_link(w, link, target);
		if (error == 0) {
			close(link);
			return open_from(w, dir, target, flags, mode);
		}
	}
	if (link >= 0)
		close(link);
	close(dir);
	return error;
}

int
trusted_open(const char *path, int flags, mode_t mode)
{
	struct walk w = {.links = 0};
	int dir = here();

	return dir < 0 ? dir : open_from(&w, dir, path, flags, mode);
}

const char *
trusted_text(int error)
{
	switch (error) {
	case -ELOOP:
		return TRUSTED_LINK_TEXT;
	case -EMLINK:
		return "the file has another name, too, and another user may write to its "
		       "directory: remove it, or the other name";
	default:
		return strerror(-error);
	}
}
