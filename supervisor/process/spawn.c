/* SPDX-License-Identifier: MIT */
/*
 * fork, pidfd_open, exec. The pidfd is opened right after the fork: the pid cannot be reused
 * before the child is reaped, and only baton reaps it. (clone3 would give both in one step,
 * but container runtimes with older seccomp profiles refuse it.)
 */
#include "supervisor/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/protocol.h"

/* What a child says: one packet when it has looked up what it needs, and another one if it ends
 * without having run its program. What a baton of before has started knows no packets, but its
 * words have the same beginning. */
struct report {
	int error; /* AT_LOOKED_UP: the uid */
	enum report_at {
		AT_CGROUP,
		AT_DESCRIPTORS,
		AT_LIMITS,
		AT_NICE,
		AT_IDENTITY,
		AT_DIRECTORY,
		AT_PRIVILEGES,
		AT_PARENT,
		AT_EXEC,
		AT_LOOK_UP,
		AT_LOOKED_UP
	} at;
	char why[1024]; /* may be empty, and is sent as long as it is */
};
#define REPORT_HEAD_BYTES offsetof(struct report, why)

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

/* Closes all from ABOVE on, but these two (PROGRAM 0: there is none). The child may take its time
 * before it runs its program: nobody may take it for the holder of what is baton's. */
static void
close_others(int above, int report, int program)
{
	int low = program > 0 && program < report ? program : report;
	int high = program > report ? program : report;

	if (low > above)
		close_range((unsigned)above, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0U, 0);
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
	close_others(above, report, *program);
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

/* A pipe is opened again as /dev/stdout or /dev/stderr by its owner only, whose it therefore has to
 * be. What is no pipe of ours, or cannot be given, stays as it is. */
static void
give_output(const struct credentials *id)
{
	struct stat st;

	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid == geteuid())
			(void)!fchown(fd, id->uid, id->gid);
}

/* Groups first: whoever is no longer root may not change them. */
static int
set_credentials(const struct credentials *id)
{
	if (!id->other)
		return 0;
	give_output(id);
	if (setgroups(id->ngroups, id->groups) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	    setresuid(id->uid, id->uid, id->uid) < 0)
		return -errno;
	return 0;
}

/* What the configuration asks for. Limits and priority while there is the right to raise
 * them; the directory as the user who is to work in it. Returns 0 or -errno, with *AT set. */
static int
become(const struct spawn *s, const struct credentials *id, enum report_at *at)
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
		error = set_credentials(id);
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
tell(int exec_fd, struct report r, const char *why)
{
	snprintf(r.why, sizeof(r.why), "%s", why == NULL ? "" : why);
	send(exec_fd, &r, REPORT_HEAD_BYTES + strlen(r.why) + 1, MSG_NOSIGNAL);
}

/* Goes where it belongs and closes what is baton's; then there is time to look things up. */
static int
prepare_child(const struct spawn *s, int *exec_fd, int *program, enum report_at *at)
{
	setsid();
	*at = AT_CGROUP;
	if (s->cgroup > 0 && write(s->cgroup, "0", 1) < 0)
		return -errno;
	*at = AT_DESCRIPTORS;
	return place_descriptors(s, exec_fd, program);
}

static int
run(const struct spawn *s, int program, char **envp)
{
	if (program > 0)
		execveat(program, "", s->argv, envp, AT_EMPTY_PATH);
	else
		execve(s->path, s->argv, envp);
	return -errno;
}

/* baton has one thread, so its child may allocate. From the start on signals end it, as they would
 * its program. */
static void
child(const struct spawn *s, int exec_fd, pid_t supervisor)
{
	struct credentials id = {.other = false};
	const char *why = NULL;
	char **envp = NULL;
	struct report r = {.error = 0};
	int program = 0, error;

	spawn_reset_signals();
	error = prepare_child(s, &exec_fd, &program, &r.at);
	if (error == 0) {
		r.at = AT_LOOK_UP;
		error = s->look_up(talloc_new(NULL), s->data, &id, &envp, &why);
	}
	if (error == 0) {
		uid_t uid = id.other ? id.uid : geteuid();

		tell(exec_fd, (struct report){.error = (int)uid, .at = AT_LOOKED_UP}, NULL);
		error = become(s, &id, &r.at);
	}
	if (error == 0 && s->config->die_with_supervisor) {
		r.at = AT_PARENT;
		error = die_with(supervisor);
	}
	if (error == 0) {
		r.at = AT_EXEC;
		error = run(s, program, envp);
	}
	r.error = -error;
	tell(exec_fd, r, why);
	_exit(127);
}

int
spawn_process(const struct spawn *s, pid_t *pid, int *pidfd, int *exec_fd)
{
	int report[2], fd, error;
	pid_t p, self = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report) < 0)
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

bool
spawn_has_looked_up(int exec_fd, uid_t *uid)
{
	struct report r;
	ssize_t n = recv(exec_fd, &r, sizeof(r), MSG_PEEK | MSG_DONTWAIT);

	/* The child of a baton of before, which has looked everything up itself. */
	if (n < 0 && errno == ENOTSOCK)
		r = (struct report){.error = (int)geteuid()};
	else if (n < (ssize_t)REPORT_HEAD_BYTES || r.at != AT_LOOKED_UP)
		return false;
	else
		recv(exec_fd, &r, sizeof(r), MSG_DONTWAIT);
	*uid = (uid_t)r.error;
	return true;
}

bool
spawn_is_executed(int exec_fd)
{
	struct report r;
	ssize_t n = recv(exec_fd, &r, sizeof(r), MSG_PEEK | MSG_DONTWAIT);

	/* Its end is closed, and nothing is left to be read. */
	return n == 0 || (n < 0 && errno == ENOTSOCK);
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
	struct report f = {.at = AT_LOOKED_UP};

	for (int i = 0; i < 2 && f.at == AT_LOOKED_UP; i++) {
		if (read(exec_fd, &f, sizeof(f)) < (ssize_t)REPORT_HEAD_BYTES)
			return NULL;
	}
	*starved = spawn_is_starved(f.error);
	if (f.at == AT_LOOK_UP)
		return talloc_asprintf(
		    mem, "cannot start %s: %s", path, f.why[0] == '\0' ? strerror(f.error) : f.why);
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
