/* SPDX-License-Identifier: MIT */
/* Which file each of our listening Unix sockets has, and how many connections have the same. */
#include "supervisor/control/unix_diag.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct unix_socket {
	struct address address;
	uint32_t number; /* the socket's own inode, by which the kernel names it */
	struct unix_diag_vfs file;
	bool found;
	int64_t count;
};

struct unix_sockets {
	struct unix_socket *list; /* by file, from the second pass on */
	unsigned n;
};

struct unix_sockets *
unix_sockets_new(TALLOC_CTX *mem)
{
	return talloc_zero(mem, struct unix_sockets);
}

bool
unix_sockets_add(struct unix_sockets *u, int fd, const struct address *a)
{
	struct unix_socket *grown;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	grown = talloc_realloc(u, u->list, struct unix_socket, u->n + 1);
	if (grown == NULL)
		return false;
	u->list = grown;
	u->list[u->n++] = (struct unix_socket){.address = *a, .number = (uint32_t)st.st_ino};
	return true;
}

bool
unix_sockets_none(const struct unix_sockets *u)
{
	return u->n == 0;
}

static int
compare(const struct unix_diag_vfs *a, const struct unix_diag_vfs *b)
{
	if (a->udiag_vfs_ino != b->udiag_vfs_ino)
		return a->udiag_vfs_ino < b->udiag_vfs_ino ? -1 : 1;
	return (a->udiag_vfs_dev > b->udiag_vfs_dev) - (a->udiag_vfs_dev < b->udiag_vfs_dev);
}

static int
by_file(const void *a, const void *b)
{
	const struct unix_socket *x = a, *y = b;

	return compare(&x->file, &y->file);
}

bool
unix_sockets_ask(struct unix_sockets *u, int fd, enum unix_diag_pass pass)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} r = {
	    .head = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .body = {.sdiag_family = AF_UNIX,
		.udiag_states = pass == UNIX_DIAG_FILES ? 1U << TCP_LISTEN : 1U << TCP_ESTABLISHED,
		.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN},
	};

	if (pass == UNIX_DIAG_CONNECTIONS)
		qsort(u->list, u->n, sizeof(u->list[0]), by_file);
	return send(fd, &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r);
}

/* Copies that attribute; false: it is not there, as the file at a client's side. */
static bool
attribute(const struct nlmsghdr *m, unsigned short type, void *out, size_t size)
{
	const struct unix_diag_msg *body = NLMSG_DATA(m);
	int left = (int)(m->nlmsg_len - NLMSG_LENGTH(sizeof(*body)));

	for (const struct rtattr *a = (const void *)(body + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if (a->rta_type != type || RTA_PAYLOAD(a) < size)
			continue;
		memcpy(out, RTA_DATA(a), size);
		return true;
	}
	return false;
}

/* Those that wait to be accepted have no number yet, and are not in the other answer. */
static void
keep_file(struct unix_sockets *u, const struct nlmsghdr *m, const struct unix_diag_vfs *file)
{
	const struct unix_diag_msg *body = NLMSG_DATA(m);
	struct unix_diag_rqlen queue = {0};

	for (unsigned i = 0; i < u->n; i++) {
		if (u->list[i].number != body->udiag_ino)
			continue;
		u->list[i].file = *file;
		u->list[i].found = true;
		if (attribute(m, UNIX_DIAG_RQLEN, &queue, sizeof(queue)))
			u->list[i].count = queue.udiag_rqueue;
	}
}

void
unix_sockets_take(struct unix_sockets *u, const struct nlmsghdr *m, enum unix_diag_pass pass)
{
	struct unix_socket key = {.found = true}, *is;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)) ||
	    !attribute(m, UNIX_DIAG_VFS, &key.file, sizeof(key.file)))
		return;
	if (pass == UNIX_DIAG_FILES) {
		keep_file(u, m, &key.file);
		return;
	}
	is = bsearch(&key, u->list, u->n, sizeof(key), by_file);
	if (is != NULL)
		is->count++;
}

int64_t
unix_sockets_count(const struct unix_sockets *u, const struct address *a)
{
	for (unsigned i = 0; i < u->n; i++) {
		if (address_equal(&u->list[i].address, a))
			return u->list[i].found ? u->list[i].count : -1;
	}
	return -1;
}
