/* SPDX-License-Identifier: MIT */
/*
 * What was built, installed below a temporary directory, and the compiler set up to use it as
 * a user would: by pkg-config.
 */
#ifndef BATON_TESTS_INSTALLED_H
#define BATON_TESTS_INSTALLED_H

#include "tests/harness/proc.h"

struct installed {
	const char *dir;        /* to work in; `cc` there is the compiler of the build */
	const char *prefix;     /* PREFIX */
	const char *const *env; /* PATH, PKG_CONFIG_PATH, LD_LIBRARY_PATH, for proc_spec */
};

/* Runs `make GOAL` with those variables ("NAME=value", ended by NULL); it must succeed. */
void installed_make(const char *goal, const char *const *variables);
#define installed_make(...) HARNESS_HERE(installed_make(__VA_ARGS__))

struct installed installed_new(void);
#define installed_new(...) HARNESS_HERE(installed_new(__VA_ARGS__))

/* Runs shell commands there, which must succeed; what they wrote to standard output. */
const char *installed_sh(const struct installed *i, const char *commands);
#define installed_sh(...) HARNESS_HERE(installed_sh(__VA_ARGS__))

#endif
