/* SPDX-License-Identifier: MIT */
/*
 * Who has a port that is taken, for the error line: found in /proc, as far as it may be
 * read. Instances of baton are known by their environment. As a living baton holds the sockets
 * of its instances too, and has no such variable itself, a port that only instances hold
 * belongs to a baton that has died and left them behind.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "supervisor/protocol.h"
#include "supervisor/sockets/kernel_sockets.h"
#include "supervisor/sockets/port_holder.h"

/* No more processes than this are named, and no more sockets looked for. */
#define PIDS_MAX    64
#define SOCKETS_MAX 512

struct search {
	struct kernel_socket sockets[SOCKETS_MAX];
	size_t nsockets;
	pid_t pids[PIDS_MAX];
	char *names[PIDS_MAX]; /* "web.0" for an instance, or NULL */
	size_t npids;
	size_t others; /* of those, no instances */
	size_t silent; /* of those, that do not listen, though they have it */
	size_t ours;   /* of those, this baton's own, or processes that they have started */
};

/* Of the process's descriptor FD, as far as baton may have it (pidfd_getfd(2)). */
static bool
is_bound(int pidfd, int fd, const struct address *a)
{
	int copy = pidfd < 0 ? -1 : pidfd_getfd(pidfd, fd, 0);
	bool is = copy >= 0 && kernel_socket_is_bound(copy, a);

	if (copy >= 0)
		close(copy);
	return is;
}

