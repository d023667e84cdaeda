/* SPDX-License-Identifier: MIT */
/*
 * Several processes may wait on one listening socket: the instances that share it, or a process
 * and its successor. Who connects is not told which of them has accepted. The kernel knows the
 * other end as an inode (sock_diag(7)), and /proc/PID/fd says who has it: a descriptor after the
 * other, some in each turn of the loop.
 */
#include "supervisor/process/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
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

/* ---- The search --------------------------------------------------------------------------- */

/* Large enough for the names of some hundred descriptors, which cost the kernel as much as what is
 * done with them. */
#define NAMES_BYTES 8192

/* A directory of /proc, read in pieces; libc's would read more at a time. */
struct directory {
	int fd; /* -1: none is open */
	size_t at, filled;
	char names[NAMES_BYTES] __attribute__((aligned(8)));
};

/* What is done next, each a step of a search. */
enum phase { ASK_KERNEL, OPEN_PROCESS, LOOK_AT_DESCRIPTORS, NEXT_PROCESS };

struct owner_search {
	struct owner_search *next;
	struct owners *owners;
	int socket;
	pid_t session;
	owner_fn *fn;
	void *data;
	enum phase phase;
	char link[40];                /* what a descriptor of the other end links to */
	pid_t pid;                    /* whose descriptors are looked at */
	struct directory descriptors; /* of it */
	struct directory processes;   /* once the session's leader, the likeliest, has been seen */
};

struct owners {
	struct timers *timers;
	struct timer *turn; /* NULL: nobody asks */
	struct owner_search *first;
};

static int
directory_open(struct directory *d, const char *path)
{
	d->at = d->filled = 0;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

static void
directory_close(struct directory *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* The next name; NULL: there is none any more. */
static const char *
directory_next(struct directory *d)
{
	const struct dirent64 *e;
	ssize_t n;

	if (d->at == d->filled) {
		n = getdents64(d->fd, d->names, sizeof(d->names));
		if (n <= 0)
			return NULL;
		d->at = 0;
		d->filled = (size_t)n;
	}
	e = (const struct dirent64 *)(const void *)(d->names + d->at);
	d->at += e->d_reclen;
	return e->d_name;
}

/* Each step returns OWNER_SEARCHING or what was found, with *WHY set for OWNER_UNKNOWN. */
#define OWNER_SEARCHING ((enum owner) - 1)

static enum owner
ask_kernel(struct owner_search *s, const char **why)
{
	ino_t inode = 0;
	int error = other_end(s->socket, &inode);

	if (error == -ENOENT)
		return OWNER_OTHER;
	if (error < 0) {
		*why = strerror(-error);
		return OWNER_UNKNOWN;
	}
	if (inode == 0)
		return OWNER_NOBODY;
	snprintf(s->link, sizeof(s->link), "socket:[%lu]", (unsigned long)inode);
	s->pid = s->session;
	s->phase = OPEN_PROCESS;
	return OWNER_SEARCHING;
}

static enum owner
open_process(struct owner_search *s, const char **why)
{
	char path[40];
	int error;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)s->pid);
	error = directory_open(&s->descriptors, path);
	s->phase = error < 0 ? NEXT_PROCESS : LOOK_AT_DESCRIPTORS;
	if (error == 0 || error == -ENOENT)
		return OWNER_SEARCHING;
	*why = strerror(-error);
	return OWNER_UNKNOWN;
}

static enum owner
look_at_descriptor(struct owner_search *s, const char **why)
{
	const char *name = directory_next(&s->descriptors);
	char found[sizeof(s->link)];
	ssize_t n;

	(void)why;
	if (name == NULL) {
		directory_close(&s->descriptors);
		s->phase = NEXT_PROCESS;
		return OWNER_SEARCHING;
	}
	n = readlinkat(s->descriptors.fd, name, found, sizeof(found) - 1);
	found[n < 0 ? 0 : n] = '\0';
	return strcmp(found, s->link) == 0 ? OWNER_SESSION : OWNER_SEARCHING;
}

static enum owner
next_process(struct owner_search *s, const char **why)
{
	const char *name;
	int error = s->processes.fd >= 0 ? 0 : directory_open(&s->processes, "/proc");

	if (error < 0) {
		*why = strerror(-error);
		return OWNER_UNKNOWN;
	}
	name = directory_next(&s->processes);
	if (name == NULL)
		return OWNER_OTHER;
	s->pid = (pid_t)strtol(name, NULL, 10);
	if (s->pid > 0 && s->pid != s->session && getsid(s->pid) == s->session)
		s->phase = OPEN_PROCESS;
	return OWNER_SEARCHING;
}

static enum owner
step(struct owner_search *s, const char **why)
{
	static enum owner (*const steps[])(struct owner_search * s, const char **why) = {
	    [ASK_KERNEL] = ask_kernel,
	    [OPEN_PROCESS] = open_process,
	    [LOOK_AT_DESCRIPTORS] = look_at_descriptor,
	    [NEXT_PROCESS] = next_process,
	};

	return steps[s->phase](s, why);
}

static void take_turn(void *data);

static void
turn_later(struct owners *o)
{
	if (o->turn == NULL && o->first != NULL)
		o->turn = timer_after(o, o->timers, 0, take_turn, o);
}

/* The first of those who ask gets this turn, or as much of it as it needs. */
static void
take_turn(void *data)
{
	struct owners *o = talloc_get_type_abort(data, struct owners);
	int left = OWNER_TURN_MAX;

	o->turn = NULL;
	while (left > 0 && o->first != NULL) {
		struct owner_search *s = o->first;
		enum owner owner = OWNER_SEARCHING;
		const char *why = NULL;
		owner_fn *fn = s->fn;
		void *arg = s->data;

		for (; left > 0 && owner == OWNER_SEARCHING; left--)
			owner = step(s, &why);
		if (owner == OWNER_SEARCHING)
			break;
		talloc_free(s);
		fn(owner, why, arg);
	}
	turn_later(o);
}

static int
search_end(struct owner_search *s)
{
	struct owner_search **p = s->owners == NULL ? NULL : &s->owners->first;

	directory_close(&s->descriptors);
	directory_close(&s->processes);
	if (p == NULL)
		return 0; /* they went first */
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	return 0;
}

struct owner_search *
owner_find(TALLOC_CTX *mem, struct owners *owners, int fd, pid_t session, owner_fn *fn, void *data)
{
	struct owner_search *s = talloc_zero(mem, struct owner_search), **p = &owners->first;

	if (s == NULL)
		return NULL;
	*s = (struct owner_search){
	    .owners = owners, .socket = fd, .session = session, .fn = fn, .data = data};
	s->descriptors.fd = s->processes.fd = -1;
	while (*p != NULL)
		p = &(*p)->next;
	*p = s;
	talloc_set_destructor(s, search_end);
	turn_later(owners);
	if (owners->turn == NULL)
		TALLOC_FREE(s);
	return s;
}

static int
owners_end(struct owners *o)
{
	for (struct owner_search *s = o->first; s != NULL; s = s->next)
		s->owners = NULL;
	return 0;
}

struct owners *
owners_new(TALLOC_CTX *mem, struct timers *timers)
{
	struct owners *o = talloc_zero(mem, struct owners);

	if (o == NULL)
		return NULL;
	o->timers = timers;
	talloc_set_destructor(o, owners_end);
	return o;
}
