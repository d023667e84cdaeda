/* SPDX-License-Identifier: MIT */
/*
 * Writes to the log without ever waiting: whoever reads it (a supervisor, a terminal that was
 * stopped) may have stopped itself, and no thread of ours shall stand still for that.
 *
 * O_NONBLOCK is no way to that: it belongs to the open file, which others have as well. So a
 * socket is asked by each call not to wait; for a pipe or a terminal there are the ways below,
 * of which the first that the system knows is taken. Whatever else there is (a file, say) waits
 * for nobody who reads it. No state is kept: standard error may be replaced at any time, and
 * children of fork(2) log as their parents do.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/base/base.h"

static ssize_t
result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* This one call does not wait: for pipes since Linux 6.4. */
static ssize_t
by_call(int fd, const void *data, size_t len)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	ssize_t n = result(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));

	return n == -ENOSYS || n == -EINVAL || n == -EPERM ? -EOPNOTSUPP : n;
}

/*
 * The same pipe, opened once more: its flags are ours alone. Not possible without /proc, nor for
 * a pipe that another user has made.
 */
static ssize_t
by_own_description(int fd, const void *data, size_t len)
{
	char path[32];
	ssize_t n;
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return -EOPNOTSUPP;
	n = result(write(own, data, len));
	close(own);
	return n;
}

/*
 * Where there is ample room: others may take some of it before we write, so a pipe must be three
 * quarters empty, which is several times PIPE_BUF.
 */
static ssize_t
by_room(int fd, const void *data, size_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int size = fcntl(fd, F_GETPIPE_SZ), unread = 0;

	if (poll(&pfd, 1, 0) <= 0 || (pfd.revents & POLLOUT) == 0)
		return -EAGAIN;
	if (size > 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > size / 4)
		return -EAGAIN;
	return result(write(fd, data, len));
}

static ssize_t (*const ways[LOG_WAYS])(int fd, const void *data, size_t len) = {
    [LOG_BY_CALL] = by_call,
    [LOG_BY_OWN_DESCRIPTION] = by_own_description,
    [LOG_BY_ROOM] = by_room,
};

ssize_t
log_write_from(enum log_way way, int fd, const void *data, size_t len)
{
	ssize_t n = -EOPNOTSUPP;

	for (; way < LOG_WAYS && n == -EOPNOTSUPP; way++)
		n = ways[way](fd, data, len);
	return n;
}

ssize_t
log_write(int fd, const void *data, size_t len)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (S_ISSOCK(st.st_mode))
		return result(send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		return log_write_from(LOG_BY_CALL, fd, data, len);
	return result(write(fd, data, len));
}
