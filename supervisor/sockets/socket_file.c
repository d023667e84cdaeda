/* SPDX-License-Identifier: MIT */
/*
 * The file of a listening Unix socket. A socket is known by its file's device and inode: the
 * path alone says nothing, as anybody who may write to the directory can put another one there.
 * The kernel keeps the inode as long as the socket is open, so nothing else can be taken for it.
 */
#include "supervisor/sockets/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/base/trusted_path.h"
#include "supervisor/sockets/occupant.h"

/* unix(7), of <linux/un.h>, which cannot be had beside <sys/un.h>. */
#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)
#endif

/* Where the socket's own file is while its path refuses. */
#define AWAY_SUFFIX ".refusing"

struct socket_inode {
	dev_t dev;
	ino_t ino;
};

struct socket_file {
	unsigned users;
	char *path;
	char *away;
	struct socket_inode real;
	bool left; /* it stays */
	bool refusing;
	struct socket_inode stub; /* what stands at the path then: a socket that does not listen */
	int stub_fd;              /* it; open, so that no other file gets its inode; or -1 */
};

/* ---- Whose file it is ----------------------------------------------------------------------- */

static bool
is_at(int dir, const char *name, const struct socket_inode *i)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == i->dev &&
	       st.st_ino == i->ino;
}

static bool
is_there(const struct socket_inode *i, const char *path)
{
	const char *name;
	int dir = trusted_directory(path, &name);
	bool is = dir >= 0 && is_at(dir, name, i);

	if (dir >= 0)
		close(dir);
	return is;
}

