/* SPDX-License-Identifier: MIT */
/* The commands that a running supervisor answers: what they ask, and what they print. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"
#include "supervisor/instance/instances.h"

int
cli_verdict(const char *what, const json_t *answer)
{
	const json_t *lines = json_object_get(answer, "stderr");

	if (json_is_true(json_object_get(answer, "ok")))
		return CLI_OK;
	fprintf(
	    stderr, "baton: %s failed: %s\n", what, cli_string(answer, "error", "no reason given"));
	if (json_array_size(lines) > 0)
		fprintf(stderr, "its last lines on stderr:\n");
	for (size_t i = 0; i < json_array_size(lines); i++)
		fprintf(stderr, "  %s | %s\n", cli_string(answer, "instance", "?"),
		    json_string_value(json_array_get(lines, i)));
	return CLI_FAILED;
}

static const char *
drained(TALLOC_CTX *mem, const json_t *d)
{
	const struct notify_drained counts = {
	    .moved = json_integer_value(json_object_get(d, "moved")),
	    .finished = json_integer_value(json_object_get(d, "finished")),
	    .ended = json_integer_value(json_object_get(d, "ended")),
	    .cut = json_integer_value(json_object_get(d, "cut"))};

	return report_drained(mem, &counts);
}

/* Ctrl-C ends the waiting, not what is waited for. That is said, and then the signal ends this
 * program as it always does. */
static void
interrupted(int sig)
{
	static const char text[] = "baton: interrupted; what was asked for goes on, `baton status` "
				   "shows it\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	raise(sig); /* by SA_RESETHAND it has its default effect now */
}

static void
say_if_interrupted(void)
{
	static const int signals[] = {SIGINT, SIGTERM};
	const struct sigaction new = {.sa_handler = interrupted, .sa_flags = SA_RESETHAND};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &new, NULL);
	}
}

/* Asks for COMMAND with the members of REQUEST, and waits for the answer as long as it takes. */
static int
carry_out(
    TALLOC_CTX *mem, const struct cli *cli, const char *command, json_t *request, json_t **answer)
{
	int status;

	json_object_set_new(request, "command", json_string(command));
	say_if_interrupted();
	status = cli_ask(mem, cli, request, 0, answer);
	if (status != CLI_OK)
		return status;
	status = cli_verdict(command, *answer);
	if (status != CLI_OK)
		json_decref(*answer);
	return status;
}

static json_t *
about_service(const struct cli *cli)
{
	json_t *request = json_object();

	if (cli->nargs == 1)
		json_object_set_new(request, "service", json_string(cli->args[0]));
	return request;
}

int
cli_restart(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *request = about_service(cli), *answer;
	const json_t *moved;
	json_int_t n, ms;
	int status;

	if (cli->canary)
		json_object_set_new(request, "canary", json_true());
	if (cli->now)
		json_object_set_new(request, "now", json_true());
	status = carry_out(mem, cli, "restart", request, &answer);
	if (status != CLI_OK)
		return status;
	n = json_integer_value(json_object_get(answer, "restarted"));
	ms = json_integer_value(json_object_get(answer, "duration_ms"));
	moved = json_object_get(answer, "connections");
	printf("restarted %lld instance%s in %s%s%s\n", (long long)n, n == 1 ? "" : "s",
	    report_duration(mem, ms), moved == NULL ? "" : ": ",
	    moved == NULL ? "" : drained(mem, moved));
	json_decref(answer);
	return CLI_OK;
}

static void
print_count(const char *what, json_t *answer)
{
	json_int_t n = json_integer_value(json_object_get(answer, "instances"));

	printf("%s %lld instance%s\n", what, (long long)n, n == 1 ? "" : "s");
	json_decref(answer);
}

int
cli_continue(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = carry_out(mem, cli, "continue", about_service(cli), &answer);

	if (status != CLI_OK)
		return status;
	json_decref(answer);
	printf("the restart goes on\n");
	return CLI_OK;
}

int
cli_rollback(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	json_int_t n;
	int status = carry_out(mem, cli, "rollback", about_service(cli), &answer);

	if (status != CLI_OK)
		return status;
	n = json_integer_value(json_object_get(answer, "restarted"));
	printf("rolled %lld instance%s back in %s\n", (long long)n, n == 1 ? "" : "s",
	    report_duration(mem, json_integer_value(json_object_get(answer, "duration_ms"))));
	json_decref(answer);
	return CLI_OK;
}

int
cli_start(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status;

	if (cli->nargs == 0) {
		fprintf(stderr, "baton: start: which service? usage: baton start SERVICE\n");
		return CLI_USAGE;
	}
	status = carry_out(mem, cli, "start", about_service(cli), &answer);
	if (status == CLI_OK)
		print_count("started", answer);
	return status;
}

int
cli_reset(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = carry_out(mem, cli, "reset", about_service(cli), &answer);

	if (status == CLI_OK)
		print_count("reset", answer);
	return status;
}

int
cli_reload(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = carry_out(mem, cli, "reload", json_object(), &answer);

	if (status != CLI_OK)
		return status;
	json_decref(answer);
	printf("reloaded\n");
	return CLI_OK;
}

int
cli_upgrade(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = carry_out(mem, cli, "upgrade", json_object(), &answer);
	json_int_t n;

	if (status != CLI_OK)
		return status;
	n = json_integer_value(json_object_get(answer, "instances"));
	printf("upgraded from %s to %s, pid %lld, %lld instance%s kept\n",
	    cli_string(answer, "from", "?"), cli_string(answer, "to", "?"),
	    (long long)json_integer_value(json_object_get(answer, "pid")), (long long)n,
	    n == 1 ? "" : "s");
	json_decref(answer);
	return CLI_OK;
}

/* "web=4" */
int
cli_scale(TALLOC_CTX *mem, const struct cli *cli)
{
	const char *equals = cli->nargs == 1 ? strchr(cli->args[0], '=') : NULL;
	char *end = NULL, *service;
	json_t *answer;
	long n = equals == NULL ? 0 : strtol(equals + 1, &end, 10);
	int status;

	if (equals == NULL || end == equals + 1 || *end != '\0') {
		fprintf(stderr, "baton: scale: usage: baton scale SERVICE=N\n");
		return CLI_USAGE;
	}
	service = talloc_strndup(mem, cli->args[0], (size_t)(equals - cli->args[0]));
	status = carry_out(mem, cli, "scale",
	    json_pack("{s:s s:I}", "service", service, "instances", (json_int_t)n), &answer);
	if (status != CLI_OK)
		return status;
	json_decref(answer);
	printf("%s has %ld instance%s now\n", service, n, n == 1 ? "" : "s");
	return CLI_OK;
}

int
cli_stop(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = carry_out(mem, cli, "stop", about_service(cli), &answer);

	if (status != CLI_OK)
		return status;
	if (cli->nargs == 1) {
		print_count("stopped", answer);
		return CLI_OK;
	}
	json_decref(answer);
	printf("stopped\n");
	return CLI_OK;
}
