/* SPDX-License-Identifier: MIT */
/* Users and groups: names or numbers into what setgroups, setgid and setuid take. */
#include "supervisor/process/credentials.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUPS_MAX 256

/* A number that is an id; -1 (which means "unchanged" to setuid) is none. */
static bool
as_number(const char *text, unsigned *id)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || n >= (unsigned)-1)
		return false;
	*id = (unsigned)n;
	return true;
}

static int
find_user(TALLOC_CTX *mem, const char *user, struct credentials *out, const char **why)
{
	struct passwd *pw;
	unsigned id;

	if (as_number(user, &id)) {
		pw = getpwuid((uid_t)id);
		out->uid = (uid_t)id;
		out->gid = pw != NULL ? pw->pw_gid : (gid_t)id;
	} else {
		pw = getpwnam(user);
		if (pw == NULL) {
			*why = talloc_asprintf(mem, "there is no user \"%s\"", user);
			return -ENOENT;
		}
		out->uid = pw->pw_uid;
		out->gid = pw->pw_gid;
	}
	if (pw != NULL) {
		out->name = talloc_strdup(mem, pw->pw_name);
		out->home = talloc_strdup(mem, pw->pw_dir);
		out->shell = talloc_strdup(mem, pw->pw_shell);
	}
	if (pw != NULL && (out->name == NULL || out->home == NULL || out->shell == NULL)) {
		*why = "there is no memory";
		return -ENOMEM;
	}
	return 0;
}

static int
find_group(TALLOC_CTX *mem, const char *group, struct credentials *out, const char **why)
{
	const struct group *gr;
	unsigned id;

	if (as_number(group, &id)) {
		out->gid = (gid_t)id;
		return 0;
	}
	gr = getgrnam(group);
	if (gr == NULL) {
		*why = talloc_asprintf(mem, "there is no group \"%s\"", group);
		return -ENOENT;
	}
	out->gid = gr->gr_gid;
	return 0;
}

static int
find_groups(TALLOC_CTX *mem, struct credentials *out, const char **why)
{
	int n = GROUPS_MAX;

	out->groups = talloc_array(mem, gid_t, GROUPS_MAX);
	if (out->groups == NULL)
		return -ENOMEM;
	if (out->name == NULL) {
		out->groups[0] = out->gid;
		n = 1;
	} else if (getgrouplist(out->name, out->gid, out->groups, &n) < 0) {
		*why = talloc_asprintf(mem, "%s is in more than %d groups", out->name, GROUPS_MAX);
		return -E2BIG;
	}
	out->ngroups = (size_t)n;
	return 0;
}

int
credentials_look_up(
    TALLOC_CTX *mem, const char *user, const char *group, struct credentials *out, const char **why)
{
	struct credentials id = {.uid = geteuid(), .gid = getegid()};
	int error = 0;

	if (user != NULL)
		error = find_user(mem, user, &id, why);
	if (error == 0 && group != NULL)
		error = find_group(mem, group, &id, why);
	if (error < 0)
		return error;
	id.other = id.uid != geteuid() || id.gid != getegid() || (user != NULL && geteuid() == 0);
	if (id.other)
		error = find_groups(mem, &id, why);
	if (error == 0)
		*out = id;
	return error;
}

int
credentials_find(
    TALLOC_CTX *mem, const char *user, const char *group, struct credentials *out, const char **why)
{
	struct credentials id;
	int error = credentials_look_up(mem, user, group, &id, why);

	if (error != 0)
		return error;
	if (id.other && geteuid() != 0) {
		*why = talloc_asprintf(mem,
		    "only root may start programs as another user or group; run baton as root, "
		    "or remove \"%s\"",
		    user != NULL ? "user" : "group");
		return -EPERM;
	}
	*out = id;
	return 0;
}

/* Whether baton may give a file of its own to that group. */
static bool
is_member(gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	int n = getgroups(GROUPS_MAX, groups);

	if (gid == getegid())
		return true;
	for (int i = 0; i < n; i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

int
credentials_owner(
    TALLOC_CTX *mem, const char *user, const char *group, uid_t *uid, gid_t *gid, const char **why)
{
	struct credentials id = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	int error = 0;

	if (user != NULL)
		error = find_user(mem, user, &id, why);
	if (error == 0 && group != NULL)
		error = find_group(mem, group, &id, why);
	if (error < 0)
		return error;
	if (geteuid() != 0 && ((user != NULL && id.uid != geteuid()) ||
				  (id.gid != (gid_t)-1 && !is_member(id.gid)))) {
		*why = "only root may give files to other users, or to groups that it is not in; "
		       "run baton as root";
		return -EPERM;
	}
	*uid = id.uid;
	*gid = id.gid;
	return 0;
}

int
credentials_of_sockets(
    const struct service_config *s, TALLOC_CTX *mem, struct socket_owner *out, const char **why)
{
	struct socket_owner owner = s->owner;
	int error = s->owner_known ? 0
				   : credentials_owner(mem, s->socket_user, s->socket_group,
					 &owner.uid, &owner.gid, why);

	owner.mode = (mode_t)s->socket_mode;
	if (error == 0)
		*out = owner;
	return error;
}

void
credentials_know_owners(struct config *c)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *why;

	for (size_t i = 0; i < c->nservices; i++) {
		struct service_config *s = c->services[i];

		s->owner_known = credentials_of_sockets(s, tmp, &s->owner, &why) == 0;
	}
	talloc_free(tmp);
}
