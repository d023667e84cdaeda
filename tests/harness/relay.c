/* SPDX-License-Identifier: MIT */
/* Generations of a server that hand over to each other (see relay.h). */
#include "tests/harness/relay.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/tempdir.h"

#undef relay_new
#undef relay_start
#undef relay_expect
#undef relay_next
#undef relay_count
#undef relay_end
#undef relay_client
#undef relay_pid

static int
relay_close(int *fd)
{
	close(*fd);
	return 0;
}

/* Closed with its owner. */
static int
keep(const void *owner, int fd)
{
	int *kept = talloc(owner, int);

	if (fd < 0)
		harness_fail("no socket: %m");
	*kept = fd;
	talloc_set_destructor(kept, relay_close);
	return fd;
}

static void
listen_on(struct relay *r, enum relay_family family, struct sockaddr_storage *at, socklen_t *len)
{
	r->listener = keep(
	    harness_mem(), socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (bind(r->listener, (struct sockaddr *)at, *len) != 0 || listen(r->listener, 4096) != 0)
		harness_fail("cannot listen: %m");
	*len = sizeof(*at);
	getsockname(r->listener, (struct sockaddr *)at, len);
	if (family != RELAY_UNIX) /* at the same place in both */
		r->port = ntohs(((struct sockaddr_in *)at)->sin_port);
}

struct relay
relay_new(enum relay_family family)
{
	static const char *const hello[] = {"hello", NULL};
	struct relay r = {.argv = hello};
	struct sockaddr_storage at = {.ss_family = AF_INET};
	socklen_t len = sizeof(struct sockaddr_in);

	if (family == RELAY_IPV4) {
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (family == RELAY_IPV6) {
		at.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
		len = sizeof(struct sockaddr_in6);
	} else {
		at.ss_family = AF_UNIX;
		r.path = tempdir_path((tempdir_new)(), "web");
		strcpy(((struct sockaddr_un *)&at)->sun_path, r.path);
		len = sizeof(struct sockaddr_un);
	}
	listen_on(&r, family, &at, &len);
	return r;
}

static void
notify_open(struct generation *g, char name[64])
{
	static int number;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int len = snprintf(name, 64, "@baton-test-%d-%d", (int)getpid(), ++number);

	memcpy(at.sun_path, name, (size_t)len);
	at.sun_path[0] = '\0';
	g->notify = keep(g->fds, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (bind(g->notify, (struct sockaddr *)&at,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) != 0)
		harness_fail("no notify socket: %m");
}

struct generation *
relay_start(struct relay *r, int take_fd)
{
	struct generation *g = talloc_zero(harness_mem(), struct generation);
	const char *env[24] = {"LISTEN_FDS=1", "LISTEN_PID=00000000", "LISTEN_FDNAMES=web"};
	int ends[2], fds[3], n = 3;
	char name[64];

	g->fds = talloc_new(g);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		harness_fail("no channel: %m");
	g->give = keep(g->fds, ends[0]);
	g->take = keep(g->fds, ends[1]);
	g->number = ++r->n;
	notify_open(g, name);
	env[n++] = talloc_asprintf(harness_mem(), "NOTIFY_SOCKET=%s", name);
	env[n++] = take_fd < 0 ? BATON_ENV_HANDOVER "=4,-1" : BATON_ENV_HANDOVER "=4,5";
	env[n++] = talloc_asprintf(harness_mem(), BATON_ENV_GENERATION "=%d", g->number);
	for (int i = 0; r->env != NULL && r->env[i] != NULL && n < 23; i++)
		env[n++] = r->env[i];
	fds[0] = r->listener;
	fds[1] = g->give;
	fds[2] = take_fd;
	g->proc = (proc_start)(&(struct proc_spec){
	    .argv = r->argv, .env = env, .fds = fds, .fds_n = take_fd < 0 ? 2 : 3});
	return g;
}

/* Reads one more datagram. */
static void
hear(struct generation *g, int64_t deadline, const char *what)
{
	struct pollfd pfd = {.fd = g->notify, .events = POLLIN};
	size_t have = strlen(g->said);
	ssize_t n;

	if (poll(&pfd, 1, harness_left_ms(deadline)) <= 0)
		harness_fail("generation %d does not say %s, but\n%s\n%s", g->number, what, g->said,
		    proc_text(g->proc, PROC_ERR));
	n = recv(g->notify, g->said + have, sizeof(g->said) - have - 2, 0);
	if (n > 0)
		strcpy(g->said + have + n, "\n");
}

void
relay_expect(struct generation *g, const char *line)
{
	const char *text = talloc_asprintf(harness_mem(), "%s\n", line);
	int64_t deadline = harness_now_ms() + PATIENCE_MS;

	while (strstr(g->said, text) == NULL)
		hear(g, deadline, line);
}

struct generation *
relay_next(struct relay *r, const struct generation *giver)
{
	struct generation *g = relay_start(r, giver != NULL ? giver->take : -1);

	relay_expect(g, "READY=1");
	return g;
}

static void
say(int fd, enum baton_handover_type type)
{
	struct baton_handover_head head = {
	    .version = BATON_HANDOVER_VERSION, .type = (uint16_t)type};

	if (send(fd, &head, sizeof(head), MSG_NOSIGNAL) != sizeof(head))
		harness_fail("the channel takes no message: %m");
}

void
relay_tell_giver(const struct generation *g, enum baton_handover_type type)
{
	say(g->take, type);
}

void
relay_tell_taker(const struct generation *g, enum baton_handover_type type)
{
	say(g->give, type);
}

int
relay_count(struct generation *g, const char *name)
{
	const char *key = talloc_asprintf(harness_mem(), "X_BATON_%s=", name), *at;

	relay_expect(g, "STATUS=drained");
	at = strstr(g->said, key);
	return at == NULL ? -1 : atoi(at + strlen(key));
}

void
relay_stop(struct generation *g)
{
	g->told = true;
	proc_signal(g->proc, SIGTERM);
}

void
relay_end(struct generation *g)
{
	if (!g->told)
		relay_stop(g);
	(proc_finish)(g->proc, 0);
	TALLOC_FREE(g->fds);
}

void
relay_kill(struct generation *g)
{
	proc_signal(g->proc, SIGKILL);
	(proc_wait)(g->proc);
	TALLOC_FREE(g->fds);
}

struct client *
relay_client(const struct relay *r)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	int fd;

	if (r->path != NULL)
		return (client_open_unix)(r->path);
	getsockname(r->listener, (struct sockaddr *)&at, &len);
	if (at.ss_family == AF_INET)
		return (client_open)(r->port);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, len) != 0)
		harness_fail("cannot connect: %m");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return client_of(fd);
}

pid_t
relay_pid(struct client *c)
{
	const struct answer *a = (client_get)(c, "/pid");

	if (a->status != 200)
		harness_fail("status %d", a->status);
	return (pid_t)atoi(a->body + strlen("pid "));
}

int
relay_fds(const struct generation *g)
{
	char path[64];
	DIR *dir;
	int n = -2; /* "." and ".." */

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)proc_pid(g->proc));
	dir = opendir(path);
	if (dir == NULL)
		return -1;
	for (; readdir(dir) != NULL; n++)
		;
	closedir(dir);
	return n;
}

long
relay_memory_kb(const struct generation *g)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)proc_pid(g->proc));
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kb;
}

long
relay_cpu_ms(const struct generation *g)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)proc_pid(g->proc));
	f = fopen(path, "re");
	if (f != NULL && fgets(line, sizeof(line), f) != NULL)
		sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		    &user, &system);
	if (f != NULL)
		fclose(f);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}
