/* SPDX-License-Identifier: MIT */
/*
 * fork, pidfd_open, exec. The pidfd is opened right after the fork: the pid cannot be reused
 * before the child is reaped, and only baton reaps it. (clone3 would give both in one step,
 * but container runtimes with older seccomp profiles refuse it.)
 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/protocol.h"
#include "supervisor/state.h"

/* What a child says before it ends without having run its program. */
struct failure {
	int error;
	enum failure_at {
		AT_CGROUP,
		AT_DESCRIPTORS,
		AT_LIMITS,
		AT_NICE,
		AT_IDENTITY,
		AT_DIRECTORY,
		AT_PRIVILEGES,
		AT_PARENT,
		AT_EXEC
	} at;
};

static struct rlimit limit_as_given;
static bool limit_raised;

void
spawn_raise_descriptor_limit(void)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &limit_as_given) < 0)
		return;
	all = limit_as_given;
	all.rlim_cur = all.rlim_max;
	limit_raised = setrlimit(RLIMIT_NOFILE, &all) == 0;
}

void
spawn_state(struct state *s)
{
	struct state sub = state_object(s, "descriptor_limit");
	int64_t raised = limit_raised;
	int64_t soft = (int64_t)limit_as_given.rlim_cur, hard = (int64_t)limit_as_given.rlim_max;

	state_number(&sub, "raised", &raised);
	state_number(&sub, "soft", &soft); /* -1: unlimited */
	state_number(&sub, "hard", &hard);
	limit_raised = raised != 0;
	limit_as_given = (struct rlimit){.rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard};
}

/* LISTEN_PID, in place: after fork nothing may be allocated, and the length must not change. */
static void
write_pid(char *digits)
{
	unsigned pid = (unsigned)getpid();
	size_t len = strlen(digits);

	for (size_t i = len; i-- > 0; pid /= 10)
		digits[i] = (char)('0' + pid % 10);
	while (digits[0] == '0')
		memmove(digits, digits + 1, len--); /* 10 digits at most: no leading zeroes */
}

/* SIGPIPE is ignored, as systemd does: when baton is killed nobody reads its instances' lines
 * any more, and that must not end them. */
void
spawn_reset_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL); /* SIGKILL and SIGSTOP refuse; nothing to change there */
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts the descriptors into place. They are moved out of the way first, above everything that
 * is to be filled: a plain dup2 could overwrite one that is still to be copied. */
