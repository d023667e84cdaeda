/* SPDX-License-Identifier: MIT */
/*
 * The kernel's tables of sockets, read as text. A port may be taken by a connection as well: one
 * that a program has opened to somewhere gets any free port of this side, and then nobody can
 * listen there until it is gone.
 */
#include "supervisor/sockets/kernel_sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of /proc/net/tcp, the kernel's enum of states: TCP_LISTEN. */
#define TCP_LISTENS 0x0A

/* SO_ACCEPTCON, the flag of listening sockets in /proc/net/unix. */
#define UNIX_LISTENS 0x10000

/* The 32-bit words of an IP address, as they are printed there, of either family. */
static struct address
read_host(const char *hex, unsigned port)
{
	struct address a = {.in = {.sin_family = AF_INET}, .len = sizeof(a.in)};
	uint32_t words[4] = {0};
	size_t n = strlen(hex) / 8;

	for (size_t i = 0; i < n && i < 4; i++)
		sscanf(hex + 8 * i, "%8x", &words[i]);
	if (n == 4) {
		a = (struct address){.in6 = {.sin6_family = AF_INET6}, .len = sizeof(a.in6)};
		memcpy(&a.in6.sin6_addr, words, sizeof(words));
	}
	/* IPv4 on a socket of both families. */
	if (n == 4 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr)) {
		a = (struct address){.in = {.sin_family = AF_INET}, .len = sizeof(a.in)};
		a.in.sin_addr.s_addr = words[3];
	} else if (n != 4) {
		a.in.sin_addr.s_addr = words[0];
	}
	address_set_port(&a, port);
	return a;
}

/* Whether a socket at TAKEN is in A's way. IPv6's wildcard may be for both families, which the
 * tables do not tell. */
static bool
overlaps(const struct address *taken, const struct address *a)
{
	struct address t = *taken;

	t.any = t.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&t.in6.sin6_addr);
	return address_overlap(&t, a);
}

static size_t
find_port(const struct address *a, bool listens, const char *table, struct kernel_socket *list,
    size_t n, size_t room)
{
	FILE *f = fopen(table, "re");
	char line[512], host[33], other[33];
	unsigned port, other_port, state;
	unsigned long long inode;

	while (f != NULL && n < room && fgets(line, sizeof(line), f) != NULL) {
		struct address at;

		if (sscanf(line, " %*d: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*s %*s %*s %*s %*s %llu",
			host, &port, other, &other_port, &state, &inode) != 6 ||
		    (state == TCP_LISTENS) != listens)
			continue;
		at = read_host(host, port);
		if (overlaps(&at, a))
			list[n++] = (struct kernel_socket){.inode = inode,
			    .listens = listens,
			    .other = read_host(other, other_port)};
	}
	if (f != NULL)
		fclose(f);
	return n;
}

/* By the name with which it was bound: its path, or beside it if it was renamed (socket_file.c). */
static size_t
find_path(const struct address *a, struct kernel_socket *list, size_t room)
{
	const char *path = a->un.sun_path, *slash = strrchr(path, '/');
	int dir = slash == NULL ? 0 : (int)(slash + 1 - path);
	char *renamed = talloc_asprintf(NULL, "%.*s.baton-", dir, path);
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512], name[256];
	unsigned long long inode;
	unsigned flags;
	size_t n = 0;

	while (f != NULL && renamed != NULL && n < room && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %llu %255[^\n]", &flags, &inode, name) ==
			3 &&
		    (flags & UNIX_LISTENS) != 0 &&
		    (strcmp(name, path) == 0 || strncmp(name, renamed, strlen(renamed)) == 0))
			list[n++] = (struct kernel_socket){.inode = inode, .listens = true};
	}
	talloc_free(renamed);
	if (f != NULL)
		fclose(f);
	return n;
}

size_t
kernel_sockets_find(const struct address *a, struct kernel_socket *list, size_t room)
{
	size_t n = 0;

	if (address_is_unix(a))
		return find_path(a, list, room);
	for (int listens = 1; listens >= 0 && n == 0; listens--) {
		n = find_port(a, listens, "/proc/net/tcp", list, n, room);
		n = find_port(a, listens, "/proc/net/tcp6", list, n, room);
	}
	return n;
}

bool
kernel_socket_is_bound(int fd, const struct address *a)
{
	struct address at = {.len = sizeof(at.un)};
	socklen_t size = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
	       getsockname(fd, &at.sa, &at.len) == 0 &&
	       (at.sa.sa_family == AF_INET || at.sa.sa_family == AF_INET6) && overlaps(&at, a);
}
