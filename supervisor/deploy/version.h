/* SPDX-License-Identifier: MIT */
/* What a service is started from: the file and what was read last, or what has proved good. */
#ifndef SUPERVISOR_VERSION_H
#define SUPERVISOR_VERSION_H

#include "supervisor/deploy/deploy.h"
#include "supervisor/process/executable.h"

/* --- proved.c: executables and configurations that have proved good ------------------------- */

struct proved {
	int fd;                /* a sealed memory file */
	struct executable exe; /* the file of which it is a copy */
	const struct service_config *config;
	unsigned config_number;
	char *instance; /* which proved it first, "hello.0" */
	unsigned generation;
	int64_t since_unix_ms;
};

/* An empty one; NULL: no memory. */
struct proved *proved_new(TALLOC_CTX *mem);
/* Whether G was started from the same file, or a copy of it, with the same configuration. */
bool proved_is(const struct proved *proved, const struct generation *g);
/* No more copies than keep_good. */
void proved_trim(struct service *s);
/* Whether the copies, or one that is being made, need this configuration. */
bool proved_uses(const struct service *s, const struct service_config *c);
/* Drops what has proved good with that configuration, which is refused now. */
void proved_forget(struct service *s, unsigned config_number);

/* --- undo.c: what counts if a reload fails -------------------------------------------------- */

/* What counted before the reload that is under way. */
struct undo {
	const struct service_config *config, *wanted;
	unsigned config_number, wanted_number;
	const struct proved *from;
	int64_t read_unix_ms;
	struct listener **listeners; /* of each instance that stays; freed with this array */
	unsigned ninstances, wants;  /* so many there were, and are to be */
	bool decided;
};

/* For a service that is to have WANTS instances. NULL: no memory. */
struct undo *undo_new(TALLOC_CTX *mem, const struct service *s, unsigned wants);
/* S is about to get another configuration: the one that counts is kept, in *UNDO, which S owns
 * then; and the sockets of INST, whose list is NULL afterwards. */
void undo_keep(struct service *s, struct undo **undo);
void undo_keep_listeners(struct instance *inst);
/* Whether C may count again. */
bool undo_uses(const struct service *s, const struct service_config *c);
/* Whether it is that one which undo_apply would make count again: nothing is to be opened for it. */
bool undo_would_bring(const struct service *s, unsigned config_number);
void undo_apply(struct service *s);
/* Remembers, and says, that what was read last does not count. */
void undo_refused(struct service *s, const char *why);

/* --- version.c: from the file to what has proved good, and from there to the file ------------- */

/* For a roll of TARGET's services (NULL: all) back: what they are started from now on is what
 * proved good before. Returns 0, or a negative errno with *WHY set and nothing changed. */
int version_go_back(struct deploy *d, const char *target, TALLOC_CTX *mem, char **why);
/* For a roll of these instances to the file: that, and what was read last, counts again. */
int version_newest(struct instance **list, size_t count, TALLOC_CTX *mem, char **why);
/* A roll back that somebody asked for has failed: what is still there goes on. */
void version_back_failed(struct service *s);
/* In a roll back: whether the instance serves from what its service is started from now. */
bool version_runs(const struct instance *inst);
/* From now on its processes are started from the last one that has proved good. Returns 0, or a
 * negative errno with *WHY set: why that cannot be. */
int version_start_from_proved(struct service *s, TALLOC_CTX *mem, char **why);
/* "the executable of generation 1 of hello.0, which proved good 2026-11-21 10:15:00" */
char *version_text(TALLOC_CTX *mem, const struct proved *proved);

#endif
