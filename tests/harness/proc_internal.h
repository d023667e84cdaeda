/* SPDX-License-Identifier: MIT */
/* What proc.c (waiting), proc_start.c (starting) and proc_reader.c (reading) share. */
#ifndef BATON_TESTS_PROC_INTERNAL_H
#define BATON_TESTS_PROC_INTERNAL_H

#include "tests/harness/proc.h"

#include <pthread.h>

struct proc_output {
	int fd;       /* reading end, or -1; the reader's once it runs */
	char *text;   /* all that came, under the lock */
	size_t len;   /* bytes of it */
	size_t size;  /* allocated */
	size_t taken; /* where the next proc_expect begins */
	bool eof;
};

struct proc {
	char *name;
	pid_t pid;
	int pidfd;
	int in_fd;  /* -1: no pipe, or closed */
	bool ended; /* reaped; status is valid */
	int status; /* exit status, or 128 + signal */
	pthread_mutex_t lock;
	pthread_cond_t more; /* monotonic; output came, or an end */
	struct proc_output out[2];
	pthread_t reader;
	bool reading; /* the thread exists */
	int stop_fd;  /* eventfd: ends the reader */
};

void proc_reader_start(struct proc *p);
void proc_reader_stop(struct proc *p);
int proc_release(struct proc *p); /* talloc destructor */

#endif
