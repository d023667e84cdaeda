/* SPDX-License-Identifier: MIT */
/*
 * The face of daemon/, which puts the rooms below together and runs the loop: it reads signals, talks
 * to baton's own service manager, and has one table of who hears what happens to an instance. cli/
 * starts it; upgrade/ saves and loads all of it. It never knows what a client asks for, what a
 * restart does, or what a process says.
 *
 * struct supervisor is for these three rooms alone: it holds one structure of each room, and no room
 * below sees more than its own. Everything hangs in one talloc tree:
 *
 *   supervisor → deploy → service → instance → generation (one process)
 *                       → roll (while a rolling restart is under way)
 *              → control → client
 *
 * Freeing a node ends what it owns: descriptors, timers, event handlers. Processes are the
 * exception: they are ended in good order by the state machine (life.h), never by a free.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <talloc.h>

#include "supervisor/base/base.h"
#include "supervisor/instance/instances.h"

struct supervisor;
struct asker;
struct config;
struct control;
struct deploy;
struct manager;
struct state;
struct upgrade;

/* Replacing baton's own program, for clients and signals: filled in by who can do that. */
struct upgrade_calls {
	/* Does so, or changes nothing and says why, to ASKER (NULL: nobody waits) and on stderr. */
	void (*ask)(struct supervisor *sup, struct asker *asker);
	/* Baton stops: whoever waits is told. */
	void (*cancel)(struct supervisor *sup, const char *why);
	/* Whether PID was the program that is asked, and has ended: it is dealt with then. */
	bool (*child_ended)(struct supervisor *sup, pid_t pid);
};

/* What upgrade/ keeps. */
struct upgrading {
	const struct upgrade_calls *calls; /* NULL: an upgrade cannot be asked for */
	struct upgrade *attempt;           /* NULL: none is under way */
	struct asker *asker;               /* who waits for it; NULL: nobody */
	char **argv;                       /* as baton was called, to be called so again */
	const char *program;               /* where it is found: a path, or a name in PATH */
	bool resumed; /* this program goes on from the state of another, which was running */
};

struct supervisor {
	struct base base;         /* loop, clock, output */
	struct instances all;     /* all instances, and what they have in common */
	struct deploy *deploy;    /* what is changed while baton runs */
	struct control *control;  /* clients */
	struct manager *manager;  /* baton's own service manager; NULL: it has none */
	sigset_t signals_given;   /* those that were blocked when baton was called */
	const char *how_to_reach; /* " -c FILE" or " --control PATH" for hints, or "" */
	struct upgrading upgrade;
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
void manager_reloading(struct supervisor *sup);
void manager_state(struct state *s, struct supervisor *sup);

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
