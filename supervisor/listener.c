/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: all of them are bound before anything starts, and stay open until baton
 * ends, so that a connection made while no instance runs waits in the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

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
listener_close(struct listener *listeners)
{
	for (size_t i = 0; i < talloc_array_length(listeners); i++) {
		if (listeners[i].fd >= 0)
			close(listeners[i].fd);
	}
	return 0;
}

static char *
explain(TALLOC_CTX *mem, const struct instance *inst, const struct listen_config *l,
    const struct address *a, int error)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *text = address_text(tmp, a);
	const char *remedy;
	char *why;

	switch (-error) {
	case EADDRINUSE:
		remedy = talloc_asprintf(tmp,
		    "another program listens there; end it (`ss -ltnp 'sport "
		    "= :%u'` shows which), or change the address",
		    address_port(a));
		break;
	case EACCES:
		remedy = "ports below 1024 need root or CAP_NET_BIND_SERVICE; use a higher one, or "
			 "run baton with that right";
		break;
	case EADDRNOTAVAIL:
		remedy =
		    "this machine has no such address (`ip address` shows which it has); change it";
		break;
	default:
		remedy = "change the address";
	}
	why = talloc_asprintf(mem, "%s of service %s: cannot listen on %s: %s: %s (%s)", inst->name,
	    inst->service->config->name, text, strerror(-error), remedy, l->where);
	talloc_free(tmp);
	return why;
}

/* The one of BEFORE that listens on A already, or where the kernel chose for that name. */
static const struct listener *
listens_already(
    const struct listener *before, const struct listen_config *c, const struct address *a)
{
	for (size_t i = 0; before != NULL && i < talloc_array_length(before); i++) {
		const struct listener *l = &before[i];

		if (address_port(a) == 0 ? l->chosen && strcmp(l->name, c->name) == 0
					 : address_equal(&l->address, a))
			return l;
	}
	return NULL;
}

static int
open_listener(struct listener *l, const struct listen_config *c, unsigned offset, int backlog,
    const struct listener *before)
{
	const struct listener *had;

	l->name = c->name;
	l->address = c->base;
	l->chosen = address_port(&l->address) == 0;
	if (!l->chosen)
		address_set_port(&l->address, address_port(&l->address) + offset);
	had = listens_already(before, c, &l->address);
	if (had != NULL) {
		l->address = had->address;
		l->fd = fcntl(had->fd, F_DUPFD_CLOEXEC, 3);
		return l->fd < 0 ? -errno : 0;
	}
	l->fd =
	    l->address.any ? open_any(&l->address, backlog) : open_address(&l->address, backlog);
	return l->fd < 0 ? l->fd : 0;
}

struct listener *
listener_open(TALLOC_CTX *mem, const struct instance *inst, const struct service_config *c,
    const struct listener *before, TALLOC_CTX *why_mem, char **why)
{
	struct listener *list = talloc_zero_array(mem, struct listener, (unsigned)c->nlistens);

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < c->nlistens; i++)
		list[i].fd = -1;
	talloc_set_destructor(list, listener_close);
	for (size_t i = 0; i < c->nlistens; i++) {
		int error = open_listener(
		    &list[i], &c->listens[i], c->shared ? 0 : inst->index, (int)c->backlog, before);

		if (error == 0)
			continue;
		*why = explain(why_mem, inst, &c->listens[i], &list[i].address, error);
		talloc_free(list);
		return NULL;
	}
	return list;
}

int
listener_open_instance(struct instance *inst, TALLOC_CTX *mem, char **why)
{
	const struct service_config *c = inst->service->config;
	const struct instance *first = inst->service->instances[0];

	inst->listeners = listener_open(
	    inst, inst, c, c->shared && inst != first ? first->listeners : NULL, mem, why);
	if (inst->listeners == NULL)
		return -EADDRINUSE;
	inst->nlisteners = c->nlistens;
	return 0;
}

/*
 * shutdown(2) makes a listening TCP socket refuse, and keeps its port, unless the kernel has
 * chosen that. SO_REUSEADDR has to go meanwhile: with it, another process could bind the port
 * while nobody listens there. It comes back before listen(2), for accepted connections inherit
 * it, and one of those in TIME_WAIT without it would be in the next baton's way.
 */
static void
refuse_or_listen(struct instance *inst, bool refuse)
{
	const int reuse = !refuse;

	for (size_t i = 0; i < inst->nlisteners; i++) {
		const struct listener *l = &inst->listeners[i];

		if (l->chosen)
			continue;
		if (refuse)
			shutdown(l->fd, SHUT_RD);
		setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
		if (!refuse && listen(l->fd, (int)inst->service->config->backlog) < 0)
			output_warn(inst->sup->out, "%s: cannot listen on %s again: %s", inst->name,
			    l->name, strerror(errno));
	}
	inst->refusing = refuse;
}

/* Whose mark says whether the sockets refuse: that of the first one, if all have the same. */
static struct instance *
owner(struct instance *inst)
{
	return inst->service->config->shared ? inst->service->instances[0] : inst;
}

static bool
another_lives(const struct instance *inst)
{
	const struct service *s = inst->service;

	for (unsigned i = 0; s->config->shared && i < s->ninstances; i++) {
		if (s->instances[i] != inst && s->instances[i]->life.alive != 0)
			return true;
	}
	return false;
}

void
listener_refuse(struct instance *inst)
{
	if (!owner(inst)->refusing && !another_lives(inst))
		refuse_or_listen(owner(inst), true);
}

void
listener_resume(struct instance *inst)
{
	if (owner(inst)->refusing)
		refuse_or_listen(owner(inst), false);
}

int
listener_open_all(struct supervisor *sup, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	for (size_t i = 0; i < sup->nservices && error == 0; i++) {
		for (unsigned n = 0; n < sup->services[i]->ninstances && error == 0; n++)
			error = listener_open_instance(sup->services[i]->instances[n], mem, why);
	}
	for (size_t i = 0; i < sup->nservices && error < 0; i++) {
		for (unsigned n = 0; n < sup->services[i]->ninstances; n++)
			TALLOC_FREE(sup->services[i]->instances[n]->listeners);
	}
	return error;
}
