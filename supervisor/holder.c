/* SPDX-License-Identifier: MIT */
/*
 * Who listens on a port that is taken, for the error line: found in /proc, as far as it may be
 * read. Instances of baton are known by their environment. As a living baton holds the sockets
 * of its instances too, and has no such variable itself, a port that only instances hold
 * belongs to a baton that has died and left them behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/holder.h"
#include "supervisor/protocol.h"

/* No more processes than this are named, and no more sockets looked for. */
#define PIDS_MAX    64
#define SOCKETS_MAX 512

/* SO_ACCEPTCON, the flag of listening sockets in /proc/net/unix. */
#define LISTENS 0x10000

struct search {
	unsigned long long inodes[SOCKETS_MAX];
	size_t ninodes;
	pid_t pids[PIDS_MAX];
	char *names[PIDS_MAX]; /* "web.0" for an instance, or NULL */
	size_t npids;
	size_t others; /* of those, no instances */
};

/* The 32-bit words of an address as /proc/net/tcp prints them. */
static bool
same_host(const char *hex, const struct address *a)
{
	char text[33] = "";
	const uint32_t *words =
	    a->sa.sa_family == AF_INET6 ? a->in6.sin6_addr.s6_addr32 : &a->in.sin_addr.s_addr;
	int n = a->sa.sa_family == AF_INET6 ? 4 : 1;

	for (int i = 0; i < n; i++)
		sprintf(text + strlen(text), "%08X", words[i]);
	return strcmp(hex, text) == 0;
}

/* Whether a socket bound to HEX is in A's way: the same host, or one of both is every host. */
static bool
in_the_way(const char *hex, const struct address *a)
{
	bool every = a->any ||
		     (a->sa.sa_family == AF_INET && a->in.sin_addr.s_addr == INADDR_ANY) ||
		     (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr));

	return every || strspn(hex, "0") == strlen(hex) || same_host(hex, a);
}

static void
find_sockets(struct search *s, const char *table, const struct address *a)
{
	FILE *f = fopen(table, "re");
	char line[512], host[33];
	unsigned port, state;
	unsigned long long inode;

	while (f != NULL && s->ninodes < SOCKETS_MAX && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %llu",
			host, &port, &state, &inode) == 4 &&
		    state == 0x0A && port == address_port(a) && in_the_way(host, a))
			s->inodes[s->ninodes++] = inode;
	}
	if (f != NULL)
		fclose(f);
}

/* By the name with which it was bound: its path, or beside it if it was renamed (socket_file.c). */
static void
find_unix(struct search *s, const struct address *a)
{
	const char *path = a->un.sun_path, *slash = strrchr(path, '/');
	int dir = slash == NULL ? 0 : (int)(slash + 1 - path);
	char *renamed = talloc_asprintf(NULL, "%.*s.baton-", dir, path);
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512], name[256];
	unsigned flags;
	unsigned long long inode;

	while (f != NULL && renamed != NULL && s->ninodes < SOCKETS_MAX &&
	       fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %llu %255[^\n]", &flags, &inode, name) ==
			3 &&
		    (flags & LISTENS) != 0 &&
		    (strcmp(name, path) == 0 || strncmp(name, renamed, strlen(renamed)) == 0))
			s->inodes[s->ninodes++] = inode;
	}
	talloc_free(renamed);
	if (f != NULL)
		fclose(f);
}

