/* SPDX-License-Identifier: MIT */
/*
 * The face of sockets/: the listening sockets of all instances. This room binds them, finds among
 * those that baton has or was given the one for an address, makes them refuse, keeps their files, and
 * says why one cannot be had. Who makes instances, changes the configuration, or resumes after an
 * upgrade calls it. It never knows an instance, its process or its service: only for whom a set of
 * sockets is, by name and number, and which section of the configuration counts for it.
 */
#ifndef SUPERVISOR_SOCKETS_H
#define SUPERVISOR_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <talloc.h>

#include "supervisor/base/output.h"
#include "supervisor/config/address.h"
#include "supervisor/config/config.h"

struct inherited;
struct socket_file;
struct state;
struct stored;

/* One listening socket: open from before the first start of its instance to the very end. */
struct listener {
	int fd;
	const char *name;         /* for LISTEN_FDNAMES */
	struct address address;   /* as bound: a port of 0 has become the kernel's choice */
	bool chosen;              /* … and so it was */
	bool given;               /* it belongs to baton's own manager, which bound it */
	struct socket_file *file; /* of a Unix socket; NULL: it is none */
};

/* Those of one instance. Freeing it closes them. */
struct socket_set {
	struct sockets *all; /* NULL: they are no more */
	TAILQ_ENTRY(socket_set) entry;
	const char *name; /* "hello.0", for messages and for the manager's store */
	unsigned index;
	const struct service_config *const *config; /* the one of its service that counts now */
	struct socket_set *first; /* of the same service: whose sockets it has if they are shared */
	struct listener *listeners;
	size_t nlisteners;
	bool refusing; /* they refuse connections */
};

/* Whether they do: if all sets of the service have the same, only the first one has the mark. */
static inline bool
socket_set_refuses(const struct socket_set *set)
{
	return (*set->config)->shared ? set->first->refusing : set->refusing;
}

/* What the room says to baton's own service manager. */
struct sockets_calls {
	/* Lines as in sd_notify(3), with a duplicate of FD (-1: none). Never waits. */
	void (*tell)(void *data, const char *lines, int fd);
};

struct sockets {
	TAILQ_HEAD(, socket_set) sets;
	struct output *out;                /* for warnings */
	struct inherited *inherited;       /* those that baton was given, and did not use yet */
	LIST_HEAD(, stored) stored;        /* those of its own that the manager keeps */
	const struct sockets_calls *calls; /* NULL: there is no manager */
	void *calls_data;
};

/* --- sockets.c: all of them, and those of one instance ------------------------------------ */

/* NULL: no memory. */
struct sockets *sockets_new(TALLOC_CTX *mem, struct output *out);
/* Binds every socket of every set. On failure everything bound so far is closed again, and *WHY is
 * one line naming address, service, and remedy. Returns 0 or a negative errno. */
int sockets_open(struct sockets *all, TALLOC_CTX *mem, char **why);
/* Nothing runs any more: whoever wants the addresses may have them. */
void sockets_close(struct sockets *all);
/* All files of Unix sockets get the owner and mode that the configuration says now. */
void sockets_own(struct sockets *all);

/* An empty one for the instance NAME, INDEX, of the service whose first instance has FIRST (NULL: it
 * is that one). CONFIG stays where it is as long as the set. NULL: no memory. */
struct socket_set *socket_set_new(TALLOC_CTX *mem, struct sockets *all, const char *name,
    unsigned index, const struct service_config *const *config, struct socket_set *first);
/* It is to have none, and is not among all. */
void socket_set_withdraw(struct socket_set *set);
/* Binds its sockets, as sockets_open does. */
int socket_set_open(struct socket_set *set, TALLOC_CTX *mem, char **why);
/* Its sockets are those of LIST now, which it takes over; those that it had are closed. */
void socket_set_use(struct socket_set *set, struct listener *list);
/* Its sockets may be others, or the configuration is: they refuse or take connections as they are
 * to, their queues are as long, and their files belong to whom it says. */
