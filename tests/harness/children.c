/* SPDX-License-Identifier: MIT */
/*
 * Finds this process's children in /proc, kills them by pid and reaps them. It runs from
 * signal handlers and a sanitizer's abort too, so it uses system calls and the stack only.
 */
#include "tests/harness/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct kernel_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static pid_t
number(const char *text)
{
	pid_t n = 0;

	while (*text == ' ')
		text++;
	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (*text - '0');
	return n;
}

/* Parent and state of a process: "pid (any name) S ppid …"; the name may hold anything. */
static pid_t
parent_of(const char *pid, char *state)
{
	char path[64] = "/proc/", stat[512];
	const char *end;
	ssize_t n;
	int fd;

	strncat(path, pid, 20);
	strcat(path, "/stat");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	stat[n] = '\0';
	end = strrchr(stat, ')');
	if (end == NULL || end + 4 >= stat + n)
		return -1;
	*state = end[2];
	return number(end + 3);
}

/* Visits every living child; returns how many there were. */
static int
each_child(int sig)
{
	char buffer[8192] __attribute__((aligned(8)));
	const pid_t self = getpid();
	int found = 0, fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < n;) {
			const struct kernel_dirent *d = (const void *)(buffer + at);
			char state = 'Z';

			at += d->reclen;
			if (d->name[0] < '1' || d->name[0] > '9')
				continue;
			if (parent_of(d->name, &state) != self || state == 'Z' || state == 'X')
				continue;
			found++;
			if (sig != 0)
				kill(number(d->name), sig);
		}
	if (fd >= 0)
		close(fd);
	return found;
}

void
harness_kill_children(void)
{
	/* Killing a parent may give us its children: until none is left. */
	do
		each_child(SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0);
}

int
harness_count_children(void)
{
	return each_child(0);
}
