/* SPDX-License-Identifier: MIT */
/* Bytes as they come from a pipe → whole lines, in bounded memory. */
#ifndef SUPERVISOR_LINES_H
#define SUPERVISOR_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

struct lines;

/* One line without its newline, not terminated. CUT: the line goes on in the next call. */
typedef void lines_fn(const char *line, size_t len, bool cut, void *data);

/* A line longer than MAX bytes, or than there is memory for, is given out in pieces. It takes so
 * much memory only as long as such a line comes. NULL for lack of memory. */
struct lines *lines_new(TALLOC_CTX *mem, size_t max, lines_fn *fn, void *data);

/* Takes N bytes; calls the function for each line that is complete now. */
void lines_feed(struct lines *l, const char *bytes, size_t n);

/* Gives out what is left without a newline, if anything is. */
void lines_flush(struct lines *l);

struct state;
/* What is left without a newline, to the document of state.h or from it. */
void lines_state(struct state *s, const char *name, struct lines *l);

/* The last few lines, kept for a report: the oldest falls out. */
struct tail;

struct tail *tail_new(TALLOC_CTX *mem, unsigned count, size_t line_max);

/* Keeps a copy, cut at line_max bytes; what is not printable ASCII or UTF-8 becomes '?'. */
void tail_add(struct tail *t, const char *line, size_t len);

unsigned tail_count(const struct tail *t);

/* The I-th line, 0 the oldest; valid until the next tail_add. */
const char *tail_line(const struct tail *t, unsigned i);

void tail_state(struct state *s, const char *name, struct tail *t);

#endif