void socket_set_settle(struct socket_set *set);
/* Makes its sockets refuse connections (those that wait are reset), or take them again. */
void socket_set_refuse(struct socket_set *set);
void socket_set_resume(struct socket_set *set);
/* It is to go: it keeps no socket that another set has, too, for it is that one's now. */
void socket_set_let_go(struct socket_set *set);

/* --- listener.c: binding ------------------------------------------------------------------ */

/* N of them, not open. NULL: no memory. */
struct listener *listener_new(TALLOC_CTX *mem, size_t n);
/* One of a list, which is a hole in it then. */
void listener_close(struct listener *l);
/* The sockets that C wants for SET, in MEM: those that BEFORE (or NULL) has are shared, others are
 * bound. NULL with *WHY set (in WHY_MEM) if that fails. */
struct listener *listener_open(TALLOC_CTX *mem, const struct socket_set *set,
    const struct service_config *c, const struct listener *before, TALLOC_CTX *why_mem, char **why);
/* The same for a reload, in which an address may come from another set: its socket comes with it, and
 * both have it until socket_set_let_go. */
struct listener *listener_take(TALLOC_CTX *mem, const struct socket_set *set,
    const struct service_config *c, const struct listener *before, TALLOC_CTX *why_mem, char **why);

/* --- listener_find.c: which of baton's sockets is it -------------------------------------- */

/* The one of LIST (a talloc array, or NULL) that listens on A already, or where the kernel chose
 * for C's name. NULL: none. */
const struct listener *
listener_find(const struct listener *list, const struct listen_config *c, const struct address *a);
/* The same among those of all sets. */
const struct listener *listener_find_anyones(const struct sockets *all, const struct address *a);
/* The first one beside which A cannot be bound, with whose it is. NULL: none. */
const struct listener *listener_find_conflict(
    const struct sockets *all, const struct address *a, const struct socket_set **whose);
/* Whether both lists have the same sockets in the same order. */
bool
listener_same_sockets(const struct listener *a, size_t na, const struct listener *b, size_t nb);
/* Whether a set other than SET has the socket L, too. */
bool listener_is_anothers(const struct socket_set *set, const struct listener *l);

/* A Unix socket without its file is one that nobody finds. */
bool listener_can_be_found(const struct listener *l);

/* --- listener_explain.c -------------------------------------------------------------------- */

/* Why SET's line L could not be bound to A, in one line with what to do; REMEDY may be NULL. */
char *listener_explain(TALLOC_CTX *mem, const struct socket_set *set, const struct listen_config *l,
    const struct address *a, int error, const char *remedy);

/* --- inherited.c: sockets that baton was given --------------------------------------------- */

/* Takes what LISTEN_FDS says, whoever has sent it, and removes that from the environment. */
int inherited_take(struct sockets *all);
/* One that fits SET's `listen` line C, whose address is then in L with the rest; -1: none. */
int inherited_find(
    const struct socket_set *set, const struct listen_config *c, int backlog, struct listener *l);
/* All sets have their sockets: says which ones were not wanted. Returns how many were. */
size_t inherited_report(struct sockets *all);
void inherited_state(struct state *s, struct sockets *all);

/* --- store.c: sockets in the manager's store ------------------------------------------------ */

/* Of a Unix socket's name there: socket_file_number. */
unsigned long long store_file_number(const char *name);
/* Whether the manager has it, so that the next baton will. */
bool store_keeps(const struct sockets *all, const struct listener *l);
/* Whether NAME, which came with FD, was given by an earlier baton. */
bool store_is_ours(const char *name, int fd);
/* NAME is in the store already. */
void store_has(struct sockets *all, const char *name);
/* Makes the store the same as what all sets have now. */
void store_update(struct sockets *all);
void store_state(struct state *s, struct sockets *all);

#endif
