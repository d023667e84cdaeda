/* SPDX-License-Identifier: MIT */
/* What the running supervisor consists of, each part to the document of state.h or from it. */
#ifndef SUPERVISOR_STATE_TREE_H
#define SUPERVISOR_STATE_TREE_H

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"

struct channel;
struct socket_file;
struct supervisor;

/* --- state_shared.c --------------------------------------------------------------------- */

/* A holder's reference, or NULL. */
void state_channel(struct state *s, const char *name, struct channel **c);
void state_socket_file(struct state *s, const char *name, struct socket_file **f);
/* All that were referred to: written last, read first. */
void state_held(struct state *s);

/* --- state_good.c ------------------------------------------------------------------------ */

struct executable;
struct service;
void state_executable(struct state *s, const char *name, struct executable *e);
void state_good(struct state *s, struct service *service);

/* --- state_generation.c, state_instance.c ------------------------------------------------- */

struct generation;
struct instance;
void
state_generation(struct state *s, const char *name, struct instance *inst, struct generation **g);
void state_instance(struct state *s, struct instance *inst);

/* --- state_tree.c: the supervisor and everything below ------------------------------------ */

/* Writes it all; look at state_error. */
void state_save(struct state_doc *doc, struct supervisor *sup);
/* NULL: look at state_error. What has been made of it until then is left as it is, and none of
 * its descriptors was closed, for they are those of a baton that goes on: end the process by
 * _exit, or execute that one. */
struct supervisor *state_load(TALLOC_CTX *mem, struct state_doc *doc);

#endif
