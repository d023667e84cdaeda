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
#include "supervisor/sockets/socket_file.h"
#include "supervisor/sockets/sockets.h"

struct stored {
	LIST_ENTRY(stored) entry;
	char *name;
	bool wanted;
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
name_of(TALLOC_CTX *mem, const struct socket_set *set, const struct listener *l)
{
	if (l->file != NULL)
		return talloc_asprintf(mem, "%s.%s.%llu.%llu", set->name, l->name,
		    socket_file_number(l->file), inode_of(l->fd));
	return talloc_asprintf(mem, "%s.%s.%llu", set->name, l->name, inode_of(l->fd));
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
find(const struct sockets *all, int fd)
{
	struct stored *s;

	LIST_FOREACH(s, &all->stored, entry) {
		if (store_is_ours(s->name, fd))
			return s;
	}
	return NULL;
}

bool
store_keeps(const struct sockets *all, const struct listener *l)
{
	return find(all, l->fd) != NULL;
}

/* NAME (NULL: no memory) is taken over. */
static struct stored *
add(struct sockets *all, char *name)
{
	struct stored *s = name == NULL ? NULL : talloc_zero(all, struct stored);

	if (s == NULL) {
		talloc_free(name);
		return NULL;
	}
	s->name = talloc_steal(s, name);
	LIST_INSERT_HEAD(&all->stored, s, entry);
	return s;
}

void
store_has(struct sockets *all, const char *name)
{
	add(all, talloc_strdup(all, name));
}

/* LINES (NULL: no memory) are freed. */
static void
tell(const struct sockets *all, char *lines, int fd)
{
	if (lines != NULL)
		all->calls->tell(all->calls_data, lines, fd);
	talloc_free(lines);
}

static void
keep(struct sockets *all, const struct socket_set *set, const struct listener *l)
{
	struct stored *s = find(all, l->fd);

	if (s == NULL) {
		s = add(all, name_of(all, set, l));
		/* FDPOLL=0: one that refuses for a while (socket_set_refuse) looks dead to the
		 * manager, which would throw it away. */
		if (s != NULL)
			tell(all, talloc_asprintf(s, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0\n", s->name),
			    l->fd);
	}
	if (s != NULL)
		s->wanted = true;
}

static void
remove_unwanted(struct sockets *all)
{
	struct stored *next;

	for (struct stored *s = LIST_FIRST(&all->stored); s != NULL; s = next) {
		next = LIST_NEXT(s, entry);
		if (s->wanted) {
			s->wanted = false; /* for the next time */
			continue;
		}
		tell(all, talloc_asprintf(s, "FDSTOREREMOVE=1\nFDNAME=%s\n", s->name), -1);
		LIST_REMOVE(s, entry);
		talloc_free(s);
	}
}

void
store_update(struct sockets *all)
{
	const struct socket_set *set;

	if (all->calls == NULL)
		return;
	TAILQ_FOREACH(set, &all->sets, entry) {
		for (size_t k = 0; k < set->nlisteners; k++) {
			if (!set->listeners[k].given)
				keep(all, set, &set->listeners[k]);
		}
	}
	remove_unwanted(all);
}

void
store_state(struct state *s, struct sockets *all)
{
	struct stored *at = LIST_FIRST(&all->stored), *i;
	unsigned n = 0;

	LIST_FOREACH(i, &all->stored, entry)
		n++;
	n = state_array(s, "store", n);
	for (unsigned k = 0; k < n && state_ok(s); k++) {
		char *name = state_text_element(s, "store", k, all, at == NULL ? NULL : at->name);

		if (state_saving(s))
			at = at == NULL ? NULL : LIST_NEXT(at, entry);
		else if (name != NULL && add(all, name) == NULL)
			state_fail(s, "store", "there is no memory");
	}
}
