/* SPDX-License-Identifier: MIT */
/*
 * What kinds of values keys have: one table, in kinds.c. A row says how a value of that kind is
 * read from text, compared, and taken to another baton, and what it must be, in words. Those with
 * a struct of their own have a file of their own, kind_NAME.c.
 */
#ifndef SUPERVISOR_KINDS_H
#define SUPERVISOR_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

#include "supervisor/config/keys.h"

struct state;
struct state_word;

/* One line that sets a key. */
struct key_line {
	const char *where; /* "FILE:LINE", or an option of the command line */
	const char *label; /* what stands behind the key's name and a dot; NULL: nothing */
	const char *value;
	const char *why; /* set with -EINVAL if there is more to say than what was expected */
};

/* An object is the struct in which the key's offset is: of a key with a label a service_config. */
struct kind {
	/* Returns 0, -EINVAL or -ENOMEM. */
	int (*parse)(void *object, const struct key *k, struct key_line *line);
	bool (*same)(const struct key *k, const void *a, const void *b);
	/* To the document of state.h or from it. NULL: another kind of key does it as well. */
	void (*state)(struct state *s, const struct key *k, void *object);
	/* What a value must be: one of these words, if there are any; */
	const struct state_word *words;
	size_t nwords;
	/* or a number in the key's range, which this says; or what TEXT says. */
	char *(*range)(TALLOC_CTX *mem, const struct key *k);
	const char *text;
};

extern const struct kind kinds[KEY_KINDS];

/* --- kind_listen.c --- */
int listen_parse(void *object, const struct key *k, struct key_line *line);
bool listen_same(const struct key *k, const void *a, const void *b);
void listen_state(struct state *s, const struct key *k, void *object);

/* --- kind_ready.c: `ready` and `health` --- */
int ready_parse(void *object, const struct key *k, struct key_line *line);
bool ready_same(const struct key *k, const void *a, const void *b);
void ready_state(struct state *s, const struct key *k, void *object);
int health_parse(void *object, const struct key *k, struct key_line *line);

/* --- kind_env.c: `env` and `http`, which are both variables --- */
int env_parse(void *object, const struct key *k, struct key_line *line);
int http_parse(void *object, const struct key *k, struct key_line *line);
bool env_same(const struct key *k, const void *a, const void *b);
void env_state(struct state *s, const struct key *k, void *object);

/* --- kind_limit.c: `limit` and `cgroup` --- */
int limit_parse(void *object, const struct key *k, struct key_line *line);
bool limit_same(const struct key *k, const void *a, const void *b);
void limit_state(struct state *s, const struct key *k, void *object);
int cgroup_parse(void *object, const struct key *k, struct key_line *line);
bool cgroup_same(const struct key *k, const void *a, const void *b);
void cgroup_state(struct state *s, const struct key *k, void *object);

#endif
