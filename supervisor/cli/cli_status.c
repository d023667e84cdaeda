/* SPDX-License-Identifier: MIT */
/* `baton status`: once, or each second; as a table, or as JSON. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"

/* It comes at once; it takes no longer, unless something is very wrong. */
#define ANSWER_TIMEOUT_S 10
#define WATCH_SECONDS    1

/* What a terminal does: cursor to the upper left, and everything below it is cleared. */
#define TERMINAL_HOME "\033[H\033[J"

/* Whether there are to be colours; -1: WHEN is none of the words. */
static int
wants_color(const char *when)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (when != NULL && strcmp(when, "always") == 0)
		return 1;
	if (when != NULL && strcmp(when, "never") == 0)
		return 0;
	if (when != NULL && strcmp(when, "auto") != 0)
		return -1;
	return isatty(1) == 1 && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	       strcmp(term, "dumb") != 0;
}

static int
ask(FILE *talk, json_t **answer)
{
	cli_send(talk, json_pack("{s:s}", "command", "status"));
	while ((*answer = cli_receive(talk)) != NULL && !cli_is(*answer, "result"))
		json_decref(*answer);
	return *answer == NULL ? cli_no_answer(talk) : cli_verdict("status", *answer);
}

static void
show(TALLOC_CTX *mem, const struct cli *cli, json_t *status, const json_t *before, bool color)
{
	if (cli->json) {
		json_object_del(status, "type");
		json_object_del(status, "ok");
		json_dumpf(status, stdout, cli->watch ? JSON_COMPACT : JSON_INDENT(2));
		printf("\n");
		return;
	}
	if (cli->watch && isatty(1) == 1)
		fputs(TERMINAL_HOME, stdout);
	cli_table(mem, status, before, color, stdout);
	if (cli->watch && isatty(1) != 1)
		printf("\n");
}

int
cli_status(TALLOC_CTX *mem, const struct cli *cli)
{
	int color = wants_color(cli->color), status;
	json_t *answer, *before = NULL;
	FILE *talk;

	if (color < 0) {
		fprintf(stderr,
		    "baton: status: --color: expected auto, always or never, found \"%s\"\n",
		    cli->color);
		return CLI_USAGE;
	}
	status = cli_connect(mem, cli, ANSWER_TIMEOUT_S, &talk);
	if (status != CLI_OK)
		return status;
	while ((status = ask(talk, &answer)) == CLI_OK) {
		show(mem, cli, answer, before, color == 1);
		json_decref(before);
		before = answer;
		if (!cli_flush() || !cli->watch)
			break;
		sleep(WATCH_SECONDS);
	}
	if (status != CLI_OK)
		json_decref(answer);
	json_decref(before);
	fclose(talk);
	return status;
}
