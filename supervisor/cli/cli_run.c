/* SPDX-License-Identifier: MIT */
/* `baton run` and `baton check`: from a command line to a configuration to a supervisor. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/cli/cli.h"
#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/instance/preflight.h"
#include "supervisor/process/credentials.h"
#include "supervisor/process/spawn.h"
#include "supervisor/protocol.h"
#include "supervisor/upgrade/upgrade.h"

static int
print_errors(const struct config *c)
{
	unsigned kept = c->nerrors < CONFIG_ERRORS_MAX ? c->nerrors : CONFIG_ERRORS_MAX;

	for (unsigned i = 0; i < kept; i++)
		fprintf(stderr, "baton: %s\n", c->errors[i]);
	if (c->nerrors > kept)
		fprintf(stderr, "baton: … and %u more\n", c->nerrors - kept);
	return c->nerrors == 0 ? CLI_OK : CLI_USAGE;
}

static void
print_notes(const struct config *c, FILE *to, const char *before)
{
	for (size_t i = 0; i < talloc_array_length(c->notes); i++)
		fprintf(to, "%s%s\n", before, c->notes[i]);
}

/* A service's name from a program's: the part after the last slash, odd characters as '-'. */
static char *
name_of_program(TALLOC_CTX *mem, const char *program)
{
	const char *slash = strrchr(program, '/');
	char *name = talloc_strndup(mem, slash == NULL ? program : slash + 1, 32);

	for (char *p = name; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_')
			*p = '-';
	}
	return name[0] == '\0' ? talloc_strdup(mem, "service") : name;
}

/* The program's words are taken as they are: a shell has split them already. */
static void
take_command(struct service_config *s, char *const *args, int nargs)
{
	s->command = talloc_zero_array(s, char *, (unsigned)nargs + 1);
	for (int i = 0; i < nargs; i++)
		s->command[i] = talloc_strdup(s->command, args[i]);
	s->seen[key_index(key_find(KEY_SERVICE, "command"))] = 1;
}

static struct config *
config_from_arguments(TALLOC_CTX *mem, const struct cli *cli)
{
	struct config *c = config_new(mem, NULL);
	char *name =
	    cli->name != NULL ? talloc_strdup(c, cli->name) : name_of_program(c, cli->args[0]);
	struct service_config *s = config_service(c, name, 1, true);

	if (s == NULL) {
		config_error(
		    c, "--name: expected 1 to 32 letters, digits, '-' and '_', found \"%s\"", name);
		return c;
	}
	take_command(s, cli->args, cli->nargs);
	if (cli->instances != NULL)
		config_set(c, s, "--instances", 1, "instances", cli->instances);
	for (size_t i = 0; i < cli->nlistens; i++)
		config_set(c, s, "--listen", 1, "listen", cli->listens[i]);
	if (cli->ready != NULL)
		config_set(c, s, "--ready", 1, "ready", cli->ready);
	config_finish(c);
	return c;
}

/* NULL: no configuration was named, and none is in the places where it could be. */
static struct config *
config_from_file(TALLOC_CTX *mem, const struct cli *cli)
{
	const char *file = cli->config_file != NULL ? cli->config_file : config_default_file();

	if (file == NULL) {
		fprintf(stderr,
		    "baton: no configuration: there is neither %s nor %s; name one with "
		    "-c FILE, or run a program without any:\n"
		    "  baton run --instances 2 --listen 127.0.0.1:8080 -- PROGRAM ARGS…\n",
		    CONFIG_DEFAULT_HERE, CONFIG_DEFAULT_SYSTEM);
		return NULL;
	}
	return config_read(mem, file);
}

static struct config *
config_for_run(TALLOC_CTX *mem, const struct cli *cli)
{
	if (cli->nargs == 0 && (cli->instances != NULL || cli->nlistens > 0 || cli->name != NULL ||
				   cli->ready != NULL)) {
		fprintf(stderr,
		    "baton: --instances, --listen, --name and --ready are for a program named on "
		    "the command line; add: -- PROGRAM ARGS…\n");
		return NULL;
	}
	if (cli->nargs > 0 && cli->config_file != NULL) {
		fprintf(stderr,
		    "baton: -c FILE and a program exclude each other: the file says what "
		    "to run\n");
		return NULL;
	}
	return cli->nargs > 0 ? config_from_arguments(mem, cli) : config_from_file(mem, cli);
}

