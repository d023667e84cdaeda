/* SPDX-License-Identifier: MIT */
/* What a reload is going to do: made ready before anything changes. */
#ifndef SUPERVISOR_RELOAD_H
#define SUPERVISOR_RELOAD_H

#include "supervisor/deploy/deploy.h"

struct undo;

/* One service of the fresh configuration. What it owns is freed with it, unless applied. */
struct part {
	const struct service_config *config;
	struct service *service; /* the one that runs, or a new one */
	bool fresh;
	enum config_change change;
	unsigned n;                  /* instances that it is to have */
	struct listener **listeners; /* for each instance that stays */
	unsigned nstay;
	struct instance **added;
	unsigned nadded;
	struct undo *undo; /* if processes are replaced: room for what counted before */
};

struct plan {
	struct deploy *deploy;
	struct config *config;
	struct part *parts;
	size_t nparts;
	/* Room, so that there is enough when nothing may fail any more: */
	struct service **all;
	struct instance **start, **replace;
};

/* Opens and allocates all that the plan's configuration needs, beside what runs. Returns 0, or a
 * negative errno, with *WHY (in MEM) set if there is more to say. (reload_prepare.c) */
int reload_prepare(struct plan *p, TALLOC_CTX *mem, char **why);

/* --- reload_check.c: what must not hold up the loop ------------------------------------------- */

/* WHY not, in words; or NULL, and in OWNERS, unaligned, N struct socket_owner: of each service. */
typedef void reload_checked_fn(const char *why, const void *owners, size_t n, void *data);

/* Has the file read and all that it names looked at, by a process that may take its time. FN is
 * called once, from the loop, and may free MEM, as whoever gives it up does. Returns 0 or -errno. */
int reload_check(TALLOC_CTX *mem, struct deploy *d, reload_checked_fn *fn, void *data);
/* All errors of C as one text. */
char *reload_errors(TALLOC_CTX *mem, const struct config *c);

/* --- reload.c --------------------------------------------------------------------------------- */

/* One that has not begun to apply anything is given up. */
void reload_cancel(struct deploy *d, const char *why);

#endif
