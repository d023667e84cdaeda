/* SPDX-License-Identifier: MIT */
/* The commands that a running supervisor answers: find its control socket, ask, print. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/cli.h"
#include "supervisor/config.h"
#include "supervisor/control.h"
#include "supervisor/protocol.h"
#include "supervisor/supervisor.h"

/* An answer that comes at once takes no longer, unless something is very wrong. */
#define ANSWER_TIMEOUT_S 10

/* Why no supervisor was reached, and every place that the rule names. */
static void
say_not_found(const struct control_where *where, const char *path, const char *source, int error)
{
	fprintf(
	    stderr, "baton: no supervisor answers on %s (%s): %s\n", path, source, strerror(error));
	fprintf(stderr,
	    "  looked, in this order, at: --control (%s), $%s (%s), \"control\" in %s (%s), "
	    "the default\n  Is `baton run` running, as this user?\n",
	    where->option != NULL ? "given" : "not given", BATON_ENV_CONTROL,
	    where->environment != NULL ? "set" : "not set",
	    where->config_file != NULL ? where->config_file
				       : CONFIG_DEFAULT_HERE " and " CONFIG_DEFAULT_SYSTEM,
	    where->config_file == NULL  ? "no such file"
	    : where->configured == NULL ? "not set"
					: "set");
}

/* Only the control key counts here: a file that is being edited must not stop a `baton stop`. */
static int
read_configured(TALLOC_CTX *mem, const struct cli *cli, struct control_where *where)
{
	const struct config *c;

	where->config_file = cli->config_file != NULL ? cli->config_file : config_default_file();
	if (where->config_file == NULL)
		return CLI_OK;
	if (access(where->config_file, R_OK) < 0 && strcmp(where->config_file, "-") != 0) {
		fprintf(
		    stderr, "baton: %s: cannot be read: %s\n", where->config_file, strerror(errno));
		return CLI_USAGE;
	}
	c = config_read(mem, where->config_file);
	where->configured = c == NULL ? NULL : c->control;
	return CLI_OK;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	memcpy(un.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static int
open_control(TALLOC_CTX *mem, const struct cli *cli, int *fd)
{
	struct control_where where = {
	    .option = cli->control, .environment = getenv(BATON_ENV_CONTROL)};
	const char *source;
	char *path;
	int status = read_configured(mem, cli, &where);

	if (status != CLI_OK)
		return status;
	path = control_path(mem, &where, &source);
	*fd = connect_to(path);
	if (*fd >= 0)
		return CLI_OK;
	say_not_found(&where, path, source, -*fd);
	return CLI_NO_SUPERVISOR;
}

static int
send_request(int fd, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;

	json_decref(request);
	if (text == NULL)
		return -ENOMEM;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the terminator */
	while (done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR) {
			free(text);
			return -errno;
		}
		done += n < 0 ? 0 : (size_t)n;
	}
	free(text);
	return 0;
}

/* Prints progress as it comes; returns the result, or NULL when there was none. */
static json_t *
read_answer(FILE *from)
{
	char *line = NULL;
	size_t size = 0;
	json_t *answer = NULL;

	while (getline(&line, &size, from) > 0) {
		const char *type, *text;

		answer = json_loads(line, 0, NULL);
		type = json_string_value(json_object_get(answer, "type"));
		if (type != NULL && strcmp(type, "result") == 0)
			break;
		text = json_string_value(json_object_get(answer, "text"));
		if (text != NULL) {
			printf("%s\n", text);
			fflush(stdout);
		}
		json_decref(answer);
		answer = NULL;
	}
	free(line);
	return answer;
}

static int
ask(TALLOC_CTX *mem, const struct cli *cli, json_t *request, int timeout_s, json_t **answer)
{
	const struct timeval limit = {.tv_sec = timeout_s};
	FILE *from;
	int fd, status = open_control(mem, cli, &fd);

	if (status != CLI_OK) {
		json_decref(request);
		return status;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* If it refuses us it may have closed already: the reason is there to be read. */
	send_request(fd, request);
	from = fdopen(fd, "r");
	*answer = from == NULL ? NULL : read_answer(from);
	if (*answer == NULL)
		fprintf(stderr, "baton: the supervisor %s\n",
		    from != NULL && ferror(from) ? "does not answer"
						 : "went away without an answer");
	if (from != NULL)
		fclose(from);
	else
		close(fd);
	return *answer == NULL ? CLI_NO_SUPERVISOR : CLI_OK;
}

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
	    ask(mem, cli, json_pack("{s:s}", "command", "status"), ANSWER_TIMEOUT_S, &answer);

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
	status = ask(mem, cli, request, 0, &answer);
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

int
cli_stop(TALLOC_CTX *mem, const struct cli *cli)
{
	json_t *answer;
	int status = ask(mem, cli, json_pack("{s:s}", "command", "stop"), 0, &answer);

	if (status != CLI_OK)
		return status;
	status = verdict("stop", answer);
	if (status == CLI_OK)
		printf("stopped\n");
	json_decref(answer);
	return status;
}
