/* SPDX-License-Identifier: MIT */
/*
 * tests/run.sh, which runs the tests: why one was skipped is told, and an interruption ends the
 * program that runs, too. The programs are scripts that write what cmocka writes.
 */
#include "tests/harness/proc.h"
#include "tests/harness/tempdir.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static const char *
program(const char *name, const char *script)
{
	const char *path = tempdir_write(tempdir_new(), name, "#!/bin/bash\n%s", script);

	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void
why_a_test_was_skipped_is_told(void **state)
{
	const char *t = program("some",
	    "echo '[ RUN      ] first'\necho '[       OK ] first'\n"
	    "echo '[ RUN      ] second'\necho 'skip: /usr/bin/other is not installed'\n"
	    "echo '[  SKIPPED ] second'\n"
	    "echo '[  SKIPPED ] 1 test(s), listed below:'\necho '[  SKIPPED ] second'\n");
	struct proc *p = proc_finish(proc_run("/bin/bash", "tests/run.sh", t), 0);
	const char *said = proc_text(p, PROC_OUT);

	(void)state;
	assert_non_null(strstr(said, "second: /usr/bin/other is not installed\n1 skipped\n"));
	assert_non_null(strstr(said, "\n1 passed, 0 failed\n"));
}

/* The programs are told to end and waited for, so they can end what they have started; as many run
 * at a time as TEST_JOBS says, and no other is begun. */
static void
an_interruption_ends_what_runs(void **state)
{
	static const struct {
		int signal, status;
	} table[] = {{SIGINT, 128 + SIGINT}, {SIGTERM, 128 + SIGTERM}, {SIGHUP, 128 + SIGHUP}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *notes[3], *programs[3];
		struct proc *p;

		for (int n = 0; n < 3; n++) {
			notes[n] = tempdir_path(tempdir_new(), "note");
			programs[n] = program(
			    "endless", talloc_asprintf(harness_mem(),
					   "trap 'echo ended >>%s; exit' TERM\necho begun >%s\n"
					   "while :; do sleep 0.01; done\n",
					   notes[n], notes[n]));
		}
		p = proc_run("/usr/bin/env", "TEST_JOBS=2", "/bin/bash", "tests/run.sh",
		    programs[0], programs[1], programs[2]);
		for (int n = 0; n < 2; n++)
			wait_until("both programs run",
			    tempdir_read(notes[n]) != NULL &&
				strcmp(tempdir_read(notes[n]), "begun\n") == 0);
		proc_signal(p, table[i].signal);
		proc_finish(p, table[i].status);
		assert_string_equal(tempdir_read(notes[0]), "begun\nended\n");
		assert_string_equal(tempdir_read(notes[1]), "begun\nended\n");
		assert_null(tempdir_read(notes[2]));
	}
}

/* Programs that tests start are to take SIGINT, which a shell hides from its background. */
static void
programs_do_not_ignore_signals(void **state)
{
	const char *t = program("sigint", "kill -INT $$\necho '[       OK ] it_goes_on'\n");

	(void)state;
	/* it has ended by the signal, before it said that it goes on */
	assert_non_null(
	    strstr(proc_text(proc_finish(proc_run("/bin/bash", "tests/run.sh", t), 1), PROC_OUT),
		"\n0 passed, 1 failed\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(why_a_test_was_skipped_is_told),
	    e2e_test(an_interruption_ends_what_runs),
	    e2e_test(programs_do_not_ignore_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