static bool
has_one(const struct search *s, const char *pid)
{
	char path[300], target[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		unsigned long long inode;
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		if (sscanf(target, "socket:[%llu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < s->ninodes; i++)
			found = found || s->inodes[i] == inode;
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* Its value in the environment that the process was started with; NULL if there is none. */
static char *
variable(TALLOC_CTX *mem, const char *pid, const char *name)
{
	char path[64], *line = NULL, *value = NULL;
	size_t size = 0, len = strlen(name);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	f = fopen(path, "re");
	while (f != NULL && value == NULL && getdelim(&line, &size, '\0', f) > 0) {
		if (strncmp(line, name, len) == 0 && line[len] == '=')
			value = talloc_strdup(mem, line + len + 1);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	return value;
}

/* What the process calls itself. */
static const char *
program(TALLOC_CTX *mem, pid_t pid)
{
	char path[64], name[64] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (f != NULL && fgets(name, sizeof(name), f) != NULL)
		name[strcspn(name, "\n")] = '\0';
	if (f != NULL)
		fclose(f);
	return talloc_strdup(mem, name);
}

static pid_t
parent_of(pid_t pid)
{
	char path[64], line[512] = "";
	const char *end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f != NULL && fgets(line, sizeof(line), f) != NULL &&
	    (end = strrchr(line, ')')) != NULL && sscanf(end, ") %*c %d", &parent) != 1)
		parent = 0;
	if (f != NULL)
		fclose(f);
	return parent;
}

/* The baton of another user cannot be looked into; but it is the parent of its instances. */
static void
find_parent(struct search *s, TALLOC_CTX *mem)
{
	const char *self = program(mem, getpid());

	for (size_t i = 0; i < s->npids && s->others == 0 && s->npids < PIDS_MAX; i++) {
		pid_t parent = parent_of(s->pids[i]);

		if (parent > 0 && strcmp(program(mem, parent), self) == 0) {
			s->pids[s->npids++] = parent;
			s->others++;
		}
	}
}

static void
find_processes(struct search *s, TALLOC_CTX *mem)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d != NULL && s->npids < PIDS_MAX && (e = readdir(d)) != NULL) {
		const char *service, *instance;

		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_one(s, e->d_name))
			continue;
		service = variable(mem, e->d_name, BATON_ENV_SERVICE);
		instance = variable(mem, e->d_name, BATON_ENV_INSTANCE);
		s->pids[s->npids] = atoi(e->d_name);
		if (service != NULL && instance != NULL)
			s->names[s->npids] = talloc_asprintf(mem, "%s.%s", service, instance);
		else
			s->others++;
		s->npids++;
	}
	if (d != NULL)
		closedir(d);
}

static void
search(struct search *s, const struct address *list, size_t n, TALLOC_CTX *mem)
{
	for (size_t i = 0; i < n; i++) {
		if (address_is_unix(&list[i])) {
			find_unix(s, &list[i]);
			continue;
		}
		find_sockets(s, "/proc/net/tcp", &list[i]);
		find_sockets(s, "/proc/net/tcp6", &list[i]);
	}
	if (s->ninodes > 0)
		find_processes(s, mem);
	find_parent(s, mem);
}

/* All of them at once, so that whoever ends them need not ask again for each port. */
static char *
name_instances(TALLOC_CTX *mem, const struct search *s)
{
	char *who = talloc_strdup(mem, ""), *pids = talloc_strdup(mem, "");
	size_t count = 0;

	for (size_t i = 0; i < s->npids; i++) {
		if (s->names[i] == NULL)
			continue;
		who = talloc_asprintf_append(
		    who, "%s%s (pid %d)", count++ == 0 ? "" : ", ", s->names[i], (int)s->pids[i]);
		pids = talloc_asprintf_append(pids, " %d", (int)s->pids[i]);
	}
	return talloc_asprintf(mem,
	    "%s, started by a baton that has died, still serve%s; end %s (`kill%s`), then start "
	    "this one again",
	    who, count == 1 ? "s" : "", count == 1 ? "it" : "them", pids);
}

char *
holder_left_behind(
    TALLOC_CTX *mem, const struct address *taken, const struct address *all, size_t n)
{
	struct search s = {.npids = 0};

	search(&s, taken, 1, mem);
	if (s.npids == 0 || s.others > 0)
		return NULL;
	s = (struct search){.npids = 0};
	search(&s, all, n, mem);
	return name_instances(mem, &s);
}

char *
holder_text(TALLOC_CTX *mem, const struct address *taken)
{
	struct search s = {.npids = 0};
	char *who;

	search(&s, taken, 1, mem);
	if (s.npids == 0)
		return NULL;
	who = talloc_strdup(mem, "");
	for (size_t i = 0; i < s.npids; i++) {
		if (s.names[i] == NULL)
			who = talloc_asprintf_append(who, "%s%s (pid %d)",
			    who[0] == '\0' ? "" : ", ", program(mem, s.pids[i]), (int)s.pids[i]);
	}
	return talloc_asprintf(mem, "%s listen%s there%s; end %s, or change the address", who,
	    s.others == 1 ? "s" : "", s.others == s.npids ? "" : ", and runs instances",
	    s.others == 1 ? "it" : "them");
}
