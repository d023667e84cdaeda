/* SPDX-License-Identifier: MIT */
/* Descriptors in the loop's epoll. */
#include "server/base/source.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

int
source_watch(int epoll_fd, int fd, enum source *source)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = source};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

void
source_unwatch(int epoll_fd, int fd)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}
