/* SPDX-License-Identifier: MIT */
/*
 * Owning a Unix socket's name. A lock file beside it says whether its supervisor lives: the
 * kernel drops the lock when the process dies, however it dies, so there is no race and no
 * pid to guess about. With the lock in hand a socket that is still there is stale.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control_socket.h"

/* Whether what stands at the path is still the socket's own file. */
static bool
has_path(const struct control_socket *s)
{
	struct stat st;

	return lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

static bool
has_lock(int lock_fd, const char *path)
{
	struct stat ours, named;

	return fstat(lock_fd, &ours) == 0 && lstat(path, &named) == 0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static int
socket_close(struct control_socket *s)
{
	if (s->fd >= 0) {
		if (has_path(s))
			unlink(s->path);
		close(s->fd);
	}
	if (s->lock_fd >= 0) {
		if (has_lock(s->lock_fd, s->lock_path))
			unlink(s->lock_path); /* while it is held: see take_lock */
		close(s->lock_fd);
	}
	return 0;
}

/* Whose lock it is, for the error line; 0 if it cannot be read. */
static int
holder(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return atoi(text);
}

/*
 * The lock file is unlinked by its holder. One that we opened before, and locked after that,
 * has no name any more and protects nothing: then try again with the new one.
 */
static int
take_lock(struct control_socket *s, TALLOC_CTX *mem, char **why)
{
	for (;;) {
		char pid[32];
		int fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0) {
			*why =
			    talloc_asprintf(mem, "cannot open the lock %s: %s; use --control PATH",
				s->lock_path, strerror(errno));
			return -errno;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			*why = talloc_asprintf(mem,
			    "another baton (pid %d) runs with the control "
			    "socket %s; end it (`baton stop`), or give this one another with "
			    "--control PATH",
			    holder(fd), s->path);
			close(fd);
			return -EADDRINUSE;
		}
		if (has_lock(fd, s->lock_path)) {
			int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

			s->lock_fd = fd;
			s->left_by = holder(fd);
			if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
				return 0; /* the pid is for people; the lock itself is held */
			return 0;
		}
		close(fd);
	}
}

/* What stands in the way, if anything, is removed if it is a socket nobody listens on. */
static int
clear_stale(struct control_socket *s, const struct sockaddr_un *un, TALLOC_CTX *mem, char **why)
{
	struct stat st;
	int fd, error;

	if (lstat(s->path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		*why = talloc_asprintf(mem,
		    "%s exists and is not a socket; remove it, or use "
		    "--control PATH",
		    s->path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ? errno : 0;
	close(fd);
	if (error != ECONNREFUSED) {
		*why = talloc_asprintf(
		    mem, "another program listens on %s; use --control PATH", s->path);
		return -EADDRINUSE;
	}
	unlink(s->path);
	return 0;
}

static int
bind_socket(struct control_socket *s, const struct sockaddr_un *un)
{
	mode_t before = umask(0177); /* so that it never has another mode, not for a moment */
	struct stat st;
	int error = 0;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (const struct sockaddr *)un, sizeof(*un)) < 0)
		error = -errno;
	umask(before);
	if (error < 0 && s->fd >= 0) {
		close(s->fd); /* not bound: there is nothing to unlink */
		s->fd = -1;
	}
	if (error == 0 && lstat(s->path, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	if (error == 0 && listen(s->fd, SOMAXCONN) < 0)
		error = -errno;
	return error;
}

int
control_socket_renew(struct control_socket *s, TALLOC_CTX *mem, char **why)
{
	struct control_socket before = *s;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int error = 0;

	if (!has_lock(s->lock_fd, s->lock_path)) {
		error = take_lock(s, mem, why);
		if (error < 0)
			return error;
		close(before.lock_fd);
	}
	if (has_path(s))
		return 0;
	strcpy(un.sun_path, s->path);
	error = clear_stale(s, &un, mem, why);
	if (error == 0) {
		error = bind_socket(s, &un);
		if (error < 0)
			*why = talloc_asprintf(mem, "cannot make the control socket %s anew: %s",
			    s->path, strerror(-error));
	}
	if (error < 0) {
		if (s->fd >= 0 && s->fd != before.fd)
			close(s->fd);
		s->fd = before.fd;
		return error;
	}
	close(before.fd);
	return 1;
}

int
control_socket_open(
    TALLOC_CTX *mem, const char *path, struct control_socket **out, TALLOC_CTX *why_mem, char **why)
{
	struct control_socket *s = talloc_zero(mem, struct control_socket);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int error;

	s->fd = s->lock_fd = -1;
	if (strlen(path) >= sizeof(un.sun_path)) {
		*why = talloc_asprintf(why_mem,
		    "the control socket's path is %zu bytes long and may "
		    "have %zu: %s",
		    strlen(path), sizeof(un.sun_path) - 1, path);
		talloc_free(s);
		return -ENAMETOOLONG;
	}
	memcpy(un.sun_path, path, strlen(path));
	s->path = talloc_strdup(s, path);
	s->lock_path = talloc_asprintf(s, "%s.lock", path);
	talloc_set_destructor(s, socket_close);
	error = take_lock(s, why_mem, why);
	if (error == 0)
		error = clear_stale(s, &un, why_mem, why);
	if (error == 0) {
		error = bind_socket(s, &un);
		if (error < 0)
			*why = talloc_asprintf(why_mem,
			    "cannot make the control socket %s: %s; use "
			    "--control PATH",
			    path, strerror(-error));
	}
	if (error < 0)
		talloc_free(s);
	else
		*out = s;
	return error;
}

void
control_socket_state(struct state *s, TALLOC_CTX *mem, struct control_socket **out)
{
	static const struct state_field fields[] = {
	    STATE_STRING(struct control_socket, path),
	    STATE_STRING(struct control_socket, lock_path),
	};
	static const struct state_field file_fields[] = {
	    STATE_NUMBER(struct control_socket, dev),
	    STATE_NUMBER(struct control_socket, ino),
	};
	struct stat st;
	struct state sub = state_object(s, "socket");
	struct control_socket *c = *out;

	if (!state_saving(s)) {
		c = talloc_zero(mem, struct control_socket);
		if (c == NULL) {
			state_fail(&sub, "path", "there is no memory");
			return;
		}
	}
	STATE_FIELDS(&sub, c, fields);
	/* The baton before may not have known which file is its own. */
	if (state_saving(s) || state_has(&sub, "ino"))
		STATE_FIELDS(&sub, c, file_fields);
	else if (c->path != NULL && lstat(c->path, &st) == 0)
		c->dev = st.st_dev, c->ino = st.st_ino;
	state_fd(&sub, "fd", &c->fd);
	state_fd(&sub, "lock_fd", &c->lock_fd);
	if (state_saving(s) || !state_ok(s))
		return;
	if (c->path == NULL || c->lock_path == NULL || c->fd < 0 || c->lock_fd < 0) {
		state_fail(&sub, "path", "is missing");
		return;
	}
	talloc_set_destructor(c, socket_close);
	*out = c;
}
