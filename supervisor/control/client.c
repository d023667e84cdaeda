/* SPDX-License-Identifier: MIT */
/*
 * One client of the control socket, who may be slow, rude, or dead: its input is one bounded
 * line at a time, its unread answers are bounded too, and nothing here ever waits for it.
 */
#include "supervisor/control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/base/json_memory.h"

static void process_input(struct client *c);
static void watch(struct client *c);

static int
client_close(struct client *c)
{
	asker_release(&c->asker);
	c->calls->gone(c->data, c);
	TALLOC_FREE(c->fde);
	close(c->fd);
	return 0;
}

static void
late(void *data)
{
	struct client *c = talloc_get_type_abort(data, struct client);

	c->timer = NULL;
	if (timer_now_ms() - c->moved_ms >= CLIENT_STALL_MS)
		talloc_free(c);
	else
		watch(c);
}

/* A client may be silent between requests, and while it waits for an answer, but not in the middle
 * of a request, nor of reading an answer. */
static void
update_timer(struct client *c)
{
	bool owes = c->request == CLIENT_NONE && (c->in_used > 0 || c->out_used > 0);
	int64_t left = c->moved_ms + CLIENT_STALL_MS - timer_now_ms();

	if (!owes)
		TALLOC_FREE(c->timer);
	else if (c->timer == NULL)
		c->timer = timer_after(c, c->base->timers, left > 0 ? left : 0, late, c);
}

/* Waits for what it may do next: send, read, or be late. */
static void
watch(struct client *c)
{
	uint16_t flags = 0;

	if (c->life == CLIENT_READS && c->in_used < sizeof(c->in))
		flags |= TEVENT_FD_READ;
	if (c->out_used > 0)
		flags |= TEVENT_FD_WRITE;
	tevent_fd_set_flags(c->fde, flags);
	update_timer(c);
}

/* The client is of no use any more. It may not be freed here, as callers go on with it, so the loop
 * is made to look at it: a socket that is shut down can be written to. */
static void
give_up(struct client *c)
{
	c->life = CLIENT_ENDS;
	c->out_used = 0;
	shutdown(c->fd, SHUT_RDWR);
	tevent_fd_set_flags(c->fde, TEVENT_FD_WRITE);
}

static void
flush(struct client *c)
{
	size_t done = 0;

	while (done < c->out_used) {
		ssize_t n =
		    send(c->fd, c->out + done, c->out_used - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			give_up(c); /* nobody reads any more */
			return;
		}
		done += (size_t)n;
	}
	if (done == 0)
		return; /* there may be no buffer yet */
	c->moved_ms = timer_now_ms();
	memmove(c->out, c->out + done, c->out_used - done);
	c->out_used -= done;
	if (c->out_used == 0)
		TALLOC_FREE(c->out); /* it may have been large */
}

int
client_flush(struct client *c)
{
	flush(c);
	return c->out_used > 0 ? c->fd : -1;
}

/* Room for LEN more bytes, and as much as half of what waits: so that what waits for a client who
 * does not read is not copied for each message that is added. */
static char *
grow(struct client *c, size_t len)
{
	size_t need = c->out_used + len;

	return need <= talloc_get_size(c->out)
		   ? c->out
		   : talloc_realloc_size(c, c->out, need + c->out_used / 2);
}

static void
put_json(struct client *c, json_t *line, bool whatever)
{
	char *text = json_memory_dumps(line);
	size_t len = text == NULL ? 0 : strlen(text);
	char *grown = NULL;

	json_decref(line);
	if (c->life == CLIENT_ENDS) {
		free(text);
		return;
	}
	/* One message may have any length, but what is unread before it may not, unless WHATEVER. */
	if (len > 0 && (whatever || c->out_used <= CLIENT_UNREAD_MAX_BYTES))
		grown = grow(c, len + 1);
	if (grown == NULL) {
		free(text);
		give_up(c); /* it does not read and cannot be helped */
		return;
	}
	c->out = grown;
	memcpy(c->out + c->out_used, text, len);
	c->out[c->out_used + len] = '\n';
	c->out_used += len + 1;
	free(text);
	flush(c);
	if (c->life != CLIENT_ENDS)
		watch(c);
}

void
client_line(struct client *c, const char *type, json_t *line)
{
	/* If there is no memory for the type: nobody would know what a line without it is, so the
	 * client is given up. */
	if (json_object_set_new(line, "type", json_string(type)) < 0) {
		json_decref(line);
		line = NULL;
	}
	put_json(c, line, strcmp(type, "result") == 0);
}

