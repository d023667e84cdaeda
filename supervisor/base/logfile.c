/* SPDX-License-Identifier: MIT */
/*
 * Files that instances' lines go to. baton stands in between, so that SIGUSR1 can open them
 * anew after they were moved away, and so that a full disk is baton's trouble, not that of a
 * program which writes to its standard output. A line is one write at the end of the file.
 */
#include "supervisor/base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervisor/base/output.h"
#include "supervisor/base/state.h"
#include "supervisor/base/trusted_path.h"

struct logfile {
	TAILQ_ENTRY(logfile) entry;
	struct logfiles *all;
	char *path;
	int fd;
	uint64_t dropped; /* lines, in all */
	uint64_t unsaid;  /* dropped lines of which the file itself does not tell yet */
	bool middle;      /* the last write ended within a line */
};

struct logfiles {
	struct output *out; /* where it is said what goes wrong */
	TAILQ_HEAD(, logfile) list;
	uint64_t dropped; /* lines, of those that are closed */
};

struct logfiles *
logfiles_new(TALLOC_CTX *mem, struct output *out)
{
	struct logfiles *all = talloc_zero(mem, struct logfiles);

	if (all == NULL)
		return NULL;
	all->out = out;
	TAILQ_INIT(&all->list);
	return all;
}

static int
logfile_close(struct logfile *l)
{
	if (l->fd >= 0)
		close(l->fd);
	return 0;
}

/* Never waits for a reader, if it is a FIFO; what is new may be read by the group. The service's
 * user may own the directory, and may not choose which file root writes to. */
static int
open_file(const char *path)
{
	return trusted_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0640);
}

static struct logfile *
logfile_new(struct logfiles *all)
{
	struct logfile *l = talloc_zero(all, struct logfile);

	if (l == NULL)
		return NULL;
	l->all = all;
	l->fd = -1;
	talloc_set_destructor(l, logfile_close);
	return l;
}

/* The one of that path, opened if it is new; NULL with *ERROR set if it cannot be. */
static struct logfile *
get(struct logfiles *all, const char *path, int *error)
{
	struct logfile *l;

	TAILQ_FOREACH(l, &all->list, entry) {
		if (strcmp(l->path, path) == 0)
			return l;
	}
	l = logfile_new(all);
	*error = -ENOMEM;
	if (l == NULL)
		return NULL;
	l->path = talloc_strdup(l, path);
	l->fd = l->path == NULL ? -ENOMEM : open_file(path);
	if (l->fd < 0) {
		*error = l->fd;
		talloc_free(l);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&all->list, l, entry);
	return l;
}

static void
lost(struct logfile *l, int error)
{
	if (l->unsaid == 0)
		output_warn(l->all->out, "%s: %s; lines are dropped until there is room", l->path,
		    strerror(error));
	l->dropped++;
	l->unsaid++;
}

/* Whether all of it was written. What a full disk took of it cannot be taken back. */
static bool
append(struct logfile *l, const char *text, size_t len)
{
	struct iovec iov[3] = {{"\n", l->middle ? 1 : 0}, {(char *)text, len}, {"\n", 1}};
	size_t all = iov[0].iov_len + len + 1;
	ssize_t n;

	do {
		n = writev(l->fd, iov, 3);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)all) {
		l->middle = false;
		return true;
	}
	if (n <= 0)
		return false;
	/* Something has cut it; asking for one byte more tells what, or there is room again. */
	l->middle = write(l->fd, "\n", 1) != 1;
	if (!l->middle)
		errno = ENOSPC;
	return false;
}

void
logfile_line(struct logfile *l, const char *text, size_t len)
{
	char said[96];
	int n;

	if (l->unsaid > 0) {
		n = snprintf(said, sizeof(said), "baton: %llu lines were dropped here",
		    (unsigned long long)l->unsaid);
		if (!append(l, said, (size_t)n)) {
			lost(l, errno);
			return;
		}
		l->unsaid = 0;
	}
	if (!append(l, text, len))
		lost(l, errno);
}

void
logfiles_reopen(struct logfiles *all)
{
	struct logfile *l;
	unsigned n = 0;

	TAILQ_FOREACH(l, &all->list, entry) {
		int fd = open_file(l->path);

		if (fd < 0) {
			output_warn(all->out,
			    "SIGUSR1: %s: %s; the file that is open is written on", l->path,
			    trusted_text(fd));
			continue;
		}
		close(l->fd);
		l->fd = fd;
		l->middle = false;
		n++;
	}
	output_say(all->out, "SIGUSR1: %u log file%s opened anew", n, n == 1 ? "" : "s");
}

void
logfiles_close_unused(struct logfiles *all, logfile_used_fn *used, const void *data)
{
	struct logfile *next;

	for (struct logfile *l = TAILQ_FIRST(&all->list); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (used(l, data))
			continue;
		TAILQ_REMOVE(&all->list, l, entry);
		all->dropped += l->dropped;
		talloc_free(l);
	}
}

uint64_t
logfiles_dropped(const struct logfiles *all)
{
	uint64_t n = all->dropped;
	const struct logfile *l;

	TAILQ_FOREACH(l, &all->list, entry)
		n += l->dropped;
	return n;
}

int
logfile_open(
    struct logfiles *all, const char *where, struct logfile **out, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	*out = NULL;
	*why = NULL;
	if (strchr(where, '/') == NULL)
		return 0;
	*out = get(all, where, &error);
	if (*out != NULL)
		return 0;
	*why = talloc_asprintf(mem, "cannot open the log file %s: %s", where, trusted_text(error));
	return error;
}

/* The files that are open, wherever their names lead by now. */
void
logfiles_state(struct state *s, struct logfiles *all)
{
	static const struct state_field fields[] = {
	    STATE_NEEDED_STRING(struct logfile, path),
	    STATE_NEEDED_FD(struct logfile, fd),
	    STATE_NUMBER(struct logfile, dropped),
	    STATE_NUMBER(struct logfile, unsaid),
	    STATE_FLAG(struct logfile, middle),
	};
	int64_t dropped = (int64_t)all->dropped; /* by those that are closed */
	struct logfile *l;
	unsigned n = 0;

	state_number(s, "logfiles_dropped", &dropped);
	all->dropped = (uint64_t)dropped;
	TAILQ_FOREACH(l, &all->list, entry)
		n++;
	n = state_array(s, "logfiles", n);
	l = TAILQ_FIRST(&all->list);
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, "logfiles", i);

		if (!state_saving(s))
			l = logfile_new(all);
		if (l == NULL) {
			state_fail(&sub, "path", "there is no memory");
			return;
		}
		STATE_FIELDS(&sub, l, fields);
		if (state_saving(s))
			l = TAILQ_NEXT(l, entry);
		else
			TAILQ_INSERT_TAIL(&all->list, l, entry);
	}
}
