/* SPDX-License-Identifier: MIT */
/* The control socket's name in the file system, and the lock that says whose it is. */
#ifndef SUPERVISOR_CONTROL_SOCKET_H
#define SUPERVISOR_CONTROL_SOCKET_H

#include <sys/types.h>
#include <talloc.h>

struct state;

struct control_socket {
	int fd, lock_fd;
	int left_by; /* the pid of one that died without removing its lock; 0: there was none */
	char *path, *lock_path;
	dev_t dev; /* of the socket's file, … */
	ino_t ino; /* … which another baton may have replaced */
};

/* Locks, replaces a stale socket, binds with mode 0600, listens. Freeing it unlinks both files, if
 * they are still its own. On failure returns a negative errno with *WHY set; -EADDRINUSE: another
 * baton runs. */
int control_socket_open(TALLOC_CTX *mem, const char *path, struct control_socket **out,
    TALLOC_CTX *why_mem, char **why);

/* Makes files anew that somebody has removed. Returns 1 if it has, with another fd, 0 if both are
 * there, or a negative errno with *WHY set, as another baton has them. */
int control_socket_renew(struct control_socket *s, TALLOC_CTX *mem, char **why);

/* To the document of state.h, or from it: *OUT is made then, in MEM. */
void control_socket_state(struct state *s, TALLOC_CTX *mem, struct control_socket **out);

#endif
