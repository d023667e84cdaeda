/* SPDX-License-Identifier: MIT */
/*
 * The program that is to replace baton. It is asked as a child with the same descriptors, which may
 * also hang, crash, or be something else altogether, and is waited for in the loop. And it is
 * executed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/process/spawn.h"
#include "supervisor/upgrade/upgrade.h"

/* Reading the state takes milliseconds; this is for one that never answers. */
#define ANSWER_MS 10000

struct answer {
	struct supervisor *sup;
	const char *path;
	upgrade_answer_fn *fn;
	void *data;
	pid_t pid; /* 0: it has ended */
	int pidfd, out_fd;
	struct tevent_fd *pid_event, *out_event;
	struct lines *lines;
	struct tail *said; /* the first line of its answer */
	bool yes;          /* one of its lines was UPGRADE_YES */
	bool late;
};

static int
asked_close(struct answer *a)
{
	TALLOC_FREE(a->pid_event);
	TALLOC_FREE(a->out_event);
	if (a->pid > 0)
		pidfd_send_signal(a->pidfd, SIGKILL, NULL, 0);
	if (a->pidfd >= 0)
		close(a->pidfd);
	if (a->out_fd >= 0)
		close(a->out_fd);
	return 0;
}

/* The answer need not be the first thing that it has to say: the library of its memory, or the
 * dynamic linker, may have come before. */
