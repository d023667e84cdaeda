/* SPDX-License-Identifier: MIT */
/*
 * Signals: those that end a server that was given them, and those that our threads leave alone
 * (why they do: engine/crew_thread.c).
 */
#include <string.h>
#include <unistd.h>

#include "server/internal.h"

/* Of the thread itself, in the middle of what it does: whoever handles them must get them. */
static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

void
signals_masks(struct http_server *s, const sigset_t *given)
{
	sigset_t others;

	sigfillset(&others);
	for (size_t i = 0; i < FAULTS; i++)
		sigdelset(&others, faults[i]);
	s->threads.working = *given;
	sigorset(&s->threads.waiting, given, &others);
}

/* ---- Those of http_server_run --------------------------------------------------------------- */

static _Atomic(struct http_server *) signalled;

/* The first signal drains, the second ends at once: also as PID 1, where the default would not. */
static void
on_stop(int sig)
{
	struct http_server *s = atomic_load(&signalled);

	if (s == NULL || atomic_fetch_add(&s->stop_signals, 1) > 0)
		_exit(128 + sig);
	loop_drain(s);
}

static void
on_dump(int sig)
{
	struct http_server *s = atomic_load(&signalled);

	(void)sig;
	if (s != NULL)
		loop_dump(s);
}

/* Who writes to nobody is told by EPIPE. Unlike SIG_IGN, this is not inherited by a program that
 * a handler starts: one that was given the default has it. */
static void
on_pipe(int sig)
{
	(void)sig;
}

static const struct {
	int sig;
	void (*handler)(int);
	bool comes; /* also if the program was started with it blocked or ignored */
} actions[] = {{SIGTERM, on_stop, true}, {SIGINT, on_stop, true}, {SIGQUIT, on_dump, true},
    {SIGPIPE, on_pipe, false}};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* What there was before; of actions[], where it is ours now. */
static struct {
	struct sigaction action[ACTIONS];
	sigset_t mask;
} before;

static void
restore_actions(void)
{
	struct sigaction now;

	for (size_t i = 0; i < ACTIONS; i++)
		if (sigaction(actions[i].sig, NULL, &now) == 0 &&
		    now.sa_handler == actions[i].handler)
			sigaction(actions[i].sig, &before.action[i], NULL);
}

/* A child without our threads would only note a signal to stop, for nobody to see. */
static void
in_child(void)
{
	if (atomic_load(&signalled) == NULL)
		return;
	restore_actions();
	atomic_store(&signalled, NULL);
}

static void
guard_fork(void)
{
	pthread_atfork(NULL, NULL, in_child);
}

bool
signals_take(struct http_server *s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_server *none = NULL;
	sigset_t comes;

	if (!atomic_compare_exchange_strong(&signalled, &none, s))
		return false;
	pthread_once(&once, guard_fork);
	sigemptyset(&comes);
	for (size_t i = 0; i < ACTIONS; i++) {
		struct sigaction act = {.sa_handler = actions[i].handler, .sa_flags = SA_RESTART};

		sigaction(actions[i].sig, NULL, &before.action[i]);
		if (actions[i].comes)
			sigaddset(&comes, actions[i].sig);
		else if (before.action[i].sa_handler != SIG_DFL)
			continue;
		sigaction(actions[i].sig, &act, NULL);
	}
	pthread_sigmask(SIG_UNBLOCK, &comes, &before.mask);
	signals_masks(s, &before.mask);
	return true;
}

void
signals_release(void)
{
	restore_actions();
	pthread_sigmask(SIG_SETMASK, &before.mask, NULL);
	atomic_store(&signalled, NULL);
}