int
cli_check(TALLOC_CTX *mem, const struct cli *cli)
{
	struct config *c = config_from_file(mem, cli);
	struct control_where where;
	long instances = 0;
	int status;

	if (c == NULL)
		return CLI_USAGE;
	where = (struct control_where){.configured = c->control, .config_file = c->file};
	notes_crashes(c);
	preflight_check(c, c->control == NULL ? NULL : control_path(mem, &where, NULL));
	status = print_errors(c);
	for (size_t i = 0; i < c->nservices; i++)
		instances += c->services[i]->instances;
	if (status == CLI_OK) {
		notes_rollback(c);
		print_notes(c, stdout, "");
	}
	if (status == CLI_OK)
		printf("%s: good: %zu service%s, %ld instance%s\n", c->file, c->nservices,
		    c->nservices == 1 ? "" : "s", instances, instances == 1 ? "" : "s");
	return status;
}

/* What closed descriptors were replaced with must not look like failing disks while it runs. */
static void
open_standard_descriptors(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++) {
		int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

		if (mode == (fd == 0 ? O_WRONLY : O_RDONLY))
			dup2(null, fd);
	}
	if (null >= 0)
		close(null);
}

static char *
control_for_run(TALLOC_CTX *mem, const struct cli *cli, const struct config *c)
{
	const struct control_where where = {.option = cli->control,
	    .environment = getenv(BATON_ENV_CONTROL),
	    .configured = c->control,
	    .config_file = c->file};

	return control_path(mem, &where, NULL);
}

static const char *
how_to_reach(TALLOC_CTX *mem, const struct cli *cli, const struct config *c)
{
	if (cli->control != NULL)
		return talloc_asprintf(mem, " --control %s", cli->control);
	if (cli->config_file != NULL && c->control != NULL)
		return talloc_asprintf(mem, " -c %s", cli->config_file);
	return "";
}

/* Everything that can be missing or taken, before anything is started. */
static int
open_all(struct supervisor *sup, const char *control, TALLOC_CTX *mem, char **why)
{
	int error;

	manager_start(sup);
	manager_complain(sup);
	error = inherited_take(sup->all.sockets);
	if (error == 0)
		error = control_start(sup->control, control, mem, why);
	if (error == 0)
		error = sockets_open(sup->all.sockets, mem, why);
	for (size_t i = 0; error == 0 && i < sup->all.nservices; i++)
		error = logs_open_service(sup->all.services[i], mem, why);
	if (error == 0) {
		/* Owner and mode of Unix sockets that were given may be others by now. */
		if (inherited_report(sup->all.sockets) > 0)
			sockets_own(sup->all.sockets);
		store_update(sup->all.sockets);
	}
	return error;
}

int
cli_run(TALLOC_CTX *mem, const struct cli *cli)
{
	struct config *c = config_for_run(mem, cli);
	struct supervisor *sup;
	char *why = NULL;
	int error;

	if (c == NULL)
		return CLI_USAGE;
	preflight_start(c);
	if (print_errors(c) != CLI_OK)
		return CLI_USAGE;
	credentials_know_owners(c);
	notes_crashes(c);
	print_notes(c, stderr, "baton: ");
	open_standard_descriptors();
	spawn_raise_descriptor_limit();
	sup = supervisor_new(mem, c, cli->argv0);
	error = sup == NULL ? -ENOMEM : signals_start(sup);
	if (error == 0) {
		sup->how_to_reach = how_to_reach(mem, cli, c);
		sup->upgrade.argv = cli->argv;
		sup->upgrade.program = upgrade_program(sup, cli->argv0);
		upgrade_install(sup);
		error = open_all(sup, control_for_run(mem, cli, c), mem, &why);
	}
	if (error < 0) {
		fprintf(stderr, "baton: %s\n", why != NULL ? why : strerror(-error));
		talloc_free(sup);
		return CLI_FAILED;
	}
	error = supervisor_run(sup);
	talloc_free(sup);
	return error;
}
