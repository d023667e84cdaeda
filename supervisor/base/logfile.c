/* SPDX-License-Identifier: MIT */
/*
 * Files that instances' lines go to. baton stands in between, so that SIGUSR1 can open them
 * anew after they were moved away, and so that a full disk is baton's trouble, not that of a
 * program which writes to its standard output. A line is one write at the end of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/base/trusted_path.h"
#include "supervisor/daemon/supervisor.h"

struct logfile {
	struct logfile *next; /* in supervisor.logfiles */
	struct supervisor *sup;
	char *path;
	int fd;
	uint64_t dropped; /* lines, in all */
	uint64_t unsaid;  /* … of which the file itself does not tell yet */
	bool middle;      /* the last write ended within a line */
};

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
logfile_new(struct supervisor *sup)
{
	struct logfile *l = talloc_zero(sup, struct logfile);

	if (l == NULL)
		return NULL;
	l->sup = sup;
	l->fd = -1;
	talloc_set_destructor(l, logfile_close);
	return l;
}

struct logfile *
logfile_get(struct supervisor *sup, const char *path, int *error)
{
	struct logfile *l;

	for (l = sup->logfiles; l != NULL; l = l->next) {
		if (strcmp(l->path, path) == 0)
			return l;
	}
	l = logfile_new(sup);
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
	l->next = sup->logfiles;
	sup->logfiles = l;
	return l;
}

static void
lost(struct logfile *l, int error)
{
	if (l->unsaid == 0)
		output_warn(l->sup->base.out, "%s: %s; lines are dropped until there is room",
		    l->path, strerror(error));
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
logfile_reopen_all(struct supervisor *sup)
{
	unsigned n = 0;

	for (struct logfile *l = sup->logfiles; l != NULL; l = l->next) {
		int fd = open_file(l->path);

		if (fd < 0) {
			output_warn(sup->base.out,
			    "SIGUSR1: %s: %s; the file that is open is written on", l->path,
			    trusted_text(fd));
			continue;
		}
		close(l->fd);
		l->fd = fd;
		l->middle = false;
		n++;
	}
	output_say(sup->base.out, "SIGUSR1: %u log file%s opened anew", n, n == 1 ? "" : "s");
}

static bool
is_used(const struct supervisor *sup, const struct logfile *l)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		if (sup->all.services[i]->out == l || sup->all.services[i]->err == l)
			return true;
	}
	return false;
}

void
logfile_close_unused(struct supervisor *sup)
{
	for (struct logfile **at = &sup->logfiles; *at != NULL;) {
		struct logfile *l = *at;

		if (is_used(sup, l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		sup->logfiles_dropped += l->dropped;
		talloc_free(l);
	}
}

uint64_t
logfile_dropped(const struct supervisor *sup)
{
	uint64_t n = sup->logfiles_dropped;

	for (const struct logfile *l = sup->logfiles; l != NULL; l = l->next)
		n += l->dropped;
	return n;
}

static int
open_for(
    struct supervisor *sup, const char *where, struct logfile **out, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	*out = NULL;
	*why = NULL;
	if (strchr(where, '/') == NULL)
		return 0;
	*out = logfile_get(sup, where, &error);
	if (*out != NULL)
		return 0;
	*why = talloc_asprintf(mem, "cannot open the log file %s: %s", where, trusted_text(error));
	return error;
}

int
logfile_open_named(
    struct supervisor *sup, const struct service_config *c, TALLOC_CTX *mem, char **why)
{
	struct logfile *ignored;
	int error = open_for(sup, c->out, &ignored, mem, why);

	return error < 0 ? error : open_for(sup, c->err, &ignored, mem, why);
}

int
logfile_open_service(struct service *s, TALLOC_CTX *mem, char **why)
{
	int error = open_for(s->sup, s->config->out, &s->out, mem, why);

	return error < 0 ? error : open_for(s->sup, s->config->err, &s->err, mem, why);
}

/* The files that are open, wherever their names lead by now. */
void
logfile_state(struct state *s, struct supervisor *sup)
{
	static const struct state_field fields[] = {
	    STATE_STRING(struct logfile, path),
	    STATE_NUMBER(struct logfile, dropped),
	    STATE_NUMBER(struct logfile, unsaid),
	    STATE_FLAG(struct logfile, middle),
	};
	struct logfile **at = &sup->logfiles;
	unsigned n = 0;

	for (const struct logfile *l = sup->logfiles; l != NULL; l = l->next)
		n++;
	n = state_array(s, "logfiles", n);
	for (unsigned i = 0; i < n && state_ok(s); i++, at = &(*at)->next) {
		struct state sub = state_element(s, "logfiles", i);

		if (!state_saving(s))
			*at = logfile_new(sup);
		if (*at == NULL) {
			state_fail(&sub, "path", "there is no memory");
			return;
		}
		STATE_FIELDS(&sub, *at, fields);
		state_fd(&sub, "fd", &(*at)->fd);
		if (state_ok(s) && ((*at)->path == NULL || (*at)->fd < 0))
			state_fail(&sub, "path", "is missing");
	}
}
