/* SPDX-License-Identifier: MIT */
/*
 * How many connections are open on the sockets that baton holds: counted by the kernel
 * (sock_diag(7)) at the moment when somebody asks. So it is true for any program, costs an
 * instance nothing, and nobody has to wake up to report it. What the kernel cannot tell is
 * which process has a connection, so for a socket that several share there is one number.
 * Its answer names each connection: it is taken in pieces, from the loop, for a limited time.
 *
 * A connection that was made to a listening Unix socket has that socket's file, by inode and
 * device, wherever the file is by now and whatever name others know it by. So the kernel is asked
 * twice: for the files of our sockets with the queues before them, and for what is connected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/control/control_internal.h"
#include "supervisor/instance/instances.h"

/* Connections that a process has a descriptor of, or can accept. */
#define STATES (1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT)

/* About 250 connections. */
#define PIECE_BYTES 32768

/* One listening socket of a service. */
struct counted {
	struct address address;
	uint32_t number; /* of a Unix socket its own inode, by which the kernel names it */
	uint64_t key;    /* what its connections have of it: the port, or the file */
	bool known;      /* … of a Unix socket, once its file is found */
	int64_t count;
};

/* What is asked for, one after the other. */
enum pass { PASS_IPV4, PASS_IPV6, PASS_UNIX_FILES, PASS_UNIX, PASSES };

static const struct {
	int family;
	uint32_t states;
} passes[PASSES] = {
    [PASS_IPV4] = {AF_INET, STATES},
    [PASS_IPV6] = {AF_INET6, STATES},
    [PASS_UNIX_FILES] = {AF_UNIX, 1U << TCP_LISTEN},
    [PASS_UNIX] = {AF_UNIX, 1U << TCP_ESTABLISHED},
};

struct connections {
	struct counted *list; /* by family and key, while it is counted */
	unsigned n;
	int fd;
	enum pass pass;        /* which is asked for now */
	bool answered[PASSES]; /* … and was in full, or there was nothing to ask for */
	struct tevent_fd *fde;
	struct timer *limit;
	connections_fn *fn;
	void *data;
	char buffer[PIECE_BYTES] __attribute__((aligned(8)));
};

static int
order(const struct counted *s, int family, uint64_t key)
{
	if (s->address.sa.sa_family != family)
		return s->address.sa.sa_family < family ? -1 : 1;
	return (s->key > key) - (s->key < key);
}

static int
by_key(const void *a, const void *b)
{
	const struct counted *y = b;

	return order(a, y->address.sa.sa_family, y->key);
}

static bool
same_host(const struct address *a, const struct inet_diag_msg *m)
{
	const struct in6_addr *host6 = (const struct in6_addr *)m->id.idiag_src;

	if (a->sa.sa_family != m->idiag_family)
		return false;
	if (m->idiag_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) ||
		       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, host6);
	return a->in.sin_addr.s_addr == htonl(INADDR_ANY) ||
	       a->in.sin_addr.s_addr == m->id.idiag_src[0];
}

/* One connection; M tells of TCP to which host of several with that port. */
static void
count(struct connections *c, int family, uint64_t key, const struct inet_diag_msg *m)
{
	unsigned low = 0, high = c->n;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (order(&c->list[middle], family, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < c->n && order(&c->list[low], family, key) == 0; low++) {
		if (c->list[low].known && (m == NULL || same_host(&c->list[low].address, m))) {
			c->list[low].count++;
			return;
		}
	}
}

/* NULL: the kernel did not tell it, as it does not tell the file of a client's side. */
static const void *
attribute(const struct nlmsghdr *m, unsigned short type, size_t size)
{
	const struct unix_diag_msg *body = NLMSG_DATA(m);
	int left = (int)m->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*body));

	for (const struct rtattr *a = (const void *)(body + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if (a->rta_type == type && RTA_PAYLOAD(a) >= size)
			return RTA_DATA(a);
	}
	return NULL;
}

