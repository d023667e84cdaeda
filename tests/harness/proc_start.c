/* SPDX-License-Identifier: MIT */
/* Starting a program: environment, user, directory, pipes (see proc.h). */
#include "tests/harness/proc_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#undef proc_start

/* What the child's side needs, made ready before the fork. */
struct launch {
	const struct proc_spec *spec;
	const char *path;
	char **env;
	int in, out, err; /* the child's ends */
	int report;       /* an errno written here says why there was no exec */
	pid_t parent;
};

static bool
same_name(const char *a, const char *b)
{
	const size_t len = strcspn(a, "=");

	return len == strcspn(b, "=") && strncmp(a, b, len) == 0;
}

/* Left out unless the test asks for it: it would change what the program does. */
static bool
private_to_a_service(const char *variable)
{
	static const char *const prefixes[] = {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_", "BATON_"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static char **
make_env(TALLOC_CTX *mem, const char *const *changes)
{
	size_t have = 0, n = 0, extra = 0;
	char **env;

	while (environ[have] != NULL)
		have++;
	while (changes != NULL && changes[extra] != NULL)
		extra++;
	env = talloc_zero_array(mem, char *, have + extra + 1);
	for (size_t i = 0; i < have; i++) {
		bool keep = !private_to_a_service(environ[i]);

		for (size_t j = 0; j < extra; j++)
			keep = keep && !same_name(environ[i], changes[j]);
		if (keep)
			env[n++] = environ[i];
	}
	for (size_t j = 0; j < extra; j++)
		if (strchr(changes[j], '=') != NULL)
			env[n++] = talloc_strdup(mem, changes[j]);
	return env;
}

/* A fixed number of digits has been kept free for it. */
static void
set_listen_pid(char **env)
{
	for (pid_t pid = getpid(); *env != NULL; env++)
		if (strncmp(*env, "LISTEN_PID=", 11) == 0)
			for (char *at = *env + strlen(*env); at > *env + 11; pid /= 10)
				*--at = (char)('0' + pid % 10);
}

/* First out of the way of each other. */
static bool
place_fds(const struct proc_spec *s, int *report)
{
	int high[8];

	if (s->fds_n > 8)
		return false;
	*report = fcntl(*report, F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < s->fds_n; i++)
		high[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < s->fds_n; i++)
		if (dup2(high[i], 3 + i) < 0)
			return false;
	return *report >= 0;
}

/* Between fork and exec: system calls only, for other threads may hold any lock. */
static void
child(const struct launch *l)
{
	const struct proc_spec *s = l->spec;
	int report = l->report, error;
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	set_listen_pid(l->env);
	if (dup2(l->in, 0) >= 0 && dup2(l->out, 1) >= 0 && dup2(l->err, 2) >= 0 &&
	    (s->fds_n == 0 || place_fds(s, &report)) &&
	    (s->uid == 0 ||
		(setgroups(0, NULL) == 0 && setgid(s->uid) == 0 && setuid(s->uid) == 0)) &&
	    (s->cwd == NULL || chdir(s->cwd) == 0) &&
	    /* after setuid, which clears it; and the parent may be gone already */
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == l->parent)
		execve(l->path, (char *const *)s->argv, l->env);
	error = errno;
	(void)!write(report, &error, sizeof(error));
	_exit(127);
}

static void
make_pipe(int end[2])
{
	if (pipe2(end, O_CLOEXEC) < 0)
		harness_fail("no pipe: %m");
}

static void
spawn(struct proc *p, struct launch *l)
{
	int in[2] = {-1, -1}, out[2], err[2] = {-1, -1}, report[2], error = 0;

	if (l->spec->in)
		make_pipe(in);
	else
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	make_pipe(out);
	make_pipe(report);
	if (!l->spec->merge)
		make_pipe(err);
	l->in = in[0];
	l->out = out[1];
	l->err = l->spec->merge ? out[1] : err[1];
	l->report = report[1];
	l->parent = getpid();

	p->pid = fork();
	if (p->pid == 0)
		child(l);
	p->in_fd = in[1];
	p->out[PROC_OUT].fd = out[0];
	p->out[PROC_ERR].fd = err[0];
	p->out[PROC_ERR].eof = l->spec->merge;
	p->pidfd = p->pid > 0 ? pidfd_open(p->pid, 0) : -1;
	close(in[0]);
	close(out[1]);
	close(report[1]);
	if (err[1] >= 0)
		close(err[1]);
	if (p->pid > 0 && read(report[0], &error, sizeof(error)) == sizeof(error))
		errno = error;
	close(report[0]);
	if (p->pid < 0 || p->pidfd < 0 || error != 0)
		harness_fail("cannot start %s: %m", l->path);
}

struct proc *
proc_start(const struct proc_spec *spec)
{
	struct proc *p = talloc_zero(harness_mem(), struct proc);
	struct launch l = {.spec = spec, .path = spec->argv[0]};
	pthread_condattr_t monotonic;

	if (strchr(l.path, '/') == NULL)
		l.path = harness_built(l.path);
	l.env = make_env(p, spec->env);
	p->name = talloc_strdup(p, spec->argv[0]);
	for (int i = 1; spec->argv[i] != NULL; i++)
		p->name = talloc_asprintf_append(p->name, " %s", spec->argv[i]);
	p->pidfd = p->in_fd = p->out[0].fd = p->out[1].fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	talloc_set_destructor(p, proc_release);
	spawn(p, &l);
	proc_reader_start(p);
	return p;
}
