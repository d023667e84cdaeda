/* SPDX-License-Identifier: MIT */
/* Two tables, of commands and of options, from which parsing, `help` and errors are made. */
#include "supervisor/cli.h"

#include <getopt.h>
#include <string.h>

#include "supervisor/config.h"

#define NO_SUCH_OPTION(c) ((c) == '?' || (c) == ':')

enum {
	FOR_RUN = 1,
	FOR_CHECK = 2,
	FOR_STATUS = 4,
	FOR_RESTART = 8,
	FOR_STOP = 16,
	FOR_HELP = 32,
	FOR_START = 64,
	FOR_RESET = 128,
	FOR_SCALE = 256,
	FOR_RELOAD = 512
};
#define FOR_CLIENTS \
	(FOR_STATUS | FOR_RESTART | FOR_STOP | FOR_START | FOR_RESET | FOR_SCALE | FOR_RELOAD)

struct cli_command {
	const char *name;
	unsigned bit;
	int max_args; /* beside options; -1: any number, and options end at the first */
	const char *usage, *text;
	int (*run)(TALLOC_CTX *mem, const struct cli *cli);
};

static int cli_help(TALLOC_CTX *mem, const struct cli *cli);

static const struct cli_command commands[] = {
    {"run", FOR_RUN, -1, "[-c FILE] | [--instances N] [--listen ADDRESS]… [--] PROGRAM [ARGS…]",
	"start everything, and keep it running in the foreground", cli_run},
    {"check", FOR_CHECK, 0, "[-c FILE]", "read the configuration and say what is wrong with it",
	cli_check},
    {"status", FOR_STATUS, 0, "[--json]", "show every instance", cli_status},
    {"restart", FOR_RESTART, 1, "[SERVICE]",
	"replace the instances one by one; stop at the first that fails", cli_restart},
    {"start", FOR_START, 1, "SERVICE", "start what was stopped", cli_start},
    {"stop", FOR_STOP, 1, "[SERVICE]", "end one service, or everything, in good order", cli_stop},
    {"reset", FOR_RESET, 1, "[SERVICE]", "start what has failed; its crashes are forgotten",
	cli_reset},
    {"reload", FOR_RELOAD, 0, "", "read the configuration anew, and apply the difference",
	cli_reload},
    {"scale", FOR_SCALE, 1, "SERVICE=N", "change the number of instances", cli_scale},
    {"help", FOR_HELP, 1, "[config]", "this text; `help config`: every configuration key",
	cli_help},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

struct cli_option {
	const char *name;
	const char *argument; /* NULL: it takes none */
	const char *text;
	int letter;
	unsigned commands; /* which take it */
};

static const struct cli_option options[] = {
    {"config", "FILE",
	"the configuration; else " CONFIG_DEFAULT_HERE ", then " CONFIG_DEFAULT_SYSTEM, 'c',
	FOR_RUN | FOR_CHECK | FOR_CLIENTS},
    {"control", "PATH", "the control socket", 'C', FOR_RUN | FOR_CLIENTS},
    {"instances", "N", "how many instances of PROGRAM (1)", 'n', FOR_RUN},
    {"listen", "ADDRESS", ADDRESS_FORMS "; instance n gets PORT + n; may be repeated", 'l',
	FOR_RUN},
    {"name", "NAME", "the service's name; else PROGRAM's", 'N', FOR_RUN},
    {"json", NULL, "JSON, for programs", 'j', FOR_STATUS},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static void
help_config(void)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (i == 0 || keys[i - 1].section != k->section)
			printf("%s%s\n", i == 0 ? "" : "\n",
			    k->section == KEY_SUPERVISOR ? "[supervisor]" : "[service NAME]");
		printf("  %s = %s\n      %s\n", k->name, key_expected(tmp, k), k->text);
		if (k->required)
			printf("      It must be set.\n");
		else if (k->text_default != NULL)
			printf("      Default: %s%s%s\n", k->text_default,
			    k->unit[0] == '\0' ? "" : " ", k->unit);
	}
	talloc_free(tmp);
}

