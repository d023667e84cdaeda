/* SPDX-License-Identifier: MIT */
/*
 * Why a socket could not be bound, in one line: address, service, error, remedy.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/sockets/port_holder.h"
#include "supervisor/sockets/sockets.h"

static char *
left_behind(TALLOC_CTX *mem, const struct sockets *sockets, const struct address *taken)
{
	struct address *all = NULL;
	const struct socket_set *set;
	unsigned n = 0;

	TAILQ_FOREACH(set, &sockets->sets, entry) {
		const struct service_config *c = *set->config;

		all = talloc_realloc(mem, all, struct address, n + (unsigned)c->nlistens);
		if (all == NULL)
			return NULL;
		for (size_t k = 0; k < c->nlistens; k++)
			all[n++] =
			    address_of_instance(&c->listens[k].base, c->shared ? 0 : set->index);
	}
	return port_holder_left_behind(mem, taken, all, n);
}

static const char *
remedy_for(TALLOC_CTX *mem, const struct address *a, int error)
{
	const char *found;

	if (address_is_unix(a))
		return error == -ENOENT || error == -ENOTDIR
			   ? "make its directory, or change the path"
		       : error == -EACCES || error == -EPERM || error == -EROFS
			   ? "baton must be able to write to its directory; see to it, or change the path"
			   : "change the path";
	switch (-error) {
	case EADDRINUSE:
		found = port_holder_text(mem, a);
		if (found != NULL)
			return found;
		return talloc_asprintf(mem,
		    "another program has this port; end it (`ss -tanp 'sport = :%u'`, as root, shows "
		    "which), or change the address",
		    address_port(a));
	case EACCES:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE; use a higher one, or "
		       "run baton with that right";
	case EADDRNOTAVAIL:
		return "this machine has no such address (`ip address` shows which it has); change it";
	default:
		return "change the address";
	}
}

/* One socket cannot become another while it is open; one that refuses is not in the way. */
static char *
own_conflict(TALLOC_CTX *mem, const struct sockets *all, const struct address *a)
{
	const struct socket_set *whose;
	const struct listener *l = listener_find_conflict(all, a, &whose);
	char *text;

	if (l == NULL)
		return NULL;
	text = address_text(mem, &l->address);
	if (address_equal(&l->address, a) && l->address.any == a->any)
		return talloc_asprintf(
		    mem, "%s of this baton listens there; change one of both", whose->name);
	return talloc_asprintf(mem,
	    "%s of this baton listens on %s, and both at a time cannot be; change the address, or "
	    "stop it (`baton stop %s`), reload, and start it again",
	    whose->name, text, (*whose->config)->name);
}

char *
listener_explain(TALLOC_CTX *mem, const struct socket_set *set, const struct listen_config *l,
    const struct address *a, int error, const char *remedy)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *text = address_text(tmp, a), *found = NULL;
	char *why;

	if (error == -EADDRINUSE && remedy == NULL)
		found = own_conflict(tmp, set->all, a);
	if (error == -EADDRINUSE && found == NULL)
		found = left_behind(tmp, set->all, a);
	if (found != NULL)
		remedy = found;
	else if (remedy == NULL)
		remedy = remedy_for(tmp, a, error);
	why = talloc_asprintf(mem, "%s of service %s: cannot listen on %s: %s: %s (%s)", set->name,
	    (*set->config)->name, text, strerror(-error), remedy, l->where);
	talloc_free(tmp);
	return why;
}
