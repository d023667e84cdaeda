/* SPDX-License-Identifier: MIT */
/* Threads of the library's own. At the bottom of the tree. */
#ifndef BATON_CTX_THREAD_H
#define BATON_CTX_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts a thread that gets no signals but its own faults; run is given the name, under which it is
 * to be seen. It is detached, or to be joined if thread is not NULL. 0, or a negative errno. */
int ctxi_thread_start(
    pthread_t *thread, const char *name, size_t stack_bytes, void *(*run)(void *name));

#endif
