/* SPDX-License-Identifier: MIT */
/*
 * The sockets of all instances, and the set of each one: bound before anything starts, refusing
 * when told so, closed at the end.
 */
#include "supervisor/sockets/sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/process/credentials.h"
#include "supervisor/sockets/socket_file.h"

static int
sockets_end(struct sockets *all)
{
	struct socket_set *set;

	TAILQ_FOREACH(set, &all->sets, entry)
		set->all = NULL;
	return 0;
}

struct sockets *
sockets_new(TALLOC_CTX *mem, struct output *out)
{
	struct sockets *all = talloc_zero(mem, struct sockets);

	if (all == NULL)
		return NULL;
	all->out = out;
	TAILQ_INIT(&all->sets);
	LIST_INIT(&all->stored);
	talloc_set_destructor(all, sockets_end);
	return all;
}

int
sockets_open(struct sockets *all, TALLOC_CTX *mem, char **why)
{
	struct socket_set *set;
	int error = 0;

	TAILQ_FOREACH(set, &all->sets, entry) {
		error = socket_set_open(set, mem, why);
		if (error < 0)
			break;
	}
	if (error < 0)
		sockets_close(all);
	return error;
}

void
sockets_close(struct sockets *all)
{
	struct socket_set *set;

	TAILQ_FOREACH(set, &all->sets, entry) {
		for (size_t k = 0; k < set->nlisteners; k++) {
			if (set->listeners[k].file != NULL && store_keeps(all, &set->listeners[k]))
				socket_file_leave(set->listeners[k].file);
		}
		socket_set_use(set, NULL);
	}
}

/* ---- One set ---------------------------------------------------------------------------------- */

void
socket_set_withdraw(struct socket_set *set)
{
	if (set->all != NULL)
		TAILQ_REMOVE(&set->all->sets, set, entry);
	set->all = NULL;
}

static int
set_end(struct socket_set *set)
{
	socket_set_withdraw(set);
	return 0;
}

struct socket_set *
socket_set_new(TALLOC_CTX *mem, struct sockets *all, const char *name, unsigned index,
    const struct service_config *const *config, struct socket_set *first)
{
	struct socket_set *set = talloc_zero(mem, struct socket_set);

	if (set == NULL)
		return NULL;
	set->name = talloc_strdup(set, name);
	if (set->name == NULL) {
		talloc_free(set);
		return NULL;
	}
	set->index = index;
	set->config = config;
	set->first = first == NULL ? set : first;
	set->all = all;
	TAILQ_INSERT_TAIL(&all->sets, set, entry);
	talloc_set_destructor(set, set_end);
	return set;
}

void
socket_set_use(struct socket_set *set, struct listener *list)
{
	talloc_free(set->listeners);
	set->listeners = talloc_steal(set, list);
	set->nlisteners = talloc_array_length(list);
}

int
socket_set_open(struct socket_set *set, TALLOC_CTX *mem, char **why)
{
	const struct service_config *c = *set->config;
	struct listener *list = listener_open(
	    set, set, c, c->shared && set != set->first ? set->first->listeners : NULL, mem, why);

	if (list == NULL)
		return *why == NULL ? -ENOMEM : -EADDRINUSE;
	socket_set_use(set, list);
	return 0;
}

void
socket_set_let_go(struct socket_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->nlisteners; i++) {
		struct listener *l = &set->listeners[i], was = *l;

		if (listener_is_anothers(set, l)) {
			listener_close(l);
		} else if (kept++ != i) {
			*l = (struct listener){.fd = -1};
			set->listeners[kept - 1] = was;
		}
	}
	set->nlisteners = kept;
}

/* ---- Whose their files are ---------------------------------------------------------------------- */

static void
own(const struct socket_set *set)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct socket_owner owner;
	const char *why = "";
	int error = credentials_of_sockets(*set->config, tmp, &owner, &why);

	for (size_t i = 0; i < set->nlisteners && error == 0; i++) {
		const struct listener *l = &set->listeners[i];
		int failed = l->file == NULL ? 0 : socket_file_own(l->file, &owner);

		if (failed < 0)
			output_warn(set->all->out, "%s: cannot change owner and mode of %s: %s",
			    set->name, l->address.un.sun_path, strerror(-failed));
	}
	talloc_free(tmp);
}

void
sockets_own(struct sockets *all)
{
	struct socket_set *set;

	TAILQ_FOREACH(set, &all->sets, entry)
		own(set);
}

/* ---- Refusing ----------------------------------------------------------------------------------- */

/* Whose mark says whether they refuse: that of the first one, if all have the same. */
static struct socket_set *
marked(struct socket_set *set)
{
	return (*set->config)->shared ? set->first : set;
}

/*
 * shutdown(2) makes a listening TCP socket refuse, and keeps its port, unless the kernel has
 * chosen that. SO_REUSEADDR has to go meanwhile: with it, another process could bind the port
 * while nobody listens there. It comes back before listen(2), for accepted connections inherit
 * it, and one of those in TIME_WAIT without it would be in the next baton's way. A socket that
 * baton was given stays as it is: its owner waits at it too.
 */
static void
refuse_or_listen_tcp(const struct socket_set *set, const struct listener *l, bool refuse)
{
	const int reuse = !refuse;

	if (refuse)
		shutdown(l->fd, SHUT_RD);
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	if (!refuse && listen(l->fd, (int)(*set->config)->backlog) < 0)
		output_warn(set->all->out, "%s: cannot listen on %s again: %s", set->name, l->name,
		    strerror(errno));
}

static void
refuse_or_listen_unix(const struct socket_set *set, const struct listener *l, bool refuse)
{
	int error = refuse ? socket_file_refuse(l->file, l->fd) : socket_file_resume(l->file);

	if (!refuse && error == 0 && listen(l->fd, (int)(*set->config)->backlog) < 0)
		error = -errno;
	if (error < 0)
		output_warn(set->all->out, "%s: cannot %s on %s%s: %s", set->name,
		    refuse ? "refuse connections" : "listen", l->address.un.sun_path,
		    refuse ? "" : " again", strerror(-error));
}

static void
refuse_or_listen(struct socket_set *set, bool refuse)
{
	for (size_t i = 0; i < set->nlisteners; i++) {
		const struct listener *l = &set->listeners[i];

		if (l->file != NULL)
			refuse_or_listen_unix(set, l, refuse);
		else if (!refuse || (!l->chosen && !l->given))
			refuse_or_listen_tcp(set, l, refuse);
	}
	set->refusing = refuse;
}

void
socket_set_refuse(struct socket_set *set)
{
	if (!socket_set_refuses(set))
		refuse_or_listen(marked(set), true);
}

void
socket_set_resume(struct socket_set *set)
{
	if (socket_set_refuses(set))
		refuse_or_listen(marked(set), false);
}

void
socket_set_settle(struct socket_set *set)
{
	own(set);
	refuse_or_listen(set, socket_set_refuses(set));
}
