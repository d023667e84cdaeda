/* SPDX-License-Identifier: MIT */
/* Which symbolic links are followed, in whose directories. As root another user owns them. */
#include "supervisor/base/trusted_path.h"
#include "tests/harness/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOMEBODY 65534

static const char *
path_in(const char *dir, const char *name)
{
	return tempdir_path(dir, name);
}

static const char *
link_in(const char *dir, const char *name, const char *target, uid_t uid)
{
	const char *path = path_in(dir, name);

	unlink(path);
	assert_int_equal(symlink(target, path), 0);
	if (geteuid() == 0)
		assert_int_equal(lchown(path, uid, uid), 0);
	return path;
}

/* Opens it, and closes it if that was possible; 0 or a negative errno. */
static int
try(const char *path, int flags)
{
	int fd = trusted_open(path, flags, 0600);

	if (fd >= 0) {
		assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		close(fd);
	}
	return fd < 0 ? fd : 0;
}

static void
plain_paths_are_what_open_makes_of_them(void **state)
{
	const char *dir = tempdir_new();

	(void)state;
	assert_int_equal(mkdir(path_in(dir, "d"), 0700), 0);
	tempdir_write(dir, "d/file", "text\n");
	assert_int_equal(try(path_in(dir, "d/file"), O_RDONLY), 0);
	assert_int_equal(try(path_in(dir, "d/../d/./file"), O_RDONLY), 0);
	assert_int_equal(try(path_in(dir, "d//file"), O_RDONLY), 0);
	assert_int_equal(try(path_in(dir, "d/none"), O_RDONLY), -ENOENT);
	assert_int_equal(try(path_in(dir, "no/file"), O_RDONLY), -ENOENT);
	assert_int_equal(try(path_in(dir, "d/file/x"), O_RDONLY), -ENOTDIR);
	assert_int_equal(try(path_in(dir, "d/"), O_RDONLY), -EISDIR);
	assert_int_equal(try(path_in(dir, "d/new"), O_WRONLY | O_CREAT), 0);
	assert_string_equal(tempdir_read(path_in(dir, "d/new")), "");
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(try("d/file", O_RDONLY), 0);
	assert_int_equal(try("./d/file", O_RDONLY), 0);
	assert_int_equal(chdir("d"), 0);
	assert_int_equal(try("file", O_RDONLY), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(try("/dev/null", O_WRONLY), 0);
}

static void
links_of_ones_own_are_followed(void **state)
{
	const char *dir = tempdir_new();
	uid_t me = geteuid();

	(void)state;
	assert_int_equal(mkdir(path_in(dir, "d"), 0700), 0);
	tempdir_write(dir, "d/file", "text\n");
	assert_int_equal(try(link_in(dir, "l1", "d/file", me), O_RDONLY), 0);
	assert_int_equal(try(link_in(dir, "l2", path_in(dir, "l1"), me), O_RDONLY), 0);
	link_in(dir, "e", "d", me);
	assert_int_equal(try(path_in(dir, "e/file"), O_RDONLY), 0);
	link_in(dir, "d/up", "../l2", me);
	assert_int_equal(try(path_in(dir, "e/up"), O_RDONLY), 0);
	assert_int_equal(try(link_in(dir, "new", "d/made", me), O_WRONLY | O_CREAT), 0);
	assert_string_equal(tempdir_read(path_in(dir, "d/made")), "");
	link_in(dir, "a", "b", me);
	link_in(dir, "b", "a", me);
	assert_int_equal(try(path_in(dir, "a"), O_RDONLY), -ELOOP);
	assert_int_equal(try(path_in(dir, "a/file"), O_RDONLY), -ELOOP);
	/* What the kernel itself places, as /dev/stdout does. */
	assert_int_equal(try("/proc/self/fd/0", O_RDONLY), 0);
	assert_int_equal(try("/dev/fd/0", O_RDONLY), 0);
}

static void
links_of_somebody_else_are_not(void **state)
{
	const char *dir = tempdir_new(), *name;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can make links of another user\n");
		harness_skip("it takes root");
	}
	assert_int_equal(mkdir(path_in(dir, "d"), 0700), 0);
	tempdir_write(dir, "d/file", "text\n");
	assert_int_equal(try(link_in(dir, "l", "d/file", SOMEBODY), O_RDONLY), -ELOOP);
	assert_int_equal(try(path_in(dir, "l"), O_WRONLY | O_APPEND | O_CREAT), -ELOOP);
	link_in(dir, "new", "d/made", SOMEBODY);
	assert_int_equal(try(path_in(dir, "new"), O_WRONLY | O_CREAT), -ELOOP);
	assert_null(tempdir_read(path_in(dir, "d/made")));
	/* Nor in the middle, nor behind one that is followed. */
	link_in(dir, "e", "d", SOMEBODY);
	assert_int_equal(try(path_in(dir, "e/file"), O_RDONLY), -ELOOP);
	assert_int_equal(trusted_directory(path_in(dir, "e/file"), &name), -ELOOP);
	assert_int_equal(try(link_in(dir, "ours", "l", 0), O_RDONLY), -ELOOP);
	assert_int_equal(try(link_in(dir, "ours", "e/file", 0), O_RDONLY), -ELOOP);
	assert_non_null(strstr(trusted_text(-ELOOP), "symbolic link of another user"));
	/* The directory itself may be theirs. */
	assert_int_equal(chown(path_in(dir, "d"), SOMEBODY, SOMEBODY), 0);
	assert_int_equal(try(path_in(dir, "d/file"), O_RDONLY), 0);
	fd = trusted_directory(path_in(dir, "d/file"), &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "file");
	assert_int_equal(faccessat(fd, name, F_OK, 0), 0);
	close(fd);
}

static void
a_second_name_is_refused_where_others_may_write(void **state)
{
	const char *dir = tempdir_new(), *victim;

	(void)state;
	victim = tempdir_write(dir, "victim", "text\n");
	assert_int_equal(mkdir(path_in(dir, "d"), 0700), 0);
	assert_int_equal(link(victim, path_in(dir, "d/log")), 0);
	assert_int_equal(try(path_in(dir, "d/log"), O_WRONLY | O_APPEND), 0);
	assert_int_equal(chmod(path_in(dir, "d"), 0777), 0);
	assert_int_equal(try(path_in(dir, "d/log"), O_WRONLY | O_APPEND), -EMLINK);
	assert_int_equal(unlink(victim), 0);
	assert_int_equal(try(path_in(dir, "d/log"), O_WRONLY | O_APPEND), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(plain_paths_are_what_open_makes_of_them),
	    e2e_test(links_of_ones_own_are_followed),
	    e2e_test(links_of_somebody_else_are_not),
	    e2e_test(a_second_name_is_refused_where_others_may_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
