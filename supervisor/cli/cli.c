/* SPDX-License-Identifier: MIT */
/* Two tables, of commands and of options: a command line is parsed by them, and help made of them. */
#include "supervisor/cli/cli.h"

#include <getopt.h>
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/config/words.h"
#include "supervisor/upgrade/upgrade.h"

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
	FOR_RELOAD = 512,
	FOR_EVENTS = 1 << 10,
	FOR_LOGS = 1 << 11,
	FOR_CONTINUE = 1 << 13,
	FOR_ROLLBACK = 1 << 14,
	FOR_UPGRADE = 1 << 15,
};
#define FOR_CLIENTS                                                                             \
	(FOR_STATUS | FOR_RESTART | FOR_STOP | FOR_START | FOR_RESET | FOR_SCALE | FOR_RELOAD | \
	    FOR_EVENTS | FOR_LOGS | FOR_CONTINUE | FOR_ROLLBACK | FOR_UPGRADE)
#define FOR_ALL (~0U)

struct command {
	const char *name;
	unsigned bit;
	int max_args; /* beside options; -1: any number, and options end at the first */
	const char *usage, *text;
	int (*run)(TALLOC_CTX *mem, const struct cli *cli);
};

struct option_row {
	const char *name;
	const char *argument; /* NULL: it takes none */
	const char *text;
	int letter;        /* a short form, too, if it is one of SHORT_FORMS */
	unsigned commands; /* which take it */
};

#define SHORT_FORMS "cfhn"

static int help(TALLOC_CTX *mem, const struct cli *cli);

