/* SPDX-License-Identifier: MIT */
/* The library's own threads: without signals (those are the program's), named. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "ctx/thread.h"

/* Of the thread itself, in the middle of what it does: whoever handles them must get them. */
static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};

int
ctxi_thread_start(pthread_t *thread, const char *name, size_t stack_bytes, void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t detached;
	sigset_t all, before;
	int rc;

	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	if (thread == NULL) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		thread = &detached;
	}
	if (stack_bytes != 0)
		pthread_attr_setstacksize(&attr, stack_bytes);
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, &attr, run, (void *)(uintptr_t)name);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}
