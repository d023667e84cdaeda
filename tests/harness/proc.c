/* SPDX-License-Identifier: MIT */
/* Waiting for what a started program writes, and for its end (see proc.h). */
#include "tests/harness/proc_internal.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#undef proc_expect
#undef proc_wait
#undef proc_finish

/* The last part of both outputs, for a failure's message. */
static const char *
tail(struct proc *p)
{
	char *text = talloc_asprintf(harness_mem(), "%s (pid %d):", p->name, (int)p->pid);

	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < 2; i++) {
		const struct proc_output *o = &p->out[i];
		const size_t from = o->len > 3000 ? o->len - 3000 : 0;

		if (o->len > 0)
			text = talloc_asprintf_append(text, "\n--- last of its %s:\n%.*s",
			    i == PROC_OUT ? "output" : "error output", (int)(o->len - from),
			    o->text + from);
	}
	pthread_mutex_unlock(&p->lock);
	return text;
}

pid_t
proc_pid(const struct proc *p)
{
	return p->pid;
}

/* Whether each of its threads has come to a stop. */
static bool
stands_still(pid_t pid)
{
	char path[288], state = 'T';
	struct dirent *d;
	DIR *tasks;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks != NULL && state == 'T' && (d = readdir(tasks)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (f != NULL && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'T'; /* this one has ended */
		if (f != NULL)
			fclose(f);
	}
	if (tasks != NULL)
		closedir(tasks);
	return state == 'T';
}

void
proc_signal(struct proc *p, int sig)
{
	if (pidfd_send_signal(p->pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		harness_fail("cannot send signal %d to %s: %m", sig, p->name);
	if (sig == SIGSTOP)
		wait_until("it stands still", stands_still(p->pid));
}

void
proc_write(struct proc *p, const char *text)
{
	if (text == NULL) {
		close(p->in_fd);
		p->in_fd = -1;
		return;
	}
	for (size_t len = strlen(text); len > 0;) {
		ssize_t n = write(p->in_fd, text, len);

		if (n < 0)
			harness_fail("cannot write to %s: %m", p->name);
		text += n;
		len -= (size_t)n;
	}
}

/* The first line after the last one found that matches; the lock is held. */
static char *
find_line(struct proc_output *o, const regex_t *re)
{
	while (o->taken < o->len) {
		const char *line = o->text + o->taken;
		const char *end = memchr(line, '\n', o->len - o->taken);
		size_t len;
		char *copy;

		if (end == NULL && !o->eof)
			return NULL;
		len = end == NULL ? o->len - o->taken : (size_t)(end - line);
		o->taken += len + (end != NULL);
		copy = talloc_strndup(harness_mem(), line, len);
		if (regexec(re, copy, 0, NULL, 0) == 0)
			return copy;
		talloc_free(copy);
	}
	return NULL;
}

const char *
proc_expect(struct proc *p, enum proc_stream stream, const char *regex)
{
	const int64_t deadline = harness_now_ms() + PATIENCE_MS;
	const struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
	struct proc_output *o = &p->out[stream];
	char *line;
	regex_t re;
	bool eof = false, late = false;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB) != 0)
		harness_fail("not a regular expression: %s", regex);
	pthread_mutex_lock(&p->lock);
	while ((line = find_line(o, &re)) == NULL && !(eof = o->eof) && !late)
		late = pthread_cond_timedwait(&p->more, &p->lock, &until) == ETIMEDOUT;
	pthread_mutex_unlock(&p->lock);
	regfree(&re);
	if (line == NULL)
		harness_fail("no line matches \"%s\" on the %s (%s)\n%s", regex,
		    stream == PROC_OUT ? "output" : "error output",
		    eof ? "it has ended" : "the wait was too long", tail(p));
	return line;
}

const char *
proc_text(struct proc *p, enum proc_stream stream)
{
	const char *text;

	pthread_mutex_lock(&p->lock);
	text = talloc_strndup(
	    harness_mem(), p->out[stream].len > 0 ? p->out[stream].text : "", p->out[stream].len);
	pthread_mutex_unlock(&p->lock);
	return text;
}

/* Reaps it if it has ended within that time. */
static bool
reap(struct proc *p, int timeout_ms)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};
	const int64_t deadline = harness_now_ms() + timeout_ms;
	siginfo_t info = {0};

	if (p->ended)
		return true;
	while (poll(&pfd, 1, harness_left_ms(deadline)) < 0 && errno == EINTR)
		;
	if (!(pfd.revents & POLLIN))
		return false;
	if (waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED) < 0)
		harness_fail("cannot wait for %s: %m", p->name);
	p->ended = true;
	p->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return true;
}

bool
proc_ended(struct proc *p)
{
	return reap(p, 0);
}

/* How much it has written; the lock is held. */
static size_t
written(const struct proc_output *o)
{
	int unread = 0;

	if (!o->eof && ioctl(o->fd, FIONREAD, &unread) < 0)
		unread = 0;
	return o->len + (size_t)unread;
}

static bool
is_settled(const struct proc *p, const size_t goal[2])
{
	for (int i = 0; i < 2; i++)
		if (!p->out[i].eof && p->out[i].len < goal[i])
			return false;
	return true;
}

/* Waits with the lock held until that much was read, or both have ended. */
static void
wait_for(struct proc *p, const size_t goal[2], int ms)
{
	const int64_t deadline = harness_now_ms() + ms;
	const struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
	bool late = false;

	while (!is_settled(p, goal) && !late)
		late = pthread_cond_timedwait(&p->more, &p->lock, &until) == ETIMEDOUT;
}

/*
 * After its end, what it wrote is in the pipes, and is waited for, however slow the reader is.
 * They have an end then, unless a child of the program that still lives holds them open: what
 * that one writes is waited for a little only.
 */
static void
settle(struct proc *p)
{
	pthread_mutex_lock(&p->lock);
	wait_for(p, (size_t[2]){written(&p->out[0]), written(&p->out[1])}, PATIENCE_MS);
	wait_for(p, (size_t[2]){SIZE_MAX, SIZE_MAX}, 200);
	pthread_mutex_unlock(&p->lock);
}

int
proc_wait(struct proc *p)
{
	if (!reap(p, PATIENCE_MS))
		harness_fail("it does not end: %s", tail(p));
	settle(p);
	return p->status;
}

struct proc *
proc_finish(struct proc *p, int status)
{
	const int got = proc_wait(p);

	if (got != status)
		harness_fail("ended with status %d instead of %d: %s", got, status, tail(p));
	return p;
}

int
proc_release(struct proc *p)
{
	if (!p->ended && p->pid > 0) {
		kill(p->pid, SIGKILL); /* not reaped yet: the number is still its own */
		reap(p, PATIENCE_MS);
	}
	proc_reader_stop(p);
	if (p->in_fd >= 0)
		close(p->in_fd);
	if (p->pidfd >= 0)
		close(p->pidfd);
	return 0;
}
