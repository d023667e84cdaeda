/* SPDX-License-Identifier: MIT */
/*
 * What a service manager and a service say to each other: sockets handed down
 * (sd_listen_fds(3)) and state told up (sd_notify(3)). The protocol is small and stable, and
 * its documentation asks those who need no more of libsystemd to implement it themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/handover/handover.h"

#define LISTEN_FDS_START 3

/* So long a manager that does not read may keep us waiting for each message. */
#define PATIENCE_US 100000

struct notify {
	struct sockaddr_un to;
	socklen_t to_len; /* 0: nobody listens */
	int fd;
	int64_t watchdog_ms; /* WATCHDOG=1 is said so often; 0: nobody asks for it */
	int64_t watchdog_next_ms;
};

static int
notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	return 0;
}

/* As sd_watchdog_enabled(3) reads it: half of the time, so that one that is late is not missed;
 * 0 if there is none, or it is another process's. */
static int64_t
watchdog_interval_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	size_t digits = usec == NULL ? 0 : strspn(usec, "0123456789");
	int64_t us = digits == 0 || digits > 18 || usec[digits] != '\0' ? 0 : atoll(usec);
	bool ours = pid == NULL || strtol(pid, NULL, 10) == getpid();

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (!ours || us == 0)
		return 0;
	return us / 2000 > 0 ? us / 2000 : 1;
}

struct notify *
notify_new(TALLOC_CTX *mem)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const struct timeval patience = {.tv_usec = PATIENCE_US};
	struct notify *n = talloc_zero(mem, struct notify);

	if (n == NULL)
		return NULL;
	n->fd = -1;
	talloc_set_destructor(n, notify_close);
	if (path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0' &&
	    strlen(path) < sizeof(n->to.sun_path)) {
		n->to.sun_family = AF_UNIX;
		strcpy(n->to.sun_path, path);
		n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
		if (path[0] == '@')
			n->to.sun_path[0] = '\0'; /* an abstract one */
		else
			n->to_len++;
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	}
	unsetenv("NOTIFY_SOCKET"); /* it is for us, not for what handlers start */
	n->watchdog_ms = watchdog_interval_ms();
	if (n->fd < 0)
		n->watchdog_ms = 0;
	return n;
}

static void
send_message(const struct notify *n, const char *message, int flags)
{
	/* A manager that does not listen is no reason to stop serving. */
	if (n->fd >= 0)
		(void)sendto(n->fd, message, strlen(message), MSG_NOSIGNAL | flags,
		    (const struct sockaddr *)&n->to, n->to_len);
}

void
notify_send(const struct notify *n, const char *message)
{
	send_message(n, message, 0);
}

void
notify_no_watchdog(struct notify *n)
{
	if (n->watchdog_ms > 0)
		notify_send(n, "WATCHDOG_USEC=0");
	n->watchdog_ms = 0;
}

int64_t
notify_watchdog(struct notify *n, int64_t now_ms)
{
	if (n->watchdog_ms == 0)
		return INT64_MAX;
	if (now_ms >= n->watchdog_next_ms) {
		/* Not waited for: a manager whose queue is full has enough of them to read. */
		send_message(n, "WATCHDOG=1", MSG_DONTWAIT);
		n->watchdog_next_ms = now_ms + n->watchdog_ms;
	}
	return n->watchdog_next_ms;
}

static void
unset_listen(void)
{
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
}

/* The number of sockets meant for this very process. */
static long
listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n;

	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != getpid())
		return 0;
	n = strtol(fds, NULL, 10);
	return n > 0 && n < 65536 ? n : 0;
}

int
notify_inherit(TALLOC_CTX *mem, struct inherited **out, size_t *n)
{
	long fds = listen_fds();
	char *names = talloc_strdup(mem, getenv("LISTEN_FDNAMES") ? getenv("LISTEN_FDNAMES") : "");
	struct inherited *in = talloc_zero_array(mem, struct inherited, (unsigned)fds);

	unset_listen();
	if (names == NULL || in == NULL)
		return -ENOMEM;
	for (long i = 0; i < fds; i++) {
		size_t len = strcspn(names, ":");
		bool more = names[len] == ':';

		names[len] = '\0';
		in[i].fd = LISTEN_FDS_START + (int)i;
		in[i].name = names[0] != '\0' ? names : "unknown";
		names += len + more;
		/* One that is not there is noticed, and named, where it is looked at closely. */
		fcntl(in[i].fd, F_SETFD, FD_CLOEXEC);
		fcntl(in[i].fd, F_SETFL, fcntl(in[i].fd, F_GETFL) | O_NONBLOCK);
	}
	*out = in;
	*n = (size_t)fds;
	return 0;
}
