/* SPDX-License-Identifier: MIT */
/* What a process uses of the machine, from /proc, at the moment when somebody asks. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/control/control_internal.h"

bool
usage_read(pid_t pid, struct usage *out)
{
	unsigned long long user, system;
	char path[32], text[1024];
	const char *rest;
	long long pages;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	/* The second field is the program's name, which may have blanks and brackets itself. */
	rest = strrchr(text, ')');
	if (rest == NULL ||
	    sscanf(rest + 1,
		" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
		"%*u %*u %lld",
		&user, &system, &pages) != 3)
		return false;
	out->memory_bytes = pages * sysconf(_SC_PAGESIZE);
	out->cpu_ms = (int64_t)((user + system) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	return true;
}