static const struct command commands[] = {
    {"run", FOR_RUN, -1,
	"[-c FILE] | [--instances N] [--listen ADDRESS]… [--ready HOW] [--] PROGRAM [ARGS…]",
	"start everything, and keep it running in the foreground", cli_run},
    {"check", FOR_CHECK, 0, "[-c FILE]", "read the configuration and say what is wrong with it",
	cli_check},
    {"status", FOR_STATUS, 0, "[--json] [--watch] [--color WHEN]", "show every instance",
	cli_status},
    {"restart", FOR_RESTART, 1, "[--canary] [--now] [SERVICE]",
	"replace the instances one by one; stop at the first that fails", cli_restart},
    {"continue", FOR_CONTINUE, 1, "[SERVICE]", "let a restart go on that pauses after its canary",
	cli_continue},
    {"rollback", FOR_ROLLBACK, 1, "[SERVICE]",
	"go back to what has proved good before, instance by instance", cli_rollback},
    {"start", FOR_START, 1, "SERVICE", "start what was stopped", cli_start},
    {"stop", FOR_STOP, 1, "[SERVICE]", "end one service, or everything, in good order", cli_stop},
    {"reset", FOR_RESET, 1, "[SERVICE]", "start what has failed; its crashes are forgotten",
	cli_reset},
    {"reload", FOR_RELOAD, 0, "", "read the configuration anew, and apply the difference",
	cli_reload},
    {"scale", FOR_SCALE, 1, "SERVICE=N", "change the number of instances", cli_scale},
    {"upgrade", FOR_UPGRADE, 0, "", "replace baton's own program; the instances do not notice",
	cli_upgrade},
    {"events", FOR_EVENTS, 1, "[--json] [-n N] [--no-follow] [SERVICE]",
	"the last things that have happened, and what happens from now on", cli_events},
    {"logs", FOR_LOGS, 1, "[-n N] [-f] [SERVICE]",
	"the last lines that instances have written; -f: and further ones", cli_logs},
    {"help", FOR_HELP, 2, "[COMMAND | config [KEY]]",
	"this text; `help config`: every configuration key", help},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option_row options[] = {
    {"config", "FILE",
	"the configuration; else " CONFIG_DEFAULT_HERE ", then " CONFIG_DEFAULT_SYSTEM, 'c',
	FOR_RUN | FOR_CHECK | FOR_CLIENTS},
    {"control", "PATH", "the control socket", 'C', FOR_RUN | FOR_CLIENTS},
    {"instances", "N", "how many instances of PROGRAM (1)", 'I', FOR_RUN},
    {"listen", "ADDRESS", ADDRESS_FORMS "; instance n gets PORT + n; may be repeated", 'l',
	FOR_RUN},
    {"name", "NAME", "the service's name; else PROGRAM's", 'N', FOR_RUN},
    {"ready", "HOW",
	"how it shows that it is ready: notify (READY=1, unless this is given), fd, fd:N, http:/PATH, "
	"delay:Ns, or none",
	'r', FOR_RUN},
    {"canary", NULL, "pause after the first instance of each service", 'k', FOR_RESTART},
    {"now", NULL, "do not let old processes drain: kill them when their successors are ready", 'W',
	FOR_RESTART},
    {"json", NULL, "JSON, for programs", 'j', FOR_STATUS | FOR_EVENTS},
    {"watch", NULL, "show it again each second", 'w', FOR_STATUS},
    {"color", "WHEN", "colours: always, never, or auto: on a terminal, without $NO_COLOR", 'K',
	FOR_STATUS},
    {"lines", "N", "how many of the last ones, or all (10)", 'n', FOR_EVENTS | FOR_LOGS},
    {"follow", NULL, "and what comes after them", 'f', FOR_LOGS},
    {"no-follow", NULL, "only those that have happened", 'F', FOR_EVENTS},
    {"help", NULL, "what the command does, and its options", 'h', FOR_ALL},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static void
print_key(TALLOC_CTX *mem, const struct key *k)
{
	static const char *const changes[] = {
	    [KEY_NOW] = "A reload changes it at once.",
	    [KEY_BY_RESTART] = "A reload changes it by new processes.",
	    [KEY_NEVER] = "It cannot be changed while baton runs.",
	};

	printf("  %s = %s\n      %s\n", k->name, key_expected(mem, k), k->text);
	if (k->required)
		printf("      It must be set.\n");
	else if (k->text_default != NULL)
		printf("      Default: %s%s%s\n", k->text_default, k->unit[0] == '\0' ? "" : " ",
		    k->unit);
	printf("      %s\n", changes[k->change]);
}

/* One key, or with NULL all of them. */
static int
help_config(TALLOC_CTX *mem, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (name != NULL && key_find(k->section, name) != k)
			continue;
		if (name == NULL && (i == 0 || keys[i - 1].section != k->section))
			printf("%s%s\n", i == 0 ? "" : "\n",
			    k->section == KEY_SUPERVISOR ? "[supervisor]" : "[service NAME]");
		print_key(mem, k);
		found = true;
	}
	if (found)
		return CLI_OK;
	fprintf(
	    stderr, "baton: help: unknown key \"%s\"; `baton help config` lists them all\n", name);
	return CLI_USAGE;
}

static void
print_option(const struct option_row *o)
{
	char brief[] = "-?, ";

	brief[1] = (char)o->letter;
	printf("  %s--%s%s%s\n      %s\n", strchr(SHORT_FORMS, o->letter) != NULL ? brief : "",
	    o->name, o->argument == NULL ? "" : " ", o->argument == NULL ? "" : o->argument,
	    o->text);
}

static void
print_end(void)
{
	printf(
	    "\nexit status: 0 done; 1 it failed; 2 wrong usage or configuration; 3 no supervisor "
	    "answers.\nMore: man baton, man baton.conf\n");
}

static void
help_command(const struct command *command)
{
	printf("usage: baton %s %s\n\n  %s\n\noptions:\n", command->name, command->usage,
	    command->text);
	for (size_t i = 0; i < NOPTIONS; i++) {
		if ((options[i].commands & command->bit) != 0)
			print_option(&options[i]);
	}
	print_end();
}

static void
help_all(void)
{
	printf(
	    "baton keeps the instances of programs running, and replaces them without a gap.\n\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  baton %s %s\n      %s\n", commands[i].name, commands[i].usage,
		    commands[i].text);
	printf("\noptions:\n");
	for (size_t i = 0; i < NOPTIONS; i++)
		print_option(&options[i]);
	print_end();
}

static int
help(TALLOC_CTX *mem, const struct cli *cli)
{
	if (cli->nargs == 0) {
		help_all();
		return CLI_OK;
	}
	if (strcmp(cli->args[0], "config") == 0)
		return help_config(mem, cli->nargs > 1 ? cli->args[1] : NULL);
	if (cli->nargs > 1) {
		fprintf(stderr, "baton: help: unexpected \"%s\"; only config has further topics\n",
		    cli->args[1]);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(cli->args[0], commands[i].name) == 0) {
			help_command(&commands[i]);
			return CLI_OK;
		}
	}
	fprintf(stderr, "baton: help: unknown topic \"%s\"; there is: config, and every command\n",
	    cli->args[0]);
	return CLI_USAGE;
}

/* Of the names that are as near as a mistake in typing, the nearest. */
static const char *
nearest(const char *name, const char *candidate, const char *best)
{
	unsigned d = words_distance(name, candidate);

	if (d > 2 || d >= strlen(candidate))
		return best;
	return best == NULL || d < words_distance(name, best) ? candidate : best;
}

static const struct command *
find_command(const char *name)
{
	const char *near = NULL;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		near = nearest(name, commands[i].name, near);
	}
	fprintf(stderr, "baton: unknown command \"%s\"; ", name);
	if (near != NULL)
		fprintf(stderr, "did you mean \"%s\"?\n", near);
	else
		fprintf(stderr, "`baton help` lists them\n");
	return NULL;
}

