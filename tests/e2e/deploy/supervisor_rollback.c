/* SPDX-License-Identifier: MIT */
/* `baton rollback`: back to what has proved good, whatever has become of its file. */
#include "tests/e2e/upgrade/versions.h"

/* Instances 0 and 1 run what is said; returns the pid of the first. */
static int
expect_both(struct stage *s, const char *version)
{
	int pid = 0;

	for (int i = 2; i-- > 0;) {
		pid = stage_ask((uint16_t)(s->port + i)).pid;
		assert_string_equal(version_of(pid), version);
	}
	return pid;
}

/* Version 1 runs and is kept. */
static struct stage *
begin(const char *more)
{
	struct stage *s = stage_new(more);

	version_install(s, "good");
	stage_start(s);
	version_wait_kept(s, 1);
	return s;
}

/* The words that the process was started with, the first one too. */
static const char *
argv0_of(int pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	return tempdir_read(path);
}

static void
all_instances_go_back_and_come_forth_again(void **state)
{
	struct stage *s = begin("probation_time_ms = 0\n");
	struct proc *p;
	int pid;

	(void)state;
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	pid = expect_both(s, "file");
	p = stage_cli(s, "rollback", "w");
	proc_finish(p, 0);
	proc_expect(p, PROC_OUT, "^rolled 2 instances back in ");
	assert_int_not_equal(expect_both(s, "memory"), pid);
	pid = stage_ask(s->port).pid;
	assert_string_equal(argv0_of(pid), version_path(s));
	assert_true(stage_matches(stage_status(s), "^w +w\\.0 +3 +[0-9]+ +ready, rolled back "));
	assert_true(stage_matches(version_json(s), "\"rolled_back\": true"));
	/* The one after it was given up; the file is still there. */
	version_wait_kept(s, 1);
	proc_finish(stage_cli(s, "restart"), 0);
	expect_both(s, "file");
	assert_false(stage_matches(stage_status(s), "rolled back"));
	stage_stop(s);
}

/* The copy is baton's; whoever it runs as must be able to execute it. */
static void
another_user_can_run_the_copy(void **state)
{
	struct stage *s;

	(void)state;
	if (geteuid() != 0)
		harness_skip("it takes root");
	s = stage_new("user = nobody\nprobation_time_ms = 0\n");
	assert_int_equal(chmod(s->dir, 0711), 0);
	version_install(s, "good");
	stage_start(s);
	version_wait_kept(s, 1);
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	proc_finish(stage_cli(s, "rollback"), 0);
	expect_both(s, "memory");
	stage_stop(s);
}

enum fate { DELETED, REPLACED, A_DIRECTORY, FATES };

static void
it_works_whatever_became_of_the_file(void **state)
{
	(void)state;
	for (enum fate fate = DELETED; fate < FATES; fate++) {
		struct stage *s = begin("probation_time_ms = 0\n");

		version_install(s, "good");
		proc_finish(stage_cli(s, "restart"), 0);
		version_wait_kept(s, 2);
		unlink(version_path(s));
		if (fate == REPLACED)
			assert_non_null(tempdir_write(s->dir, "worker", "not a program\n"));
		if (fate == A_DIRECTORY)
			assert_int_equal(mkdir(version_path(s), 0700), 0);
		proc_finish(stage_cli(s, "rollback"), 0);
		expect_both(s, "memory");
		/* Also after a crash. */
		kill(stage_ask(s->port).pid, SIGKILL);
		proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 4$");
		expect_both(s, "memory");
		if (fate == A_DIRECTORY)
			rmdir(version_path(s));
		stage_stop(s);
	}
}

static long
size_of_program(int pid)
{
	char link[32];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	assert_int_equal(stat(link, &st), 0);
	return (long)st.st_size;
}

static void
what_was_overwritten_in_place_is_as_it_was(void **state)
{
	struct stage *s = begin("probation_time_ms = 0\n");
	long size = size_of_program(stage_ask(s->port).pid);

	(void)state;
	/* While it runs the kernel lets nobody do it. */
	proc_finish(stage_cli(s, "stop", "w"), 0);
	version_overwrite(s, "good");
	proc_finish(stage_cli(s, "start", "w"), 0);
	assert_true(size_of_program(stage_ask(s->port).pid) > size);
	version_wait_kept(s, 2);
	proc_finish(stage_cli(s, "rollback"), 0);
	expect_both(s, "memory");
	assert_int_equal(size_of_program(stage_ask(s->port).pid), size);
	stage_stop(s);
}

/* Another section [service w] with more, or other, lines. */
static void
configure(struct stage *s, const char *more)
{
	tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\nprobation_time_ms = 0\n%s",
	    s->control, version_path(s), s->mode, s->port, more);
}

