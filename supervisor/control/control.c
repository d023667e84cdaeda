/* SPDX-License-Identifier: MIT */
/* The control socket in the loop: letting clients in, and out when there are too many. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control_internal.h"
#include "supervisor/instance/instances.h"

/* How long no client is let in after accept(2) has failed for want of descriptors. */
#define ACCEPT_PAUSE_MS 1000

/* At the end, a client that reads nothing for so long is not waited for any more. */
#define LAST_WORDS_STALL_MS 200

/* --- the list -------------------------------------------------------------------------------- */

static void
heard(void *data, struct client *client)
{
	struct control *c = talloc_get_type_abort(data, struct control);

	TAILQ_REMOVE(&c->clients, client, entry);
	TAILQ_INSERT_TAIL(&c->clients, client, entry);
}

static void
gone(void *data, struct client *client)
{
	struct control *c = talloc_get_type_abort(data, struct control);

	TAILQ_REMOVE(&c->clients, client, entry);
	c->nclients--;
}

static bool
request(void *data, struct client *client, const char *line, size_t len)
{
	return command_serve(talloc_get_type_abort(data, struct control), client, line, len);
}

static const struct client_calls client_calls = {.heard = heard, .request = request, .gone = gone};

/* Takes over FD, unless it returns NULL. */
static struct client *
add_client(struct control *c, int fd)
{
	struct client *client = client_new(c, c->base, fd, &client_calls, c);

	if (client != NULL) {
		TAILQ_INSERT_TAIL(&c->clients, client, entry);
		c->nclients++;
	}
	return client;
}

/* One that waits for nothing has to go, or else one that follows. Whoever waits for the end of a
 * command stays. */
static bool
make_room(struct control *c)
{
	struct client *client;

	TAILQ_FOREACH(client, &c->clients, entry) {
		if (!client_waits(client))
			break;
	}
	if (client == NULL) {
		TAILQ_FOREACH(client, &c->clients, entry) {
			if (client->request == CLIENT_FOLLOWS)
				break;
		}
	}
	talloc_free(client);
	return client != NULL;
}

/* --- the socket ------------------------------------------------------------------------------ */

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
	uid_t uid = (uid_t)-1;
	int fd = accept4(c->socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ev;
	(void)flags;
	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
			return;
		if (!c->short_of)
			output_warn(c->base->out, "control: no client is let in: %s; they wait",
			    strerror(errno));
		c->short_of = true;
		/* The socket stays readable, so polling on would be a busy loop. */
		tevent_fd_set_flags(fde, 0);
		timer_after(c, c->base->timers, ACCEPT_PAUSE_MS, resume, c);
		return;
	}
	c->short_of = false;
	if (!peer_may(fd, &uid)) {
		output_warn(c->base->out, "control: uid %u was not let in", (unsigned)uid);
		turn_away(fd, "only the user who runs baton, and root, may control it");
		return;
	}
	if (c->nclients == CONTROL_CLIENTS_MAX && !make_room(c)) {
		turn_away(fd, "too many clients wait for answers; ask again later");
		return;
	}
	if (add_client(c, fd) == NULL)
		close(fd);
}

struct control *
control_new(TALLOC_CTX *mem, struct instances *all, struct deploy *deploy,
    const struct control_calls *calls, void *data)
{
	struct control *c = talloc_zero(mem, struct control);

	if (c == NULL)
		return NULL;
	c->all = all;
	c->base = all->base;
	c->deploy = deploy;
	c->calls = calls;
	c->data = data;
	TAILQ_INIT(&c->clients);
	return c;
}

static bool
watch(struct control *c)
{
	c->fde = tevent_add_fd(c->base->ev, c, c->socket->fd, TEVENT_FD_READ, incoming, c);
	return c->fde != NULL;
}

int
control_start(struct control *c, const char *path, TALLOC_CTX *mem, char **why)
{
	int error = control_prepare_directory(path, mem, why);

	if (error < 0)
		return error;
	c->path = talloc_strdup(c, path);
	error = control_socket_open(c, path, &c->socket, mem, why);
	if (error < 0)
		return error;
	if (c->socket->left_by > 0)
		output_warn(c->base->out,
		    "the baton before (pid %d) died without an end; its control socket %s is "
		    "replaced, and instances of it may still run",
		    c->socket->left_by, path);
	return watch(c) ? 0 : -ENOMEM;
}

