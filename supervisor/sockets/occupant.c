/* SPDX-License-Identifier: MIT */
/* Who has the path that a Unix socket is to have. */
#include "supervisor/sockets/occupant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process that made it listen, if that lives: another one may have inherited the socket. */
static char *
who_listens(TALLOC_CTX *mem, int fd)
{
	struct ucred peer = {.pid = 0};
	socklen_t len = sizeof(peer);
	char path[64], name[64] = "";
	FILE *f;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return talloc_strdup(mem, "another program listens there");
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer.pid);
	f = fopen(path, "re");
	if (f == NULL)
		return talloc_asprintf(mem,
		    "a program listens there that has the socket from process %d, which has ended",
		    (int)peer.pid);
	if (fgets(name, sizeof(name), f) != NULL)
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
	return talloc_asprintf(mem, "%s (pid %d) listens there", name, (int)peer.pid);
}

/* Whether anybody listens can only be found out by connecting. Returns enum occupant, or -errno. */
static int
knock(const struct address *a, TALLOC_CTX *mem, char **who)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error, found;

	if (fd < 0)
		return -errno;
	error = connect(fd, &a->sa, a->len) < 0 ? errno : 0;
	switch (error) {
	case ECONNREFUSED:
		found = OCCUPANT_STALE;
		break;
	case ENOENT:
		found = OCCUPANT_NONE;
		break;
	case 0:
		*who = who_listens(mem, fd);
		found = OCCUPANT_LIVE;
		break;
	case EAGAIN:     /* its queue is full */
	case EPROTOTYPE: /* it is no stream socket */
		*who = talloc_strdup(mem, "another program has a socket there");
		found = OCCUPANT_LIVE;
		break;
	default:
		found = -error;
	}
	close(fd);
	return found;
}

int
occupant_look(const struct address *a, TALLOC_CTX *mem, char **why)
{
	struct stat st;
	char *who = NULL;
	int found;

	if (lstat(a->un.sun_path, &st) < 0)
		return errno == ENOENT ? OCCUPANT_NONE : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		*why = talloc_strdup(
		    mem, "a file that is no socket stands there; remove it, or change the path");
		return -EEXIST;
	}
	found = knock(a, mem, &who);
	if (found != OCCUPANT_LIVE)
		return found;
	*why = talloc_asprintf(mem, "%s; end it, or change the path", who);
	return -EADDRINUSE;
}
