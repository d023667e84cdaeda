/* SPDX-License-Identifier: MIT */
/* The file of a Unix socket: who may stand in its place, who may connect, and its end. */
#include "supervisor/sockets/socket_file.h"
#include "tests/harness/tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct socket_owner anybody = {.mode = 0666, .uid = (uid_t)-1, .gid = (gid_t)-1};

struct scene {
	const char *dir, *path, *link;
	struct address address;
	int fd;
	struct socket_file *file;
	char *why;
	bool over;
};

static struct scene
scene_new(const char *name)
{
	struct scene s = {.dir = tempdir_new(), .fd = -1};
	const char *why;

	s.path = tempdir_path(s.dir, name);
	assert_int_equal(
	    address_parse(talloc_asprintf(harness_mem(), "unix:%s", s.path), &s.address, &why), 0);
	return s;
}

static int
open_file(struct scene *s, const struct socket_owner *owner)
{
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return socket_file_bind(s->fd, &s->address, owner, 8, &s->file, harness_mem(), &s->why);
}

static void
end(struct scene *s)
{
	socket_file_unref(&s->file);
	close(s->fd);
}

/* 0, or the errno; the connection goes to *FD if that is not NULL. */
static int
knock(const struct scene *s, int *fd)
{
	int c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = connect(c, &s->address.sa, s->address.len) < 0 ? errno : 0;

	if (fd != NULL && error == 0)
		*fd = c;
	else
		close(c);
	return error;
}

