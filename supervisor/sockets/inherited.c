/* SPDX-License-Identifier: MIT */
/*
 * Sockets that baton was given itself (LISTEN_FDS): by a socket unit of systemd or another
 * manager that binds for it, or by itself, from the manager's store (store.c). One is used for
 * the `listen` line of the same address; of several such, for the one of the same name. Where
 * the line has port 0, and so the port does not matter, the name alone decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/protocol.h"
#include "supervisor/sockets/socket_file.h"
#include "supervisor/sockets/sockets.h"

struct given {
	int fd; /* -1: it has a listener now, which closes it */
	char *name;
	struct address address;
	bool ours; /* from the store */
	bool used;
};

struct inherited {
	struct given *list;
	size_t count;
};

static int
inherited_close(struct inherited *in)
{
	for (size_t i = 0; i < in->count; i++) {
		if (in->list[i].fd >= 0)
			close(in->list[i].fd);
	}
	return 0;
}

/* Where it is bound. An IPv6 wildcard that takes IPv4 as well is what ":PORT" means. */
static int
look_up(int fd, struct address *a)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(ss), size = sizeof(int);
	int type = 0, v6only = 1;

	*a = (struct address){.len = 0};
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (type != SOCK_STREAM || len > sizeof(a->un) ||
	    (ss.ss_family != AF_INET && ss.ss_family != AF_INET6 && ss.ss_family != AF_UNIX))
		return -EPROTONOSUPPORT;
	memcpy(&a->sa, &ss, len);
	a->len = len;
	if (ss.ss_family == AF_UNIX)
		a->un.sun_path[sizeof(a->un.sun_path) - 1] = '\0';
	if (ss.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) &&
	    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &size) == 0)
		a->any = !v6only;
	return 0;
}

static void
take_one(struct sockets *all, struct given *g, int fd, const char *name, size_t len)
{
	int error, flags = fcntl(fd, F_GETFD);

	g->fd = -1;
	if (flags < 0 || (flags & FD_CLOEXEC) != 0)
		return; /* it cannot have come through exec: whoever said so was wrong */
	g->fd = fd;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	g->name = talloc_strndup(all->inherited, name, len);
	error = look_up(fd, &g->address);
	g->ours = error == 0 && g->name != NULL && store_is_ours(g->name, fd);
	if (g->ours)
		store_has(all, g->name);
	if (error == 0 && g->name != NULL)
		return;
	output_warn(all->out, "descriptor %d (%s) in LISTEN_FDS is not used: %s", fd,
	    g->name == NULL ? "?" : g->name,
	    error == -EPROTONOSUPPORT ? "it is no stream socket of TCP or Unix" : strerror(-error));
	close(fd);
	g->fd = -1;
}

int
inherited_take(struct sockets *all)
{
	const char *number = getenv(BATON_ENV_LISTEN_FDS), *pid = getenv(BATON_ENV_LISTEN_PID);
	const char *names = getenv(BATON_ENV_LISTEN_FDNAMES);
	int n = number == NULL || pid == NULL || atoi(pid) != (int)getpid() ? 0 : atoi(number);
	struct inherited *in = talloc_zero(all, struct inherited);

	if (in == NULL)
		return -ENOMEM;
	all->inherited = in;
	in->list = talloc_zero_array(in, struct given, n < 0 ? 0 : (unsigned)n);
	if (in->list == NULL)
		return -ENOMEM;
	talloc_set_destructor(in, inherited_close);
	for (int i = 0; i < n; i++) {
		size_t len = names == NULL ? 0 : strcspn(names, ":");

		take_one(all, &in->list[in->count++], BATON_LISTEN_FDS_START + i,
		    names == NULL ? "unknown" : names, names == NULL ? 7 : len);
		if (names != NULL)
			names += len + (names[len] == ':');
	}
	/* They are this process's own; a later image of it must not take them again. */
	unsetenv(BATON_ENV_LISTEN_FDS);
	unsetenv(BATON_ENV_LISTEN_PID);
	unsetenv(BATON_ENV_LISTEN_FDNAMES);
	return 0;
}

static bool
same_host(const struct address *a, const struct address *b)
{
	struct address x = *a, y = *b;

	address_set_port(&x, 1);
	address_set_port(&y, 1);
	return address_equal(&x, &y) && a->any == b->any;
}

