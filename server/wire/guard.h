/* SPDX-License-Identifier: MIT */
/* What files of wire/ ask of the guard, which keeps from handlers what the parser lets through. */
#ifndef BATON_WIRE_GUARD_H
#define BATON_WIRE_GUARD_H

#include "server/wire/wire.h"

/* ---- guard.c: what no handler may see ------------------------------------------------------------ */

/* 0, or the status to refuse the request with, and why. Looks at the head alone, and notes what it says
 * of the content: `announced` and `chunked`. */
int guard_check(struct http_request *req, const char **why);
/* The transfer codings that a head names, all its fields together, in their order. */
struct guard_codings {
	const char *value; /* of the last field */
	unsigned fields, n, chunked_n;
	bool chunked_last;
};

void guard_codings_add(struct guard_codings *codings, const char *value);
/* 0 if it is chunked and nothing else; or the status to refuse the request with, and why. */
int guard_codings_check(const struct guard_codings *codings, const char **why);
/* What is wrong with one field, or NULL. */
const char *guard_field(const char *name, const char *value);
/* True if what follows a chunk's size, up to the line's end, is made of extensions. */
bool guard_extensions_valid(const char *text, size_t len);

/* ---- guard_bytes.c: how the bytes of a request lay in the parser's buffer ------------------------ */

struct guard_bytes {
	const char *begin; /* of a trailer */
	const char *next;  /* where the next line must begin */
	const char *why;   /* what was wrong so far; NULL: nothing */
};

/* The head: begin, each field in order, end. The pointers are the parser's own. */
void guard_bytes_begin(struct guard_bytes *g, const char *method, const char *target,
    size_t target_len, const char *version);
void guard_bytes_begin_trailer(struct guard_bytes *g, const char *begin);
void guard_bytes_trailer_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len);
void guard_bytes_field(
    struct guard_bytes *g, const char *name, size_t name_len, const char *value, size_t value_len);
/* What was wrong, or NULL. `end` is where the head or the trailer ends; NULL if that is unknown. */
const char *guard_bytes_end(const struct guard_bytes *g, const char *end);
/* True if what stands before a chunk's data is well-formed, as far back as begin. */
bool guard_bytes_chunk(const char *begin, const char *data);

/* ---- guard_selftest.c --------------------------------------------------------------------------- */

/* Finds out whether the parser, with the guard, refuses what is malformed: lenient and sure of the traits;
 * *what names the request that is read otherwise than it should be, NULL: none. */
int guard_selftest(struct wire *w, const char **what);

#endif
