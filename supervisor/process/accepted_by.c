/* SPDX-License-Identifier: MIT */
/*
 * Several processes may wait on one listening socket: the instances that share it, or a process
 * and its successor. Who connects is not told which of them has accepted. The kernel knows the
 * other end as an inode (sock_diag(7)), and /proc/PID/fd says who has it: a descriptor after the
 * other, some in each turn of the loop.
 */
#include "supervisor/process/accepted_by.h"

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
#include <sys/queue.h>
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

struct accepted_by_search {
	TAILQ_ENTRY(accepted_by_search) entry;
	struct accepted_by_queue *queue; /* NULL: it has gone first */
	int socket;
	pid_t session;
	accepted_by_fn *fn;
	void *data;
	enum phase phase;
	char link[40];                /* what a descriptor of the other end links to */
	pid_t pid;                    /* whose descriptors are looked at */
	struct directory descriptors; /* of it */
	struct directory processes;   /* once the session's leader, the likeliest, has been seen */
};

struct accepted_by_queue {
	struct timers *timers;
	struct timer *turn; /* NULL: nobody asks */
	TAILQ_HEAD(, accepted_by_search) searches;
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

/* Each step returns ACCEPTED_BY_SEARCHING or what was found, with *WHY set for ACCEPTED_BY_UNKNOWN. */
#define ACCEPTED_BY_SEARCHING ((enum accepted_by) - 1)

static enum accepted_by
ask_kernel(struct accepted_by_search *s, const char **why)
{
	ino_t inode = 0;
	int error = other_end(s->socket, &inode);

	if (error == -ENOENT)
		return ACCEPTED_BY_OTHER;
	if (error < 0) {
		*why = strerror(-error);
		return ACCEPTED_BY_UNKNOWN;
	}
	if (inode == 0)
		return ACCEPTED_BY_NOBODY;
	snprintf(s->link, sizeof(s->link), "socket:[%lu]", (unsigned long)inode);
	s->pid = s->session;
	s->phase = OPEN_PROCESS;
	return ACCEPTED_BY_SEARCHING;
}

static enum accepted_by
open_process(struct accepted_by_search *s, const char **why)
{
	char path[40];
	int error;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)s->pid);
	error = directory_open(&s->descriptors, path);
	s->phase = error < 0 ? NEXT_PROCESS : LOOK_AT_DESCRIPTORS;
	if (error == 0 || error == -ENOENT)
		return ACCEPTED_BY_SEARCHING;
	*why = strerror(-error);
	return ACCEPTED_BY_UNKNOWN;
}

static enum accepted_by
look_at_descriptor(struct accepted_by_search *s, const char **why)
{
	const char *name = directory_next(&s->descriptors);
	char found[sizeof(s->link)];
	ssize_t n;

	(void)why;
	if (name == NULL) {
		directory_close(&s->descriptors);
		s->phase = NEXT_PROCESS;
		return ACCEPTED_BY_SEARCHING;
	}
	n = readlinkat(s->descriptors.fd, name, found, sizeof(found) - 1);
	found[n < 0 ? 0 : n] = '\0';
	return strcmp(found, s->link) == 0 ? ACCEPTED_BY_SESSION : ACCEPTED_BY_SEARCHING;
}

static enum accepted_by
next_process(struct accepted_by_search *s, const char **why)
{
	const char *name;
	int error = s->processes.fd >= 0 ? 0 : directory_open(&s->processes, "/proc");

	if (error < 0) {
		*why = strerror(-error);
		return ACCEPTED_BY_UNKNOWN;
	}
	name = directory_next(&s->processes);
	if (name == NULL)
		return ACCEPTED_BY_OTHER;
	s->pid = (pid_t)strtol(name, NULL, 10);
	if (s->pid > 0 && s->pid != s->session && getsid(s->pid) == s->session)
		s->phase = OPEN_PROCESS;
	return ACCEPTED_BY_SEARCHING;
}

static enum accepted_by
step(struct accepted_by_search *s, const char **why)
{
	static enum accepted_by (*const steps[])(
	    struct accepted_by_search * s, const char **why) = {
	    [ASK_KERNEL] = ask_kernel,
	    [OPEN_PROCESS] = open_process,
	    [LOOK_AT_DESCRIPTORS] = look_at_descriptor,
	    [NEXT_PROCESS] = next_process,
	};

	return steps[s->phase](s, why);
}

static void take_turn(void *data);

static void
turn_later(struct accepted_by_queue *q)
{
	if (q->turn == NULL && !TAILQ_EMPTY(&q->searches))
		q->turn = timer_after(q, q->timers, 0, take_turn, q);
}

/* The first of those who ask gets this turn, or as much of it as it needs. */
static void
take_turn(void *data)
{
	struct accepted_by_queue *q = talloc_get_type_abort(data, struct accepted_by_queue);
	int left = ACCEPTED_BY_TURN_MAX;

	q->turn = NULL;
	while (left > 0 && !TAILQ_EMPTY(&q->searches)) {
		struct accepted_by_search *s = TAILQ_FIRST(&q->searches);
		enum accepted_by by = ACCEPTED_BY_SEARCHING;
		const char *why = NULL;
		accepted_by_fn *fn = s->fn;
		void *arg = s->data;

		for (; left > 0 && by == ACCEPTED_BY_SEARCHING; left--)
			by = step(s, &why);
		if (by == ACCEPTED_BY_SEARCHING)
			break;
		talloc_free(s);
		fn(by, why, arg);
	}
	turn_later(q);
}

static int
search_end(struct accepted_by_search *s)
{
	if (s->queue != NULL)
		TAILQ_REMOVE(&s->queue->searches, s, entry);
	directory_close(&s->descriptors);
	directory_close(&s->processes);
	return 0;
}

struct accepted_by_search *
accepted_by_find(TALLOC_CTX *mem, struct accepted_by_queue *queue, int fd, pid_t session,
    accepted_by_fn *fn, void *data)
{
	struct accepted_by_search *s = talloc_zero(mem, struct accepted_by_search);

	if (s == NULL)
		return NULL;
	*s = (struct accepted_by_search){
	    .queue = queue, .socket = fd, .session = session, .fn = fn, .data = data};
	s->descriptors.fd = s->processes.fd = -1;
	TAILQ_INSERT_TAIL(&queue->searches, s, entry);
	talloc_set_destructor(s, search_end);
	turn_later(queue);
	if (queue->turn == NULL)
		TALLOC_FREE(s);
	return s;
}

static int
queue_end(struct accepted_by_queue *q)
{
	struct accepted_by_search *s;

	TAILQ_FOREACH(s, &q->searches, entry)
		s->queue = NULL;
	return 0;
}

struct accepted_by_queue *
accepted_by_queue_new(TALLOC_CTX *mem, struct timers *timers)
{
	struct accepted_by_queue *q = talloc_zero(mem, struct accepted_by_queue);

	if (q == NULL)
		return NULL;
	q->timers = timers;
	TAILQ_INIT(&q->searches);
	talloc_set_destructor(q, queue_end);
	return q;
}