static int
place_descriptors(const struct spawn *s, int *exec_fd, int *program)
{
	int above = BATON_LISTEN_FDS_START + (int)s->nfds;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = fcntl(s->out, F_DUPFD_CLOEXEC, above);
	int err = fcntl(s->err, F_DUPFD_CLOEXEC, above);
	int report = fcntl(*exec_fd, F_DUPFD_CLOEXEC, above);

	if (null < 0 || out < 0 || err < 0 || report < 0)
		return -errno;
	*exec_fd = report;
	if (s->program > 0) {
		*program = fcntl(s->program, F_DUPFD_CLOEXEC, above);
		if (*program < 0)
			return -errno;
	}
	for (size_t i = 0; i < s->nfds; i++) {
		if (s->fds[i] >= 0 && (s->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, above)) < 0)
			return -errno;
	}
	if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		return -errno;
	for (size_t i = 0; i < s->nfds; i++) {
		if (s->fds[i] < 0)
			close(BATON_LISTEN_FDS_START + (int)i);
		else if (dup2(s->fds[i], BATON_LISTEN_FDS_START + (int)i) < 0)
			return -errno;
	}
	/* baton's own are close-on-exec already; this is for what baton inherited itself. */
	close_range((unsigned)above, ~0U, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static int
set_limits(const struct service_config *c)
{
	if (limit_raised)
		setrlimit(RLIMIT_NOFILE, &limit_as_given);
	for (size_t i = 0; i < c->nlimits; i++) {
		if (setrlimit((__rlimit_resource_t)c->limits[i].resource, &c->limits[i].value) < 0)
			return -errno;
	}
	return 0;
}

static int
set_nice(const struct service_config *c)
{
	return c->nice != 0 && setpriority(PRIO_PROCESS, 0, (int)c->nice) < 0 ? -errno : 0;
}

/* Groups first: whoever is no longer root may not change them. */
static int
set_identity(const struct identity *id)
{
	if (!id->other)
		return 0;
	if (setgroups(id->ngroups, id->groups) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return -errno;
	return 0;
}

/* What the configuration asks for. Limits and priority while there is the right to raise
 * them; the directory as the user who is to work in it. Returns 0 or -errno, with *AT set. */
static int
become(const struct spawn *s, enum failure_at *at)
{
	const struct service_config *c = s->config;
	int error;

	if (c->umask >= 0)
		umask((mode_t)c->umask);
	*at = AT_LIMITS;
	error = set_limits(c);
	if (error == 0) {
		*at = AT_NICE;
		error = set_nice(c);
	}
	if (error == 0) {
		*at = AT_IDENTITY;
		error = set_identity(s->identity);
	}
	if (error == 0 && c->directory != NULL) {
		*at = AT_DIRECTORY;
		error = chdir(c->directory) < 0 ? -errno : 0;
	}
	if (error == 0 && c->no_new_privs) {
		*at = AT_PRIVILEGES;
		error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	}
	return error;
}

/* After the change of user, which takes it away again. If the supervisor died before, nothing
 * more will come of it: its child has another parent by then. */
static int
die_with(pid_t supervisor)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == supervisor ? 0 : -ESRCH;
}

static void
child(const struct spawn *s, int exec_fd, pid_t supervisor)
{
	struct failure f = {.at = AT_CGROUP};
	int program = 0;

	setsid();
	if (s->cgroup > 0 && write(s->cgroup, "0", 1) < 0)
		f.error = errno;
	if (f.error == 0) {
		f.at = AT_DESCRIPTORS;
		f.error = -place_descriptors(s, &exec_fd, &program);
	}
	if (f.error == 0)
		f.error = -become(s, &f.at);
	if (f.error == 0 && s->config->die_with_supervisor) {
		f.at = AT_PARENT;
		f.error = -die_with(supervisor);
	}
	if (f.error == 0) {
		if (s->pid_at != NULL)
			write_pid(s->pid_at);
		spawn_reset_signals();
		f.at = AT_EXEC;
		if (program > 0)
			execveat(program, "", s->argv, s->envp, AT_EMPTY_PATH);
		else
			execve(s->path, s->argv, s->envp);
		f.error = errno;
	}
	if (write(exec_fd, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

int
spawn_process(const struct spawn *s, pid_t *pid, int *pidfd, int *exec_fd)
{
	int report[2], fd, error;
	pid_t p, self = getpid();

	if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	p = fork();
	if (p == 0)
		child(s, report[1], self);
	error = -errno;
	close(report[1]);
	if (p < 0) {
		close(report[0]);
		return error;
	}
	fd = pidfd_open(p, 0);
	if (fd < 0) {
		/* A process that cannot be watched is not kept. */
		error = -errno;
		kill(p, SIGKILL);
		waitpid(p, NULL, 0);
		close(report[0]);
		return error;
	}
	*pid = p;
	*pidfd = fd;
	*exec_fd = report[0];
	return 0;
}

bool
spawn_is_starved(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

char *
spawn_failure(TALLOC_CTX *mem, int exec_fd, const char *path, bool *starved)
{
	static const char *const steps[] = {
	    [AT_CGROUP] = "go into its control group",
	    [AT_DESCRIPTORS] = "pass its descriptors on",
	    [AT_LIMITS] = "set its limits",
	    [AT_NICE] = "set its nice value",
	    [AT_IDENTITY] = "become its user",
	    [AT_DIRECTORY] = "change to its directory",
	    [AT_PRIVILEGES] = "give up new privileges",
	    [AT_PARENT] = "die with the supervisor",
	};
	struct failure f;

	if (read(exec_fd, &f, sizeof(f)) != (ssize_t)sizeof(f))
		return NULL;
	*starved = spawn_is_starved(f.error);
	if (f.at != AT_EXEC)
		return talloc_asprintf(mem, "cannot %s: %s", steps[f.at], strerror(f.error));
	if (f.error == ENOENT)
		return talloc_asprintf(mem,
		    "cannot execute %s: No such file or directory (the file, "
		    "or the interpreter that it names)",
		    path);
	return talloc_asprintf(mem, "cannot execute %s: %s%s", path, strerror(f.error),
	    f.error == ENOEXEC ? " (neither a program nor a script with #!)" : "");
}
