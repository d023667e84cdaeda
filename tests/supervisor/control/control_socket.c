/* SPDX-License-Identifier: MIT */
/* Where the control socket is, and who owns its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/control/control.h"
#include "supervisor/control/control_socket.h"

static char dir[] = "/tmp/baton-socket-XXXXXX";
static char path[64];
static TALLOC_CTX *mem;

static int
begin(void **state)
{
	(void)state;
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	mem = talloc_new(NULL);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	talloc_free(mem);
	return rmdir(dir); /* whatever was made is gone */
}

static void
a_second_owner_is_refused(void **state)
{
	struct control_socket *s = NULL, *t = NULL;
	char *why = NULL, *expected;

	(void)state;
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), 0);
	assert_int_equal(control_socket_open(mem, path, &t, mem, &why), -EADDRINUSE);
	assert_null(t);
	expected = talloc_asprintf(
	    mem, "another baton (pid %d) runs with the control socket %s;", (int)getpid(), path);
	assert_true(strncmp(why, expected, strlen(expected)) == 0);
	assert_int_equal(access(path, F_OK), 0); /* the first one's socket is still there */
	talloc_free(s);
	assert_int_equal(control_socket_open(mem, path, &t, mem, &why), 0);
}

/* What a SIGKILL leaves: both files, and no lock. */
static void
the_files_of_a_dead_owner_are_replaced(void **state)
{
	struct control_socket *s = NULL;
	char *why = NULL;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		control_socket_open(mem, path, &s, mem, &why);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), 0);
}

static void
what_stands_in_the_way_is_judged(void **state)
{
	char *why = NULL;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct control_socket *s = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	strcpy(un.sun_path, path);
	/* A live socket of a program that takes no locks. */
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), -EADDRINUSE);
	assert_non_null(strstr(why, "another program listens on"));
	/* The same, stale. */
	close(fd);
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), 0);
	TALLOC_FREE(s);
	assert_int_equal(access(path, F_OK), -1);
	/* A file is nobody's socket: it is left alone. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), -EEXIST);
	assert_non_null(strstr(why, "is not a socket"));
	assert_int_equal(unlink(path), 0);
}

static void
a_lock_that_is_a_link_is_not_followed(void **state)
{
	struct control_socket *s = NULL;
	char *why = NULL, *lock = talloc_asprintf(mem, "%s.lock", path);

	(void)state;
	assert_int_equal(symlink("/etc/hostname", lock), 0);
	assert_int_equal(control_socket_open(mem, path, &s, mem, &why), -ELOOP);
	assert_int_equal(unlink(lock), 0);
}

static void
paths_that_cannot_be_are_told_so(void **state)
{
	struct control_socket *s = NULL;
	char *why = NULL, longest[200];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[150] = '\0';
	assert_int_equal(control_socket_open(mem, longest, &s, mem, &why), -ENAMETOOLONG);
	assert_non_null(strstr(why, "is 150 bytes long and may have 107"));
	assert_int_equal(control_socket_open(mem, "/nowhere/s", &s, mem, &why), -ENOENT);
	assert_non_null(strstr(why, "/nowhere/s.lock: No such file or directory; use --control"));
}

static void
the_path_is_found_in_the_documented_order(void **state)
{
	struct control_where where = {.option = "/o", .environment = "/e", .configured = "/c"};
	const char *source, *tmp;

	(void)state;
	assert_string_equal(control_path(mem, &where, &source), "/o");
	assert_string_equal(source, "--control");
	where.option = NULL;
	assert_string_equal(control_path(mem, &where, &source), "/e");
	assert_string_equal(source, "$BATON_CONTROL");
	where.environment = "";
	assert_string_equal(control_path(mem, &where, &source), "/c");
	/* A relative one begins where the file is. */
	where.configured = "c";
	assert_string_equal(control_path(mem, &where, &source), "c");
	where.config_file = "/etc/baton.conf";
	assert_string_equal(control_path(mem, &where, &source), "/etc/c");
	where.config_file = "sub/conf";
	assert_string_equal(control_path(mem, &where, &source), "sub/c");
	where.config_file = "./baton.conf";
	assert_string_equal(control_path(mem, &where, &source), "c");
	where.configured = NULL;
	if (geteuid() == 0) {
		assert_string_equal(control_path(mem, &where, &source), "/run/baton/control.sock");
		return;
	}
	tmp = talloc_asprintf(mem, "/tmp/baton-%u/control.sock", (unsigned)geteuid());
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_string_equal(control_path(mem, &where, NULL), "/run/user/7/baton/control.sock");
	setenv("XDG_RUNTIME_DIR", "relative", 1); /* the specification says: ignore it */
	assert_string_equal(control_path(mem, &where, NULL), tmp);
	unsetenv("XDG_RUNTIME_DIR");
	assert_string_equal(control_path(mem, &where, NULL), tmp);
}

#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIR(a_second_owner_is_refused),
	    WITH_DIR(the_files_of_a_dead_owner_are_replaced),
	    WITH_DIR(what_stands_in_the_way_is_judged),
	    WITH_DIR(a_lock_that_is_a_link_is_not_followed),
	    WITH_DIR(paths_that_cannot_be_are_told_so),
	    WITH_DIR(the_path_is_found_in_the_documented_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
