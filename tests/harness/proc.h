/* SPDX-License-Identifier: MIT */
/*
 * Programs that a test starts: their output is read all the time (a program never blocks on
 * us), lines of it can be waited for, and they are killed and reaped at the test's end.
 */
#ifndef BATON_TESTS_PROC_H
#define BATON_TESTS_PROC_H

#include "tests/harness/harness.h"

#include <sys/types.h>

struct proc;

enum proc_stream { PROC_OUT, PROC_ERR };

struct proc_spec {
	const char *const *argv; /* argv[0] without a slash is a program that was built */
	const char *const *env;  /* "NAME=value" is added, "NAME" is removed; may be NULL */
	const char *cwd;         /* may be NULL */
	uid_t uid;               /* not 0: run as this user, and the group of the same number */
	bool merge;              /* standard error goes to PROC_OUT as well */
	bool in;                 /* standard input is a pipe (proc_write); else /dev/null */
	const int *fds;          /* become 3, 4, …; LISTEN_PID of env, if there, is made true */
	int fds_n;
};

/*
 * Starts a program. Its environment is the test's without LISTEN_*, NOTIFY_SOCKET, WATCHDOG_*
 * and BATON_*. The process dies with the test. Fails the test if it cannot be executed.
 */
struct proc *proc_start(const struct proc_spec *spec);
#define proc_start(...) HARNESS_HERE(proc_start(__VA_ARGS__))

/* proc_run("hello", "--listen", address): the short form. */
#define proc_run(...) \
	proc_start(&(struct proc_spec){.argv = (const char *const[]){__VA_ARGS__, NULL}})

pid_t proc_pid(const struct proc *p);
/* After SIGSTOP it returns when every thread has stopped, which takes a while after kill(2). */
void proc_signal(struct proc *p, int sig);

/* Writes to standard input; a NULL text closes it. */
void proc_write(struct proc *p, const char *text);

/*
 * Waits for a line that matches an extended regular expression; looks only at lines after the
 * one it found the last time. The line (without its newline) belongs to harness_mem().
 */
const char *proc_expect(struct proc *p, enum proc_stream stream, const char *regex);
#define proc_expect(...) HARNESS_HERE(proc_expect(__VA_ARGS__))

/* Everything written so far (proc_wait first, to have all of it). */
const char *proc_text(struct proc *p, enum proc_stream stream);

/* Waits for the end: the exit status, or 128 + the signal's number. */
int proc_wait(struct proc *p);
#define proc_wait(...) HARNESS_HERE(proc_wait(__VA_ARGS__))

/* Whether it has ended, asked without waiting. */
bool proc_ended(struct proc *p);

/* Runs to the end; fails unless the status is as expected, and says what was written. */
struct proc *proc_finish(struct proc *p, int status);
#define proc_finish(...) HARNESS_HERE(proc_finish(__VA_ARGS__))

#endif
