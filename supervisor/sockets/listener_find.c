/* SPDX-License-Identifier: MIT */
/*
 * Which of the sockets that this baton has is the one for an address. A socket belongs to no
 * service: when a reload gives its address to another one, it goes there, with all that wait in its
 * queue. Where two addresses overlap but are not the same, one socket cannot become the other.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "supervisor/daemon/supervisor.h"

/* What ":PORT" is where there is no IPv6 is bound as IPv4's wildcard. */
static bool
same(const struct listener *l, const struct address *a)
{
	if (l->address.any && a->any)
		return address_port(&l->address) == address_port(a) && address_port(a) != 0;
	return l->address.any == a->any && address_equal(&l->address, a);
}

/* A Unix socket without its file is one that nobody finds. */
static bool
can_be_found(const struct listener *l)
{
	return l->file == NULL || socket_file_is_there(l->file);
}

const struct listener *
listener_find(const struct listener *list, const struct listen_config *c, const struct address *a)
{
	for (size_t i = 0; list != NULL && i < talloc_array_length(list); i++) {
		const struct listener *l = &list[i];

		if (l->fd < 0 || !can_be_found(l))
			continue;
		if (address_port(a) == 0 && !address_is_unix(a)
			? l->chosen && strcmp(l->name, c->name) == 0
			: same(l, a))
			return l;
	}
	return NULL;
}

const struct listener *
listener_find_anyones(const struct supervisor *sup, const struct address *a)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++) {
			const struct instance *inst = sup->all.services[i]->instances[n];

			for (size_t k = 0; k < inst->nlisteners; k++) {
				if (same(&inst->listeners[k], a) &&
				    can_be_found(&inst->listeners[k]))
					return &inst->listeners[k];
			}
		}
	}
	return NULL;
}

const struct listener *
listener_in_the_way(
    const struct supervisor *sup, const struct address *a, const struct instance **whose)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++) {
			*whose = sup->all.services[i]->instances[n];
			for (size_t k = 0; k < (*whose)->nlisteners; k++) {
				const struct listener *l = &(*whose)->listeners[k];

				if (address_overlap(&l->address, a) && can_be_found(l))
					return l;
			}
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
listener_is_anothers(const struct instance *leaving, const struct listener *l)
{
	const struct supervisor *sup = leaving->sup;

	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++) {
			const struct instance *inst = sup->all.services[i]->instances[n];

			for (size_t k = 0; inst != leaving && k < inst->nlisteners; k++) {
				if (same(&inst->listeners[k], &l->address) &&
				    inode_of(inst->listeners[k].fd) == inode_of(l->fd))
					return true;
			}
		}
	}
	return false;
}
