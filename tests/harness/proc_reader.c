/* SPDX-License-Identifier: MIT */
/* The thread that takes a program's output as it comes, so that a full pipe never stops it. */
#include "tests/harness/proc_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { KEPT_MAX_BYTES = 64 << 20 }; /* more output than that is read and forgotten */

static void
keep(struct proc_output *o, const char *data, size_t len)
{
	if (o->len + len > KEPT_MAX_BYTES)
		return;
	if (o->len + len > o->size) {
		o->size = (o->len + len) * 2;
		o->text = realloc(o->text, o->size);
		if (o->text == NULL)
			abort();
	}
	memcpy(o->text + o->len, data, len);
	o->len += len;
}

static void
take(struct proc *p, struct proc_output *o)
{
	char data[65536];
	ssize_t n;

	/* It is ready, so this does not take long; and what is not in the pipe any more is kept
	 * for whoever has the lock (proc_wait). */
	pthread_mutex_lock(&p->lock);
	n = read(o->fd, data, sizeof(data));
	if (n > 0) {
		keep(o, data, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		o->eof = true;
		close(o->fd);
		o->fd = -1;
	}
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
}

static void *
reader(void *data)
{
	struct proc *p = data;

	while (p->out[0].fd >= 0 || p->out[1].fd >= 0) {
		struct pollfd pfd[] = {
		    {.fd = p->out[0].fd, .events = POLLIN},
		    {.fd = p->out[1].fd, .events = POLLIN},
		    {.fd = p->stop_fd, .events = POLLIN},
		};

		if (poll(pfd, 3, -1) < 0)
			continue;
		if (pfd[2].revents != 0)
			break;
		for (int i = 0; i < 2; i++)
			if (pfd[i].revents != 0)
				take(p, &p->out[i]);
	}
	return NULL;
}

void
proc_reader_start(struct proc *p)
{
	sigset_t all, old;

	/* Signals belong to the test's own thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->reading = p->stop_fd >= 0 && pthread_create(&p->reader, NULL, reader, p) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!p->reading)
		harness_fail("cannot start the reader of %s", p->name);
}

void
proc_reader_stop(struct proc *p)
{
	if (p->reading) {
		eventfd_write(p->stop_fd, 1);
		pthread_join(p->reader, NULL);
		close(p->stop_fd);
	}
	for (int i = 0; i < 2; i++) {
		if (p->out[i].fd >= 0)
			close(p->out[i].fd);
		free(p->out[i].text);
	}
}
