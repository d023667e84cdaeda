/* SPDX-License-Identifier: MIT */
/* `baton events` and `baton logs`: what was kept, and then what comes, until Ctrl-C. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/base/utf8.h"
#include "supervisor/cli/cli.h"

/* The first answer takes no longer, unless something is very wrong. */
#define ANSWER_TIMEOUT_S 10

/* "2026-11-21 10:15:33.123", in local time. */
static void
print_time(json_int_t unix_ms)
{
	const time_t seconds = (time_t)(unix_ms / 1000);
	char text[64] = "?";
	struct tm tm;

	if (localtime_r(&seconds, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03d", text, (int)(unix_ms % 1000));
}

static void
print_event(const json_t *event, const struct cli *cli)
{
	const char *service = cli_string(event, "service", "baton");
	json_t *copy;

	if (cli->json) {
		copy = json_copy((json_t *)event);
		json_object_del(copy, "type");
		json_dumpf(copy, stdout, JSON_COMPACT);
		json_decref(copy);
		printf("\n");
		return;
	}
	print_time(json_integer_value(json_object_get(event, "time_unix_ms")));
	printf("  %-12s  %-13s  %s\n", cli_string(event, "instance", service),
	    cli_string(event, "event", ""), cli_string(event, "text", ""));
}

/* As the instance wrote it; but a terminal does not get to see what could change its state. */
static void
print_text(const json_t *text, bool terminal)
{
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);

	if (!terminal) {
		fwrite(s, 1, len, stdout);
		return;
	}
	while (len > 0) {
		size_t n = utf8_character(s, len);

		if (n > 0)
			fwrite(s, 1, n, stdout);
		else
			putchar(*s == '\t' ? '\t' : '?');
		s += n == 0 ? 1 : n;
		len -= n == 0 ? 1 : n;
	}
}

static void
print_lines(const json_t *message)
{
	const json_t *lines = json_object_get(message, "lines"), *line;
	const bool terminal = isatty(1) == 1;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		printf("%s | ", cli_string(line, "instance", ""));
		print_text(json_object_get(line, "text"), terminal);
		putchar('\n');
	}
}

static void
print_message(const json_t *message, const struct cli *cli)
{
	if (cli_is(message, "event"))
		print_event(message, cli);
	else if (cli_is(message, "lines"))
		print_lines(message);
	else if (cli_is(message, "missed"))
		fprintf(stderr, "baton: %lld lines were dropped here: they came too fast\n",
		    (long long)json_integer_value(json_object_get(message, "lines")));
}

/* -n: how many, or "all". Negative: that is no number. */
static long
lines_wanted(const struct cli *cli, const char *command)
{
	char *end;
	long n;

	if (cli->lines == NULL)
		return 10;
	if (strcmp(cli->lines, "all") == 0)
		return INT_MAX;
	n = strtol(cli->lines, &end, 10);
	if (end != cli->lines && *end == '\0' && n >= 0 && n <= INT_MAX)
		return n;
	fprintf(stderr, "baton: %s: -n: expected a number or \"all\", found \"%s\"\n", command,
	    cli->lines);
	return -1;
}

static int
follow(TALLOC_CTX *mem, const struct cli *cli, const char *command, bool on)
{
	long n = lines_wanted(cli, command);
	json_t *request, *message = NULL;
	bool writes = true;
	FILE *talk;
	int status;

	if (n < 0)
		return CLI_USAGE;
	status = cli_connect(mem, cli, on ? 0 : ANSWER_TIMEOUT_S, &talk);
	if (status != CLI_OK)
		return status;
	request = json_pack(
	    "{s:s s:I s:b}", "command", command, "lines", (json_int_t)n, "follow", (int)on);
	if (cli->nargs == 1)
		json_object_set_new(request, "service", json_string(cli->args[0]));
	cli_send(talk, request);
	if (on)
		cli_watch_reader(talk);
	while (writes && (message = cli_receive(talk)) != NULL && !cli_is(message, "result")) {
		print_message(message, cli);
		json_decref(message);
		writes = cli_flush(); /* if not, there is no sense in more of it */
	}
	if (writes && !cli_reader_gone()) {
		status = message == NULL ? cli_no_answer(talk) : cli_verdict(command, message);
		json_decref(message);
	}
	if (!on) /* else somebody may watch, until the program ends */
		fclose(talk);
	return status;
}

int
cli_events(TALLOC_CTX *mem, const struct cli *cli)
{
	return follow(mem, cli, "events", !cli->no_follow);
}

int
cli_logs(TALLOC_CTX *mem, const struct cli *cli)
{
	return follow(mem, cli, "logs", cli->follow);
}
