/* SPDX-License-Identifier: MIT */
/* The control socket in the loop: letting clients in, and out when there are too many. */
#include "supervisor/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

/* After accept(2) failed for want of descriptors: until it is tried again. */
#define ACCEPT_PAUSE_MS 1000

struct control {
	struct supervisor *sup;
	struct control_socket *socket;
	char *path;
	struct tevent_fd *fde;
	struct client *clients[CONTROL_CLIENTS_MAX];
	unsigned nclients;
};

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

/* Frees the client that has been silent longest, if one is there that waits for nothing. */
static bool
make_room(struct control *c)
{
	struct client *idle = NULL;

	for (unsigned i = 0; i < c->nclients; i++) {
		if (client_waits(c->clients[i]))
			continue;
		if (idle == NULL || client_silent_ms(c->clients[i]) > client_silent_ms(idle))
			idle = c->clients[i];
	}
	talloc_free(idle);
	return idle != NULL;
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
	int fd = accept4(c->socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ev;
	(void)flags;
	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
			return;
		/* It stays readable: polling on would be a busy loop. */
		tevent_fd_set_flags(fde, 0);
		timer_after(c, c->sup->timers, ACCEPT_PAUSE_MS, resume, c);
		return;
	}
	if (c->nclients == CONTROL_CLIENTS_MAX && !make_room(c)) {
		close(fd);
		return;
	}
	client = client_new(c, c->sup, fd);
	if (client != NULL)
		c->clients[c->nclients++] = client;
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
	c->fde = tevent_add_fd(sup->ev, c, c->socket->fd, TEVENT_FD_READ, incoming, c);
	sup->control = c;
	return 0;
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

void
control_flush(struct control *c)
{
	for (unsigned i = 0; i < c->nclients; i++)
		client_flush(c->clients[i]);
}

void
control_stopped(struct control *c)
{
	/* Clients may go while they are told: from the last to the first, none is missed. */
	for (unsigned i = c->nclients; i-- > 0;) {
		if (i < c->nclients && client_waits_for_stop(c->clients[i]))
			client_result(c->clients[i], json_pack("{s:b}", "ok", 1));
	}
}
