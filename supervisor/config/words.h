/* SPDX-License-Identifier: MIT */
/* Words: a command line split as a shell does it, without a shell; and how near two words are. */
#ifndef SUPERVISOR_WORDS_H
#define SUPERVISOR_WORDS_H

#include <talloc.h>

/*
 * Quotes, backslashes, $NAME, ~ and wildcards work as in sh(1); no command is ever run.
 * *WORDS becomes a NULL-terminated array (each word its child), at least one word long.
 * Returns 0, or -EINVAL with *WHY set (static text), or -ENOMEM.
 */
int words_split(TALLOC_CTX *mem, const char *text, char ***words, const char **why);

/* How many single-letter edits lead from A to B; 99 when they are longer than 63 bytes. */
unsigned words_distance(const char *a, const char *b);

#endif
