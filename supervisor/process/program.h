/* SPDX-License-Identifier: MIT */
/* Which file a command's first word means. */
#ifndef SUPERVISOR_PROGRAM_H
#define SUPERVISOR_PROGRAM_H

#include <talloc.h>

/*
 * NAME as execvp(3) would find it: as it is if it holds a slash, else along PATH. Unlike
 * execvp, nothing is run by sh(1) for want of a format. Returns 0 with *PATH set, or a
 * negative errno with *WHY in words (static text).
 */
int program_find(TALLOC_CTX *mem, const char *name, char **path, const char **why);

#endif
