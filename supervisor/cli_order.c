/* SPDX-License-Identifier: MIT */
/* The commands that a running supervisor answers: what they ask, and what they print. */
#include <stdlib.h>
#include <string.h>

#include "supervisor/cli.h"
#include "supervisor/supervisor.h"

/* An answer that comes at once takes no longer, unless something is very wrong. */
#define ANSWER_TIMEOUT_S 10

static const char *
string_of(const json_t *object, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL ? otherwise : s;
}

/* 0, or CLI_FAILED after the reason was printed, with the failed instance's last words. */
static int
verdict(const char *what, const json_t *answer)
{
	const json_t *lines = json_object_get(answer, "stderr");

	if (json_is_true(json_object_get(answer, "ok")))
		return CLI_OK;
	fprintf(
	    stderr, "baton: %s failed: %s\n", what, string_of(answer, "error", "no reason given"));
	if (json_array_size(lines) > 0)
		fprintf(stderr, "its last lines on stderr:\n");
	for (size_t i = 0; i < json_array_size(lines); i++)
		fprintf(stderr, "  %s | %s\n", string_of(answer, "instance", "?"),
		    json_string_value(json_array_get(lines, i)));
	return CLI_FAILED;
}

int
cli_status(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status =
	    cli_ask(mem, cli, json_pack("{s:s}", "command", "status"), ANSWER_TIMEOUT_S, &answer);

	if (status != CLI_OK)
		return status;
	status = verdict("status", answer);
	if (status == CLI_OK && cli->json) {
		json_object_del(answer, "type");
		json_object_del(answer, "ok");
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	} else if (status == CLI_OK) {
		cli_table(mem, answer, stdout);
	}
	json_decref(answer);
	return status;
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

int
cli_restart(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *request = json_pack("{s:s}", "command", "restart");
	json_t *answer;
	int status;

	if (cli->nargs == 1)
		json_object_set_new(request, "service", json_string(cli->args[0]));
	status = cli_ask(mem, cli, request, 0, &answer);
	if (status != CLI_OK)
		return status;
	status = verdict("restart", answer);
	if (status == CLI_OK) {
		json_int_t n = json_integer_value(json_object_get(answer, "restarted"));
		json_int_t ms = json_integer_value(json_object_get(answer, "duration_ms"));

		const json_t *d = json_object_get(answer, "connections");

		printf("restarted %lld instance%s in %s%s%s\n", (long long)n, n == 1 ? "" : "s",
		    report_duration(mem, ms), d == NULL ? "" : ": ",
		    d == NULL ? "" : drained(mem, d));
	}
	json_decref(answer);
	return status;
}

/* A request about a service, whose answer is worth waiting for. */
static int
order(TALLOC_CTX *mem, const struct cli *cli, const char *command, json_t *request, json_t **answer)
{
	int status;

	json_object_set_new(request, "command", json_string(command));
	status = cli_ask(mem, cli, request, 0, answer);
	if (status != CLI_OK)
		return status;
	status = verdict(command, *answer);
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

static void
print_count(const char *what, json_t *answer)
{
	json_int_t n = json_integer_value(json_object_get(answer, "instances"));

	printf("%s %lld instance%s\n", what, (long long)n, n == 1 ? "" : "s");
	json_decref(answer);
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
	status = order(mem, cli, "start", about_service(cli), &answer);
	if (status == CLI_OK)
		print_count("started", answer);
	return status;
}

int
cli_reset(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = order(mem, cli, "reset", about_service(cli), &answer);

	if (status == CLI_OK)
		print_count("reset", answer);
	return status;
}

int
cli_reload(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = order(mem, cli, "reload", json_object(), &answer);

	if (status != CLI_OK)
		return status;
	json_decref(answer);
	printf("reloaded\n");
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
	status = order(mem, cli, "scale",
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
	int status = order(mem, cli, "stop", about_service(cli), &answer);

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
