/* SPDX-License-Identifier: MIT */
/* The sockets that baton's own manager keeps, so that the next baton has them again. */
#ifndef SUPERVISOR_STORE_H
#define SUPERVISOR_STORE_H

#include <stdbool.h>

struct listener;
struct state;
struct supervisor;

/* Of a Unix socket's name there: socket_file_number. */
unsigned long long store_file_number(const char *name);
/* Whether the manager has it, so that the next baton will. */
bool store_keeps(const struct supervisor *sup, const struct listener *l);
/* Whether NAME, which came with FD, was given by an earlier baton. */
bool store_is_ours(const char *name, int fd);
/* NAME is in the store already. */
void store_has(struct supervisor *sup, const char *name);
/* Makes the store the same as what the services have now. */
void store_update(struct supervisor *sup);
void store_state(struct state *s, struct supervisor *sup);

#endif