static void
take_unix(struct connections *c, const struct nlmsghdr *m)
{
	const struct unix_diag_msg *body = NLMSG_DATA(m);
	const struct unix_diag_vfs *file = attribute(m, UNIX_DIAG_VFS, sizeof(*file));
	const struct unix_diag_rqlen *queue = attribute(m, UNIX_DIAG_RQLEN, sizeof(*queue));
	const uint64_t key =
	    file == NULL ? 0 : (uint64_t)file->udiag_vfs_ino << 32 | file->udiag_vfs_dev;

	if (file != NULL && c->pass == PASS_UNIX)
		count(c, AF_UNIX, key, NULL);
	for (unsigned i = 0; file != NULL && c->pass == PASS_UNIX_FILES && i < c->n; i++) {
		struct counted *s = &c->list[i];

		if (s->address.sa.sa_family != AF_UNIX || s->number != body->udiag_ino)
			continue;
		s->key = key;
		s->known = true;
		/* Those that wait to be accepted have no number yet, and are not in the other
		 * answer. */
		s->count = queue == NULL ? 0 : queue->udiag_rqueue;
	}
}

/* Takes one piece of the answer. Returns 1 if more is to come, 0 at the end, or -errno. */
static int
take(struct connections *c)
{
	ssize_t n = recv(c->fd, c->buffer, sizeof(c->buffer), MSG_DONTWAIT);
	int left = (int)n;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : -errno;
	for (const struct nlmsghdr *m = (void *)c->buffer; NLMSG_OK(m, (unsigned)left);
	     m = NLMSG_NEXT(m, left)) {
		const struct inet_diag_msg *tcp = NLMSG_DATA(m);

		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		if (m->nlmsg_type == NLMSG_ERROR)
			return -EOPNOTSUPP;
		if (m->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			continue;
		if (passes[c->pass].family == AF_UNIX)
			take_unix(c, m);
		else
			count(c, tcp->idiag_family, ntohs(tcp->id.idiag_sport), tcp);
	}
	return 1;
}

static bool
ask_for_tcp(const struct connections *c, uint64_t first, uint64_t last)
{
	const struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
		struct rtattr attribute;
		/* "From port … to port …", as the kernel's little language has it. */
		struct inet_diag_bc_op from, from_port, to, to_port;
	} r = {
	    .head = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .body = {.sdiag_family = (uint8_t)passes[c->pass].family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = passes[c->pass].states},
	    .attribute = {.rta_type = INET_DIAG_REQ_BYTECODE,
		.rta_len = RTA_LENGTH(4 * sizeof(struct inet_diag_bc_op))},
	    /* yes: on to what follows; no: past the end, which means "not this one" */
	    .from = {.code = INET_DIAG_BC_S_GE, .yes = 8, .no = 20},
	    .from_port = {.no = (unsigned short)first},
	    .to = {.code = INET_DIAG_BC_S_LE, .yes = 8, .no = 12},
	    .to_port = {.no = (unsigned short)last},
	};

	return send(c->fd, &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r);
}

static bool
ask_for_unix(const struct connections *c)
{
	const struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} r = {
	    .head = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .body = {.sdiag_family = AF_UNIX,
		.udiag_states = passes[c->pass].states,
		.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN},
	};

	return send(c->fd, &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r);
}

/* The first from C->pass on that there is something to ask for: a kernel without IPv6 need not be
 * asked about it. False: there is none left. One that the kernel knows nothing of does not keep it
 * from telling the others. */
static bool
ask(struct connections *c)
{
	if (c->n > 0)
		qsort(c->list, c->n, sizeof(c->list[0]), by_key);
	for (; c->pass < PASSES; c->pass++) {
		const struct counted *first = NULL, *last = NULL;

		for (unsigned i = 0; i < c->n; i++) {
			if (c->list[i].address.sa.sa_family != passes[c->pass].family)
				continue;
			last = &c->list[i];
			first = first == NULL ? last : first;
		}
		c->answered[c->pass] = first == NULL;
		if (first != NULL &&
		    (passes[c->pass].family == AF_UNIX ? ask_for_unix(c)
						       : ask_for_tcp(c, first->key, last->key)))
			return true;
	}
	return false;
}

