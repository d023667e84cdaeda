/* SPDX-License-Identifier: MIT */
/*
 * Paths in directories to which somebody else may write: that of a service's log, say, which its
 * user owns. baton may have more rights than that user, who must not be able to lead it to
 * another file by a symbolic link. So those are followed only that root or baton's own user has
 * placed; all else is what it would be for open(2).
 */
#ifndef SUPERVISOR_TRUSTED_PATH_H
#define SUPERVISOR_TRUSTED_PATH_H

#include <sys/types.h>

/* What trusted_text says for -ELOOP, and what people are to do about it. */
#define TRUSTED_LINK_TEXT                                                                        \
	"a symbolic link of another user than root or baton's own is in the way; remove it, or " \
	"give it to root (chown -h)"

/*
 * open(2) of PATH with these flags; O_CLOEXEC is always set. Returns a descriptor, which is the
 * caller's, or a negative errno: -ELOOP for a link that is not followed, or for too many, and
 * -EMLINK for a file that has another name, too, so that it may be one from elsewhere, in a
 * directory that others may write to.
 */
int trusted_open(const char *path, int flags, mode_t mode);

/*
 * The directory that PATH is in, as a descriptor (O_PATH) of the caller's; *NAME becomes PATH's
 * last part. Returns a negative errno as above.
 */
int trusted_directory(const char *path, const char **name);

/* What such an error means, in words that need not be freed. */
const char *trusted_text(int error);

#endif
