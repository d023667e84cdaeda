/* SPDX-License-Identifier: MIT */
/*
 * The file of a listening Unix socket. A socket is known by its file's device and inode: the
 * path alone says nothing, as anybody who may write to the directory can put another one there.
 * The kernel keeps the inode as long as the socket is open, so nothing else can be taken for it.
 */
#include "supervisor/socket_file_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/occupant.h"
#include "supervisor/state.h"

/* Where the socket's own file is while its path refuses. */
#define AWAY_SUFFIX ".refusing"

bool
socket_file_is_at(const struct socket_inode *i, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_dev == i->dev && st.st_ino == i->ino;
}

int
socket_file_inode(const char *path, struct socket_inode *out)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	*out = (struct socket_inode){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

/* ---- Binding ------------------------------------------------------------------------------- */

/* In the same directory, so that it can be renamed. -ENAMETOOLONG if a socket cannot have it. */
int
socket_file_temporary(const struct address *a, struct address *out)
{
	static unsigned count;
	const char *slash = strrchr(a->un.sun_path, '/');
	int dir = slash == NULL ? 0 : (int)(slash + 1 - a->un.sun_path);
	int n;

	*out = *a;
	n = snprintf(out->un.sun_path, sizeof(out->un.sun_path), "%.*s.baton-%d-%u", dir,
	    a->un.sun_path, (int)getpid(), ++count);
	if (n < 0 || (size_t)n >= sizeof(out->un.sun_path))
		return -ENAMETOOLONG;
	out->len = (socklen_t)(out->un.sun_path + n + 1 - (char *)&out->un);
	return 0;
}

/* It never has another mode, not for a moment, and is nobody's who should not have it. */
int
socket_file_bind_owned(int fd, const struct address *a, const struct socket_owner *owner)
{
	mode_t before = umask(~owner->mode & 0777);
	int error = bind(fd, &a->sa, a->len) < 0 ? -errno : 0;

	umask(before);
	if (error == 0 && lchown(a->un.sun_path, owner->uid, owner->gid) < 0) {
		error = -errno;
		unlink(a->un.sun_path);
	}
	return error;
}

static int
bind_and_listen(int fd, const struct address *a, const struct socket_owner *owner, int backlog)
{
	int error = socket_file_bind_owned(fd, a, owner);

	if (error == 0 && listen(fd, backlog) < 0) {
		error = -errno;
		unlink(a->un.sun_path);
	}
	return error;
}

static int
replace(int fd, const struct address *a, const struct socket_owner *owner, int backlog)
{
	struct address tmp;
	int error = socket_file_temporary(a, &tmp);

	if (error < 0) {
		/* A path so long leaves no room beside it. */
		unlink(a->un.sun_path);
		return bind_and_listen(fd, a, owner, backlog);
	}
	error = bind_and_listen(fd, &tmp, owner, backlog);
	if (error == 0 && rename(tmp.un.sun_path, a->un.sun_path) < 0) {
		error = -errno;
		unlink(tmp.un.sun_path);
	}
	return error;
}

static int
socket_file_close(struct socket_file *f)
{
	if (f->left)
		return 0;
	if (f->refusing && socket_file_is_at(&f->real, f->away))
		unlink(f->away);
	if (f->refusing ? f->stub_fd >= 0 && socket_file_is_at(&f->stub, f->path)
			: socket_file_is_at(&f->real, f->path))
		unlink(f->path);
	if (f->stub_fd >= 0)
		close(f->stub_fd);
	return 0;
}

/* A baton that was killed while its path refused has left this. */
static void
remove_left_away(TALLOC_CTX *mem, const char *away)
{
	struct address a = {.un = {.sun_family = AF_UNIX}};
	char *why = NULL;

	if (strlen(away) >= sizeof(a.un.sun_path))
		return;
	strcpy(a.un.sun_path, away);
	a.len = sizeof(a.un);
	if (occupant_look(&a, mem, &why) == OCCUPANT_STALE)
		unlink(away);
}

static struct socket_file *
socket_file_new(const struct address *a)
{
	struct socket_file *f = talloc_zero(NULL, struct socket_file);

	if (f == NULL)
		return NULL;
	f->holders = 1;
	f->stub_fd = -1;
	f->path = talloc_strdup(f, a->un.sun_path);
	f->away = talloc_asprintf(f, "%s" AWAY_SUFFIX, a->un.sun_path);
	if (f->path == NULL || f->away == NULL)
		TALLOC_FREE(f);
	return f;
}

int
socket_file_bind(int fd, const struct address *a, const struct socket_owner *owner, int backlog,
    struct socket_file **out, TALLOC_CTX *mem, char **why)
{
	struct socket_file *f = socket_file_new(a);
	int error;

	if (f == NULL)
		return -ENOMEM;
	error = occupant_look(a, mem, why);
	if (error >= 0) {
		remove_left_away(f, f->away);
		error = error == OCCUPANT_STALE ? replace(fd, a, owner, backlog)
						: bind_and_listen(fd, a, owner, backlog);
	}
	if (error == 0)
		error = socket_file_inode(f->path, &f->real);
	if (error < 0) {
		talloc_free(f);
		return error;
	}
	talloc_set_destructor(f, socket_file_close);
	*out = f;
	return 0;
}

unsigned long long
socket_file_number(const struct socket_file *f)
{
	return f->real.ino;
}

void
socket_file_leave(struct socket_file *f)
{
	f->left = socket_file_resume(f) == 0;
}

struct socket_file *
socket_file_adopt(const struct address *a, unsigned long long number)
{
	struct socket_file *f = socket_file_new(a);

	if (f == NULL)
		return NULL;
	if (socket_file_inode(f->path, &f->real) < 0 || f->real.ino != number)
		TALLOC_FREE(f);
	else
		talloc_set_destructor(f, socket_file_close);
	return f;
}

struct socket_file *
socket_file_hold(struct socket_file *f)
{
	f->holders++;
	return f;
}

void
socket_file_drop(struct socket_file **f)
{
	if (*f != NULL && --(*f)->holders == 0)
		talloc_free(*f);
	*f = NULL;
}

int
socket_file_own(const struct socket_file *f, const struct socket_owner *owner)
{
	const char *path = f->refusing ? f->away : f->path;

	if (!socket_file_is_at(&f->real, path))
		return -ENOENT;
	if (lchown(path, owner->uid, owner->gid) < 0 || chmod(path, owner->mode) < 0)
		return -errno;
	return 0;
}

/* ---- From one baton to the next ------------------------------------------------------------- */

void
socket_file_state(struct state *s, struct socket_file *f)
{
	static const struct state_field fields[] = {
	    STATE_STRING(struct socket_file, path),
	    STATE_STRING(struct socket_file, away),
	    STATE_NUMBER(struct socket_file, real.dev),
	    STATE_NUMBER(struct socket_file, real.ino),
	    STATE_FLAG(struct socket_file, refusing),
	    STATE_FLAG(struct socket_file, left),
	    STATE_NUMBER(struct socket_file, stub.dev),
	    STATE_NUMBER(struct socket_file, stub.ino),
	};

	STATE_FIELDS(s, f, fields);
	state_fd(s, "stub_fd", &f->stub_fd);
}

struct socket_file *
socket_file_load(struct state *s)
{
	struct socket_file *f = talloc_zero(NULL, struct socket_file);

	if (f == NULL)
		return NULL;
	f->holders = 1;
	socket_file_state(s, f);
	if (state_ok(s) && (f->path == NULL || f->away == NULL))
		state_fail(s, "path", "is missing");
	if (!state_ok(s)) {
		talloc_free(f);
		return NULL;
	}
	talloc_set_destructor(f, socket_file_close);
	return f;
}
