/* SPDX-License-Identifier: MIT */
/* Signals to baton that come at an awkward moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/daemon/supervisor.h"

/* A supervisor in that phase gets SIG when its loop does not run any more, and ends with 0. */
static int
end_after(enum instances_phase phase, int sig)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct config *c = config_new(NULL, NULL);
		struct supervisor *sup;

		config_set(c, config_service(c, "w", 1, true), "test", 1, "command", "true");
		config_finish(c);
		sup = supervisor_new(NULL, c, "baton");
		if (sup == NULL || signals_start(sup) < 0)
			_exit(99);
		sup->all.phase = phase;
		kill(getpid(), sig);
		talloc_free(sup);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void
one_that_comes_after_the_end_does_not_change_its_status(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(end_after(SUP_DONE, signals[i]), 0);
}

/* What could not even start is ended by it, as any program is. */
static void
one_that_comes_before_anything_was_started_ends_it(void **state)
{
	(void)state;
	assert_int_equal(end_after(SUP_STARTING, SIGTERM), 128 + SIGTERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_that_comes_after_the_end_does_not_change_its_status),
	    cmocka_unit_test(one_that_comes_before_anything_was_started_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
