/* SPDX-License-Identifier: MIT */
/* As whom a service runs: its user and group, by the names in the configuration. */
#ifndef SUPERVISOR_CREDENTIALS_H
#define SUPERVISOR_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/config/config.h"

struct credentials {
	bool other; /* than baton's own: the fields below count */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary ones */
	size_t ngroups;
	const char *name, *home, *shell; /* NULL when the user has no entry */
};

/*
 * Looks USER and GROUP up (names or numbers; NULL: not set), anew at each start. Without GROUP
 * it is the user's own. Returns 0, or a negative errno with *WHY set, which also happens when
 * baton may not become that user.
 */
int credentials_find(TALLOC_CTX *mem, const char *user, const char *group, struct credentials *out,
    const char **why);

/* The same for whoever may not become that user. */
int credentials_look_up(TALLOC_CTX *mem, const char *user, const char *group,
    struct credentials *out, const char **why);

/*
 * Whose a file is to be: looks USER and GROUP up as above; -1 for what is not to be changed.
 * Without GROUP it is the user's own. Fails also where baton may not give files away like that.
 */
int credentials_owner(
    TALLOC_CTX *mem, const char *user, const char *group, uid_t *uid, gid_t *gid, const char **why);

/* Who may connect to the Unix sockets of service S. Returns 0, or a negative errno with *WHY set. */
int credentials_of_sockets(
    const struct service_config *s, TALLOC_CTX *mem, struct socket_owner *out, const char **why);
/* Looks up, while nothing runs yet, whom later sockets are to belong to. */
void credentials_know_owners(struct config *c);

#endif
