/* SPDX-License-Identifier: MIT */
/*
 * The one table of configuration keys. A new key of a known kind is one row here, default included,
 * and its field in config.h: reading and checking, `baton help config` and the completion of it, what
 * a reload has to do, and the state that is taken along by an upgrade go by the table; a test
 * compares baton.conf(5) with it. What is done with a kind of value is the table of kinds.h.
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
	KEY_ENV,      /* a new element of service_config.env */
	KEY_HTTP,     /* a new element of service_config.env */
	KEY_LIMIT,    /* a new element of service_config.limits */
	KEY_CGROUP,   /* a new element of service_config.cgroups */
	KEY_KINDS
};

/* What it takes for a change in the file to count, once `baton reload` has read it. */
enum key_change {
	KEY_BY_RESTART, /* new processes: those that run know, or are, what it was */
	KEY_NOW,        /* nothing: it counts at once, for processes that run too */
	KEY_NEVER,      /* a new baton: the reload is refused */
};

struct key {
	enum key_section section;
	const char *name;
	enum key_kind kind;
	const char *unit;         /* "ms", "" for a plain number */
	long min, max;            /* KEY_NUMBER, KEY_OCTAL */
	const char *text_default; /* as one would write it; NULL: none, so see `required` */
	long unset;               /* what the field is when it is not set and has no default */
	bool required;
	enum key_change change;
	bool repeats;     /* may stand several times, also as "name.LABEL" */
	size_t offset;    /* of the field in struct config or struct service_config */
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

#endif
