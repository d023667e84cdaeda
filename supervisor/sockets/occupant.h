/* SPDX-License-Identifier: MIT */
/* Who has the path that a Unix socket is to have. */
#ifndef SUPERVISOR_OCCUPANT_H
#define SUPERVISOR_OCCUPANT_H

#include <talloc.h>

#include "supervisor/config/address.h"

enum occupant {
	OCCUPANT_NONE,
	OCCUPANT_STALE, /* a socket on which nobody listens any more */
	OCCUPANT_LIVE,  /* somebody does */
};

/*
 * Looks at A's path, and connects to what it finds there. Returns OCCUPANT_NONE or OCCUPANT_STALE,
 * or a negative errno; *WHY (in MEM) then says who it is and what to do, if there is more to say.
 */
int occupant_look(const struct address *a, TALLOC_CTX *mem, char **why);

#endif
