/* SPDX-License-Identifier: MIT */
/* Who has a port that is taken: by listening there, or by a connection from there. */
#ifndef SUPERVISOR_PORT_HOLDER_H
#define SUPERVISOR_PORT_HOLDER_H

#include <talloc.h>

#include "supervisor/config/address.h"

/*
 * If only instances of a baton that has died have the address TAKEN: which they are, with those
 * that have one of ALL, N addresses, and how to end them, in words and in MEM (with what it took
 * to find them). Else NULL.
 */
char *port_holder_left_behind(
    TALLOC_CTX *mem, const struct address *taken, const struct address *all, size_t n);

/* Which process has it, and what to do; NULL if that cannot be seen. */
char *port_holder_text(TALLOC_CTX *mem, const struct address *taken);

#endif
