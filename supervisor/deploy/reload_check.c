/* SPDX-License-Identifier: MIT */
/*
 * The first part of a reload, in a process of its own: the file is read, and all that it names is
 * looked at. Users come from wherever nsswitch.conf(5) says, files may lie on a disk that is gone,
 * and the configuration itself may be a FIFO: none of that may hold up what runs. What comes back
 * is the errors, or to whom the sockets' files are to belong.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/deploy/reload.h"
#include "supervisor/instance/preflight.h"
#include "supervisor/process/credentials.h"
#include "supervisor/process/spawn.h"

/* Longer takes only what does not answer at all. */
#define CHECK_MS 10000

struct reload_check {
	struct deploy *deploy;
	reload_checked_fn *fn;
	void *data;
	pid_t pid;
	int pidfd, fd;
	struct tevent_fd *fde;
	char *answer; /* NUL-terminated errors, and the owners if there are none */
	size_t used;
};

static char no_memory[] = "nothing has changed: there is no memory";

/* ---- In the child -------------------------------------------------------------------------- */

char *
reload_errors(TALLOC_CTX *mem, const struct config *c)
{
	char *text = talloc_strdup(mem, "nothing has changed:");
	unsigned kept = c->nerrors < CONFIG_ERRORS_MAX ? c->nerrors : CONFIG_ERRORS_MAX;

	for (unsigned i = 0; i < kept && text != NULL; i++)
		text = talloc_asprintf_append(text, "\n  %s", c->errors[i]);
	if (c->nerrors > kept && text != NULL)
		text = talloc_asprintf_append(text, "\n  … and %u more", c->nerrors - kept);
	return text == NULL ? no_memory : text;
}

static void
put(const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t done = write(1, p, n);

		if (done < 0 && errno != EINTR)
			_exit(1);
		p += done < 0 ? 0 : done;
		n -= done < 0 ? 0 : (size_t)done;
	}
}

static void
check_in_child(const char *file)
{
	struct config *c = config_read(NULL, file);
	const char *errors = "", *why;

	if (c == NULL)
		_exit(1);
	preflight_start(c);
	if (c->nerrors > 0)
		errors = reload_errors(c, c);
	put(errors, strlen(errors) + 1);
	for (size_t i = 0; errors[0] == '\0' && i < c->nservices; i++) {
		struct socket_owner owner = {.mode = 0};

		if (credentials_of_sockets(c->services[i], c, &owner, &why) < 0)
			_exit(1);
		put(&owner, sizeof(owner));
	}
	_exit(0);
}

/* With nothing of baton's open: nobody may take it for the holder of sockets. */
static void
become_checker(const char *file, int out)
{
	int null = open("/dev/null", O_RDWR);

	spawn_reset_signals();
	if (dup2(out, 1) < 0 || dup2(null, 0) < 0 || dup2(null, 2) < 0)
		_exit(1);
	close_range(3, ~0U, 0);
	check_in_child(file);
}

/* ---- In baton ------------------------------------------------------------------------------ */

static int
reload_check_end(struct reload_check *r)
{
	TALLOC_FREE(r->fde);
	if (r->pidfd >= 0) {
		pidfd_send_signal(r->pidfd, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)r->pidfd, &(siginfo_t){.si_pid = 0}, WEXITED);
		close(r->pidfd);
	}
	if (r->fd >= 0)
		close(r->fd);
	return 0;
}

/* R is freed by FN, or with what it belongs to. */
static void
finish(struct reload_check *r, const char *why)
{
	const char *owners;
	size_t len, n;

	TALLOC_FREE(r->fde);
	if (why == NULL && memchr(r->answer, '\0', r->used) == NULL)
		why =
		    "nothing has changed: the process that was to check the configuration has died";
	if (why == NULL && r->answer[0] != '\0')
		why = r->answer;
	len = why == NULL ? strlen(r->answer) + 1 : 0;
	owners = why == NULL ? r->answer + len : NULL;
	n = why == NULL ? (r->used - len) / sizeof(struct socket_owner) : 0;
	r->fn(why, owners, n, r->data);
}

static void
readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct reload_check *r = talloc_get_type_abort(data, struct reload_check);
	char piece[4096], *grown;
	ssize_t n = read(r->fd, piece, sizeof(piece));

	(void)ev;
	(void)fde;
	(void)flags;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(r, NULL);
		return;
	}
	grown = talloc_realloc_size(r, r->answer, r->used + (size_t)n + 1);
	if (grown == NULL) {
		finish(r, no_memory);
		return;
	}
	r->answer = grown;
	memcpy(r->answer + r->used, piece, (size_t)n);
	r->used += (size_t)n;
	r->answer[r->used] = '\0';
}

static void
too_late(void *data)
{
	finish(talloc_get_type_abort(data, struct reload_check),
	    "nothing has changed: to check the configuration takes more than 10 seconds; a name "
	    "service, or a disk, does not answer");
}

static int
start(struct reload_check *r)
{
	int out[2], error;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	r->fd = out[0];
	fcntl(r->fd, F_SETFL, O_NONBLOCK);
	r->pid = fork();
	if (r->pid == 0)
		become_checker(r->deploy->config->file, out[1]);
	error = r->pid < 0 ? -errno : 0;
	close(out[1]);
	if (error < 0)
		return error;
	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd < 0) {
		error = -errno;
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
		return error;
	}
	r->fde = tevent_add_fd(r->deploy->base->ev, r, r->fd, TEVENT_FD_READ, readable, r);
	if (r->fde == NULL ||
	    timer_after(r, r->deploy->base->timers, CHECK_MS, too_late, r) == NULL)
		return -ENOMEM;
	return 0;
}

int
reload_check(TALLOC_CTX *mem, struct deploy *d, reload_checked_fn *fn, void *data)
{
	struct reload_check *r = talloc_zero(mem, struct reload_check);
	int error;

	if (r == NULL)
		return -ENOMEM;
	*r = (struct reload_check){
	    .deploy = d, .fn = fn, .data = data, .pid = -1, .pidfd = -1, .fd = -1};
	talloc_set_destructor(r, reload_check_end);
	r->answer = talloc_strdup(r, "");
	error = r->answer == NULL ? -ENOMEM : start(r);
	if (error < 0)
		talloc_free(r);
	return error;
}
