/* SPDX-License-Identifier: MIT */
/*
 * What jansson leaves to its callers: memory, and bytes that are no text.
 *
 * Whether jansson has found no memory. Not all of it can be seen by what its functions return:
 * json_dumps leaves out a key for which there was no room, a deep copy the elements, and the
 * parser single characters; what comes out can be wrong, and well formed nevertheless. The
 * parser (2.14) can also crash.
 */
#ifndef SUPERVISOR_JSON_MEMORY_H
#define SUPERVISOR_JSON_MEMORY_H

#include <jansson.h>
#include <stdbool.h>

/* From now on it is counted; more than once does no harm. Not while other threads use jansson. */
void json_memory_watch(void);
/* How often there was none: compare what it was before with what it is afterwards. */
unsigned json_memory_failures(void);

/* json_loadb that rejects duplicates, and never lets the parser see that there is no memory: then
 * it returns NULL with *NO_MEMORY true, and what was read until then is lost and never freed. */
json_t *json_memory_loadb(const char *text, size_t len, json_error_t *error, bool *no_memory);
/* json_dumps of one line; NULL unless it is complete. For free(3). */
char *json_memory_dumps(const json_t *json);

/* A string of any bytes (paths, and what programs say of themselves): those that are no UTF-8, which
 * JSON must be, as "\\xff". NULL for NULL, or for lack of memory. */
json_t *json_text(const char *text);

#endif
