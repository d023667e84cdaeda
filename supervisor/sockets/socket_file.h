/* SPDX-License-Identifier: MIT */
/*
 * The file by which clients find a listening Unix socket. baton makes it, owns it, and removes it
 * at the end if it is still the same. Whatever else stands in its place is not touched, but for
 * a socket on which nobody listens any more.
 */
#ifndef SUPERVISOR_SOCKET_FILE_H
#define SUPERVISOR_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/config/address.h"
#include "supervisor/config/config.h"

struct socket_file;

/*
 * Binds FD to A's path and makes it listen. A stale socket file is replaced in one step, so that
 * nobody finds the path empty. Returns 0, with one user, or a negative errno; then *WHY (in MEM)
 * may say more, as a remedy. Nothing is left behind then.
 */
int socket_file_bind(int fd, const struct address *a, const struct socket_owner *owner, int backlog,
    struct socket_file **out, TALLOC_CTX *mem, char **why);

/* One more who uses it; the last one to drop it removes the file. */
struct socket_file *socket_file_ref(struct socket_file *f);
void socket_file_unref(struct socket_file **f);

/* For a socket that is to outlive this process: by this number the next one finds out whether
 * the file is still its own, … */
unsigned long long socket_file_number(const struct socket_file *f);
/* … which stays, under its own path, when the last one drops it. */
void socket_file_leave(struct socket_file *f);
/* The file of a socket that is open already. NULL: A's path is not that file, or no memory. */
struct socket_file *socket_file_adopt(const struct address *a, unsigned long long number);

/* Whether clients find it, or would if it did not refuse: nobody has removed or replaced it. */
bool socket_file_is_there(const struct socket_file *f);

/* Gives it another owner and mode. Returns 0 or -errno. */
int socket_file_own(const struct socket_file *f, const struct socket_owner *owner);

/*
 * Makes clients be refused, those who wait on FD too, or lets them in again. The socket itself
 * stays what it is for all who have it. Returns 0 or -errno, and nothing has changed then.
 */
int socket_file_refuse(struct socket_file *f, int fd);
int socket_file_resume(struct socket_file *f);

struct state;
/* To the document of state.h or from it; and one that is made from it, with one user, or NULL if
 * that has an error. */
void socket_file_state(struct state *s, struct socket_file *f);
struct socket_file *socket_file_load(struct state *s);

#endif
