/* SPDX-License-Identifier: MIT */
/* What a process runs: told apart from other files, and copied so that nothing can change it. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/process/executable.h"

/* Behind the program's own bytes, so that the copy takes several slices. */
#define PADDING_BYTES (3L * 1024 * 1024)

struct stage {
	struct tevent_context *ev;
	struct timers *timers;
	char dir[64], program[128];
	pid_t pid;        /* runs the program; 0: none does */
	int copied;       /* what the copier told; 0: nothing yet */
	unsigned between; /* turns of the loop that went to somebody else */
};

static void
run(struct stage *s)
{
	int report[2];
	char byte;

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	s->pid = fork();
	if (s->pid == 0) {
		execl(s->program, "sleep", "1000", NULL);
		_exit(127);
	}
	close(report[1]);
	assert_int_equal(read(report[0], &byte, 1), 0); /* the exec has closed it */
	close(report[0]);
}

static void
end(struct stage *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

static int
setup(void **state)
{
	struct stage *s = talloc_zero(NULL, struct stage);
	char command[256];

	s->ev = tevent_context_init(s);
	s->timers = timers_new(s, s->ev);
	snprintf(s->dir, sizeof(s->dir), "/tmp/executable-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->program, sizeof(s->program), "%s/program", s->dir);
	snprintf(command, sizeof(command), "cp /bin/sleep %s", s->program);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a fixed command */
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;

	end(s);
	if (s->copied > 0)
		close(s->copied);
	unlink(s->program);
	rmdir(s->dir);
	talloc_free(s);
	return 0;
}

static void
copied(int fd, void *data)
{
	struct stage *s = data;

	s->copied = fd;
}

static void
another_turn(void *data)
{
	struct stage *s = data;

	s->between++;
	timer_after(s, s->timers, 0, another_turn, s);
}

static void
until_copied(struct stage *s)
{
	while (s->copied == 0)
		assert_int_equal(tevent_loop_once(s->ev), 0);
}

static void
begin_copy(struct stage *s)
{
	int error = 0;

	assert_non_null(executable_copy(s, s->timers, s->pid, "test", copied, s, &error));
	assert_int_equal(error, 0);
}

static char *
content(TALLOC_CTX *mem, int fd, size_t *len)
{
	struct stat st;
	char *bytes;

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	bytes = talloc_size(mem, *len);
	assert_int_equal(pread(fd, bytes, *len, 0), st.st_size);
	return bytes;
}

static void
the_copy_is_what_ran_although_the_file_is_overwritten(void **state)
{
	struct stage *s = *state;
	int file = open(s->program, O_RDONLY | O_CLOEXEC);
	size_t len, copy_len;
	char *was = content(s, file, &len), *is;

	run(s);
	begin_copy(s);
	until_copied(s);
	assert_true(s->copied > 0);
	end(s);
	close(file);
	file = open(s->program, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(file, "something else", 14), 14);
	close(file);
	is = content(s, s->copied, &copy_len);
	assert_int_equal(copy_len, len);
	assert_memory_equal(is, was, len);
}

static void
nobody_can_change_the_copy_and_nobody_inherits_it(void **state)
{
	struct stage *s = *state;
	int again;
	char path[64];

	run(s);
	begin_copy(s);
	until_copied(s);
	assert_true(s->copied > 0);
	assert_int_equal(fcntl(s->copied, F_GET_SEALS),
	    F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(fcntl(s->copied, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pwrite(s->copied, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(s->copied, 0), -1);
	/* Nor by another way to it. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->copied);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		assert_int_equal(write(again, "x", 1), -1);
		close(again);
	}
}

static void
the_copy_runs(void **state)
{
	struct stage *s = *state;
	char *argv[] = {"sleep", "0", NULL}, *envp[] = {NULL};
	int status;
	pid_t pid;

	run(s);
	begin_copy(s);
	until_copied(s);
	assert_true(s->copied > 0);
	unlink(s->program);
	pid = fork();
	if (pid == 0) {
		execveat(s->copied, "", argv, envp, AT_EMPTY_PATH);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
the_loop_has_other_turns_while_a_big_one_is_copied(void **state)
{
	struct stage *s = *state;

	assert_int_equal(truncate(s->program, PADDING_BYTES), 0);
	run(s);
	begin_copy(s);
	another_turn(s);
	until_copied(s);
	assert_true(s->copied > 0);
	assert_true(s->between >= PADDING_BYTES / (256 * 1024));
}

static void
a_file_that_changes_meanwhile_is_refused(void **state)
{
	struct stage *s = *state;
	int file;

	run(s);
	begin_copy(s);
	end(s);
	file = open(s->program, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(file, "more", 4), 4);
	close(file);
	until_copied(s);
	assert_int_equal(s->copied, -ESTALE);
}

static void
giving_up_is_freeing(void **state)
{
	struct stage *s = *state;
	struct executable_copy *c;
	int error = 0;

	run(s);
	c = executable_copy(s, s->timers, s->pid, "test", copied, s, &error);
	assert_non_null(c);
	talloc_free(c);
	/* And one that cannot begin says so. */
	end(s);
	c = executable_copy(s, s->timers, 0x3ffffff, "test", copied, s, &error);
	assert_null(c);
	assert_int_equal(error, -ENOENT);
	assert_int_equal(s->copied, 0);
}

static void
files_are_told_apart(void **state)
{
	struct stage *s = *state;
	struct executable was = executable_at(s->program), is;
	char other[160];
	int file;

	assert_true(was.known && was.elf && !was.privileged);
	run(s);
	is = executable_of(s->pid);
	assert_true(executable_equal(&was, &is));
	end(s);

	/* Another name, and no other file; but whoever is careful takes it for one. */
	snprintf(other, sizeof(other), "%s.other", s->program);
	assert_int_equal(rename(s->program, other), 0);
	is = executable_at(other);
	assert_true(executable_same_file(&was, &is));
	assert_int_equal(rename(other, s->program), 0);

	assert_int_equal(chmod(s->program, 04755), 0);
	assert_true(executable_at(s->program).privileged);

	file = open(s->program, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(file, "#!/bin/sh\n", 10), 10);
	close(file);
	is = executable_at(s->program);
	assert_true(is.known && !is.elf);
	assert_false(executable_same_file(&was, &is));

	unlink(s->program);
	is = executable_at(s->program);
	assert_false(is.known);
	assert_false(executable_equal(&is, &is));
	is = executable_at("/");
	assert_false(is.known);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_copy_is_what_ran_although_the_file_is_overwritten),
	    TEST(nobody_can_change_the_copy_and_nobody_inherits_it),
	    TEST(the_copy_runs),
	    TEST(the_loop_has_other_turns_while_a_big_one_is_copied),
	    TEST(a_file_that_changes_meanwhile_is_refused),
	    TEST(giving_up_is_freeing),
	    TEST(files_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
