/* SPDX-License-Identifier: MIT */
/* What `baton help` prints, from the tables of commands, options and configuration keys. */
#include <string.h>

#include "supervisor/cli/cli.h"
#include "supervisor/config/config.h"

void
cli_help_config(void)
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

static void
print_option(const struct cli_option *o)
{
	char brief[] = "-?, ";

	brief[1] = (char)o->letter;
	printf("  %s--%s%s%s\n      %s\n", strchr(CLI_SHORT_FORMS, o->letter) != NULL ? brief : "",
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

void
cli_help_command(const struct cli_command *command)
{
	printf("usage: baton %s %s\n\n  %s\n\noptions:\n", command->name, command->usage,
	    command->text);
	for (size_t i = 0; i < cli_noptions; i++) {
		if ((cli_options[i].commands & command->bit) != 0)
			print_option(&cli_options[i]);
	}
	print_end();
}

void
cli_help_all(void)
{
	printf(
	    "baton keeps the instances of programs running, and replaces them without a gap.\n\n");
	for (size_t i = 0; i < cli_ncommands; i++)
		printf("  baton %s %s\n      %s\n", cli_commands[i].name, cli_commands[i].usage,
		    cli_commands[i].text);
	printf("\noptions:\n");
	for (size_t i = 0; i < cli_noptions; i++)
		print_option(&cli_options[i]);
	print_end();
}