void
control_renew(struct control *c)
{
	TALLOC_CTX *tmp;
	char *why = NULL;
	bool watched;
	int made;

	if (c->socket == NULL)
		return;
	tmp = talloc_new(NULL);
	TALLOC_FREE(c->fde); /* before its descriptor is closed */
	made = control_socket_renew(c->socket, tmp, &why);
	watched = watch(c);
	if (made > 0)
		output_say(c->base->out, "the control socket's file %s was gone; it is made anew",
		    c->path);
	if (made < 0 || !watched)
		output_warn(c->base->out, "no client finds this baton: %s",
		    why != NULL ? why
		    : !watched  ? "there is no memory"
				: strerror(-made));
	talloc_free(tmp);
}

/* --- the ends -------------------------------------------------------------------------------- */

/* Those who have something to read. */
static unsigned
list_pending(const struct control *c, struct pollfd *list)
{
	struct client *client;
	unsigned n = 0;

	TAILQ_FOREACH(client, &c->clients, entry) {
		int fd = client_flush(client);

		if (fd >= 0)
			list[n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
	}
	return n;
}

static void
flush(const struct control *c, int ms)
{
	const int64_t end = timer_now_ms() + ms;
	struct pollfd list[CONTROL_CLIENTS_MAX];
	unsigned n;

	while ((n = list_pending(c, list)) > 0 && timer_now_ms() < end) {
		if (poll(list, n, LAST_WORDS_STALL_MS) <= 0)
			break;
	}
}

static struct client *
who_waits_for_stop(const struct control *c)
{
	struct client *client;

	TAILQ_FOREACH(client, &c->clients, entry) {
		if (client->request == CLIENT_STOPS)
			break;
	}
	return client;
}

void
control_end(struct control *c, int ms)
{
	struct client *client;

	TALLOC_FREE(c->fde);
	TALLOC_FREE(c->socket);
	follow_end(c);
	status_tell_all(c);
	/* Any of them may go while one is told. */
	while ((client = who_waits_for_stop(c)) != NULL)
		asker_result(&client->asker, json_pack("{s:b}", "ok", 1));
	flush(c, ms);
}

void
control_dismiss(struct control *c, const struct asker *stays)
{
	struct client *client, *next;

	TAILQ_FOREACH(client, &c->clients, entry) {
		if (&client->asker != stays)
			client_dismiss(client, "baton replaces itself now; ask again");
	}
	flush(c, LAST_WORDS_STALL_MS);
	/* If the one who stays has not read all until now, it would read the rest after a gap. */
	for (client = TAILQ_FIRST(&c->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		if (&client->asker != stays || client_flush(client) >= 0)
			talloc_free(client);
	}
}

/* --- the document of state.h ------------------------------------------------------------------ */

/* Of all clients, the one who stays. baton 0.1 wrote the others too. */
static void
clients_state(struct state *s, struct control *c, struct asker **stays)
{
	struct client *client;
	unsigned n;

	TAILQ_FOREACH(client, &c->clients, entry) {
		if (&client->asker == *stays)
			break;
	}
	n = state_array(s, "clients", client != NULL);
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "clients", i);
		int fd = state_saving(s) ? client->fd : -1;
		int64_t waits = state_saving(s);

		state_fd(&sub, "fd", &fd);
		state_number(&sub, "upgrader", &waits);
		if (state_saving(s) || fd < 0 || c->nclients == CONTROL_CLIENTS_MAX)
			continue;
		client = add_client(c, fd);
		if (client == NULL) {
			state_fail(&sub, "fd", "there is no memory");
			return;
		}
		client_resume(client, waits != 0);
		if (waits != 0)
			asker_later(&client->asker, stays);
	}
}

void
control_state(struct state *s, struct control *c, struct asker **stays)
{
	static const struct state_field fields[] = {
	    STATE_STRING(struct control, path),
	};
	struct state sub = state_object(s, "control");

	STATE_FIELDS(&sub, c, fields);
	control_socket_state(&sub, c, &c->socket);
	clients_state(&sub, c, stays);
	if (state_saving(s) || !state_ok(s))
		return;
	if (c->path == NULL)
		state_fail(&sub, "path", "is missing");
	else if (!watch(c))
		state_fail(&sub, "socket", "there is no memory");
}
