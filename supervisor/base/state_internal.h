/* SPDX-License-Identifier: MIT */
/* What the files of the state document share among themselves. */
#ifndef SUPERVISOR_STATE_INTERNAL_H
#define SUPERVISOR_STATE_INTERNAL_H

#include <stdint.h>

#include "supervisor/base/state.h"

enum state_shared_kind { STATE_CHANNEL, STATE_SOCKET_FILE, STATE_SHARED_KINDS };

struct state_doc {
	bool saving;
	bool numbers; /* it is of the first format */
	json_t *root;
	const char *error;                 /* the first one; NULL: none */
	unsigned failures;                 /* of jansson, before it was begun: json_memory.h */
	int *fds;                          /* a talloc array */
	void **shared[STATE_SHARED_KINDS]; /* talloc arrays; when reading, each is held once */
};

/* The member NAME, NULL if there is none, or null, or an error before. */
json_t *state_get(const struct state *s, const char *name);
/* Makes VALUE, which is taken over, the member NAME. */
void state_put(struct state *s, const char *name, json_t *value);

/* Bytes as JSON: a string, or {"hex":…} for what cannot be one. NULL: no memory. (state_value.c) */
json_t *state_json_of_bytes(const char *bytes, size_t len);
/* Back, in MEM, with a NUL after the *LEN bytes. NULL if it is neither, or for no memory. */
char *state_bytes_of_json(
    const struct state *s, const char *name, const json_t *json, TALLOC_CTX *mem, size_t *len);

#endif
