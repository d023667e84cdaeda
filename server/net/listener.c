/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: inherited from a supervisor by name, or opened here. What is inherited
 * is never bound again, so a replaced program leaves its queue to its successor.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "server/net/net.h"

static int
listener_close(struct listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	return 0;
}

/* A service's name, or a number: getaddrinfo would take 70000 for 4464. */
static bool
port_valid(const char *port)
{
	char *end;
	long n;

	if (isalpha((unsigned char)port[0]))
		return true;
	n = strtol(port, &end, 10);
	return isdigit((unsigned char)port[0]) && *end == '\0' && n >= 0 && n <= 65535;
}

/* "host:port", "[v6]:port" or ":port"; the two parts are allocated under mem. */
static const char *
split_address(TALLOC_CTX *mem, const char *address, char **host, char **port)
{
	const char *colon = strrchr(address, ':');
	const char *start = address, *end = colon;

	if (colon == NULL || colon[1] == '\0')
		return "expected ADDRESS:PORT";
	if (start[0] == '[') {
		if (end[-1] != ']' || end - start < 3)
			return "expected [ADDRESS]:PORT";
		start++, end--;
	} else if (memchr(start, ':', (size_t)(end - start)) != NULL) {
		return "an IPv6 address is written [ADDRESS]:PORT";
	}
	if (!port_valid(colon + 1))
		return "expected a port from 0 to 65535";
	*host = end == start ? NULL : talloc_strndup(mem, start, (size_t)(end - start));
	*port = talloc_strdup(mem, colon + 1);
	return *port == NULL ? "out of memory" : NULL;
}

static int
bind_one(const struct addrinfo *ai, int backlog)
{
	int on = 1, off = 0, err;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* Sockets of a predecessor in TIME_WAIT must not keep us from the port. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, backlog) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int
open_one(struct listener *l, int backlog, char **why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *ai = NULL;
	char *host = NULL, *port = NULL;
	const char *syntax = split_address(l, l->address, &host, &port);
	int err;

	if (syntax != NULL) {
		*why = talloc_asprintf(l, "listener %s: %s: %s", l->name, l->address, syntax);
		return -EINVAL;
	}
	/* Every address of the machine: IPv6 with IPv4 in it, or where there is none, IPv4. */
	if (host == NULL)
		hints.ai_family = AF_INET6;
	err = getaddrinfo(host, port, &hints, &ai);
	if (err != 0) {
		*why = talloc_asprintf(
		    l, "listener %s: %s: %s", l->name, l->address, gai_strerror(err));
		return -EINVAL;
	}
	l->fd = bind_one(ai, backlog);
	freeaddrinfo(ai);
	if (l->fd == -EAFNOSUPPORT && host == NULL) {
		hints.ai_family = AF_INET;
		if (getaddrinfo(host, port, &hints, &ai) == 0) {
			l->fd = bind_one(ai, backlog);
			freeaddrinfo(ai);
		}
	}
	if (l->fd >= 0)
		return 0;
	err = l->fd;
	*why = talloc_asprintf(l, "listener %s: %s: %s%s", l->name, l->address, strerror(-err),
	    err == -EADDRINUSE ? " (stop what listens there, or choose another port)" : "");
	return err;
}

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static struct inherited *
inherited_for(struct inherited *in, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!in[i].taken && strcmp(in[i].name, name) == 0)
			return &in[i];
	return NULL;
}

struct listener *
listener_named(const struct net *net, const char *name)
{
	struct listener *l;

	TAILQ_FOREACH(l, &net->listeners, entry)
		if (strcmp(l->name, name) == 0)
			break;
	return l;
}

struct listener *
listener_new(struct net *net, const char *name, const char *address)
{
	struct listener *l = talloc_zero(net->mem, struct listener);

	if (l == NULL)
		return NULL;
	l->source = SOURCE_LISTENER;
	l->fd = -1;
	l->port = -ENOENT;
	l->name = talloc_strdup(l, name);
	l->address = talloc_strdup(l, address);
	if (l->name == NULL || l->address == NULL) {
		talloc_free(l);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&net->listeners, l, entry);
	return l;
}

/* The first that nobody asks for by name. */
static struct inherited *
inherited_unclaimed(const struct net *net, struct inherited *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!in[i].taken && listener_named(net, in[i].name) == NULL)
			return &in[i];
	return NULL;
}

static struct listener *
listener_take(struct listener *l, struct inherited *from)
{
	l->fd = from->fd;
	from->taken = true;
	return l;
}

static int
serve_left_overs(struct net *net, struct inherited *in, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct listener *l;

		if (in[i].taken)
			continue;
		l = talloc_zero(net->mem, struct listener);
		if (l == NULL)
			return -ENOMEM;
		l->source = SOURCE_LISTENER;
		l->name = talloc_strdup(l, in[i].name);
		talloc_set_destructor(l, listener_close);
		TAILQ_INSERT_TAIL(&net->listeners, listener_take(l, &in[i]), entry);
	}
	return 0;
}

static int
check_inherited(const struct inherited *in, size_t n, TALLOC_CTX *mem, char **why)
{
	for (size_t i = 0; i < n; i++)
		if (!is_listening(in[i].fd)) {
			*why = talloc_asprintf(mem,
			    "inherited fd %d (%s): expected a listening stream socket", in[i].fd,
			    in[i].name);
			return -ENOTSOCK;
		}
	return 0;
}

static int
port_of(const struct listener *l)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(ss);

	if (getsockname(l->fd, (struct sockaddr *)&ss, &len) != 0)
		return -errno;
	if (ss.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&ss)->sin_port);
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return -ENOENT;
}

void
listener_announce(const struct net *net)
{
	const struct listener *l;

	TAILQ_FOREACH(l, &net->listeners, entry) {
		const char *how = l->address == NULL ? " (inherited)" : "";

		if (l->port >= 0)
			log_line(LOG_INFO, "listening: %s on port %d%s", l->name, l->port, how);
		else
			log_line(LOG_INFO, "listening: %s on a Unix socket%s", l->name, how);
	}
}

int
listener_open_all(struct net *net, struct inherited *in, size_t n, char **why)
{
	struct inherited *from;
	struct listener *l;
	int err;

	*why = NULL;
	err = check_inherited(in, n, net->mem, why);
	TAILQ_FOREACH(l, &net->listeners, entry)
		if ((from = inherited_for(in, n, l->name)) != NULL)
			listener_take(l, from);
	TAILQ_FOREACH(l, &net->listeners, entry) {
		if (err != 0 || l->fd >= 0)
			continue;
		talloc_set_destructor(l, listener_close);
		if ((from = inherited_unclaimed(net, in, n)) != NULL)
			listener_take(l, from);
		else
			err = open_one(l, (int)net->set->backlog, why);
	}
	if (err == 0)
		err = serve_left_overs(net, in, n);
	TAILQ_FOREACH(l, &net->listeners, entry)
		l->port = port_of(l);
	if (err == 0 && TAILQ_EMPTY(&net->listeners)) {
		*why = talloc_strdup(
		    net->mem, "nothing to listen on: no http_server_listen, no LISTEN_FDS");
		err = -EDESTADDRREQ;
	}
	return err;
}