static int
wrong_option(const struct command *command, const char *word, bool no_value)
{
	const char *near = NULL;
	char name[64] = "";

	if (strncmp(word, "--", 2) == 0)
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; !no_value && i < NOPTIONS; i++) {
		if ((options[i].commands & command->bit) != 0)
			near = nearest(name, options[i].name, near);
	}
	fprintf(stderr, "baton: %s: %s %s%s%s%s; usage: baton %s %s\n", command->name, word,
	    no_value ? "needs a value" : "is no option of it",
	    near == NULL ? "" : "; did you mean --", near == NULL ? "" : near,
	    near == NULL ? "" : "?", command->name, command->usage);
	return CLI_USAGE;
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
	case 'I':
		cli->instances = value;
		break;
	case 'N':
		cli->name = value;
		break;
	case 'r':
		cli->ready = value;
		break;
	case 'j':
		cli->json = true;
		break;
	case 'w':
		cli->watch = true;
		break;
	case 'K':
		cli->color = value;
		break;
	case 'n':
		cli->lines = value;
		break;
	case 'f':
		cli->follow = true;
		break;
	case 'F':
		cli->no_follow = true;
		break;
	case 'h':
		cli->help = true;
		break;
	case 'k':
		cli->canary = true;
		break;
	case 'W':
		cli->now = true;
		break;
	case 'l':
		cli->listens =
		    talloc_realloc(mem, cli->listens, const char *, (unsigned)cli->nlistens + 1);
		cli->listens[cli->nlistens++] = value;
		break;
	}
}

/* What getopt_long is to know of the options that COMMAND takes. */
static void
list_options(const struct command *command, struct option *longs, char *shorts)
{
	/* A program's own options are not ours: for `run`, options end at the first word. */
	shorts += sprintf(shorts, command->max_args < 0 ? "+:" : ":");
	for (size_t i = 0; i < NOPTIONS; i++) {
		const struct option_row *o = &options[i];

		if ((o->commands & command->bit) == 0)
			continue;
		*longs++ = (struct option){
		    .name = o->name, .has_arg = o->argument != NULL, .val = o->letter};
		if (strchr(SHORT_FORMS, o->letter) != NULL)
			shorts +=
			    sprintf(shorts, "%c%s", o->letter, o->argument != NULL ? ":" : "");
	}
}

/* Whether WORD can stand in JSON, in which it is asked for. */
static bool
is_text(const char *word)
{
	json_t *text = json_string(word);
	bool is = text != NULL;

	json_decref(text);
	return is;
}

/* ARGV[0] is the command's name. */
static int
parse_options(
    TALLOC_CTX *mem, const struct command *command, struct cli *cli, int argc, char **argv)
{
	struct option longs[NOPTIONS + 1] = {{.name = NULL}};
	char shorts[2 * NOPTIONS + 3];
	int letter;

	list_options(command, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (NO_SUCH_OPTION(letter))
			return wrong_option(command, argv[optind - 1], letter == ':');
		set_option(mem, cli, letter, optarg);
	}
	cli->args = argv + optind;
	cli->nargs = argc - optind;
	if (!cli->help && command->max_args >= 0 && cli->nargs > command->max_args) {
		fprintf(stderr, "baton: %s: unexpected \"%s\"; usage: baton %s %s\n", command->name,
		    cli->args[command->max_args], command->name, command->usage);
		return CLI_USAGE;
	}
	for (int i = 0; command->max_args >= 0 && i < cli->nargs; i++) {
		if (is_text(cli->args[i]))
			continue;
		fprintf(stderr, "baton: %s: expected UTF-8, found \"%s\"\n", command->name,
		    cli->args[i]);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int
run_command(TALLOC_CTX *mem, const struct command *command, const struct cli *cli)
{
	if (!cli->help)
		return command->run(mem, cli);
	help_command(command);
	return CLI_OK;
}

/* Does what the command line asks for. */
static int
obey(int argc, char **argv)
{
	struct cli cli = {.argv0 = argc > 0 ? argv[0] : "baton", .argv = argv};
	const struct command *command;
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
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_all();
		return CLI_OK;
	}
	command = find_command(argv[1]);
	if (command == NULL)
		return CLI_USAGE;
	mem = talloc_new(NULL);
	status = parse_options(mem, command, &cli, argc - 1, argv + 1);
	if (status == CLI_OK)
		status = run_command(mem, command, &cli);
	talloc_free(mem);
	return status;
}

int
cli_main(int argc, char **argv)
{
	struct upgrade_inherited inherited;

	if (upgrade_inherited(&inherited))
		return upgrade_resume_main(&inherited, argv);
	if (argc == 2 && strcmp(argv[1], UPGRADE_CHECK) == 0)
		return upgrade_check_main();
	cli_occupy_descriptors();
	return cli_end_output(obey(argc, argv));
}
