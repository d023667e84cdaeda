/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: all of them are bound before anything starts, and stay open until baton
 * ends, so that a connection made while no instance runs waits in the queue. What is special
 * about Unix sockets is in socket_file.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/process/credentials.h"
#include "supervisor/sockets/socket_file.h"
#include "supervisor/sockets/sockets.h"

static int
bind_and_listen(int fd, const struct address *a, int backlog)
{
	const int on = 1;

	/* It stays on: accepted connections inherit it, and one of those in TIME_WAIT without it
	 * would keep the next baton from binding for a minute. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (a->sa.sa_family == AF_INET6) {
		const int v6only = !a->any;

		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
			return -errno;
	}
	if (bind(fd, &a->sa, a->len) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return 0;
}

/* Opens A; what was bound in the end (the port!) is written back to it. */
static int
open_address(struct address *a, int backlog)
{
	struct address got = *a;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = bind_and_listen(fd, a, backlog);
	if (error == 0 && getsockname(fd, &got.sa, &got.len) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		return error;
	}
	*a = got;
	return fd;
}

/* ":8080" on a machine without IPv6, or with IPv6 switched off, means IPv4's wildcard. */
static int
open_any(struct address *a, int backlog)
{
	struct address v4 = {.in = {.sin_family = AF_INET}, .len = sizeof(a->in), .any = true};
	int fd = open_address(a, backlog);

	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
		address_set_port(&v4, address_port(a));
		fd = open_address(&v4, backlog);
		if (fd >= 0)
			*a = v4;
	}
	return fd;
}

static int
open_unix(struct listener *l, const struct service_config *c, TALLOC_CTX *mem, char **remedy)
{
	struct socket_owner owner;
	int fd = -1, error = credentials_of_sockets(c, mem, &owner, (const char **)remedy);

	if (error < 0)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = socket_file_bind(fd, &l->address, &owner, (int)c->backlog, &l->file, mem, remedy);
	if (error < 0)
		close(fd);
	return error < 0 ? error : fd;
}

void
listener_close(struct listener *l)
{
	socket_file_unref(&l->file);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static int
close_list(struct listener *listeners)
{
	for (size_t i = 0; i < talloc_array_length(listeners); i++)
		listener_close(&listeners[i]);
	return 0;
}

static int
share(struct listener *l, const struct listener *had)
{
	l->address = had->address;
	l->given = had->given;
	l->fd = fcntl(had->fd, F_DUPFD_CLOEXEC, 3);
	if (l->fd >= 0 && had->file != NULL)
		l->file = socket_file_ref(had->file);
	return l->fd < 0 ? -errno : 0;
}

/* While ON, sockets that refuse are no obstacle to binding A; those that listen are one, whatever is
 * set. */
static void
step_aside(const struct sockets *all, const struct address *a, bool on)
{
	const struct socket_set *set;
	const int reuse = on;

	TAILQ_FOREACH(set, &all->sets, entry) {
		for (size_t k = 0; socket_set_refuses(set) && k < set->nlisteners; k++) {
			const struct listener *l = &set->listeners[k];

			if (!l->chosen && !l->given && l->file == NULL &&
			    address_overlap(&l->address, a))
				setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
		}
	}
}

static int
open_new(struct listener *l, const struct socket_set *set, const struct service_config *s,
    TALLOC_CTX *mem, char **remedy)
{
	int fd;

	if (address_is_unix(&l->address))
		return open_unix(l, s, mem, remedy);
	fd = l->address.any ? open_any(&l->address, (int)s->backlog)
			    : open_address(&l->address, (int)s->backlog);
	if (fd != -EADDRINUSE)
		return fd;
	step_aside(set->all, &l->address, true);
	fd = l->address.any ? open_any(&l->address, (int)s->backlog)
			    : open_address(&l->address, (int)s->backlog);
	step_aside(set->all, &l->address, false);
	return fd;
}

/* What the sockets of a set are made from. */
struct wanted {
	const struct socket_set *set;
	const struct service_config *config;
	const struct listener *before; /* its own until now, or those that it shares; or NULL */
	bool anyones;                  /* those of other sets may be taken as well */
};

/* C is one of the lines; *REMEDY (in MEM) is set if there is more to say about an error. */
static int
open_listener(struct listener *l, const struct wanted *w, const struct listen_config *c,
    TALLOC_CTX *mem, char **remedy)
{
	const struct service_config *s = w->config;
	bool chosen = !address_is_unix(&c->base) && address_port(&c->base) == 0;
	const struct listener *had;

	l->chosen = chosen;
	l->address =
	    chosen ? c->base : address_of_instance(&c->base, s->shared ? 0 : w->set->index);
	had = listener_find(w->before, c, &l->address);
	if (had == NULL && w->anyones && !chosen)
		had = listener_find_anyones(w->set->all, &l->address);
	if (had != NULL)
		return share(l, had);
	l->fd = inherited_find(w->set, c, (int)s->backlog, l);
	if (l->fd >= 0)
		return 0;
	if (address_is_unix(&l->address) && !s->shared && w->set->index > 0 &&
	    !address_has_index(&c->base)) {
		*remedy = talloc_strdup(mem, "instance 0 has this path; put %i, which becomes the "
					     "instance's number, into it, or say `ports = shared`");
		return -EADDRINUSE;
	}
	l->fd = open_new(l, w->set, s, mem, remedy);
	return l->fd < 0 ? l->fd : 0;
}

struct listener *
listener_new(TALLOC_CTX *mem, size_t n)
{
	struct listener *list = talloc_zero_array(mem, struct listener, (unsigned)n);

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		list[i].fd = -1;
	talloc_set_destructor(list, close_list);
	return list;
}

static struct listener *
open_list(TALLOC_CTX *mem, const struct wanted *w, TALLOC_CTX *why_mem, char **why)
{
	const struct service_config *c = w->config;
	struct listener *list = listener_new(mem, c->nlistens);

	*why = NULL;
	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < c->nlistens; i++) {
		char *remedy = NULL;
		int error = -ENOMEM;

		/* Its own: an instance that is being removed outlives its configuration. */
		list[i].name = talloc_strdup(list, c->listens[i].name);
		if (list[i].name != NULL)
			error = open_listener(&list[i], w, &c->listens[i], why_mem, &remedy);

		if (error == 0)
			continue;
		*why = listener_explain(
		    why_mem, w->set, &c->listens[i], &list[i].address, error, remedy);
		talloc_free(list);
		return NULL;
	}
	return list;
}

struct listener *
listener_open(TALLOC_CTX *mem, const struct socket_set *set, const struct service_config *c,
    const struct listener *before, TALLOC_CTX *why_mem, char **why)
{
	return open_list(
	    mem, &(struct wanted){.set = set, .config = c, .before = before}, why_mem, why);
}

struct listener *
listener_take(TALLOC_CTX *mem, const struct socket_set *set, const struct service_config *c,
    const struct listener *before, TALLOC_CTX *why_mem, char **why)
{
	return open_list(mem,
	    &(struct wanted){.set = set, .config = c, .before = before, .anyones = true}, why_mem,
	    why);
}
