/* SPDX-License-Identifier: MIT */
/* The program `baton`: everything but this line can be linked into tests. */
#include "supervisor/cli/cli.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