/* Somebody else's socket at the same path; closed, it is stale. */
static int
stranger(const struct scene *s, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, &s->address.sa, s->address.len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int
files_in(const char *dir)
{
	DIR *d = opendir(dir);
	int n = -2;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static struct stat
file_of(const struct scene *s)
{
	struct stat st;

	assert_int_equal(lstat(s->path, &st), 0);
	return st;
}

static void
it_is_made_and_removed(void **state)
{
	struct scene s = scene_new("a");
	struct socket_file *second;

	(void)state;
	assert_int_equal(open_file(&s, &anybody), 0);
	assert_int_equal(knock(&s, NULL), 0);
	assert_true(S_ISSOCK(file_of(&s).st_mode));
	second = socket_file_ref(s.file);
	socket_file_unref(&second);
	assert_int_equal(files_in(s.dir), 1);
	end(&s);
	assert_int_equal(files_in(s.dir), 0);
}

static void
a_stale_one_is_replaced(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct scene s = scene_new("a");

		close(stranger(&s, types[i]));
		assert_int_equal(files_in(s.dir), 1);
		assert_int_equal(open_file(&s, &anybody), 0);
		assert_int_equal(knock(&s, NULL), 0);
		assert_int_equal(files_in(s.dir), 1);
		end(&s);
	}
}

/* Nothing fits beside it, and yet it works. */
static void
a_stale_one_with_the_longest_path_is_replaced(void **state)
{
	struct scene s = scene_new("a");
	struct sockaddr_un *un = &s.address.un;
	size_t len = strlen(un->sun_path);

	(void)state;
	memset(un->sun_path + len, 'x', 107 - len);
	s.address.len = sizeof(*un);
	s.path = talloc_strdup(harness_mem(), un->sun_path);
	close(stranger(&s, SOCK_STREAM));
	assert_int_equal(open_file(&s, &anybody), 0);
	assert_int_equal(knock(&s, NULL), 0);
	/* And what cannot have a name beside it refuses by having none. */
	assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
	assert_int_not_equal(knock(&s, NULL), 0);
	assert_int_equal(socket_file_resume(s.file), 0);
	assert_int_equal(knock(&s, NULL), 0);
	end(&s);
	assert_int_equal(files_in(s.dir), 0);
}

static void
a_live_one_is_refused_and_named(void **state)
{
	struct scene s = scene_new("a");
	int fd = stranger(&s, SOCK_STREAM), held[9];

	(void)state;
	assert_int_equal(open_file(&s, &anybody), -EADDRINUSE);
	assert_non_null(strstr(s.why, talloc_asprintf(harness_mem(), "(pid %d)", (int)getpid())));
	close(s.fd);
	/* also if it is so busy that nobody gets in */
	for (int i = 0; i < 9; i++)
		held[i] = -1;
	for (int i = 0; i < 9 && knock(&s, &held[i]) == 0; i++)
		;
	assert_int_equal(knock(&s, NULL), EAGAIN);
	assert_int_equal(open_file(&s, &anybody), -EADDRINUSE);
	assert_int_equal(files_in(s.dir), 1);
	for (int i = 0; i < 9; i++)
		close(held[i]);
	close(s.fd);
	close(fd);
	/* and if it is a socket of another kind */
	unlink(s.path);
	fd = stranger(&s, SOCK_DGRAM);
	assert_int_equal(open_file(&s, &anybody), -EADDRINUSE);
	close(s.fd);
	close(fd);
}

static void
what_is_no_socket_is_left_alone(void **state)
{
	struct scene s = scene_new("a");

	(void)state;
	tempdir_write(s.dir, "a", "%s", "precious");
	assert_int_equal(open_file(&s, &anybody), -EEXIST);
	assert_non_null(strstr(s.why, "no socket"));
	assert_string_equal(tempdir_read(s.path), "precious");
	close(s.fd);
	unlink(s.path);
	assert_int_equal(symlink("/nowhere", s.path), 0);
	assert_int_equal(open_file(&s, &anybody), -EEXIST);
	assert_true(S_ISLNK(file_of(&s).st_mode));
	close(s.fd);
}

static void
no_directory_is_an_error(void **state)
{
	struct scene s = scene_new("no/such");

	(void)state;
	assert_int_equal(open_file(&s, &anybody), -ENOENT);
	close(s.fd);
}

static void
mode_and_owner_are_as_asked(void **state)
{
	const bool root = geteuid() == 0;
	const struct socket_owner owner = {
	    .mode = 0620, .uid = root ? 65534 : geteuid(), .gid = root ? 65533 : getegid()};
	mode_t before = umask(0077);

	(void)state;
	/* made anew, and in the place of a stale one */
	for (int i = 0; i < 2; i++) {
		struct scene s = scene_new("a");

		if (i == 1)
			close(stranger(&s, SOCK_STREAM));
		assert_int_equal(open_file(&s, &owner), 0);
		assert_int_equal(file_of(&s).st_mode & 07777, 0620);
		assert_int_equal(file_of(&s).st_uid, owner.uid);
		assert_int_equal(file_of(&s).st_gid, owner.gid);
		assert_int_equal(socket_file_own(s.file, &anybody), 0);
		assert_int_equal(file_of(&s).st_mode & 07777, 0666);
		end(&s);
	}
	assert_int_equal(umask(before), 0077);
}

/* Those who wait are told, and the socket is the same afterwards. */
static void
it_refuses_and_listens_again(void **state)
{
	struct scene s = scene_new("a");
	struct stat before;
	int client = -1;
	char byte;

	(void)state;
	assert_int_equal(open_file(&s, &anybody), 0);
	before = file_of(&s);
	for (int round = 0; round < 3; round++) {
		struct pollfd pfd = {.fd = s.fd, .events = POLLIN};

		assert_int_equal(knock(&s, &client), 0);
		assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
		assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
		assert_true(recv(client, &byte, 1, 0) <= 0);
		close(client);
		assert_int_equal(knock(&s, NULL), ECONNREFUSED);
		assert_int_equal(fcntl(s.fd, F_GETFL) & O_NONBLOCK, 0);
		assert_int_equal(socket_file_resume(s.file), 0);
		assert_int_equal(socket_file_resume(s.file), 0);
		assert_int_equal(file_of(&s).st_ino, before.st_ino);
		assert_int_equal(knock(&s, &client), 0);
		assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
		close(accept4(s.fd, NULL, NULL, SOCK_CLOEXEC));
		close(client);
	}
	assert_int_equal(files_in(s.dir), 1);
	assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
	end(&s);
	assert_int_equal(files_in(s.dir), 0);
}

static void
another_ones_file_is_not_touched(void **state)
{
	struct scene s = scene_new("a");
	struct stat theirs;
	int fd;

	(void)state;
	/* in our place */
	assert_int_equal(open_file(&s, &anybody), 0);
	unlink(s.path);
	fd = stranger(&s, SOCK_STREAM);
	theirs = file_of(&s);
	assert_int_equal(socket_file_refuse(s.file, s.fd), -ENOENT);
	assert_int_equal(socket_file_own(s.file, &anybody), -ENOENT);
	end(&s);
	assert_int_equal(file_of(&s).st_ino, theirs.st_ino);
	close(fd);
	/* while we refuse */
	assert_int_equal(open_file(&s, &anybody), 0);
	assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
	unlink(s.path);
	fd = stranger(&s, SOCK_STREAM);
	theirs = file_of(&s);
	assert_int_equal(socket_file_resume(s.file), -EADDRINUSE);
	end(&s);
	assert_int_equal(file_of(&s).st_ino, theirs.st_ino);
	assert_int_equal(files_in(s.dir), 1);
	close(fd);
}

/* One that was killed while it refused leaves two files; the next one finds neither of use. */
static void
what_a_killed_one_left_is_cleared(void **state)
{
	struct scene s = scene_new("a"), killed;

	(void)state;
	assert_int_equal(open_file(&s, &anybody), 0);
	assert_int_equal(socket_file_refuse(s.file, s.fd), 0);
	assert_int_equal(files_in(s.dir), 2);
	close(s.fd);
	killed = s;
	assert_int_equal(open_file(&s, &anybody), 0);
	assert_int_equal(files_in(s.dir), 1);
	socket_file_unref(&killed.file); /* finds nothing of its own */
	assert_int_equal(knock(&s, NULL), 0);
	end(&s);
}

/* In another thread, as the user who owns the directory: in the file's place there is a link to
 * another file, and then the file again, and so on. */
static void *
exchange(void *data)
{
	struct scene *s = data;

	while (!__atomic_load_n(&s->over, __ATOMIC_RELAXED))
		renameat2(AT_FDCWD, s->path, AT_FDCWD, s->link, RENAME_EXCHANGE);
	return NULL;
}

static void
a_link_in_its_place_does_not_lead_to_another_file(void **state)
{
	struct scene s = scene_new("s");
	const struct socket_owner owner = {.mode = 0666, .uid = geteuid(), .gid = getegid()};
	const char *victim = tempdir_write(s.dir, "victim", "x");
	pthread_t thread;
	struct stat st;
	int done = 0;

	(void)state;
	assert_int_equal(chmod(victim, 0600), 0);
	assert_int_equal(open_file(&s, &owner), 0);
	s.link = tempdir_path(s.dir, "link");
	assert_int_equal(symlink(victim, s.link), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, &s), 0);
	for (int i = 0; i < 20000; i++)
		done += socket_file_own(s.file, &owner) == 0;
	__atomic_store_n(&s.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_in_range(done, 1, 20000);
	end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_is_made_and_removed),
	    e2e_test(a_stale_one_is_replaced),
	    e2e_test(a_stale_one_with_the_longest_path_is_replaced),
	    e2e_test(a_live_one_is_refused_and_named),
	    e2e_test(what_is_no_socket_is_left_alone),
	    e2e_test(no_directory_is_an_error),
	    e2e_test(mode_and_owner_are_as_asked),
	    e2e_test(it_refuses_and_listens_again),
	    e2e_test(another_ones_file_is_not_touched),
	    e2e_test(what_a_killed_one_left_is_cleared),
	    e2e_test(a_link_in_its_place_does_not_lead_to_another_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
