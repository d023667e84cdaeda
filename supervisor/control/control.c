/* SPDX-License-Identifier: MIT */
/* The control socket in the loop: letting clients in, and out when there are too many. */
#include "supervisor/control/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"

/* After accept(2) failed for want of descriptors: until it is tried again. */
#define ACCEPT_PAUSE_MS 1000

/* Who reads nothing for so long at the end has what it wants. */
#define LAST_WORDS_STALL_MS 200

struct control {
	struct supervisor *sup;
	struct control_socket *socket;
	char *path;
	struct tevent_fd *fde;
	struct client *clients[CONTROL_CLIENTS_MAX];
	unsigned nclients;
	uint64_t turn;
	bool short_of; /* accepting has failed for want of descriptors or memory */
};

uint64_t
control_turn(struct control *c)
{
	return ++c->turn;
}

void
control_forget(struct control *c, struct client *client)
{
	for (unsigned i = 0; i < c->nclients; i++) {
		if (c->clients[i] == client) {
			c->clients[i] = c->clients[--c->nclients];
			return;
		}
	}
}

/* Of those who wait for nothing, or of those who follow, the one that has been silent longest. */
static struct client *
most_silent(const struct control *c, bool follows)
{
	struct client *found = NULL;

	for (unsigned i = 0; i < c->nclients; i++) {
		struct client *client = c->clients[i];

		if (follows ? !client_only_follows(client) : client_waits(client))
			continue;
		if (found == NULL || client_heard(client) < client_heard(found))
			found = client;
	}
	return found;
}

/* Whoever waits for the end of an order stays. */
static bool
make_room(struct control *c)
{
	struct client *client = most_silent(c, false);

	if (client == NULL)
		client = most_silent(c, true);
	talloc_free(client);
	return client != NULL;
}

static bool
peer_may(int fd, uid_t *uid)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*uid = peer.uid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void
turn_away(int fd, const char *why)
{
	char text[160];
	int n = snprintf(
	    text, sizeof(text), "{\"type\":\"result\",\"ok\":false,\"error\":\"%s\"}\n", why);

	send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void
resume(void *data)
{
	struct control *c = talloc_get_type_abort(data, struct control);

	if (c->fde != NULL)
		tevent_fd_set_flags(c->fde, TEVENT_FD_READ);
}

static void
incoming(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct control *c = talloc_get_type_abort(data, struct control);
	struct client *client;
	uid_t uid = (uid_t)-1;
	int fd = accept4(c->socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ev;
	(void)flags;
	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
			return;
		if (!c->short_of)
			output_warn(c->sup->base.out, "control: no client is let in: %s; they wait",
			    strerror(errno));
		c->short_of = true;
		/* It stays readable: polling on would be a busy loop. */
		tevent_fd_set_flags(fde, 0);
		timer_after(c, c->sup->base.timers, ACCEPT_PAUSE_MS, resume, c);
		return;
	}
	c->short_of = false;
	if (!peer_may(fd, &uid)) {
		output_warn(c->sup->base.out, "control: uid %u was not let in", (unsigned)uid);
		turn_away(fd, "only the user who runs baton, and root, may control it");
		return;
	}
	if (c->nclients == CONTROL_CLIENTS_MAX && !make_room(c)) {
		turn_away(fd, "too many clients wait for answers; ask again later");
		return;
	}
	client = client_new(c, c->sup, fd);
	if (client != NULL)
		c->clients[c->nclients++] = client;
	else
		close(fd);
}

int
control_start(struct supervisor *sup, const char *path, TALLOC_CTX *mem, char **why)
{
	struct control *c;
	int error = control_prepare_directory(path, mem, why);

	if (error < 0)
		return error;
	c = talloc_zero(sup, struct control);
	c->sup = sup;
	c->path = talloc_strdup(c, path);
	error = control_socket_open(c, path, &c->socket, mem, why);
	if (error < 0) {
		talloc_free(c);
		return error;
	}
	if (c->socket->left_by > 0)
		output_warn(sup->base.out,
		    "the baton before (pid %d) died without an end; its control socket %s is "
		    "replaced, and instances of it may still run",
		    c->socket->left_by, path);
	c->fde = tevent_add_fd(sup->base.ev, c, c->socket->fd, TEVENT_FD_READ, incoming, c);
	sup->control = c;
	return 0;
}

void
control_renew(struct control *c)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct tevent_fd *fde;
	char *why = NULL;
	int made;

	if (c == NULL || c->socket == NULL) {
		talloc_free(tmp);
		return;
	}
	TALLOC_FREE(c->fde); /* before its descriptor is closed */
	made = control_socket_renew(c->socket, tmp, &why);
	fde = c->fde =
	    tevent_add_fd(c->sup->base.ev, c, c->socket->fd, TEVENT_FD_READ, incoming, c);
	if (made > 0)
		output_say(c->sup->base.out,
		    "the control socket's file %s was gone; it is made anew", c->path);
	if (made < 0 || fde == NULL)
		output_warn(c->sup->base.out, "no client finds this baton: %s",
		    why != NULL   ? why
		    : fde == NULL ? "there is no memory"
				  : strerror(-made));
	talloc_free(tmp);
}

