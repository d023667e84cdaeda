/* SPDX-License-Identifier: MIT */
/*
 * The manager's store of descriptors (FDSTORE=1): every listening socket that baton has bound
 * lies there too, so that it stays open, and nobody is refused, while one baton ends and the
 * next one starts. A socket's name there says for what it was bound, and by the inode which
 * one it is: names can be removed one by one only if no two are the same.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"

struct stored {
	struct stored *next;
	char *name;
	bool wanted;
};

struct store {
	struct stored *first;
};

/* 0 if there is none. */
static unsigned long long
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (unsigned long long)st.st_ino;
}

/* "SERVICE.INSTANCE.NAME.INODE"; for a Unix socket, the number of its file comes before the
 * inode. */
static char *
name_of(TALLOC_CTX *mem, const struct instance *inst, const struct listener *l)
{
	if (l->file != NULL)
		return talloc_asprintf(mem, "%s.%s.%llu.%llu", inst->name, l->name,
		    socket_file_number(l->file), inode_of(l->fd));
	return talloc_asprintf(mem, "%s.%s.%llu", inst->name, l->name, inode_of(l->fd));
}

unsigned long long
store_file_number(const char *name)
{
	unsigned long long number;

	return sscanf(name, "%*[^.].%*[^.].%*[^.].%llu.", &number) == 1 ? number : 0;
}

bool
store_is_ours(const char *name, int fd)
{
	const char *dot = strrchr(name, '.');
	char inode[32];

	snprintf(inode, sizeof(inode), "%llu", inode_of(fd));
	return dot != NULL && strcmp(dot + 1, inode) == 0;
}

/* By the inode: a socket may have got another name in the configuration meanwhile. */
static struct stored *
find(const struct store *store, int fd)
{
	struct stored *s = store->first;

	while (s != NULL && !store_is_ours(s->name, fd))
		s = s->next;
	return s;
}

bool
store_keeps(const struct supervisor *sup, const struct listener *l)
{
	return sup->store != NULL && find(sup->store, l->fd) != NULL;
}

static struct stored *
add(struct supervisor *sup, const char *name)
{
	struct stored *s;

	if (sup->store == NULL)
		sup->store = talloc_zero(sup, struct store);
	s = sup->store == NULL ? NULL : talloc_zero(sup->store, struct stored);
	if (s == NULL)
		return NULL;
	s->name = talloc_strdup(s, name);
	if (s->name == NULL) {
		talloc_free(s);
		return NULL;
	}
	s->next = sup->store->first;
	sup->store->first = s;
	return s;
}

void
store_has(struct supervisor *sup, const char *name)
{
	add(sup, name);
}

static void
keep(struct supervisor *sup, const struct instance *inst, const struct listener *l)
{
	struct stored *s = sup->store == NULL ? NULL : find(sup->store, l->fd);
	char *name;

	if (s == NULL) {
		name = name_of(sup, inst, l);
		s = name == NULL ? NULL : add(sup, name);
		talloc_free(name);
		/* FDPOLL=0: one that refuses for a while (listener_refuse) looks dead to the
		 * manager, which would throw it away. */
		if (s != NULL)
			manager_pass(sup, l->fd, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0\n", s->name);
	}
	if (s != NULL)
		s->wanted = true;
}

static void
remove_unwanted(struct supervisor *sup)
{
	struct stored **where = &sup->store->first;

	while (*where != NULL) {
		struct stored *s = *where;

		if (s->wanted) {
			s->wanted = false; /* for the next time */
			where = &s->next;
			continue;
		}
		manager_say(sup, "FDSTOREREMOVE=1\nFDNAME=%s\n", s->name);
		*where = s->next;
		talloc_free(s);
	}
}

void
store_update(struct supervisor *sup)
{
	if (sup->manager == NULL)
		return;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++) {
			const struct instance *inst = sup->all.services[i]->instances[n];

			for (size_t k = 0; k < inst->nlisteners; k++) {
				if (!inst->listeners[k].given)
					keep(sup, inst, &inst->listeners[k]);
			}
		}
	}
	if (sup->store != NULL)
		remove_unwanted(sup);
}

void
store_state(struct state *s, struct supervisor *sup)
{
	struct stored *at = sup->store == NULL ? NULL : sup->store->first;
	unsigned n = 0;

	for (struct stored *i = at; i != NULL; i = i->next)
		n++;
	n = state_array(s, "store", n);
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		char *name = state_text_element(s, "store", i, sup, at == NULL ? NULL : at->name);

		if (state_saving(s))
			at = at == NULL ? NULL : at->next;
		else if (name != NULL && add(sup, name) == NULL)
			state_fail(s, "store", "there is no memory");
	}
}