static void
tell_result(void *data, json_t *result)
{
	struct client *c = talloc_get_type_abort(data, struct client);

	c->request = CLIENT_NONE;
	c->moved_ms = timer_now_ms();
	client_line(c, "result", result);
	if (!c->serving)
		process_input(c); /* the next request may be here already */
}

static void
tell_progress(void *data, const char *text)
{
	client_line(talloc_get_type_abort(data, struct client), "progress",
	    json_pack("{s:o}", "text", json_text(text)));
}

static const struct asker_calls asker_calls = {.progress = tell_progress, .result = tell_result};

bool
client_waits(const struct client *c)
{
	int unread = 0;

	/* Its request may have come, and not been read yet. */
	return c->request != CLIENT_NONE || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0);
}

bool
client_has_room(const struct client *c)
{
	return c->out_used < CLIENT_FOLLOW_MAX_BYTES;
}

/* Serves the complete lines that are here, one after the other. May free C. */
static void
process_input(struct client *c)
{
	char *end;

	c->serving = true;
	while (c->life != CLIENT_ENDS && c->request == CLIENT_NONE &&
	       (end = memchr(c->in, '\n', c->in_used)) != NULL) {
		size_t len = (size_t)(end - c->in);
		char line[CLIENT_LINE_MAX_BYTES];

		memcpy(line, c->in, len);
		c->in_used -= len + 1;
		memmove(c->in, end + 1, c->in_used);
		c->request = CLIENT_SERVED;
		if (c->out_used > CLIENT_UNREAD_MAX_BYTES)
			give_up(c); /* it asks on and on, and does not read */
		else if (!c->calls->request(c->data, c, line, len))
			c->life = CLIENT_ENDS;
	}
	if (c->life != CLIENT_ENDS && c->request == CLIENT_NONE && c->in_used == sizeof(c->in)) {
		asker_error(
		    &c->asker, "a request is one line of at most %d bytes", CLIENT_LINE_MAX_BYTES);
		c->life = CLIENT_ENDS;
	}
	if (c->life == CLIENT_SILENT && c->request == CLIENT_NONE)
		c->life = CLIENT_ENDS;
	c->serving = false;
	if (c->life == CLIENT_ENDS && c->out_used == 0)
		talloc_free(c);
	else
		watch(c);
}

/* Whether it has closed the connection altogether; if it only writes no more, it may still read. */
static bool
is_gone(const struct client *c)
{
	struct pollfd p = {.fd = c->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
read_some(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);

	if (n > 0) {
		c->in_used += (size_t)n;
		c->moved_ms = timer_now_ms();
		c->calls->heard(c->data, c);
	} else if (n == 0) {
		c->life = CLIENT_SILENT;
		if (is_gone(c))
			give_up(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		c->life = CLIENT_ENDS;
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
		flush(c);
	if ((flags & TEVENT_FD_READ) != 0 && c->life != CLIENT_ENDS && c->in_used < sizeof(c->in))
		read_some(c);
	process_input(c);
}

struct client *
client_new(TALLOC_CTX *mem, struct base *base, int fd, const struct client_calls *calls, void *data)
{
	struct client *c = talloc_zero(mem, struct client);

	if (c == NULL)
		return NULL;
	c->asker = (struct asker){.calls = &asker_calls, .data = c};
	c->calls = calls;
	c->data = data;
	c->base = base;
	c->fd = fd;
	c->moved_ms = timer_now_ms();
	c->fde = tevent_add_fd(base->ev, c, fd, TEVENT_FD_READ, client_event, c);
	if (c->fde == NULL)
		TALLOC_FREE(c);
	else
		talloc_set_destructor(c, client_close);
	return c;
}

void
client_resume(struct client *c, bool waits)
{
	c->request = waits ? CLIENT_SERVED : CLIENT_NONE;
	c->life = waits ? CLIENT_SILENT : CLIENT_ENDS;
	tevent_fd_set_flags(c->fde, waits ? 0 : TEVENT_FD_WRITE);
}

void
client_dismiss(struct client *c, const char *why)
{
	if (c->life == CLIENT_READS && c->in_used < sizeof(c->in))
		read_some(c);
	c->serving = true; /* so that its next request is not looked at */
	if (c->life != CLIENT_ENDS &&
	    (c->request != CLIENT_NONE || memchr(c->in, '\n', c->in_used) != NULL))
		asker_error(&c->asker, "%s", why);
	c->life = CLIENT_ENDS;
}
