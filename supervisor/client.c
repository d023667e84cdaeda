/* SPDX-License-Identifier: MIT */
/*
 * One client of the control socket, who may be slow, rude, or dead: its input is one bounded
 * line at a time, its unread answers are bounded too, and nothing here ever waits for it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

struct client {
	struct control *control;
	struct supervisor *sup;
	int fd;
	struct tevent_fd *fde;
	int64_t heard_ms;
	bool busy;             /* a request is being served; the next one waits in `in` */
	bool waits_for_stop;   /* … and it is a stop */
	bool eof;              /* it sends no more; it may still wait for its answer */
	bool ending;           /* freed as soon as `out` is empty; nothing more is read */
	bool serving;          /* process_input is on the stack: it frees, nobody else */
	struct client **where; /* of client_later */
	size_t in_used;
	char in[CONTROL_LINE_MAX_BYTES];
	char *out;
	size_t out_used;
};

static void process_input(struct client *c);

static int
client_close(struct client *c)
{
	if (c->where != NULL)
		*c->where = NULL;
	control_forget(c->control, c);
	TALLOC_FREE(c->fde);
	close(c->fd);
	return 0;
}

static void
update_interest(struct client *c)
{
	uint16_t flags = 0;

	if (!c->ending && !c->eof && c->in_used < sizeof(c->in))
		flags |= TEVENT_FD_READ;
	if (c->out_used > 0)
		flags |= TEVENT_FD_WRITE;
	tevent_fd_set_flags(c->fde, flags);
}

void
client_flush(struct client *c)
{
	size_t done = 0;

	while (done < c->out_used) {
		ssize_t n =
		    send(c->fd, c->out + done, c->out_used - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			done = c->out_used; /* nobody reads any more */
		else
			done += (size_t)n;
	}
	if (done == 0)
		return; /* there may be no buffer yet */
	memmove(c->out, c->out + done, c->out_used - done);
	c->out_used -= done;
}

static void
put_json(struct client *c, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	size_t len = text == NULL ? 0 : strlen(text);
	char *grown = NULL;

	json_decref(line);
	if (len > 0 && c->out_used + len + 1 <= CONTROL_UNREAD_MAX_BYTES)
		grown = talloc_realloc_size(c, c->out, c->out_used + len + 1);
	if (grown == NULL) {
		free(text);
		/* It does not read and cannot be helped. It may not be freed here, so the loop
		 * is made to look at it: a socket that is shut down can be written to. */
		c->ending = true;
		c->out_used = 0;
		shutdown(c->fd, SHUT_RDWR);
		tevent_fd_set_flags(c->fde, TEVENT_FD_WRITE);
		return;
	}
	c->out = grown;
	memcpy(c->out + c->out_used, text, len);
	c->out[c->out_used + len] = '\n';
	c->out_used += len + 1;
	free(text);
	client_flush(c);
	update_interest(c);
}

void
client_result(struct client *c, json_t *result)
{
	json_object_set_new(result, "type", json_string("result"));
	if (c->where != NULL)
		*c->where = NULL;
	c->where = NULL;
	c->busy = c->waits_for_stop = false;
	put_json(c, result);
	if (!c->serving)
		process_input(c); /* the next request may be here already */
}

void
client_error(struct client *c, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(c, format, ap);
	va_end(ap);
	client_result(c, json_pack("{s:b s:s}", "ok", 0, "error", text == NULL ? "?" : text));
}

void
client_progress(struct client *c, const char *text)
{
	put_json(c, json_pack("{s:s s:s}", "type", "progress", "text", text));
}

void
client_later(struct client *c, struct client **where)
{
	c->where = where;
	*where = c;
}

bool
client_waits(const struct client *c)
{
	return c->busy;
}

bool
client_waits_for_stop(const struct client *c)
{
	return c->waits_for_stop;
}

void
client_wait_for_stop(struct client *c)
{
	c->waits_for_stop = true;
}

int64_t
client_silent_ms(const struct client *c)
{
	return timer_now_ms() - c->heard_ms;
}

/* Serves the complete lines that are here, one after the other. May free C. */
static void
process_input(struct client *c)
{
	char *end;

	c->serving = true;
	while (!c->ending && !c->busy && (end = memchr(c->in, '\n', c->in_used)) != NULL) {
		size_t len = (size_t)(end - c->in);
		char line[CONTROL_LINE_MAX_BYTES];

		memcpy(line, c->in, len);
		c->in_used -= len + 1;
		memmove(c->in, end + 1, c->in_used);
		c->busy = true;
		if (!command_serve(c->sup, c, line, len))
			c->ending = true;
	}
	if (!c->ending && !c->busy && c->in_used == sizeof(c->in)) {
		client_error(
		    c, "a request is one line of at most %d bytes", CONTROL_LINE_MAX_BYTES);
		c->ending = true;
	}
	if (c->eof && !c->busy)
		c->ending = true;
	c->serving = false;
	if (c->ending && c->out_used == 0)
		talloc_free(c);
	else
		update_interest(c);
}

static void
read_some(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);

	if (n > 0) {
		c->in_used += (size_t)n;
		c->heard_ms = timer_now_ms();
	} else if (n == 0) {
		c->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		c->ending = true;
		c->out_used = 0;
	}
}

static void
client_event(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct client *c = talloc_get_type_abort(data, struct client);

	(void)ev;
	(void)fde;
	if ((flags & TEVENT_FD_WRITE) != 0)
		client_flush(c);
	if ((flags & TEVENT_FD_READ) != 0 && !c->ending && c->in_used < sizeof(c->in))
		read_some(c);
	process_input(c);
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

struct client *
client_new(struct control *control, struct supervisor *sup, int fd)
{
	static const char refused[] =
	    "{\"type\":\"result\",\"ok\":false,\"error\":"
	    "\"only the user who runs baton, and root, may control it\"}\n";
	struct client *c;
	uid_t uid = (uid_t)-1;

	if (!peer_may(fd, &uid)) {
		output_warn(sup->out, "control: uid %u was not let in", (unsigned)uid);
		send(fd, refused, sizeof(refused) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		return NULL;
	}
	c = talloc_zero(control, struct client);
	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->control = control;
	c->sup = sup;
	c->fd = fd;
	c->heard_ms = timer_now_ms();
	talloc_set_destructor(c, client_close);
	c->fde = tevent_add_fd(sup->ev, c, fd, TEVENT_FD_READ, client_event, c);
	if (c->fde == NULL)
		TALLOC_FREE(c);
	return c;
}