/* Tells whoever asked, who frees C. Called from the loop only. */
static void
finish(struct connections *c)
{
	TALLOC_FREE(c->fde);
	TALLOC_FREE(c->limit);
	c->fn(c, c->data);
}

static void
too_long(void *data)
{
	struct connections *c = talloc_get_type_abort(data, struct connections);

	c->limit = NULL;
	finish(c);
}

static void
readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct connections *c = talloc_get_type_abort(data, struct connections);
	int more = take(c);

	(void)ev;
	(void)fde;
	(void)flags;
	if (more == 1)
		return;
	c->answered[c->pass++] = more == 0;
	if (!ask(c))
		finish(c);
}

static void
add_sockets(struct connections *c, const struct instance *inst)
{
	for (size_t i = 0; i < inst->sockets->nlisteners; i++) {
		const struct listener *l = &inst->sockets->listeners[i];
		const bool tcp = !address_is_unix(&l->address);
		struct counted *grown;
		struct stat st;

		if (fstat(l->fd, &st) < 0)
			continue;
		grown = talloc_realloc(c, c->list, struct counted, c->n + 1);
		if (grown == NULL)
			continue;
		c->list = grown;
		c->list[c->n++] = (struct counted){.address = l->address,
		    .number = (uint32_t)st.st_ino,
		    .key = tcp ? address_port(&l->address) : 0,
		    .known = tcp};
	}
}

static void
list_sockets(struct connections *c, const struct instances *all)
{
	for (size_t i = 0; i < all->nservices; i++) {
		const struct service *s = all->services[i];
		unsigned n = s->config->shared && s->ninstances > 1 ? 1 : s->ninstances;

		for (unsigned k = 0; k < n; k++)
			add_sockets(c, s->instances[k]);
	}
}

static int
connections_close(struct connections *c)
{
	TALLOC_FREE(c->fde);
	if (c->fd >= 0)
		close(c->fd);
	return 0;
}

struct connections *
connections_count(
    TALLOC_CTX *mem, const struct instances *all, int limit_ms, connections_fn *fn, void *data)
{
	struct connections *c = talloc_zero(mem, struct connections);

	if (c == NULL)
		return NULL;
	c->fn = fn;
	c->data = data;
	c->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	talloc_set_destructor(c, connections_close);
	list_sockets(c, all);
	if (c->fd >= 0 && ask(c))
		c->fde = tevent_add_fd(all->base->ev, c, c->fd, TEVENT_FD_READ, readable, c);
	if (c->fde != NULL)
		c->limit = timer_after(c, all->base->timers, limit_ms, too_long, c);
	if (c->limit == NULL)
		TALLOC_FREE(c);
	return c;
}

/* How many connections L has; -1: it is not known. */
static int64_t
on(const struct connections *c, const struct listener *l)
{
	for (int pass = 0; pass < PASSES; pass++) {
		if (passes[pass].family == l->address.sa.sa_family && !c->answered[pass])
			return -1;
	}
	for (unsigned i = 0; i < c->n; i++) {
		if (address_equal(&c->list[i].address, &l->address))
			return c->list[i].known ? c->list[i].count : -1;
	}
	return -1;
}

int64_t
connections_of(const struct connections *c, const struct instance *inst)
{
	int64_t sum = inst->sockets->nlisteners > 0 ? 0 : -1;

	for (size_t i = 0; c != NULL && sum >= 0 && i < inst->sockets->nlisteners; i++) {
		int64_t more = on(c, &inst->sockets->listeners[i]);

		sum = more < 0 ? -1 : sum + more;
	}
	return c == NULL ? -1 : sum;
}
