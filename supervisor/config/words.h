/* SPDX-License-Identifier: MIT */
/* Splits a command line into words as a shell does, without a shell. */
#ifndef SUPERVISOR_WORDS_H
#define SUPERVISOR_WORDS_H

#include <talloc.h>

/*
 * Quotes, backslashes, $NAME, ~ and wildcards work as in sh(1); no command is ever run.
 * *WORDS becomes a NULL-terminated array (each word its child), at least one word long.
 * Returns 0, or -EINVAL with *WHY set (static text), or -ENOMEM.
 */
int words_split(TALLOC_CTX *mem, const char *text, char ***words, const char **why);

#endif
