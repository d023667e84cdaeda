/* SPDX-License-Identifier: MIT */
/*
 * What baton prints while it runs: its own lines and those of its instances, on its stdout
 * and stderr. Whoever reads them may stop reading or die; the loop neither waits nor ends for
 * that. Lines that do not fit into a bounded queue are dropped, counted, and the count said
 * when there is room again.
 */
#ifndef SUPERVISOR_OUTPUT_H
#define SUPERVISOR_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

/* Bytes that wait for a reader, for each of the two: the longest line, and others besides. */
#define OUTPUT_QUEUE_MAX_BYTES (2UL * 1024 * 1024)

enum output_to { OUTPUT_OUT, OUTPUT_ERR };

struct output;

/* Writes to OUT_FD and ERR_FD, which stay the caller's, with their flags untouched. */
struct output *output_new(TALLOC_CTX *mem, struct tevent_context *ev, int out_fd, int err_fd);

/* One line: PREFIX, then LEN bytes of TEXT, then a newline. Never blocks, never fails. */
void
output_line(struct output *o, enum output_to to, const char *prefix, const char *text, size_t len);

/* A line of baton's own. */
void output_say(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line about something that is wrong, to stderr, with "baton: " before it. */
void output_warn(struct output *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lines dropped so far, both streams. */
uint64_t output_dropped(const struct output *o);

struct state;
/* The lines that wait, and the counts, to the document of state.h or from it. */
void output_state(struct state *s, const char *name, struct output *o);

/* Waits up to MS milliseconds for the readers to take what is queued: for the very end. */
void output_drain(struct output *o, int ms);

#endif
