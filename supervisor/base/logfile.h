/* SPDX-License-Identifier: MIT */
/* Files that lines of instances go to: one for each path, however many write to it. */
#ifndef SUPERVISOR_LOGFILE_H
#define SUPERVISOR_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct logfile;
struct logfiles;
struct output;
struct state;

/* None is open yet. What goes wrong later is said on OUT. NULL for lack of memory. */
struct logfiles *logfiles_new(TALLOC_CTX *mem, struct output *out);

/* *OUT becomes the file WHERE, opened if it is new, or NULL if WHERE has no slash and so is no
 * path. Returns 0, or -errno with *WHY set (in MEM; NULL: no memory). */
int logfile_open(
    struct logfiles *all, const char *where, struct logfile **out, TALLOC_CTX *mem, char **why);

/* Writes a line of LEN bytes. One for which there is no room is counted, and the file told later. */
void logfile_line(struct logfile *l, const char *text, size_t len);

/* For SIGUSR1: whoever rotates logs has moved them away. */
void logfiles_reopen(struct logfiles *all);

/* Closes those that nobody USED says to need. */
typedef bool logfile_used_fn(const struct logfile *l, const void *data);
void logfiles_close_unused(struct logfiles *all, logfile_used_fn *used, const void *data);

/* Lines for which there was no room, in all. */
uint64_t logfiles_dropped(const struct logfiles *all);

/* To the document of state.h or from it. */
void logfiles_state(struct state *s, struct logfiles *all);

#endif
