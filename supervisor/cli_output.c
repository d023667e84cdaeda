/* SPDX-License-Identifier: MIT */
/*
 * What a command prints must get where it is to go: a disk that is full, or a standard output that
 * is closed, makes it fail, and says why. A reader that is gone (`baton logs | head`) has had
 * enough: then it ends without a word.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli.h"

static int write_error; /* the first errno */

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
