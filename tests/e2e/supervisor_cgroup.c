/* SPDX-License-Identifier: MIT */
/*
 * Control groups of instances. What needs a controller cannot be tried everywhere: limits that
 * every group has, whatever its controllers, stand for the others here.
 */
#include "tests/harness/baton.h"

#include "tests/e2e/supervisor_stage.h"

#include <unistd.h>

/* The part of /proc/PID/cgroup that is about version 2: the path in the tree. */
static const char *
group_of(int pid)
{
	const char *text = tempdir_read(talloc_asprintf(harness_mem(), "/proc/%d/cgroup", pid));
	const char *line = text == NULL ? NULL : strstr(text, "0::");

	return line == NULL ? "" : talloc_strndup(harness_mem(), line + 3, strcspn(line + 3, "\n"));
}

/* The directory of a group that baton has made: below ours, wherever that is mounted. */
static const char *
directory_of(const char *name)
{
	const char *mounts = tempdir_read("/proc/self/mountinfo");
	const char *own = group_of((int)getpid());
	char at[200] = "";

	for (const char *line = mounts; line != NULL && *line != '\0';
	     line += strcspn(line, "\n") + 1) {
		const char *type = strstr(line, " - cgroup2 ");

		if (type != NULL && type < line + strcspn(line, "\n"))
			sscanf(line, "%*d %*d %*s / %199s", at);
	}
	return at[0] == '\0'
		   ? NULL
		   : talloc_asprintf(harness_mem(), "%s%s%s%s", at,
			 strcmp(own, "/") == 0 ? "" : own, name[0] == '\0' ? "" : "/", name);
}

/* Whether groups can be made here. */
static bool
have_groups(void)
{
	const char *dir = directory_of("");

	return dir != NULL && access(dir, W_OK) == 0;
}

static const char *
limit_of(const char *group)
{
	return tempdir_read(
	    talloc_asprintf(harness_mem(), "%s/cgroup.max.descendants", directory_of(group)));
}

static void
each_instance_is_in_a_group_of_its_own(void **state)
{
	struct stage *s = stage_new("cgroup.cgroup.max.descendants = 7\n");

	(void)state;
	if (!have_groups())
		harness_skip("no control group (version 2) to write to");
	stage_start(s);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < 2; i++) {
			struct who w = stage_ask((uint16_t)(s->port + i));
			const char *end = strrchr(group_of(w.pid), '/');

			assert_int_equal(w.generation, round);
			assert_non_null(end);
			assert_string_equal(end, i == 0 ? "/w.0" : "/w.1");
		}
		assert_string_equal(limit_of("w.0"), "7\n");
		if (round == 1)
			proc_finish(stage_cli(s, "restart"), 0);
	}
	/* It goes with its instance. */
	proc_finish(stage_cli(s, "scale", "w=1"), 0);
	assert_int_not_equal(access(directory_of("w.1"), F_OK), 0);
	stage_stop(s);
	assert_int_not_equal(access(directory_of("w.0"), F_OK), 0);
}

/* The process was another's before. */
static void
a_spare_moves_into_the_group_of_its_instance(void **state)
{
	uint16_t port = port_free(1);
	struct baton b;
	int pid;

	(void)state;
	if (!have_groups())
		harness_skip("no control group (version 2) to write to");
	b = baton_serve(port, 1, harness_built("hello"),
	    "spares = 1\nbackoff_first_ms = 600000\nbackoff_max_ms = 600000\n"
	    "cgroup.cgroup.max.descendants = 7\n");
	wait_until("the spare is warm",
	    stage_matches(proc_text(proc_finish(baton_command(&b, "status", NULL), 0), PROC_OUT),
		"^s +s\\.spare\\.0 +[0-9]+ +[0-9]+ +warm "));
	pid = baton_who(port).pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	stage_wait_gone(pid);
	pid = baton_who(port).pid;
	assert_non_null(strrchr(group_of(pid), '/'));
	assert_string_equal(strrchr(group_of(pid), '/'), "/s.0");
	baton_stop(&b);
	assert_int_not_equal(access(directory_of("s.0"), F_OK), 0);
	assert_int_not_equal(access(directory_of("s.spare.0"), F_OK), 0);
}

static void
what_the_kernel_refuses_is_told(void **state)
{
	struct stage *s = stage_new("cgroup.cgroup.max.descendants = many\n");

	(void)state;
	if (!have_groups())
		harness_skip("no control group (version 2) to write to");
	stage_run(s);
	proc_expect(s->baton, PROC_ERR,
	    "w\\.0: generation 1 cannot start .*/w\\.0/cgroup\\.max\\.descendants: Invalid argument");
	stage_stop(s);
	rmdir(directory_of("w.0"));
	assert_int_not_equal(access(directory_of("w.0"), F_OK), 0);
}

/* There is no such controller anywhere: without the right to limits, an error, or a word. */
static void
limits_that_cannot_be_had_are_an_error_unless_optional(void **state)
{
	struct stage *s = stage_new("cgroup.nonsense.max = 1\n");
	struct proc *p = stage_cli(s, "check");

	(void)state;
	proc_finish(p, 2);
	assert_true(stage_matches(proc_text(p, PROC_ERR), "\\[service w\\] cgroup: "));
	s = stage_new("cgroup.nonsense.max = 1\ncgroup_optional = yes\n");
	proc_finish(stage_cli(s, "check"), 0);
	stage_run(s);
	proc_expect(s->baton, PROC_ERR, "^baton: w\\.0: runs without a control group: ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(stage_ask(s->port).generation, 1);
	stage_stop(s);
}

static void
names_that_are_no_limits_are_refused(void **state)
{
	static const char *const names[] = {
	    "memory", "cgroup.procs", "memory.max/../x", ".max", "memory."};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stage *s =
		    stage_new(talloc_asprintf(harness_mem(), "cgroup.%s = 1\n", names[i]));
		struct proc *p = proc_finish(stage_cli(s, "check"), 2);

		assert_non_null(strstr(proc_text(p, PROC_ERR), "the key is cgroup.NAME"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(each_instance_is_in_a_group_of_its_own),
	    e2e_test(a_spare_moves_into_the_group_of_its_instance),
	    e2e_test(what_the_kernel_refuses_is_told),
	    e2e_test(limits_that_cannot_be_had_are_an_error_unless_optional),
	    e2e_test(names_that_are_no_limits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
