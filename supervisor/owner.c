/* SPDX-License-Identifier: MIT */
/*
 * Several processes may wait on one listening socket: the instances that share it, or a process
 * and its successor. Who connects is not told which of them has accepted. The kernel knows the
 * other end as an inode (sock_diag(7)), and /proc/PID/fd says who has it.
 */
#include "supervisor/owner.h"

#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union name {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

struct question {
	struct nlmsghdr head;
	union {
		struct inet_diag_req_v2 inet;
		struct unix_diag_req un;
	};
};

static void
put_address(const union name *n, __be16 *port, __be32 address[4])
{
	if (n->sa.sa_family == AF_INET6) {
		*port = n->in6.sin6_port;
		memcpy(address, &n->in6.sin6_addr, sizeof(n->in6.sin6_addr));
	} else {
		*port = n->in.sin_port;
		memcpy(address, &n->in.sin_addr, sizeof(n->in.sin_addr));
	}
}

/* Asks for the other end, whose own address is the one that FD is connected to. */
static int
ask(int fd, struct question *q)
{
	union name mine = {.un = {.sun_family = AF_UNSPEC}}, other = mine;
	socklen_t len = sizeof(mine), other_len = sizeof(other);
	struct stat st;

	if (getsockname(fd, &mine.sa, &len) < 0 || fstat(fd, &st) < 0)
		return -errno;
	*q = (struct question){.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(q->inet)),
				   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				   .nlmsg_flags = NLM_F_REQUEST}};
	if (mine.sa.sa_family == AF_UNIX) {
		q->head.nlmsg_len = NLMSG_LENGTH(sizeof(q->un));
		q->un = (struct unix_diag_req){.sdiag_family = AF_UNIX,
		    .udiag_states = ~0U,
		    .udiag_ino = (__u32)st.st_ino,
		    .udiag_show = UDIAG_SHOW_PEER,
		    .udiag_cookie = {~0U, ~0U}};
		return 0;
	}
	if (getpeername(fd, &other.sa, &other_len) < 0)
		return -errno;
	q->inet.sdiag_family = (__u8)mine.sa.sa_family;
	q->inet.sdiag_protocol = IPPROTO_TCP;
	q->inet.idiag_states = ~0U;
	q->inet.id.idiag_cookie[0] = q->inet.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	put_address(&other, &q->inet.id.idiag_sport, q->inet.id.idiag_src);
	put_address(&mine, &q->inet.id.idiag_dport, q->inet.id.idiag_dst);
	return 0;
}

/* The inode in an answer; 0: the socket has none, as nobody has accepted it. */
static ino_t
inode_of(const struct nlmsghdr *h)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*m));
	__u32 inode = 0;

	if (m->udiag_family != AF_UNIX)
		return ((const struct inet_diag_msg *)NLMSG_DATA(h))->idiag_inode;
	for (const struct rtattr *a = (const struct rtattr *)(m + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if (a->rta_type == UNIX_DIAG_PEER)
			memcpy(&inode, RTA_DATA(a), sizeof(inode));
	}
	return inode;
}

/* Returns 0 with *INODE set, -ENOENT if there is no other end any more, or another errno. */
static int
other_end(int fd, ino_t *inode)
{
	struct question q = {.head = {.nlmsg_len = 0}};
	union {
		struct nlmsghdr head;
		char space[4096];
	} answer = {.head = {.nlmsg_len = 0}};
	int error = ask(fd, &q), diag;
	ssize_t n;

	if (error < 0)
		return error;
	diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (diag < 0)
		return -errno;
	/* The kernel answers within the call. */
	n = send(diag, &q, q.head.nlmsg_len, 0) < 0 ? -1 : recv(diag, &answer, sizeof(answer), 0);
	error = n < 0 ? -errno : 0;
	close(diag);
	if (error < 0)
		return error;
	if (!NLMSG_OK(&answer.head, (size_t)n))
		return -EBADMSG;
	if (answer.head.nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
	*inode = inode_of(&answer.head);
	return 0;
}

/* Returns 1 if the process has it, 0 if not, or a negative errno. */
static int
has(const char *pid, const char *link)
{
	char path[64], found[64];
	struct dirent *e;
	int result = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	d = opendir(path);
	if (d == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (result == 0 && (e = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, found, sizeof(found) - 1);

		if (n < 0)
			continue;
		found[n] = '\0';
		result = strcmp(found, link) == 0;
	}
	closedir(d);
	return result;
}

/* The leader first: it is the likeliest, and often the only one. */
static int
session_has(pid_t session, const char *link)
{
	char leader[24];
	struct dirent *e;
	int result;
	DIR *d;

	snprintf(leader, sizeof(leader), "%d", (int)session);
	result = has(leader, link);
	if (result != 0)
		return result;
	d = opendir("/proc");
	if (d == NULL)
		return -errno;
	while (result == 0 && (e = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && pid != session && getsid(pid) == session)
			result = has(e->d_name, link);
	}
	closedir(d);
	return result;
}

enum owner
owner_find(int fd, pid_t session, const char **why)
{
	char link[40];
	ino_t inode = 0;
	int error = other_end(fd, &inode);

	if (error == -ENOENT)
		return OWNER_OTHER;
	if (error < 0) {
		*why = strerror(-error);
		return OWNER_UNKNOWN;
	}
	if (inode == 0)
		return OWNER_NOBODY;
	snprintf(link, sizeof(link), "socket:[%lu]", (unsigned long)inode);
	error = session_has(session, link);
	if (error < 0) {
		*why = strerror(-error);
		return OWNER_UNKNOWN;
	}
	return error == 1 ? OWNER_SESSION : OWNER_OTHER;
}