/* Whether it has one of the sockets found, or if none was found, one that is bound to A. */
static bool
has_one(const struct search *s, const struct address *a, pid_t pid)
{
	int pidfd = s->nsockets > 0 || address_is_unix(a) ? -1 : pidfd_open(pid, 0);
	char path[64], target[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		unsigned long long inode;
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		if (sscanf(target, "socket:[%llu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < s->nsockets; i++)
			found = found || s->sockets[i].inode == inode;
		found = found || is_bound(pidfd, atoi(e->d_name), a);
	}
	if (d != NULL)
		closedir(d);
	if (pidfd >= 0)
		close(pidfd);
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

/* The first line of /proc/PID/FILE, "" if it cannot be read. */
static void
read_line(pid_t pid, const char *file, char *line, int size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	if (f == NULL || fgets(line, size, f) == NULL)
		line[0] = '\0';
	if (f != NULL)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
}

/* What the process calls itself. */
static const char *
program(TALLOC_CTX *mem, pid_t pid)
{
	char name[64];

	read_line(pid, "comm", name, sizeof(name));
	return talloc_strdup(mem, name[0] == '\0' ? "?" : name);
}

static pid_t
parent_of(pid_t pid)
{
	char line[512];
	const char *end;
	int parent = 0;

	read_line(pid, "stat", line, sizeof(line));
	end = strrchr(line, ')');
	return end != NULL && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* Whether this process is among its ancestors: baton is the parent of orphans, too. */
static bool
is_ours(pid_t pid)
{
	while (pid > 1 && pid != getpid())
		pid = parent_of(pid);
	return pid == getpid();
}

/* The baton of another user cannot be looked into; but it is the parent of its instances. */
static void
find_parent(struct search *s, TALLOC_CTX *mem)
{
	const char *self = program(mem, getpid());

	for (size_t i = 0; i < s->npids && s->others == 0 && s->npids < PIDS_MAX; i++) {
		pid_t parent = parent_of(s->pids[i]);

		if (parent > 0 && parent != getpid() && strcmp(program(mem, parent), self) == 0) {
			s->pids[s->npids++] = parent;
			s->others++;
		}
	}
}

static void
find_processes(struct search *s, const struct address *a, TALLOC_CTX *mem)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d != NULL && s->npids < PIDS_MAX && (e = readdir(d)) != NULL) {
		const char *service, *instance;

		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_one(s, a, atoi(e->d_name)))
			continue;
		service = variable(mem, e->d_name, BATON_ENV_SERVICE);
		instance = variable(mem, e->d_name, BATON_ENV_INSTANCE);
		s->pids[s->npids] = atoi(e->d_name);
		if (service != NULL && instance != NULL)
			s->names[s->npids] = talloc_asprintf(mem, "%s.%s", service, instance);
		else
			s->others++;
		s->silent += s->nsockets == 0;
		s->ours += is_ours(s->pids[s->npids]);
		s->npids++;
	}
	if (d != NULL)
		closedir(d);
}

static void
search(struct search *s, const struct address *list, size_t n, TALLOC_CTX *mem)
{
	for (size_t i = 0; i < n; i++)
		s->nsockets += kernel_sockets_find(
		    &list[i], s->sockets + s->nsockets, SOCKETS_MAX - s->nsockets);
	find_processes(s, list, mem);
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
port_holder_left_behind(
    TALLOC_CTX *mem, const struct address *taken, const struct address *all, size_t n)
{
	struct search s = {.npids = 0};

	search(&s, taken, 1, mem);
	if (s.npids == 0 || s.others > 0 || s.ours > 0 || s.silent > 0 || !s.sockets[0].listens)
		return NULL;
	s = (struct search){.npids = 0};
	search(&s, all, n, mem);
	return name_instances(mem, &s);
}

/* "sleep (pid 12), cat (pid 13)": all, or only those that are no instances. */
static char *
name_processes(TALLOC_CTX *mem, const struct search *s, bool all)
{
	char *who = talloc_strdup(mem, "");

	for (size_t i = 0; i < s->npids; i++) {
		if (all || s->names[i] == NULL)
			who = talloc_asprintf_append(who, "%s%s (pid %d)",
			    who[0] == '\0' ? "" : ", ", program(mem, s->pids[i]), (int)s->pids[i]);
	}
	return who;
}

/* What baton's own service has started, and what has gone on when the service ended. */
static char *
who_escaped(TALLOC_CTX *mem, const struct search *s)
{
	return talloc_asprintf(mem,
	    "%s, which %s of this baton has started, still %s this port; end %s, or change the "
	    "address",
	    name_processes(mem, s, true), s->names[0], s->npids == 1 ? "has" : "have",
	    s->npids == 1 ? "it" : "them");
}

static char *
who_is_connected(TALLOC_CTX *mem, const struct search *s)
{
	const struct kernel_socket *first = &s->sockets[0];

	for (size_t i = 0; i < s->nsockets && first->inode == 0; i++)
		first = &s->sockets[i];
	if (first->inode == 0)
		return talloc_asprintf(mem,
		    "nobody listens there, but a connection to %s that has ended keeps the port "
		    "for up to a minute; wait, or change the address",
		    address_text(mem, &first->other));
	return talloc_asprintf(mem,
	    "nobody listens there, but %s has a connection to %s from this port; end it, or change "
	    "the address (ports outside of net.ipv4.ip_local_port_range, and those in "
	    "net.ipv4.ip_local_reserved_ports, are not taken so)",
	    s->npids == 0 ? "a program" : name_processes(mem, s, true),
	    address_text(mem, &first->other));
}

char *
port_holder_text(TALLOC_CTX *mem, const struct address *taken)
{
	struct search s = {.npids = 0};

	search(&s, taken, 1, mem);
	if (s.nsockets > 0 && !s.sockets[0].listens)
		return who_is_connected(mem, &s);
	if (s.npids == 0)
		return NULL;
	if (s.others == 0 && s.ours == s.npids)
		return who_escaped(mem, &s);
	return talloc_asprintf(mem, "%s %s%s%s%s; end %s, or change the address",
	    name_processes(mem, &s, false), s.silent > 0 ? "keep" : "listen",
	    s.others == 1 ? "s" : "",
	    s.silent > 0 ? " this port without listening there" : " there",
	    s.others == s.npids ? "" : ", and runs instances", s.others == 1 ? "it" : "them");
}
