/* SPDX-License-Identifier: MIT */
/*
 * What a command prints must get where it is to go: a disk that is full, or a standard output that
 * is closed, makes it fail, and says why. A reader that is gone (`baton logs -f | head`) has had
 * enough: then it ends without a word, also if nothing comes that could be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"

static int write_error; /* the first errno */
static atomic_bool reader_gone;

bool
cli_flush(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return write_error == 0;
	if (write_error == 0)
		write_error = errno != 0 ? errno : EIO;
	return false;
}

/* poll(2) tells of a pipe without a reader, whatever events are asked for. */
static void *
wait_for_its_end(void *talk)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	while (poll(&out, 1, -1) < 0 && errno == EINTR)
		;
	atomic_store(&reader_gone, true);
	shutdown(
	    fileno(talk), SHUT_RDWR); /* so whoever waits for more from there waits no longer */
	return NULL;
}

void
cli_watch_reader(FILE *talk)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* If there is no thread for it, the next line that is written tells. */
	if (pthread_create(&thread, NULL, wait_for_its_end, talk) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool
cli_reader_gone(void)
{
	return atomic_load(&reader_gone);
}

int
cli_end_output(int status)
{
	if (cli_flush())
		return status;
	if (write_error != EPIPE)
		fprintf(
		    stderr, "baton: cannot write to standard output: %s\n", strerror(write_error));
	return status == CLI_OK ? CLI_FAILED : status;
}

/* Each is opened the wrong way round, so that using it is still an error. */
void
cli_occupy_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
	}
}
