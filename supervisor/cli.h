/* SPDX-License-Identifier: MIT */
/* The command line: subcommands, their options, their exit statuses. */
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
	const char *config_file; /* -c */
	const char *control;     /* --control */
	const char *instances;   /* --instances, as written */
	const char *name;        /* --name */
	const char **listens;    /* --listen, in order */
	size_t nlistens;
	bool json;   /* --json */
	char **args; /* what is left: PROGRAM ARGS…, SERVICE, a topic */
	int nargs;
};

int cli_main(int argc, char **argv);

/* --- cli_run.c --- */
int cli_run(TALLOC_CTX *mem, const struct cli *cli);
int cli_check(TALLOC_CTX *mem, const struct cli *cli);

/* --- cli_talk.c: talking to a running supervisor --- */

/* Sends REQUEST (taken over) and prints progress until the result is there, which becomes
 * *ANSWER; returns CLI_OK then, else another status after saying why. TIMEOUT_S 0: for ever. */
int
cli_ask(TALLOC_CTX *mem, const struct cli *cli, json_t *request, int timeout_s, json_t **answer);

/* --- cli_order.c: commands that a running supervisor answers --- */
int cli_status(TALLOC_CTX *mem, const struct cli *cli);
int cli_restart(TALLOC_CTX *mem, const struct cli *cli);
int cli_start(TALLOC_CTX *mem, const struct cli *cli);
int cli_reset(TALLOC_CTX *mem, const struct cli *cli);
int cli_reload(TALLOC_CTX *mem, const struct cli *cli);
int cli_scale(TALLOC_CTX *mem, const struct cli *cli);
int cli_stop(TALLOC_CTX *mem, const struct cli *cli);

/* --- cli_table.c: the table of `baton status` --- */
void cli_table(TALLOC_CTX *mem, const json_t *status, FILE *to);

#endif