static void
take_line(const char *line, size_t len, bool cut, void *data)
{
	struct answer *a = data;
	static const char prefix[] = "baton: ";

	(void)cut;
	if (len >= strlen(UPGRADE_YES) && memcmp(line, UPGRADE_YES, strlen(UPGRADE_YES)) == 0)
		a->yes = true;
	if (len == 0 || tail_count(a->said) > 0)
		return;
	if (len >= sizeof(prefix) && strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
		line += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	tail_add(a->said, line, len);
}

/* Reads once. Returns 0 at the end, and less when there is nothing to read now. */
static ssize_t
read_answer(struct answer *a)
{
	char buf[4096];
	ssize_t n = read(a->out_fd, buf, sizeof(buf));

	if (n > 0)
		lines_feed(a->lines, buf, (size_t)n);
	return n;
}

static void
answer_readable(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	struct answer *a = talloc_get_type_abort(data, struct answer);

	(void)ev;
	(void)fde;
	(void)flags;
	if (read_answer(a) == 0)
		TALLOC_FREE(a->out_event);
}

/* The exit status 0 alone does not count: true(1) ends so, too. */
static bool
said_yes(const struct answer *a, const siginfo_t *si)
{
	return !a->late && si->si_code == CLD_EXITED && si->si_status == 0 && a->yes;
}

static char *
answer_in_words(struct answer *a, const siginfo_t *si)
{
	const char *said = tail_count(a->said) > 0 ? tail_line(a->said, 0) : NULL;
	const char *name = sigabbrev_np(si->si_status);

	if (a->late)
		return talloc_asprintf(
		    a, "%s did not answer within %d ms and was killed", a->path, ANSWER_MS);
	if (si->si_code != CLD_EXITED)
		return talloc_asprintf(a, "%s was asked, and ended by signal %d (SIG%s)%s%s",
		    a->path, si->si_status, name == NULL ? "?" : name, said == NULL ? "" : ": ",
		    said == NULL ? "" : said);
	if (si->si_status == 0)
		return talloc_asprintf(a, "%s does not answer as a baton would", a->path);
	return talloc_asprintf(a, "%s refuses: %s", a->path,
	    said != NULL ? said : talloc_asprintf(a, "it exits with status %d", si->si_status));
}

/* Returns false while the program that is asked lives. */
static bool
take_answer(struct answer *a)
{
	siginfo_t si = {.si_pid = 0};
	const char *why;
	bool yes;

	if (waitid(P_PIDFD, (id_t)a->pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
		return false;
	kill(-a->pid,
	    SIGKILL); /* what a script has left behind; its group's number is not free yet */
	while (read_answer(a) > 0)
		;
	lines_flush(a->lines);
	waitid(P_PIDFD, (id_t)a->pidfd, &si, WEXITED | WNOHANG);
	a->pid = 0;
	TALLOC_FREE(a->pid_event);
	TALLOC_FREE(a->out_event);
	yes = said_yes(a, &si);
	why = yes ? NULL : answer_in_words(a, &si);
	a->fn(yes || why != NULL ? why : "it refuses", a->data);
	return true;
}

static void
asked_ended(struct tevent_context *ev, struct tevent_fd *fde, uint16_t flags, void *data)
{
	(void)ev;
	(void)fde;
	(void)flags;
	take_answer(talloc_get_type_abort(data, struct answer));
}

bool
upgrade_ask_child(struct answer *a, pid_t pid)
{
	return a->pid == pid && take_answer(a);
}

static void
too_late(void *data)
{
	struct answer *a = talloc_get_type_abort(data, struct answer);

	if (a->pid <= 0)
		return;
	a->late = true;
	pidfd_send_signal(a->pidfd, SIGKILL, NULL, 0);
	kill(-a->pid, SIGKILL);
}

/* Whether the descriptors of the state, and of the program, are to survive an exec. */
static void
keep_descriptors(const struct upgrade_question *q, bool keep)
{
	size_t n = 0;
	const int *fds = q->doc == NULL ? NULL : state_descriptors(q->doc, &n);

	for (size_t i = 0; i < n; i++)
		fcntl(fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC);
	/* If the program is a script, its interpreter opens it by the descriptor's number. */
	fcntl(q->program_fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* Called in the child: becomes the program that is asked. */
static void
become_asked(const struct answer *a, const struct upgrade_question *q, int out)
{
	char *argv[] = {(char *)a->sup->all.argv0, (char *)UPGRADE_CHECK, NULL};
	const char *why;

	setsid();
	spawn_reset_signals();
	keep_descriptors(q, true);
	if (dup2(q->state_fd, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execveat(q->program_fd, "", argv, environ, AT_EMPTY_PATH);
	why = strerrordesc_np(errno);
	if (why != NULL && write(out, why, strlen(why)) < 0)
		_exit(126);
	_exit(126);
}

static int
start(struct answer *a, const struct upgrade_question *q)
{
	struct tevent_context *ev = a->sup->base.ev;
	int out[2], error;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	a->out_fd = out[0];
	a->pid = fork();
	if (a->pid == 0)
		become_asked(a, q, out[1]);
	error = a->pid < 0 ? -errno : 0;
	close(out[1]);
	if (error == 0 && (a->pidfd = pidfd_open(a->pid, 0)) < 0) {
		error = -errno;
		kill(a->pid, SIGKILL);
		waitpid(a->pid, NULL, 0);
	}
	if (error < 0) {
		a->pid = 0;
		return error;
	}
	a->pid_event = tevent_add_fd(ev, a, a->pidfd, TEVENT_FD_READ, asked_ended, a);
	a->out_event = tevent_add_fd(ev, a, a->out_fd, TEVENT_FD_READ, answer_readable, a);
	if (timer_after(a, a->sup->base.timers, ANSWER_MS, too_late, a) == NULL)
		return -ENOMEM;
	return a->pid_event == NULL || a->out_event == NULL ? -ENOMEM : 0;
}

int
upgrade_ask(TALLOC_CTX *mem, struct supervisor *sup, const char *path,
    const struct upgrade_question *q, upgrade_answer_fn *fn, void *data, struct answer **out)
{
	struct answer *a = talloc_zero(mem, struct answer);
	int error;

	if (a == NULL)
		return -ENOMEM;
	*a = (struct answer){
	    .sup = sup, .path = path, .fn = fn, .data = data, .pidfd = -1, .out_fd = -1};
	talloc_set_destructor(a, asked_close);
	a->said = tail_new(a, 1, TAIL_LINE_MAX_BYTES);
	a->lines = lines_new(a, OUTPUT_LINE_MAX_BYTES, take_line, a);
	error = a->said == NULL || a->lines == NULL ? -ENOMEM : start(a, q);
	if (error < 0)
		talloc_free(a);
	else
		*out = a;
	return error;
}

int
upgrade_execute(const struct upgrade_question *q, char **argv)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	keep_descriptors(q, true);
	fcntl(q->state_fd, F_SETFD, 0);
	execveat(q->program_fd, "", argv, environ, AT_EMPTY_PATH);
	error = -errno;
	keep_descriptors(q, false);
	fcntl(q->state_fd, F_SETFD, FD_CLOEXEC);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return error;
}
