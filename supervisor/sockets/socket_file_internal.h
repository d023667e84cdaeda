/* SPDX-License-Identifier: MIT */
/* What the files of socket_file.h share: which file is whose, and how one is made. */
#ifndef SUPERVISOR_SOCKET_FILE_INTERNAL_H
#define SUPERVISOR_SOCKET_FILE_INTERNAL_H

#include <stdbool.h>

#include "supervisor/sockets/socket_file.h"

struct socket_inode {
	dev_t dev;
	ino_t ino;
};

struct socket_file {
	unsigned holders;
	char *path;
	char *away;
	struct socket_inode real;
	bool left; /* it stays */
	bool refusing;
	struct socket_inode stub; /* what stands at the path then: a socket that does not listen */
	int stub_fd;              /* it; open, so that no other file gets its inode; or -1 */
};

bool socket_file_is_at(const struct socket_inode *i, const char *path);
int socket_file_inode(const char *path, struct socket_inode *out);
/* In the same directory, so that it can be renamed. -ENAMETOOLONG if a socket cannot have it. */
int socket_file_temporary(const struct address *a, struct address *out);
/* It never has another mode, not for a moment, and is nobody's who should not have it. */
int socket_file_bind_owned(
    int fd, const struct address *a, const struct socket_owner *owner, struct socket_inode *out);
/* Nothing happens if it is not there any more. */
void socket_file_unlink(const struct socket_inode *i, const char *path);
/* Within a directory. Returns 0 or -errno: -ENOENT if it is not there any more. */
int socket_file_rename(const struct socket_inode *i, const char *from, const char *to);

#endif
