/* SPDX-License-Identifier: MIT */
/* Talking to a running supervisor: find its control socket, ask, read the answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"
#include "supervisor/config/config.h"
#include "supervisor/control/control.h"
#include "supervisor/protocol.h"

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

bool
cli_send(FILE *to, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len, done = 0;

	json_decref(request);
	if (text == NULL)
		return false;
	len = strlen(text);
	text[len++] = '\n'; /* in place of the terminator */
	while (done < len) {
		ssize_t n = send(fileno(to), text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			break;
		done += n < 0 ? 0 : (size_t)n;
	}
	free(text);
	return done == len;
}

json_t *
cli_receive(FILE *from)
{
	char *line = NULL;
	size_t size = 0;
	json_t *message = NULL;

	/* Lines of output may have any character, NUL as well. */
	if (getline(&line, &size, from) > 0)
		message = json_loads(line, JSON_ALLOW_NUL, NULL);
	free(line);
	return message;
}

const char *
cli_string(const json_t *object, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s == NULL ? otherwise : s;
}

bool
cli_is(const json_t *message, const char *type)
{
	return strcmp(cli_string(message, "type", ""), type) == 0;
}

int
cli_no_answer(FILE *from)
{
	fprintf(stderr, "baton: the supervisor %s\n",
	    ferror(from) ? "does not answer" : "went away without an answer");
	return CLI_NO_SUPERVISOR;
}

int
cli_connect(TALLOC_CTX *mem, const struct cli *cli, int timeout_s, FILE **talk)
{
	const struct timeval limit = {.tv_sec = timeout_s};
	int fd, status = open_control(mem, cli, &fd);

	if (status != CLI_OK)
		return status;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	*talk = fdopen(fd, "r");
	if (*talk != NULL)
		return CLI_OK;
	fprintf(stderr, "baton: %s\n", strerror(errno));
	close(fd);
	return CLI_FAILED;
}

int
cli_ask(TALLOC_CTX *mem, const struct cli *cli, json_t *request, int timeout_s, json_t **answer)
{
	FILE *talk;
	int status = cli_connect(mem, cli, timeout_s, &talk);

	if (status != CLI_OK) {
		json_decref(request);
		return status;
	}
	/* If it refuses us it may have closed already: the reason is there to be read. */
	cli_send(talk, request);
	while ((*answer = cli_receive(talk)) != NULL && !cli_is(*answer, "result")) {
		const char *text = json_string_value(json_object_get(*answer, "text"));

		if (text != NULL) {
			printf("%s\n", text);
			cli_flush(); /* whether or not: the answer counts */
		}
		json_decref(*answer);
	}
	if (*answer == NULL)
		status = cli_no_answer(talk);
	fclose(talk);
	return status;
}
