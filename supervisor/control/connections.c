/* SPDX-License-Identifier: MIT */
/*
 * How many connections are open on the sockets that baton holds: counted by the kernel
 * (sock_diag(7)) at the moment when somebody asks. So it is true for any program, costs an
 * instance nothing, and nobody has to wake up to report it. What the kernel cannot tell is
 * which process has a connection, so for a socket that several share there is one number.
 * Its answer names each connection: it is taken in pieces, from the loop, for a limited time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/control/unix_diag.h"
#include "supervisor/daemon/supervisor.h"

/* Connections that a process has a descriptor of, or can accept. */
#define STATES (1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT)

/* About 250 connections. */
#define PIECE_BYTES 32768

struct port {
	struct address address;
	int64_t count;
};

/* What is asked for, one after the other. */
enum pass { PASS_IPV4, PASS_IPV6, PASS_UNIX_FILES, PASS_UNIX, PASSES };

struct connections {
	struct port *ports; /* by number */
	unsigned nports;
	struct unix_sockets *unix_sockets;
	int fd;
	enum pass pass;        /* which is asked for now */
	bool answered[PASSES]; /* … and was in full, or there was nothing to ask for */
	struct tevent_fd *fde;
	struct timer *limit;
	connections_fn *fn;
	void *data;
	char buffer[PIECE_BYTES] __attribute__((aligned(8)));
};

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
	struct rtattr attribute;
	/* "From port … to port …", as the kernel's little language has it. */
	struct inet_diag_bc_op from, from_port, to, to_port;
};

static int
by_port(const void *a, const void *b)
{
	const struct port *x = a, *y = b;

	return (int)address_port(&x->address) - (int)address_port(&y->address);
}

static bool
is_tcp(const struct address *a)
{
	return a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6;
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

static void
count(struct connections *c, const struct inet_diag_msg *m)
{
	const unsigned port = ntohs(m->id.idiag_sport);
	unsigned low = 0, high = c->nports;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (address_port(&c->ports[middle].address) < port)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < c->nports && address_port(&c->ports[low].address) == port; low++) {
		if (same_host(&c->ports[low].address, m)) {
			c->ports[low].count++;
			return;
		}
	}
}

static enum unix_diag_pass
unix_pass(const struct connections *c)
{
	return c->pass == PASS_UNIX ? UNIX_DIAG_CONNECTIONS : UNIX_DIAG_FILES;
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
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		if (m->nlmsg_type == NLMSG_ERROR)
			return -EOPNOTSUPP;
		if (m->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			continue;
		if (c->pass == PASS_UNIX_FILES || c->pass == PASS_UNIX)
			unix_sockets_take(c->unix_sockets, m, unix_pass(c));
		else
			count(c, NLMSG_DATA(m));
	}
	return 1;
}

static bool
has_family(const struct connections *c, int family)
{
	for (unsigned i = 0; i < c->nports; i++) {
		if (c->ports[i].address.sa.sa_family == family)
			return true;
	}
	return false;
}

static bool
ask_for_tcp(struct connections *c)
{
	const unsigned first = address_port(&c->ports[0].address);
	const unsigned last = address_port(&c->ports[c->nports - 1].address);
	const struct request r = {
	    .head = {.nlmsg_len = sizeof(r),
		.nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .body = {.sdiag_family = c->pass == PASS_IPV4 ? AF_INET : AF_INET6,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = STATES},
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

/* A kernel without IPv6 need not be asked about it. */
static bool
is_wanted(const struct connections *c)
{
	switch (c->pass) {
	case PASS_IPV4:
		return has_family(c, AF_INET);
	case PASS_IPV6:
		return has_family(c, AF_INET6);
	default:
		return !unix_sockets_none(c->unix_sockets);
	}
}

/* The first from C->pass on that there is something to ask for. False: there is none left. One
 * that the kernel knows nothing of does not keep it from telling the others. */
static bool
ask(struct connections *c)
{
	for (; c->pass < PASSES; c->pass++) {
		c->answered[c->pass] = !is_wanted(c);
		if (!c->answered[c->pass] &&
		    (c->pass <= PASS_IPV6 ? ask_for_tcp(c)
					  : unix_sockets_ask(c->unix_sockets, c->fd, unix_pass(c))))
			return true;
	}
	return false;
}

/* Tells the outcome, from the loop; C is freed by whoever asked. */
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
	for (size_t i = 0; i < inst->nlisteners; i++) {
		const struct listener *l = &inst->listeners[i];

		if (address_is_unix(&l->address))
			unix_sockets_add(c->unix_sockets, l->fd, &l->address);
		if (!is_tcp(&l->address))
			continue;
		c->ports = talloc_realloc(c, c->ports, struct port, c->nports + 1);
		if (c->ports == NULL)
			c->nports = 0;
		else
			c->ports[c->nports++] = (struct port){.address = l->address};
	}
}

static void
list_sockets(struct connections *c, const struct supervisor *sup)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		const struct service *s = sup->all.services[i];
		unsigned n = s->config->shared && s->ninstances > 1 ? 1 : s->ninstances;

		for (unsigned k = 0; k < n; k++)
			add_sockets(c, s->instances[k]);
	}
	if (c->nports > 0)
		qsort(c->ports, c->nports, sizeof(c->ports[0]), by_port);
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
    TALLOC_CTX *mem, struct supervisor *sup, int limit_ms, connections_fn *fn, void *data)
{
	struct connections *c = talloc_zero(mem, struct connections);

	if (c == NULL)
		return NULL;
	c->fn = fn;
	c->data = data;
	c->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	talloc_set_destructor(c, connections_close);
	c->unix_sockets = unix_sockets_new(c);
	if (c->unix_sockets != NULL)
		list_sockets(c, sup);
	if (c->fd >= 0 && c->unix_sockets != NULL && ask(c))
		c->fde = tevent_add_fd(sup->base.ev, c, c->fd, TEVENT_FD_READ, readable, c);
	if (c->fde != NULL)
		c->limit = timer_after(c, sup->base.timers, limit_ms, too_long, c);
	if (c->limit == NULL)
		TALLOC_FREE(c);
	return c;
}

/* -1: it is not known. */
static int64_t
on(const struct connections *c, const struct listener *l)
{
	const int family = l->address.sa.sa_family;

	if (family == AF_UNIX)
		return c->answered[PASS_UNIX_FILES] && c->answered[PASS_UNIX]
			   ? unix_sockets_count(c->unix_sockets, &l->address)
			   : -1;
	if (!c->answered[family == AF_INET ? PASS_IPV4 : PASS_IPV6])
		return -1;
	for (unsigned i = 0; i < c->nports; i++) {
		if (address_equal(&c->ports[i].address, &l->address))
			return c->ports[i].count;
	}
	return 0;
}

int64_t
connections_of(const struct connections *c, const struct instance *inst)
{
	int64_t sum = inst->nlisteners > 0 ? 0 : -1;

	for (size_t i = 0; c != NULL && sum >= 0 && i < inst->nlisteners; i++) {
		int64_t more = on(c, &inst->listeners[i]);

		sum = more < 0 ? -1 : sum + more;
	}
	return c == NULL ? -1 : sum;
}
