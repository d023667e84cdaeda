/* SPDX-License-Identifier: MIT */
/* Directories and files that are gone after the test. */
#ifndef BATON_TESTS_TEMPDIR_H
#define BATON_TESTS_TEMPDIR_H

#include "tests/harness/harness.h"

#include <sys/types.h>

/* A new, empty directory (mode 0700) under $TMPDIR or /tmp. */
const char *tempdir_new(void);
#define tempdir_new(...) HARNESS_HERE(tempdir_new(__VA_ARGS__))

/* A path below a directory, in harness_mem(). */
const char *tempdir_path(const char *dir, const char *name);

/* Writes a file there (mode 0644); returns its path. */
const char *tempdir_write(const char *dir, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies a file there, with its mode; returns its path. */
const char *tempdir_copy(const char *dir, const char *name, const char *from);

/* Gives the directory itself to a user. */
void tempdir_own(const char *dir, uid_t uid);

/* A whole file as text, in harness_mem(); NULL if there is none. */
const char *tempdir_read(const char *path);

#endif