static int
cli_help(TALLOC_CTX *mem, const struct cli *cli)
{
	(void)mem;
	if (cli->nargs == 1 && strcmp(cli->args[0], "config") == 0) {
		help_config();
		return CLI_OK;
	}
	if (cli->nargs == 1) {
		fprintf(
		    stderr, "baton: help: unknown topic \"%s\"; there is: config\n", cli->args[0]);
		return CLI_USAGE;
	}
	printf(
	    "baton keeps the instances of programs running, and replaces them without a gap.\n\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  baton %s %s\n      %s\n", commands[i].name, commands[i].usage,
		    commands[i].text);
	printf("\noptions:\n");
	for (size_t i = 0; i < NOPTIONS; i++)
		printf("  %s--%s%s%s\n      %s\n", options[i].letter == 'c' ? "-c, " : "",
		    options[i].name, options[i].argument == NULL ? "" : " ",
		    options[i].argument == NULL ? "" : options[i].argument, options[i].text);
	printf(
	    "\nexit status: 0 done; 1 it failed; 2 wrong usage or configuration; 3 no supervisor "
	    "answers.\nMore: man baton, man baton.conf\n");
	return CLI_OK;
}

static const struct cli_command *
find_command(const char *name)
{
	const struct cli_command *near = NULL;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		if (key_distance(commands[i].name, name) <= 2)
			near = &commands[i];
	}
	fprintf(stderr, "baton: unknown command \"%s\"; ", name);
	if (near != NULL)
		fprintf(stderr, "did you mean \"%s\"?\n", near->name);
	else
		fprintf(stderr, "`baton help` lists them\n");
	return NULL;
}

static void
set_option(TALLOC_CTX *mem, struct cli *cli, int letter, const char *value)
{
	switch (letter) {
	case 'c':
		cli->config_file = value;
		break;
	case 'C':
		cli->control = value;
		break;
	case 'n':
		cli->instances = value;
		break;
	case 'N':
		cli->name = value;
		break;
	case 'j':
		cli->json = true;
		break;
	case 'l':
		cli->listens =
		    talloc_realloc(mem, cli->listens, const char *, (unsigned)cli->nlistens + 1);
		cli->listens[cli->nlistens++] = value;
		break;
	}
}

/* ARGV[0] is the command's name. */
static int
parse_options(
    TALLOC_CTX *mem, const struct cli_command *command, struct cli *cli, int argc, char **argv)
{
	struct option longs[NOPTIONS + 1] = {{.name = NULL}};
	size_t n = 0;
	int letter;

	for (size_t i = 0; i < NOPTIONS; i++) {
		if ((options[i].commands & command->bit) != 0)
			longs[n++] = (struct option){.name = options[i].name,
			    .has_arg = options[i].argument != NULL,
			    .val = options[i].letter};
	}
	opterr = 0;
	optind = 1;
	/* A program's own options are not ours: for `run`, options end at the first word. */
	while ((letter = getopt_long(
		    argc, argv, command->max_args < 0 ? "+:c:" : ":c:", longs, NULL)) != -1) {
		if (NO_SUCH_OPTION(letter) || (letter == 'c' && command->bit == FOR_HELP)) {
			fprintf(stderr, "baton: %s: %s %s; usage: baton %s %s\n", command->name,
			    argv[optind - 1],
			    letter == ':' ? "needs a value" : "is no option of it", command->name,
			    command->usage);
			return CLI_USAGE;
		}
		set_option(mem, cli, letter, optarg);
	}
	cli->args = argv + optind;
	cli->nargs = argc - optind;
	if (command->max_args >= 0 && cli->nargs > command->max_args) {
		fprintf(stderr, "baton: %s: unexpected \"%s\"; usage: baton %s %s\n", command->name,
		    cli->args[command->max_args], command->name, command->usage);
		return CLI_USAGE;
	}
	return CLI_OK;
}

int
cli_main(int argc, char **argv)
{
	struct cli cli = {.argv0 = argc > 0 ? argv[0] : "baton"};
	const struct cli_command *command;
	TALLOC_CTX *mem;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: baton COMMAND …; `baton help` lists the commands\n");
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("baton %s\n", BATON_VERSION);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cli_help(NULL, &cli);
	command = find_command(argv[1]);
	if (command == NULL)
		return CLI_USAGE;
	mem = talloc_new(NULL);
	status = parse_options(mem, command, &cli, argc - 1, argv + 1);
	if (status == CLI_OK)
		status = command->run(mem, &cli);
	talloc_free(mem);
	return status;
}