const char *
control_socket_path(const struct control *c)
{
	return c->path;
}

void
control_close(struct control *c)
{
	TALLOC_FREE(c->fde);
	TALLOC_FREE(c->socket);
}

/* Those who have something to read. */
static unsigned
list_pending(const struct control *c, struct pollfd *list)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->nclients; i++) {
		int fd = client_flush(c->clients[i]);

		if (fd >= 0)
			list[n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
	}
	return n;
}

void
control_flush(struct control *c, int ms)
{
	const int64_t end = timer_now_ms() + ms;
	struct pollfd list[CONTROL_CLIENTS_MAX];
	unsigned n;

	while ((n = list_pending(c, list)) > 0 && timer_now_ms() < end) {
		if (poll(list, n, LAST_WORDS_STALL_MS) <= 0)
			break;
	}
}

void
control_stopped(struct control *c)
{
	/* Clients may go while they are told: from the last to the first, none is missed. */
	for (unsigned i = c->nclients; i-- > 0;) {
		if (i < c->nclients && client_waits_for_stop(c->clients[i]))
			asker_result(client_asker(c->clients[i]), json_pack("{s:b}", "ok", 1));
	}
}

/* NULL: nobody waits for it, or not as a client. */
static struct client *
upgrader_of(const struct control *c)
{
	for (unsigned i = 0; i < c->nclients; i++) {
		if (client_asker(c->clients[i]) == c->sup->upgrader)
			return c->clients[i];
	}
	return NULL;
}

/* Of all clients, the one who waits for the upgrade. baton 0.1 wrote the others too. */
static void
upgrader_state(struct state *s, struct control *c)
{
	struct client *client = upgrader_of(c);
	unsigned n = state_array(s, "clients", client != NULL);

	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "clients", i);
		int fd = state_saving(s) ? client_socket(client) : -1;
		int64_t waits = state_saving(s);

		state_fd(&sub, "fd", &fd);
		state_number(&sub, "upgrader", &waits);
		if (state_saving(s) || fd < 0 || c->nclients == CONTROL_CLIENTS_MAX)
			continue;
		client = client_new(c, c->sup, fd);
		if (client == NULL) {
			state_fail(&sub, "fd", "there is no memory");
			return;
		}
		c->clients[c->nclients++] = client;
		client_resume(client, waits != 0);
	}
}

void
control_state(struct state *s, struct supervisor *sup)
{
	static const struct state_field fields[] = {
	    STATE_STRING(struct control, path),
	};
	struct state sub = state_object(s, "control");
	struct control *c = sup->control;

	if (!state_saving(s)) {
		c = talloc_zero(sup, struct control);
		if (c == NULL) {
			state_fail(&sub, "path", "there is no memory");
			return;
		}
		c->sup = sup;
	}
	STATE_FIELDS(&sub, c, fields);
	control_socket_state(&sub, c, &c->socket);
	upgrader_state(&sub, c);
	if (state_saving(s) || !state_ok(s))
		return;
	if (c->path == NULL) {
		state_fail(&sub, "path", "is missing");
		return;
	}
	c->fde = tevent_add_fd(sup->base.ev, c, c->socket->fd, TEVENT_FD_READ, incoming, c);
	if (c->fde == NULL)
		state_fail(&sub, "socket", "there is no memory");
	sup->control = c;
}

void
control_dismiss(struct control *c)
{
	const struct client *upgrader = upgrader_of(c);

	/* Clients may go while they are told: from the last to the first, none is missed. */
	for (unsigned i = c->nclients; i-- > 0;) {
		if (c->clients[i] != upgrader)
			client_dismiss(c->clients[i], "baton replaces itself now; ask again");
	}
	control_flush(c, LAST_WORDS_STALL_MS);
	/* Who has not read what was before would not understand what comes. */
	for (unsigned i = c->nclients; i-- > 0;) {
		if (c->clients[i] != upgrader || client_flush(c->clients[i]) >= 0)
			talloc_free(c->clients[i]);
	}
}
