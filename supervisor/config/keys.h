/* SPDX-License-Identifier: MIT */
/*
 * The one table of configuration keys. The reader of files, `baton help config`, and the test
 * that compares baton.conf(5) with the program are all driven by it.
 */
#ifndef SUPERVISOR_KEYS_H
#define SUPERVISOR_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

/* Room for flags per key; keys.c asserts that it suffices. */
#define KEYS_MAX 64

enum key_section { KEY_SUPERVISOR, KEY_SERVICE };

enum key_kind {
	KEY_NUMBER,   /* long at offset */
	KEY_OCTAL,    /* long at offset */
	KEY_YES_NO,   /* long at offset */
	KEY_TEXT,     /* char * at offset */
	KEY_PATH,     /* char * at offset */
	KEY_SIGNAL,   /* long at offset: its number */
	KEY_LIFETIME, /* long at offset: enum lifetime */
	KEY_STRATEGY, /* long at offset: enum strategy_kind */
	KEY_PORTS,    /* long at offset: 1 for shared */
	KEY_OUTPUT,   /* char * at offset */
	KEY_COMMAND,  /* char ** at offset */
	KEY_READY,    /* service_config.ready */
	KEY_HEALTH,   /* char * at offset: the path */
	KEY_LISTEN,   /* a new element of service_config.listens */
	KEY_ENV,      /* … of service_config.env */
	KEY_HTTP,     /* … of service_config.env */
	KEY_LIMIT,    /* … of service_config.limits */
	KEY_CGROUP,   /* … of service_config.cgroups */
};

struct key {
	enum key_section section;
	const char *name;
	enum key_kind kind;
	const char *unit;         /* "ms", "" for a plain number */
	long min, max;            /* KEY_NUMBER */
	const char *text_default; /* as one would write it; NULL: none, so see `required` */
	bool required;
	bool live;    /* a change of it needs no new process */
	bool repeats; /* may stand several times, also as "name.LABEL" */
	size_t offset;
	const char *text; /* one sentence for people */
};

extern const struct key keys[];
extern const size_t keys_count;

/* NAME without its ".LABEL" if the key takes one; NULL when there is no such key. */
const struct key *key_find(enum key_section section, const char *name);

/* The index of K in keys[]. */
size_t key_index(const struct key *k);

/* What a value must be, in words: "a number of milliseconds from 1 to 3600000". */
char *key_expected(TALLOC_CTX *mem, const struct key *k);

/* The key of that section that NAME was probably meant to be, or NULL. */
const struct key *key_nearest(enum key_section section, const char *name);

/* How many single-letter edits lead from A to B; 99 when they are longer than 63 bytes. */
unsigned key_distance(const char *a, const char *b);

#endif
