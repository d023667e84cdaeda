/* SPDX-License-Identifier: MIT */
/* The pipes of a process's stdout and stderr, and where its lines go. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "supervisor/instance/instances.h"

/* Read at most so much of a pipe after the process has ended: its group is dead by then, but
 * a process that left the group could write for ever. */
#define LAST_OUTPUT_MAX_BYTES (1024UL * 1024)

static void
out_line(const char *line, size_t len, bool cut, void *data)
{
	struct generation *g = data;

	(void)cut;
	g->events->line(g, false, line, len);
	if (g->instance->service->out != NULL)
		logfile_line(g->instance->service->out, line, len);
	else
		output_line(
		    g->instance->all->base->out, OUTPUT_OUT, g->instance->prefix, line, len);
}

static void
err_line(const char *line, size_t len, bool cut, void *data)
{
	struct generation *g = data;

	(void)cut;
	tail_add(g->tail, line, len);
	g->events->line(g, true, line, len);
	if (g->instance->service->err != NULL)
		logfile_line(g->instance->service->err, line, len);
	else
		output_line(
		    g->instance->all->base->out, OUTPUT_ERR, g->instance->prefix, line, len);
}

/* Reads once. Returns the number of bytes; 0 at the end, negative when there is nothing now. */
static ssize_t
take_output(int fd, struct lines *lines)
{
	char buf[16384];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		lines_feed(lines, buf, (size_t)n);
	return n;
}

static void
output_readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct generation *g = talloc_get_type_abort(data, struct generation);
	bool out = fde == g->out_event;
	int fd = (int)tevent_fd_get_tag(fde);

	(void)ev;
	(void)flags;
	if (take_output(fd, out ? g->out_lines : g->err_lines) != 0)
		return;
	/* It closed its end, or every process that had it is gone. */
	if (out)
		TALLOC_FREE(g->out_event);
	else
		TALLOC_FREE(g->err_event);
}

static void
last_output(struct tevent_fd **fde, struct lines *lines)
{
	ssize_t n = 1;

	for (size_t total = 0; *fde != NULL && n > 0 && total < LAST_OUTPUT_MAX_BYTES;
	     total += (size_t)n)
		n = take_output((int)tevent_fd_get_tag(*fde), lines);
	TALLOC_FREE(*fde);
	lines_flush(lines);
}

void
generation_last_output(struct generation *g)
{
	last_output(&g->out_event, g->out_lines);
	last_output(&g->err_event, g->err_lines);
}

bool
generation_new_output(struct generation *g)
{
	g->out_lines = lines_new(g, OUTPUT_LINE_MAX_BYTES, out_line, g);
	g->err_lines = lines_new(g, OUTPUT_LINE_MAX_BYTES, err_line, g);
	g->tail = tail_new(g, TAIL_LINES, TAIL_LINE_MAX_BYTES);
	return g->out_lines != NULL && g->err_lines != NULL && g->tail != NULL;
}

int
generation_read_output(struct generation *g, bool err, int fd)
{
	struct tevent_fd **fde = err ? &g->err_event : &g->out_event;

	*fde = tevent_add_fd(g->instance->all->base->ev, g, fd, TEVENT_FD_READ, output_readable, g);
	if (*fde == NULL)
		return -ENOMEM;
	tevent_fd_set_auto_close(*fde);
	tevent_fd_set_tag(*fde, (uint64_t)fd);
	return 0;
}

int
generation_open_output(struct generation *g, bool err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[0], F_SETFL, O_NONBLOCK); /* this end only: the child's writes may wait */
	if (generation_read_output(g, err, fds[0]) == 0)
		return fds[1];
	close(fds[0]);
	close(fds[1]);
	return -ENOMEM;
}
