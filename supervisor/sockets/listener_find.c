/* SPDX-License-Identifier: MIT */
/*
 * Which of the sockets that this baton has is the one for an address. A socket belongs to no
 * service: when a reload gives its address to another one, it goes there, with all that wait in its
 * queue. Where two addresses overlap but are not the same, one socket cannot become the other.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "supervisor/sockets/socket_file.h"
#include "supervisor/sockets/sockets.h"

/* What ":PORT" is where there is no IPv6 is bound as IPv4's wildcard. */
static bool
same(const struct listener *l, const struct address *a)
{
	if (l->address.any && a->any)
		return address_port(&l->address) == address_port(a) && address_port(a) != 0;
	return l->address.any == a->any && address_equal(&l->address, a);
}

bool
listener_can_be_found(const struct listener *l)
{
	return l->file == NULL || socket_file_is_there(l->file);
}

const struct listener *
listener_find(const struct listener *list, const struct listen_config *c, const struct address *a)
{
	for (size_t i = 0; list != NULL && i < talloc_array_length(list); i++) {
		const struct listener *l = &list[i];

		if (l->fd < 0 || !listener_can_be_found(l))
			continue;
		if (address_port(a) == 0 && !address_is_unix(a)
			? l->chosen && strcmp(l->name, c->name) == 0
			: same(l, a))
			return l;
	}
	return NULL;
}

const struct listener *
listener_find_anyones(const struct sockets *all, const struct address *a)
{
	const struct socket_set *set;

	TAILQ_FOREACH(set, &all->sets, entry) {
		for (size_t k = 0; k < set->nlisteners; k++) {
			if (same(&set->listeners[k], a) &&
			    listener_can_be_found(&set->listeners[k]))
				return &set->listeners[k];
		}
	}
	return NULL;
}

const struct listener *
listener_find_conflict(
    const struct sockets *all, const struct address *a, const struct socket_set **whose)
{
	TAILQ_FOREACH(*whose, &all->sets, entry) {
		for (size_t k = 0; k < (*whose)->nlisteners; k++) {
			const struct listener *l = &(*whose)->listeners[k];

			if (address_overlap(&l->address, a) && listener_can_be_found(l))
				return l;
		}
	}
	return NULL;
}

static ino_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

bool
listener_same_sockets(const struct listener *a, size_t na, const struct listener *b, size_t nb)
{
	for (size_t i = 0; i < na && na == nb; i++) {
		if (inode_of(a[i].fd) != inode_of(b[i].fd))
			return false;
	}
	return na == nb;
}

bool
listener_is_anothers(const struct socket_set *leaving, const struct listener *l)
{
	const struct socket_set *set;

	TAILQ_FOREACH(set, &leaving->all->sets, entry) {
		for (size_t k = 0; set != leaving && k < set->nlisteners; k++) {
			if (same(&set->listeners[k], &l->address) &&
			    inode_of(set->listeners[k].fd) == inode_of(l->fd))
				return true;
		}
	}
	return false;
}
