/* SPDX-License-Identifier: MIT */
/* The library's own threads: detached, without signals (those are the program's), named. */
#include <signal.h>

#include "ctx/ctx_internal.h"

int
ctxi_thread_start(const char *name, size_t stack_bytes, void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int rc;

	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack_bytes != 0)
		pthread_attr_setstacksize(&attr, stack_bytes);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attr, run, (void *)(uintptr_t)name);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}