static void
the_configuration_comes_back_with_it(void **state)
{
	struct stage *s = stage_new("");
	uint16_t other = port_free(2);

	(void)state;
	configure(s, talloc_asprintf(harness_mem(), "listen.admin = 127.0.0.1:%d\n", other));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_wait_kept(s, 1);
	assert_string_equal(stage_ask(other).names, "w:admin");
	configure(s, "");
	proc_finish(stage_cli(s, "reload"), 0);
	version_wait_kept(s, 2);
	assert_string_equal(stage_ask(s->port).names, "w");
	assert_int_not_equal(client_try(other), 0);
	proc_finish(stage_cli(s, "rollback"), 0);
	assert_string_equal(stage_ask(other).names, "w:admin");
	expect_both(s, "memory");
	/* A restart is about the file, and about what was read last. */
	proc_finish(stage_cli(s, "restart"), 0);
	assert_string_equal(stage_ask(s->port).names, "w");
	assert_int_not_equal(client_try(other), 0);
	expect_both(s, "file");
	stage_stop(s);
}

static void
a_port_that_somebody_else_has_got_refuses_the_rollback(void **state)
{
	struct stage *s = stage_new("");
	uint16_t other = port_free(2);
	struct proc *squatter, *p;

	(void)state;
	configure(s, talloc_asprintf(harness_mem(), "listen.admin = 127.0.0.1:%d\n", other));
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	version_wait_kept(s, 1);
	configure(s, "");
	proc_finish(stage_cli(s, "reload"), 0);
	version_wait_kept(s, 2);
	squatter = proc_run("hello", "--listen", port_address(other));
	wait_until("the port is taken", client_try(other) == 0);
	p = stage_cli(s, "rollback");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: rollback failed: w\\.0 of service w: cannot listen on 127.0.0.1:[0-9]+: "));
	assert_true(stage_matches(version_json(s), "\"rolled_back\": false"));
	assert_string_equal(stage_ask(s->port).names, "w");
	proc_signal(squatter, SIGTERM);
	proc_finish(squatter, 0);
	proc_finish(stage_cli(s, "rollback"), 0);
	assert_string_equal(stage_ask(other).names, "w:admin");
	stage_stop(s);
}

static void
refused(struct stage *s, const char *service, const char *regex)
{
	struct proc *p = stage_cli(s, "rollback", service);

	proc_finish(p, 1);
	if (!stage_matches(proc_text(p, PROC_ERR), regex))
		harness_fail("%s\ndoes not match %s", proc_text(p, PROC_ERR), regex);
}

static void
nothing_to_go_back_to_is_said(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 3600000\n");

	(void)state;
	stage_start(s);
	refused(s, "w",
	    "^baton: rollback failed: w: nothing of it has proved good yet, by being ready and "
	    "well for 1 h 0 min$");
	refused(s, "v", "there is no service \"v\"; there is: w$");
	refused(s, "w.0", "w\\.0 is one instance; a service goes back as a whole$");
	proc_finish(stage_cli(s, "stop", "w"), 0);
	refused(s, "w", "w does not run$");
	stage_stop(s);

	s = begin("probation_time_ms = 0\nkeep_good = 1\n");
	refused(s, "w",
	    "w: nothing before what runs now is kept, the executable of generation 1 of "
	    "w\\.[01], which proved good [0-9-]+ [0-9:]+ \\(keep_good is 1\\)$");
	stage_stop(s);

	s = stage_new("probation_time_ms = 0\nkeep_good = 0\n");
	stage_start(s);
	refused(s, "w", "w: nothing is kept, for keep_good is 0$");
	stage_stop(s);
}

static void
a_script_says_why_it_cannot(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 0\n");
	const char *script = tempdir_write(
	    s->dir, "script", "#!/bin/sh\nexec '%s' '%s'\n", version_path(s), s->mode);

	(void)state;
	assert_int_equal(chmod(script, 0755), 0);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\nprobation_time_ms = 0\n",
	    s->control, script, s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	refused(
	    s, "w", "w: nothing is kept: its command is no ELF program but a script or the like$");
	stage_stop(s);
}

static void
one_that_fails_leaves_the_file_in_force(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 0\n");
	struct proc *p;

	(void)state;
	/* This one does what the mode says, so what proved good can fail later on. */
	stage_start(s);
	version_wait_kept(s, 1);
	version_install(s, "good");
	proc_finish(stage_cli(s, "restart"), 0);
	version_wait_kept(s, 2);
	stage_mode(s, "exit 3");
	p = stage_cli(s, "rollback");
	proc_finish(p, 1);
	assert_true(stage_matches(proc_text(p, PROC_ERR),
	    "^baton: rollback failed: w\\.0: generation 3 exited with status 3 before it was ready; "
	    "generation 2 \\(pid [0-9]+\\) serves on; 0 of 2 instances restarted$"));
	assert_true(stage_matches(version_json(s), "\"rolled_back\": false"));
	kill(expect_both(s, "file"), SIGKILL);
	proc_expect(s->baton, PROC_OUT, "^w\\.0 .* ready in .* generation 4$");
	expect_both(s, "file");
	stage_stop(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(all_instances_go_back_and_come_forth_again),
	    e2e_test(another_user_can_run_the_copy),
	    e2e_test(it_works_whatever_became_of_the_file),
	    e2e_test(what_was_overwritten_in_place_is_as_it_was),
	    e2e_test(the_configuration_comes_back_with_it),
	    e2e_test(a_port_that_somebody_else_has_got_refuses_the_rollback),
	    e2e_test(nothing_to_go_back_to_is_said),
	    e2e_test(a_script_says_why_it_cannot),
	    e2e_test(one_that_fails_leaves_the_file_in_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
