/* SPDX-License-Identifier: MIT */
/* What the files of the state document share among themselves. */
#ifndef SUPERVISOR_STATE_INTERNAL_H
#define SUPERVISOR_STATE_INTERNAL_H

#include <sys/queue.h>

#include "supervisor/base/state.h"

/* The objects of one kind that several may hold (state_shared.c). */
struct state_shared_list {
	SLIST_ENTRY(state_shared_list) entry;
	const struct state_shared_kind *kind;
	void **objects; /* a talloc array */
};

struct state_doc {
	bool saving;
	bool numbers; /* it is of the first format */
	json_t *root;
	const char *error; /* the first one; NULL: none */
	unsigned failures; /* of jansson, before it was begun: json_memory.h */
	int *fds;          /* a talloc array */
	SLIST_HEAD(, state_shared_list) shared;
};

/* The member NAME, NULL if there is none, or null, or an error before. */
json_t *state_get(const struct state *s, const char *name);
/* Makes VALUE, which is taken over, the member NAME. */
void state_put(struct state *s, const char *name, json_t *value);
/* Makes VALUE, which is taken over, the next element of the array NAME. */
void state_append(struct state *s, const char *name, json_t *value);

#endif
