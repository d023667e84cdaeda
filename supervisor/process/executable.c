/* SPDX-License-Identifier: MIT */
/* Looking at executables, and copying one into a sealed memory file while the loop goes on. */
#include "supervisor/process/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3: it may be executed, also with vm.memfd_noexec=1 */
#endif

/* Less than a millisecond for what the page cache has. */
#define SLICE_BYTES (256UL * 1024)

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

struct executable_copy {
	struct timers *timers;
	int from, to;
	off_t size;
	struct timespec mtime;
	executable_copied_fn *done;
	void *data;
};

static void next_slice(void *data);

static bool
is_elf(int fd)
{
	char magic[4];

	return pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

struct executable
executable_at(const char *path)
{
	struct executable e = {.known = false};
	/* Not to be held up by what is no regular file. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return e;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		e = (struct executable){.known = true,
		    .dev = st.st_dev,
		    .ino = st.st_ino,
		    .size = st.st_size,
		    .mtime = st.st_mtim,
		    .ctime = st.st_ctim,
		    .elf = is_elf(fd),
		    .privileged = (st.st_mode & (S_ISUID | S_ISGID)) != 0 ||
				  fgetxattr(fd, "security.capability", NULL, 0) > 0};
	close(fd);
	return e;
}

static void
link_of(pid_t pid, char *path, size_t size)
{
	snprintf(path, size, "/proc/%d/exe", (int)pid);
}

struct executable
executable_of(pid_t pid)
{
	char path[32];

	link_of(pid, path, sizeof(path));
	return executable_at(path);
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool
executable_same_file(const struct executable *a, const struct executable *b)
{
	return a->known && b->known && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(&a->mtime, &b->mtime);
}

bool
executable_equal(const struct executable *a, const struct executable *b)
{
	return executable_same_file(a, b) && same_time(&a->ctime, &b->ctime);
}

const char *
executable_unfit(const struct executable *e)
{
	if (!e->known)
		return "its executable cannot be read";
	if (!e->elf)
		return "its command is no ELF program but a script or the like";
	if (e->privileged)
		return "it has set-user-ID, set-group-ID or capabilities, which a copy has not";
	return NULL;
}

static int
copy_close(struct executable_copy *c)
{
	if (c->from >= 0)
		close(c->from);
	if (c->to >= 0)
		close(c->to);
	return 0;
}

static void
finish(struct executable_copy *c, int error)
{
	executable_copied_fn *done = c->done;
	void *data = c->data;
	int fd = c->to;

	if (error == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		error = -errno;
	if (error == 0)
		c->to = -1;
	talloc_free(c);
	done(error == 0 ? fd : error, data);
}

/* The kernel lets nobody write to a file that is being executed; but the process may end. */
static int
check(const struct executable_copy *c)
{
	struct stat st;

	if (fstat(c->from, &st) < 0)
		return -errno;
	return st.st_size == c->size && same_time(&st.st_mtim, &c->mtime) ? 0 : -ESTALE;
}

static void
next_slice(void *data)
{
	struct executable_copy *c = talloc_get_type_abort(data, struct executable_copy);
	off_t at = lseek(c->to, 0, SEEK_CUR);
	ssize_t n = at < c->size ? sendfile(c->to, c->from, NULL, SLICE_BYTES) : 0;

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		finish(c, -errno);
	else if (n == 0)
		finish(c, at == c->size ? check(c) : -ESTALE);
	else if (timer_after(c, c->timers, 0, next_slice, c) == NULL)
		finish(c, -ENOMEM);
}

static int
open_memory(const char *name)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create(name, flags) : fd;
}

static int
begin(struct executable_copy *c, pid_t pid, const char *name)
{
	char path[32];
	struct stat st;

	link_of(pid, path, sizeof(path));
	c->from = open(path, O_RDONLY | O_CLOEXEC);
	if (c->from < 0 || fstat(c->from, &st) < 0)
		return -errno;
	c->size = st.st_size;
	c->mtime = st.st_mtim;
	c->to = open_memory(name);
	if (c->to < 0)
		return -errno;
	return timer_after(c, c->timers, 0, next_slice, c) == NULL ? -ENOMEM : 0;
}

struct executable_copy *
executable_copy(TALLOC_CTX *mem, struct timers *timers, pid_t pid, const char *name,
    executable_copied_fn *done, void *data, int *error)
{
	struct executable_copy *c = talloc(mem, struct executable_copy);

	if (c == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	*c = (struct executable_copy){
	    .timers = timers, .from = -1, .to = -1, .done = done, .data = data};
	talloc_set_destructor(c, copy_close);
	*error = begin(c, pid, name);
	if (*error < 0)
		TALLOC_FREE(c);
	return c;
}
