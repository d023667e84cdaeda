/* SPDX-License-Identifier: MIT */
/*
 * The internal header of the running supervisor: what there is, who owns what, and the
 * functions of each file, in sections named after it; those about one process, one instance
 * and one service are in headers of their own. Everything hangs in one talloc tree:
 *
 *   supervisor → deploy → service → instance → generation (one process)
 *                       → roll (while a rolling restart is under way)
 *             → control → client
 *
 * Freeing a node ends what it owns: descriptors, timers, event handlers. Processes are the
 * exception: they are ended in good order by the state machine (life.h), never by a free.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/base/base.h"
#include "supervisor/base/lines.h"
#include "supervisor/config/config.h"
#include "supervisor/control/control.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/instance/generation.h"
#include "supervisor/instance/instance.h"
#include "supervisor/instance/instances.h"
#include "supervisor/instance/life.h"
#include "supervisor/instance/service.h"
#include "supervisor/process/channel.h"
#include "supervisor/process/executable.h"
#include "supervisor/process/identity.h"
#include "supervisor/process/notify.h"
#include "supervisor/process/probe.h"
#include "supervisor/sockets/socket_file.h"
#include "supervisor/sockets/store.h"

struct supervisor;
struct events;
struct state;
struct upgrade;
struct control;
struct asker;
struct manager;
struct inherited;
struct store;

/* Replacing baton's own program, for clients and signals: filled in by who can do that. */
struct upgrade_calls {
	/* Does so, or changes nothing and says why, to ASKER (NULL: nobody waits) and on stderr. */
	void (*ask)(struct supervisor *sup, struct asker *asker);
	/* Baton stops: whoever waits is told. */
	void (*cancel)(struct supervisor *sup, const char *why);
	/* Whether PID was the program that is asked, and has ended: it is dealt with then. */
	bool (*child_ended)(struct supervisor *sup, pid_t pid);
};

struct supervisor {
	struct instances all;        /* what the instances have in common */
	struct base base;            /* loop, clock, output: for those who know no more of it */
	const char *how_to_reach;    /* " -c FILE" or " --control PATH" for such lines, or "" */
	struct manager *manager;     /* baton's own; NULL: it has none */
	struct inherited *inherited; /* sockets that it was given, and did not use yet */
	struct store *store;         /* those of its own that the manager keeps */
	struct control *control;
	struct deploy *deploy;  /* what is changed while baton runs */
	char **argv;            /* as baton was called, to be called so again */
	const char *program;    /* where it is found: a path, or a name in PATH */
	sigset_t signals_given; /* those that were blocked when baton was called */
	const struct upgrade_calls *upgrade_calls; /* NULL: it cannot be asked for */
	struct upgrade *upgrade;                   /* NULL: none is under way */
	struct asker *upgrader;                    /* who waits for it; NULL: nobody */
	bool resumed;                              /* by an upgrade: it was running before */
};

/* --- manager.c: what baton tells its own service manager --------------------------------- */

/* Finds NOTIFY_SOCKET and WATCHDOG_USEC in the environment, and from now on says WATCHDOG=1 if
 * it is asked for. Without them, this and all that follows are no-ops. False: no memory. */
bool manager_start(struct supervisor *sup);
/* Says if it could not be reached: that is no reason not to run, or to go on. */
void manager_complain(const struct supervisor *sup);
/* Lines as in sd_notify(3). Never waits; what the manager does not take now it gets later. */
void
manager_say(struct supervisor *sup, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with a duplicate of a descriptor. */
void manager_pass(struct supervisor *sup, int fd, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void manager_reloading(struct supervisor *sup);
void manager_state(struct state *s, struct supervisor *sup);

/* --- inherited.c: sockets that baton was given ------------------------------------------- */

/* Takes what LISTEN_FDS says, whoever has sent it, and removes that from the environment. */
int inherited_take(struct supervisor *sup);
/* One that fits INST's `listen` line C, whose address is then in L with the rest; -1: none. */
int inherited_find(
    const struct instance *inst, const struct listen_config *c, int backlog, struct listener *l);
/* All services have their sockets: says which ones were not wanted. Returns how many were. */
size_t inherited_settle(struct supervisor *sup);
void inherited_state(struct state *s, struct supervisor *sup);

/* --- hints.c ---------------------------------------------------------------------------- */

/* All is started: what to try next. */
void hints_say(struct supervisor *sup);

/* --- signals.c ------------------------------------------------------------------------- */

/* Blocks the signals that baton takes and reads them in the loop. Returns 0 or -errno. */
int signals_start(struct supervisor *sup);
/* Those that were blocked when baton was called, to the document of state.h or from it. */
void signals_state(struct state *s, struct supervisor *sup);
/* Takes the ends of children and orphans that nobody has looked at yet. */
void signals_reap(struct supervisor *sup);

/* --- supervisor.c ----------------------------------------------------------------------- */

struct supervisor *supervisor_new(TALLOC_CTX *mem, struct config *config, const char *argv0);
/* Reads the configuration anew, for whoever asks (NULL: nobody waits). */
void supervisor_reload(struct supervisor *sup, struct asker *asker);
/* Runs until all is ended. Returns the exit status for main. */
int supervisor_run(struct supervisor *sup);

#endif
