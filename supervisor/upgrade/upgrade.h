/* SPDX-License-Identifier: MIT */
/*
 * The face of upgrade/: baton replaces its own program. cli/ installs it and hands a resumed process
 * over to it; daemon/ calls it by struct upgrade_calls, for clients and signals. It never knows how a
 * command line is read, nor who asks. What the running program and the new one agree on:
 *
 * The new one is first asked, as a child with the same descriptors: `baton upgrade-check`, with
 * the state on standard input. It reads all of it, says UPGRADE_YES with its version and ends with
 * 0, or says why it cannot go on. Then it is executed, with the arguments that baton was
 * called with and BATON_UPGRADE, in the process itself.
 *
 * What it could read before it may not be able to read now, for want of memory. Then it executes
 * the program that it has replaced, which reads the same state, and says why. Of that one there
 * is no way back.
 */
#ifndef SUPERVISOR_UPGRADE_H
#define SUPERVISOR_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>
#include <talloc.h>

struct answer;
struct asker;
struct state_doc;
struct supervisor;

#define UPGRADE_CHECK "upgrade-check"
#define UPGRADE_YES   "can go on as baton "

/* "PID:FD:FD[:FD[:WHY]]": for which process; its state; the program itself, which need not stay
 * open; the one that it replaces, or -1; with WHY, it is that one again, and this is why. */
#define UPGRADE_ENV "BATON_UPGRADE"

/* --- upgrade_ask.c ----------------------------------------------------------------------- */

struct upgrade_question {
	const struct state_doc *doc; /* NULL: of its descriptors none was taken yet */
	int state_fd;                /* its text */
	int program_fd;
};

/* WHY is NULL when the program has understood the state, else one line; it may free all. */
typedef void upgrade_answer_fn(const char *why, void *data);

/* Asks the program, whose path is for messages and must stay. Freeing *OUT ends it. Returns 0
 * or -errno. */
int upgrade_ask(TALLOC_CTX *mem, struct supervisor *sup, const char *path,
    const struct upgrade_question *q, upgrade_answer_fn *fn, void *data, struct answer **out);
/* Whether it was that process, and has ended: FN is called then. */
bool upgrade_ask_child(struct answer *a, pid_t pid);
/* Executes PROGRAM_FD with them, which looks at BATON_UPGRADE. Returns only if that has failed,
 * with -errno: then all is as before. */
int upgrade_execute(const struct upgrade_question *q, char **argv);
/* From now on those below can ask for it. */
void upgrade_install(struct supervisor *sup);
/* Nothing has changed: says WHY to ASKER and to everybody else. */
void upgrade_refused(struct supervisor *sup, struct asker *asker, const char *why);
/* Where baton's own program will be looked for, in MEM. */
const char *upgrade_program(TALLOC_CTX *mem, const char *argv0);

/* --- upgrade_resume.c -------------------------------------------------------------------- */

struct upgrade_inherited {
	int state_fd;
	int before_fd;   /* the program that was replaced; -1: there is no way back */
	const char *why; /* why it has replaced itself in vain; NULL: it has not */
};

/* What this process is to go on from; false: it is a fresh one. */
bool upgrade_inherited(struct upgrade_inherited *out);

/* `baton upgrade-check`: the exit status. */
int upgrade_check_main(void);

/* Goes on from there, to the very end: the exit status. */
int upgrade_resume_main(const struct upgrade_inherited *in, char **argv);

#endif
