/* SPDX-License-Identifier: MIT */
/* The limit of crashes as it is without a word about it in the configuration. */
#include "tests/harness/baton.h"

#include <signal.h>

/* It takes 12.7 seconds, which are the waits before the restarts: see baton.conf(5). */
static void
a_program_that_ends_at_once_has_failed_soon(void **state)
{
	struct baton b =
	    baton_start(&(struct baton_spec){.services = "[service s]\ncommand = /bin/false\n"});

	(void)state;
	proc_expect(b.proc, PROC_ERR,
	    "^baton: s\\.0: generation 9 exited with status 1 .*it has failed; `baton reset s\\.0` "
	    "starts it again$");
	proc_signal(b.proc, SIGTERM);
	proc_finish(b.proc, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_program_that_ends_at_once_has_failed_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