static bool
same_name(const struct given *g, const struct socket_set *set, const char *name)
{
	size_t len = strlen(set->name);

	if (!g->ours)
		return strcmp(g->name, name) == 0;
	return strncmp(g->name, set->name, len) == 0 && g->name[len] == '.' &&
	       strncmp(g->name + len + 1, name, strlen(name)) == 0 &&
	       g->name[len + 1 + strlen(name)] == '.';
}

/* How well G fits; 0: not at all. */
static int
fits(const struct given *g, const struct socket_set *set, const struct listen_config *c,
    const struct address *a)
{
	bool named = same_name(g, set, c->name);

	if (g->fd < 0)
		return 0;
	/* What the kernel tells of one of ours is the name that it had before it was renamed. */
	if (address_is_unix(a))
		return g->ours ? 3 * named : 2 * address_equal(&g->address, a);
	if (address_port(a) == 0)
		return named && !g->used && same_host(&g->address, a) ? 3 : 0;
	if (address_equal(&g->address, a) && g->address.any == a->any)
		return named ? 3 : 2;
	/* What ":PORT" means where there is no IPv6; both could not be bound beside it. */
	return a->any && g->address.sa.sa_family == AF_INET &&
		       g->address.in.sin_addr.s_addr == htonl(INADDR_ANY) &&
		       address_port(&g->address) == address_port(a)
		   ? 1
		   : 0;
}

/* Ready to be passed on: it may have been made to refuse, or its last owner set it otherwise. */
static int
prepare(int fd, int backlog)
{
	const int on = 1;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return listen(fd, backlog) < 0 ? -errno : 0;
}

int
inherited_find(
    const struct socket_set *set, const struct listen_config *c, int backlog, struct listener *l)
{
	struct inherited *in = set->all->inherited;
	struct given *best = NULL;
	int most = 0, fd;

	for (size_t i = 0; in != NULL && i < in->count; i++) {
		int fit = fits(&in->list[i], set, c, &l->address);

		if (fit > most) {
			most = fit;
			best = &in->list[i];
		}
	}
	if (best == NULL || prepare(best->fd, backlog) < 0)
		return -1;
	if (best->ours && address_is_unix(&l->address)) {
		l->file = socket_file_adopt(&l->address, store_file_number(best->name));
		if (l->file == NULL)
			return -1; /* another file is there now */
	} else {
		l->address = best->address;
	}
	/* What the manager bound stays its own: it is here for the next reload as well. */
	fd = best->ours ? best->fd : fcntl(best->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -1;
	if (best->ours)
		best->fd = -1;
	best->used = true;
	l->given = !best->ours;
	return fd;
}

size_t
inherited_report(struct sockets *all)
{
	struct inherited *in = all->inherited;
	size_t used = 0;

	for (size_t i = 0; in != NULL && i < in->count; i++) {
		struct given *g = &in->list[i];
		char *text = address_text(in, &g->address);

		used += g->used;
		if (g->fd >= 0 && g->ours) {
			close(g->fd); /* and store_update has it thrown away */
			g->fd = -1;
		} else if (g->fd >= 0 && !g->used) {
			output_warn(all->out,
			    "was given a socket on %s (%s) for which no service has a `listen` "
			    "line: nobody answers there",
			    text, g->name);
		}
		talloc_free(text);
	}
	if (used > 0)
		output_say(all->out, "sockets from the service manager: %zu", used);
	return used;
}

void
inherited_state(struct state *s, struct sockets *all)
{
	static const struct state_field fields[] = {
	    STATE_FLAG(struct given, ours),
	    STATE_FLAG(struct given, used),
	};
	struct inherited *in = all->inherited;
	unsigned n = state_array(s, "inherited", in == NULL ? 0 : in->count);

	if (!state_saving(s)) {
		in = all->inherited = talloc_zero(all, struct inherited);
		if (in != NULL)
			in->list = talloc_zero_array(in, struct given, n);
		if (in == NULL || in->list == NULL) {
			state_fail(s, "inherited", "there is no memory");
			return;
		}
		talloc_set_destructor(in, inherited_close);
	}
	for (unsigned i = 0; in != NULL && i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "inherited", i);
		struct given *g = &in->list[i];

		state_fd(&sub, "fd", &g->fd);
		state_text(&sub, "name", in, &g->name);
		STATE_FIELDS(&sub, g, fields);
		if (state_saving(s) ? g->fd >= 0 : state_has(&sub, "address"))
			address_state(&sub, "address", &g->address);
		if (!state_saving(s))
			in->count++;
		if (state_ok(s) && g->fd >= 0 && (g->name == NULL || g->address.len == 0))
			state_fail(&sub, "name", "is missing");
	}
}
