/* SPDX-License-Identifier: MIT */
/*
 * The face of cli/: what people type. This room reads a command line, its options and the words that
 * are left; makes a supervisor of it (`baton run`), or asks one that runs and prints its answer. Only
 * main.c calls it. It never knows how the supervisor does what it is asked for: it reads the answers
 * of control/ as any program could.
 */
#ifndef SUPERVISOR_CLI_H
#define SUPERVISOR_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

/* Documented in baton(1). */
enum cli_status {
	CLI_OK = 0,
	CLI_FAILED = 1,       /* it was tried and did not work */
	CLI_USAGE = 2,        /* the command line or the configuration is wrong */
	CLI_NO_SUPERVISOR = 3 /* no supervisor answers on the control socket */
};

struct cli {
	const char *argv0;
	char **argv;             /* all of it */
	const char *config_file; /* -c */
	const char *control;     /* --control */
	const char *instances;   /* --instances, as written */
	const char *name;        /* --name */
	const char *ready;       /* --ready, as written */
	const char **listens;    /* --listen, in order */
	size_t nlistens;
	bool json;         /* --json */
	bool canary;       /* --canary */
	bool now;          /* --now */
	const char *lines; /* -n, as written */
	const char *color; /* --color, as written */
	bool follow;       /* -f */
	bool no_follow;    /* --no-follow */
	bool watch;        /* --watch */
	bool help;         /* --help */
	char **args;       /* what is left: PROGRAM ARGS…, SERVICE, a topic */
	int nargs;
};

/* --- cli.c: the commands, their options, help --- */
int cli_main(int argc, char **argv);

/* --- cli_output.c --- */
/* Descriptors 0, 1 and 2 that are closed would be taken by the next socket, and be written to. */
void cli_occupy_descriptors(void);
/* What was printed goes out. False: it cannot, now or before, and further output makes no sense. */
bool cli_flush(void);
/* From now on TALK ends when nobody reads what is printed any more; it stays open till the program's
 * end. And whether that has happened. */
void cli_watch_reader(FILE *talk);
bool cli_reader_gone(void);
/* The same at the end: STATUS, or if it was CLI_OK and not all could be written, CLI_FAILED. */
int cli_end_output(int status);

/* --- cli_run.c --- */
int cli_run(TALLOC_CTX *mem, const struct cli *cli);
int cli_check(TALLOC_CTX *mem, const struct cli *cli);

/* --- cli_talk.c: talking to a running supervisor --- */

/* Sends REQUEST (taken over) and prints progress until the result is there, which becomes
 * *ANSWER; returns CLI_OK then, else another status after saying why. TIMEOUT_S 0: for ever. */
int
cli_ask(TALLOC_CTX *mem, const struct cli *cli, json_t *request, int timeout_s, json_t **answer);

/* A connection to the supervisor, which fclose ends. CLI_OK, or why not, which was said. */
int cli_connect(TALLOC_CTX *mem, const struct cli *cli, int timeout_s, FILE **talk);
/* Takes REQUEST over. False: it did not get there. */
bool cli_send(FILE *talk, json_t *request);
/* The next message, the caller's; NULL: there is none any more. */
json_t *cli_receive(FILE *talk);
bool cli_is(const json_t *message, const char *type);
/* The member KEY, or OTHERWISE if there is none that is a string. */
const char *cli_string(const json_t *object, const char *key, const char *otherwise);
/* Says why there is no answer: CLI_NO_SUPERVISOR. */
int cli_no_answer(FILE *talk);

/* --- cli_command.c: commands that a running supervisor answers --- */
int cli_restart(TALLOC_CTX *mem, const struct cli *cli);
int cli_continue(TALLOC_CTX *mem, const struct cli *cli);
int cli_rollback(TALLOC_CTX *mem, const struct cli *cli);
int cli_start(TALLOC_CTX *mem, const struct cli *cli);
int cli_reset(TALLOC_CTX *mem, const struct cli *cli);
int cli_reload(TALLOC_CTX *mem, const struct cli *cli);
int cli_scale(TALLOC_CTX *mem, const struct cli *cli);
int cli_upgrade(TALLOC_CTX *mem, const struct cli *cli);
int cli_stop(TALLOC_CTX *mem, const struct cli *cli);

/* 0, or CLI_FAILED after the reason was printed, with the failed instance's last words. */
int cli_verdict(const char *what, const json_t *answer);

/* --- cli_follow.c: what happens, and what instances write --- */
int cli_events(TALLOC_CTX *mem, const struct cli *cli);
int cli_logs(TALLOC_CTX *mem, const struct cli *cli);

/* --- cli_status.c --- */
int cli_status(TALLOC_CTX *mem, const struct cli *cli);

/* --- cli_table.c: the table of `baton status` --- */
/* BEFORE: an earlier status, since which CPU time counts; NULL: since each process's start. */
void cli_table(TALLOC_CTX *mem, const json_t *status, const json_t *before, bool color, FILE *to);

#endif
