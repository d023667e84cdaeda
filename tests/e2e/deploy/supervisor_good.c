/* SPDX-License-Identifier: MIT */
/* What has proved good is kept in memory: what of it, how often, and what cannot be. */
#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *
status_json(struct stage *s)
{
	struct proc *p = stage_cli(s, "status", "--json");

	proc_finish(p, 0);
	return proc_text(p, PROC_OUT);
}

#define wait_json(s, regex) \
	wait_until("status --json: " regex, stage_matches(status_json(s), regex))

static const char *
program(struct stage *s)
{
	return tempdir_path(s->dir, "worker");
}

static long
size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (long)st.st_size;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void
one_copy_is_kept_for_all_instances(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 0\n");
	char *bytes = talloc_asprintf(harness_mem(), "\"good_bytes\": %ld,", size_of(program(s)));
	const char *json;

	(void)state;
	stage_start(s);
	wait_until("it is kept", strstr(status_json(s), bytes) != NULL);
	json = status_json(s);
	assert_int_equal(count(json, "\"since_unix_ms\""), 1);
	assert_true(stage_matches(json, "\"not_kept\": null"));
	/* Nor once more after a restart of the same file. */
	proc_finish(stage_cli(s, "restart"), 0);
	json = status_json(s);
	assert_int_equal(count(json, "\"since_unix_ms\""), 1);
	assert_non_null(strstr(json, bytes));
	stage_stop(s);
}

static void
two_versions_are_kept_and_no_more_than_asked_for(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 0\nkeep_good = 2\n");
	const char *conf;

	(void)state;
	stage_start(s);
	for (int version = 1; version <= 3; version++) {
		/* cp(1) to another name, and rename: as an installer does. */
		rename(tempdir_copy(s->dir, "new", harness_built("tests/fixtures/worker")),
		    program(s));
		proc_finish(stage_cli(s, "restart"), 0);
		wait_until("the new one is kept, and the one before",
		    count(status_json(s), "\"since_unix_ms\"") == 2);
	}
	/* A configuration that was loaded since wants none. */
	conf = tempdir_read(s->conf);
	tempdir_write(
	    s->dir, "conf", "%.*skeep_good = 0\n", (int)(strstr(conf, "keep_good") - conf), conf);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_true(stage_matches(status_json(s), "\"good_bytes\": 0,"));
	stage_stop(s);
}

static void
nothing_is_good_before_its_time(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 3600000\n");

	(void)state;
	stage_start(s);
	assert_true(stage_matches(status_json(s), "\"good_bytes\": 0,"));
	assert_null(strstr(status_json(s), "proved_good"));
	stage_stop(s);
}

static void
the_time_counts_from_readiness(void **state)
{
	struct stage *s = stage_new("probation_time_ms = 300\n");

	(void)state;
	stage_start(s);
	wait_json(s, "\"proved_good\": true");
	wait_until("it is kept", count(status_json(s), "\"since_unix_ms\"") == 1);
	stage_stop(s);
}

static void
a_script_is_not_kept_and_the_reason_is_told(void **state)
{
	struct stage *s = stage_new("");
	const char *script =
	    tempdir_write(s->dir, "script", "#!/bin/sh\nexec '%s' '%s'\n", program(s), s->mode);

	(void)state;
	assert_int_equal(chmod(script, 0755), 0);
	s->conf = tempdir_write(s->dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service w]\ncommand = %s\ninstances = 2\n"
	    "listen = 127.0.0.1:%d\nprobation_time_ms = 0\n",
	    s->control, script, s->port);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT,
	    "^w: what it runs is good, but not kept: its command is no ELF program");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_true(stage_matches(status_json(s),
	    "\"not_kept\": \"its command is no ELF program but a script or the like\""));
	assert_true(stage_matches(status_json(s), "\"good_bytes\": 0,"));
	stage_stop(s);
	/* Once, not for each instance. */
	assert_int_equal(count(proc_text(s->baton, PROC_OUT), "not kept"), 1);
}

static void
check_notes_what_cannot_be_rolled_back(void **state)
{
	struct stage *s = stage_new("");
	const char *script = tempdir_write(s->dir, "script", "#!/bin/sh\n");
	struct proc *p;

	(void)state;
	p = stage_cli(s, "check");
	proc_finish(p, 0);
	assert_null(strstr(proc_text(p, PROC_OUT), "note"));
	assert_int_equal(chmod(script, 0755), 0);
	s->conf = tempdir_write(s->dir, "conf",
	    "[service a]\ncommand = %s\n\n[service b]\ninstances = 2\ncommand = %s x\n"
	    "[service c]\ncommand = %s\nkeep_good = 0\n",
	    program(s), script, script);
	p = stage_cli(s, "check");
	proc_finish(p, 0);
	assert_string_equal(proc_text(p, PROC_OUT),
	    talloc_asprintf(harness_mem(),
		"%s:6: [service b] command: note: it cannot be rolled back: its command is no ELF "
		"program but a script or the like\n%s: good: 3 services, 4 instances\n",
		s->conf, s->conf));
	/* A copy would have no more rights than anybody. */
	assert_int_equal(chmod(program(s), 04755), 0);
	p = stage_cli(s, "check");
	proc_finish(p, 0);
	assert_true(stage_matches(proc_text(p, PROC_OUT),
	    "^.*:2: \\[service a\\] command: note: .*: it has set-user-ID"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_copy_is_kept_for_all_instances),
	    e2e_test(two_versions_are_kept_and_no_more_than_asked_for),
	    e2e_test(nothing_is_good_before_its_time),
	    e2e_test(the_time_counts_from_readiness),
	    e2e_test(a_script_is_not_kept_and_the_reason_is_told),
	    e2e_test(check_notes_what_cannot_be_rolled_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
