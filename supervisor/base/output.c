/* SPDX-License-Identifier: MIT */
/*
 * Writing without ever waiting, on descriptors that others share. O_NONBLOCK belongs to the
 * open file description, so setting it on an inherited terminal or pipe would change it under
 * the shell and every other program there. Instead each stream gets a description of its own
 * by opening /proc/self/fd/N anew; a socket is written with MSG_DONTWAIT; a regular file needs
 * neither. Where opening is refused (the terminal belongs to another user after su(1)), a
 * write goes out only when poll(2) says that there is room, in pieces of at most PIPE_BUF.
 */
#include "supervisor/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/base/timer.h"

enum how { PLAIN, OWN_DESCRIPTION, SOCKET, WHEN_READY };

struct stream {
	struct tevent_context *ev;
	int fd;
	enum how how;
	struct tevent_fd *fde; /* waits for room; NULL while nothing is queued */
	char *queue;           /* OUTPUT_QUEUE_MAX_BYTES, allocated at first use */
	size_t used;
	uint64_t dropped, dropped_unsaid;
	bool dead; /* the reader is gone for good */
};

struct output {
	struct stream streams[2];
};

static enum how
choose(struct stream *s)
{
	struct stat st;
	char path[64];
	int fd;

	if (fstat(s->fd, &st) < 0 || S_ISREG(st.st_mode))
		return PLAIN;
	if (S_ISSOCK(st.st_mode))
		return SOCKET;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return WHEN_READY;
	s->fd = fd;
	return OWN_DESCRIPTION;
}

static ssize_t
write_some(struct stream *s, const char *bytes, size_t n)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	if (s->how == SOCKET)
		return send(s->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->how == WHEN_READY) {
		if (poll(&p, 1, 0) != 1) {
			errno = EAGAIN;
			return -1;
		}
		n = n > PIPE_BUF ? PIPE_BUF : n;
	}
	return write(s->fd, bytes, n);
}

/* Writes what the reader takes now and moves the rest to the front. */
static void
flush(struct stream *s)
{
	size_t done = 0;

	while (done < s->used) {
		ssize_t n = write_some(s, s->queue + done, s->used - done);

		if (n > 0) {
			done += (size_t)n;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			break;
		} else {
			/* EPIPE, ENOSPC, EIO …: this much is lost. ENOSPC may pass, EPIPE not. */
			s->dead = errno == EPIPE;
			s->dropped++;
			s->dropped_unsaid++;
			done = s->used;
		}
	}
	memmove(s->queue, s->queue + done, s->used - done);
	s->used -= done;
}

static void
append(struct stream *s, const char *bytes, size_t n)
{
	memcpy(s->queue + s->used, bytes, n);
	s->used += n;
}

static void
say_dropped(struct stream *s)
{
	char line[96];
	int n;

	if (s->dropped_unsaid == 0 || s->used > OUTPUT_QUEUE_MAX_BYTES / 2)
		return;
	n = snprintf(line, sizeof(line), "baton: %llu lines were dropped here: nobody read them\n",
	    (unsigned long long)s->dropped_unsaid);
	append(s, line, (size_t)n);
	s->dropped_unsaid = 0;
}

static void
room(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct stream *s = data;

	(void)ev;
	(void)fde;
	(void)flags;
	flush(s);
	say_dropped(s);
	if (s->used == 0)
		TALLOC_FREE(s->fde);
}

static void
put_line(struct output *o, struct stream *s, const char *prefix, const char *text, size_t len)
{
	size_t plen = strlen(prefix);

	if (s->queue == NULL)
		s->queue = talloc_size(o, OUTPUT_QUEUE_MAX_BYTES);
	if (s->dead || s->queue == NULL || s->used + plen + len + 1 > OUTPUT_QUEUE_MAX_BYTES) {
		s->dropped++;
		s->dropped_unsaid++;
		return;
	}
	append(s, prefix, plen);
	append(s, text, len);
	append(s, "\n", 1);
	if (s->fde != NULL)
		return; /* older lines wait: this one too */
	flush(s);
	if (s->used > 0)
		s->fde = tevent_add_fd(s->ev, o, s->fd, TEVENT_FD_WRITE, room, s);
}

static int
output_close(struct output *o)
{
	for (size_t i = 0; i < 2; i++) {
		struct stream *s = &o->streams[i];

		TALLOC_FREE(s->fde);
		if (s->how == OWN_DESCRIPTION)
			close(s->fd);
	}
	return 0;
}

struct output *
output_new(TALLOC_CTX *mem, struct tevent_context *ev, int out_fd, int err_fd)
{
	struct output *o = talloc_zero(mem, struct output);

	if (o == NULL)
		return NULL;
	o->streams[OUTPUT_OUT] = (struct stream){.ev = ev, .fd = out_fd};
	o->streams[OUTPUT_ERR] = (struct stream){.ev = ev, .fd = err_fd};
	for (size_t i = 0; i < 2; i++)
		o->streams[i].how = choose(&o->streams[i]);
	talloc_set_destructor(o, output_close);
	return o;
}

void
output_line(struct output *o, enum output_to to, const char *prefix, const char *text, size_t len)
{
	put_line(o, &o->streams[to], prefix, text, len);
}

void
output_say(struct output *o, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	if (text != NULL)
		output_line(o, OUTPUT_OUT, "", text, strlen(text));
	talloc_free(text);
}

void
output_warn(struct output *o, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	if (text != NULL)
		output_line(o, OUTPUT_ERR, "baton: ", text, strlen(text));
	talloc_free(text);
}

uint64_t
output_dropped(const struct output *o)
{
	return o->streams[OUTPUT_OUT].dropped + o->streams[OUTPUT_ERR].dropped;
}

void
output_drain(struct output *o, int ms)
{
	int64_t end = timer_now_ms() + ms;

	for (size_t i = 0; i < 2; i++) {
		struct stream *s = &o->streams[i];
		struct pollfd p = {.fd = s->fd, .events = POLLOUT};

		while (s->used > 0 && !s->dead) {
			int64_t left = end - timer_now_ms();

			if (left <= 0 || poll(&p, 1, (int)left) <= 0)
				break;
			flush(s);
			say_dropped(s);
		}
	}
}

void
output_state(struct state *s, const char *name, struct output *o)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct stream, dropped),
	    STATE_NUMBER(struct stream, dropped_unsaid),
	    STATE_FLAG(struct stream, dead),
	};
	unsigned n = state_array(s, name, 2);

	for (unsigned i = 0; i < n && i < 2 && state_ok(s); i++) {
		struct state sub = state_element(s, name, i);
		struct stream *stream = &o->streams[i];

		STATE_FIELDS(&sub, stream, fields);
		if (stream->queue == NULL && state_has(&sub, "queue"))
			stream->queue = talloc_size(o, OUTPUT_QUEUE_MAX_BYTES);
		if (stream->queue == NULL && state_has(&sub, "queue"))
			state_fail(&sub, "queue", "there is no memory");
		stream->used = state_bytes(&sub, "queue", stream->queue, stream->used,
		    stream->queue == NULL ? 0 : OUTPUT_QUEUE_MAX_BYTES);
		if (!state_saving(s) && stream->used > 0)
			stream->fde =
			    tevent_add_fd(stream->ev, o, stream->fd, TEVENT_FD_WRITE, room, stream);
	}
}
