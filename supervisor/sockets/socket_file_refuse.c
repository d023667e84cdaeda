/* SPDX-License-Identifier: MIT */
/*
 * A Unix socket whose path refuses: the socket's own file stands aside, under another name, and
 * in its place stands a socket that does not listen.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/sockets/socket_file_internal.h"

/* Closes those who wait. Nobody else accepts now, so the mark that all who have it share may be
 * changed for a moment. */
static void
turn_away(int fd)
{
	int flags = fcntl(fd, F_GETFL), client;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while ((client = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(client);
	fcntl(fd, F_SETFL, flags);
}

/* A socket with a file that does not listen: whoever connects to it is refused. Returns its
 * descriptor, or -errno. */
static int
make_stub(const struct socket_file *f, struct address *at, struct socket_inode *stub)
{
	const struct socket_owner owner = {.mode = 0666, .uid = (uid_t)-1, .gid = (gid_t)-1};
	struct address a = {.un = {.sun_family = AF_UNIX}};
	int fd, error;

	strcpy(a.un.sun_path, f->path);
	error = socket_file_temporary(&a, at);
	if (error < 0)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = socket_file_bind_owned(fd, at, &owner, stub);
	if (error < 0)
		close(fd);
	return error < 0 ? error : fd;
}

static void
drop_stub(struct socket_file *f)
{
	if (f->stub_fd >= 0)
		close(f->stub_fd);
	f->stub_fd = -1;
}

int
socket_file_refuse(struct socket_file *f, int fd)
{
	struct address at;
	int error;

	if (f->refusing)
		return 0;
	if (!socket_file_is_at(&f->real, f->path))
		return -ENOENT; /* clients do not find us anyhow */
	f->stub_fd = make_stub(f, &at, &f->stub);
	error = socket_file_rename(&f->real, f->path, f->away);
	if (error < 0) {
		if (f->stub_fd >= 0)
			socket_file_unlink(&f->stub, at.un.sun_path);
		drop_stub(f);
		return error;
	}
	f->refusing = true;
	/* Without one, clients find nothing at all, which is a refusal as well. */
	if (f->stub_fd >= 0 && socket_file_rename(&f->stub, at.un.sun_path, f->path) < 0)
		drop_stub(f);
	turn_away(fd);
	return 0;
}

int
socket_file_resume(struct socket_file *f)
{
	struct stat st;
	bool free;
	int error;

	if (!f->refusing)
		return 0;
	free = (f->stub_fd >= 0 && socket_file_is_at(&f->stub, f->path)) ||
	       (lstat(f->path, &st) < 0 && errno == ENOENT);
	if (!free)
		return -EADDRINUSE; /* somebody else has put something there */
	error = socket_file_rename(&f->real, f->away, f->path);
	if (error < 0)
		return error;
	f->refusing = false;
	drop_stub(f);
	return 0;
}