static int
inode_at(const char *path, struct socket_inode *out)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	*out = (struct socket_inode){.dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

/* In a directory that is held fast, so that what is looked at and what is removed are the same, but
 * for what those may do who could remove it themselves. */
static void
unlink_at(const struct socket_inode *i, const char *path)
{
	const char *name;
	int dir = trusted_directory(path, &name);

	if (dir >= 0 && is_at(dir, name, i))
		unlinkat(dir, name, 0);
	if (dir >= 0)
		close(dir);
}

static int
rename_at(const struct socket_inode *i, const char *from, const char *to)
{
	const char *slash = strrchr(to, '/'), *name;
	int dir = trusted_directory(from, &name), error = dir < 0 ? dir : 0;

	if (error == 0 && !is_at(dir, name, i))
		error = -ENOENT;
	if (error == 0 && renameat(dir, name, dir, slash == NULL ? to : slash + 1) < 0)
		error = -errno;
	if (dir >= 0)
		close(dir);
	return error;
}

/*
 * The file that FD was bound to, as a descriptor (O_PATH), wherever it is by now. The kernel tells
 * only those of it who may configure the network; to others, what is at PATH is that file if it is
 * a socket of ours with one name, as nobody else can make such a file.
 */
static int
file_of(int fd, const char *path)
{
	struct stat st;
	int file = ioctl(fd, SIOCUNIXFILE);

	if (file >= 0) {
		fcntl(file, F_SETFD, FD_CLOEXEC);
		return file;
	}
	file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return -errno;
	if (fstat(file, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	    st.st_nlink == 1)
		return file;
	close(file);
	return -ESTALE;
}

/* ---- Binding ------------------------------------------------------------------------------- */

/* In the same directory, so that it can be renamed. -ENAMETOOLONG if a socket cannot have it. */
static int
temporary_beside(const struct address *a, struct address *out)
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
static int
bind_owned(
    int fd, const struct address *a, const struct socket_owner *owner, struct socket_inode *out)
{
	mode_t before = umask(~owner->mode & 0777);
	int error = bind(fd, &a->sa, a->len) < 0 ? -errno : 0, file;
	struct stat st;

	umask(before);
	if (error < 0)
		return error;
	file = file_of(fd, a->un.sun_path);
	if (file < 0)
		return file;
	if (fstat(file, &st) < 0) {
		error = -errno;
		close(file);
		return error;
	}
	*out = (struct socket_inode){.dev = st.st_dev, .ino = st.st_ino};
	if (fchownat(file, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0)
		error = -errno;
	else if (!is_there(out, a->un.sun_path))
		error = -ESTALE;
	if (error < 0)
		unlink_at(out, a->un.sun_path);
	close(file);
	return error;
}

static int
bind_and_listen(int fd, const struct address *a, const struct socket_owner *owner, int backlog,
    struct socket_inode *out)
{
	int error = bind_owned(fd, a, owner, out);

	if (error == 0 && listen(fd, backlog) < 0) {
		error = -errno;
		unlink_at(out, a->un.sun_path);
	}
	return error;
}

static int
replace(int fd, const struct address *a, const struct socket_owner *owner, int backlog,
    struct socket_inode *out)
{
	const char *path = a->un.sun_path;
	struct socket_inode stale = {.ino = 0};
	struct address tmp;
	int error = temporary_beside(a, &tmp);

	if (error < 0) {
		/* A path so long leaves no room beside it. */
		if (inode_at(path, &stale) == 0)
			unlink_at(&stale, path);
		return bind_and_listen(fd, a, owner, backlog, out);
	}
	error = bind_and_listen(fd, &tmp, owner, backlog, out);
	if (error < 0)
		return error;
	error = rename_at(out, tmp.un.sun_path, path);
	if (error < 0)
		unlink_at(out, tmp.un.sun_path);
	return error;
}

static int
socket_file_close(struct socket_file *f)
{
	if (f->left)
		return 0;
	unlink_at(&f->real, f->refusing ? f->away : f->path);
	if (f->stub_fd >= 0) {
		unlink_at(&f->stub, f->path);
		close(f->stub_fd);
	}
	return 0;
}

/* A baton that was killed while its path refused has left this. */
static void
remove_left_away(TALLOC_CTX *mem, const char *away)
{
	struct address a = {.un = {.sun_family = AF_UNIX}};
	struct socket_inode left = {.ino = 0};
	char *why = NULL;

	if (strlen(away) >= sizeof(a.un.sun_path) || inode_at(away, &left) < 0)
		return;
	strcpy(a.un.sun_path, away);
	a.len = sizeof(a.un);
	if (occupant_look(&a, mem, &why) == OCCUPANT_STALE)
		unlink_at(&left, away);
}

static struct socket_file *
socket_file_new(const struct address *a)
{
	struct socket_file *f = talloc_zero(NULL, struct socket_file);

	if (f == NULL)
		return NULL;
	f->users = 1;
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
	const char *name;
	int error, dir;

	if (f == NULL)
		return -ENOMEM;
	dir = trusted_directory(a->un.sun_path, &name);
	if (dir >= 0)
		close(dir);
	else if (dir == -ELOOP)
		*why = talloc_strdup(mem, trusted_text(dir));
	error = dir < 0 ? dir : occupant_look(a, mem, why);
	if (error >= 0) {
		remove_left_away(f, f->away);
		error = error == OCCUPANT_STALE ? replace(fd, a, owner, backlog, &f->real)
						: bind_and_listen(fd, a, owner, backlog, &f->real);
	}
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
	if (inode_at(f->path, &f->real) < 0 || f->real.ino != number)
		TALLOC_FREE(f);
	else
		talloc_set_destructor(f, socket_file_close);
	return f;
}

struct socket_file *
socket_file_ref(struct socket_file *f)
{
	f->users++;
	return f;
}

void
socket_file_unref(struct socket_file **f)
{
	if (*f != NULL && --(*f)->users == 0)
		talloc_free(*f);
	*f = NULL;
}

bool
socket_file_is_there(const struct socket_file *f)
{
	return is_there(&f->real, f->refusing ? f->away : f->path);
}

int
socket_file_own(const struct socket_file *f, const struct socket_owner *owner)
{
	int file = open(f->refusing ? f->away : f->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int error = file < 0 ? -errno : 0;
	char link[32]; /* chmod(2) takes no descriptor of that kind, but its name in /proc */
	struct stat st;

	if (error == 0 &&
	    (fstat(file, &st) < 0 || st.st_dev != f->real.dev || st.st_ino != f->real.ino))
		error = -ENOENT;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
	if (error == 0 && (fchownat(file, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0 ||
			      chmod(link, owner->mode) < 0))
		error = -errno;
	if (file >= 0)
		close(file);
	return error;
}

/* ---- Refusing ------------------------------------------------------------------------------- */

/* A path that refuses: the socket's own file stands aside, under another name, and in its place
 * stands a socket that does not listen. */

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
	error = temporary_beside(&a, at);
	if (error < 0)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = bind_owned(fd, at, &owner, stub);
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
	if (!is_there(&f->real, f->path))
		return -ENOENT; /* clients do not find us anyhow */
	f->stub_fd = make_stub(f, &at, &f->stub);
	error = rename_at(&f->real, f->path, f->away);
	if (error < 0) {
		if (f->stub_fd >= 0)
			unlink_at(&f->stub, at.un.sun_path);
		drop_stub(f);
		return error;
	}
	f->refusing = true;
	/* Without one, clients find nothing at all, which is a refusal as well. */
	if (f->stub_fd >= 0 && rename_at(&f->stub, at.un.sun_path, f->path) < 0)
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
	free = (f->stub_fd >= 0 && is_there(&f->stub, f->path)) ||
	       (lstat(f->path, &st) < 0 && errno == ENOENT);
	if (!free)
		return -EADDRINUSE; /* somebody else has put something there */
	error = rename_at(&f->real, f->away, f->path);
	if (error < 0)
		return error;
	f->refusing = false;
	drop_stub(f);
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
	f->users = 1;
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
