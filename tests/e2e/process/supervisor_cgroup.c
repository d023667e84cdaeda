/* SPDX-License-Identifier: MIT */
/*
 * Control groups of instances. What needs a controller cannot be tried everywhere: limits that
 * every group has, whatever its controllers, stand for the others here.
 */
#include "tests/harness/baton.h"

#include "tests/e2e/supervisor_stage.h"

#include <sys/stat.h>
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

static const char *
file_of(const char *group, const char *file)
{
	return tempdir_read(talloc_asprintf(harness_mem(), "%s/%s", directory_of(group), file));
}

/* What a limit was before it was set is the kernel's secret: the next process gets a group of its
 * own, and the one that drains keeps what it had. */
static void
limits_that_a_reload_takes_away_are_gone(void **state)
{
	struct stage *s = stage_new("");
	const char *text = tempdir_read(s->conf);
	const char *more = "cgroup.cgroup.max.descendants = 7\n", *group;

	(void)state;
	if (!have_groups())
		harness_skip("no control group (version 2) to write to");
	text = talloc_strndup(harness_mem(), text, (size_t)(strstr(text, "instances = ") - text));
	s->conf = tempdir_write(s->dir, "conf",
	    "%slisten = 127.0.0.1:%d\n%scgroup.cgroup.max.depth = 5\n", text, s->port, more);
	stage_run(s);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_string_equal(file_of("w.0", "cgroup.max.depth"), "5\n");
	tempdir_write(s->dir, "conf", "%slisten = 127.0.0.1:%d\n%s", text, s->port, more);
	proc_finish(stage_cli(s, "reload"), 0);
	group = talloc_strdup(harness_mem(), strrchr(group_of(stage_ask(s->port).pid), '/') + 1);
	assert_string_equal(file_of(group, "cgroup.max.depth"), "max\n");
	assert_string_equal(file_of(group, "cgroup.max.descendants"), "7\n");
	wait_until("the old one's group has gone",
	    strcmp(group, "w.0") == 0 || access(directory_of("w.0"), F_OK) != 0);
	/* Without any it needs no group. */
	tempdir_write(s->dir, "conf", "%slisten = 127.0.0.1:%d\n", text, s->port);
	proc_finish(stage_cli(s, "reload"), 0);
	assert_null(strstr(group_of(stage_ask(s->port).pid), "/w.0"));
	wait_until("that one has gone as well", access(directory_of(group), F_OK) != 0);
	stage_stop(s);
}

/* A controller that this group can hand down, and a limit of it. */
static const char *
controller_here(const char **limit)
{
	static const struct {
		const char *name, *limit;
	} all[] = {{"pids", "pids.max"}, {"memory", "memory.max"}, {"hugetlb", "hugetlb.2MB.max"}};
	const char *there = file_of("", "cgroup.controllers");

	for (size_t i = 0; there != NULL && i < sizeof(all) / sizeof(all[0]); i++) {
		*limit = all[i].limit;
		if (strstr(there, all[i].name) != NULL)
			return all[i].name;
	}
	return NULL;
}

static bool
write_to(const char *group, const char *file, const char *text)
{
	FILE *f = fopen(talloc_asprintf(harness_mem(), "%s/%s", directory_of(group), file), "we");
	bool good = f != NULL && fputs(text, f) >= 0;

	return f != NULL && fclose(f) == 0 && good;
}

/* What a test has made, and takes away however it ends. */
struct made {
	const char *top, *own, *file, *word; /* NULL: the controller was handed down before */
};

static int
unmake(struct made *m)
{
	FILE *f = m->word == NULL ? NULL : fopen(m->file, "we");

	rmdir(m->own);
	rmdir(m->top);
	if (f != NULL) {
		fputs(m->word, f);
		fclose(f);
	}
	return 0;
}

/* The kernel does not hand controllers down from a group that has processes: those without limits,
 * which are started first here, go with baton. */
static void
instances_with_limits_and_without_live_side_by_side(void **state)
{
	struct made *m = talloc_zero(harness_mem(), struct made);
	const char *limit, *name, *top, *text, *wanted;
	struct stage *s = stage_new("");
	bool had;

	(void)state;
	name = have_groups() ? controller_here(&limit) : NULL;
	if (name == NULL)
		harness_skip("no control group (version 2) with a controller");
	had = strstr(file_of("", "cgroup.subtree_control"), name) != NULL;
	wanted = talloc_asprintf(harness_mem(), "+%s", name);
	if (!had && !write_to("", "cgroup.subtree_control", wanted))
		harness_skip("the control group cannot hand a controller down");
	top = directory_of(talloc_asprintf(harness_mem(), "test-%d", (int)getpid()));
	m->top = talloc_strdup(m, top);
	m->own = talloc_asprintf(m, "%s/baton.supervisor", top);
	m->file = talloc_asprintf(m, "%s/cgroup.subtree_control", directory_of(""));
	m->word = had ? NULL : talloc_asprintf(m, "-%s", name);
	talloc_set_destructor(m, unmake);
	assert_int_equal(mkdir(top, 0755), 0);
	text = tempdir_read(s->conf);
	tempdir_write(s->dir, "conf", "%s[service limited]\ncommand = %s %s\ncgroup.%s = max\n",
	    text, tempdir_path(s->dir, "worker"), s->mode, limit);
	s->baton = proc_run("/bin/sh", "-c",
	    talloc_asprintf(harness_mem(), "echo $$ > %s/cgroup.procs; exec %s run -c %s", top,
		harness_built("baton"), s->conf));
	proc_expect(s->baton, PROC_OUT, "^limited\\.0  .*ready in ");
	assert_string_equal(strrchr(group_of(stage_ask(s->port).pid), '/'), "/baton.supervisor");
	assert_string_equal(strrchr(group_of(proc_pid(s->baton)), '/'), "/baton.supervisor");
	proc_finish(stage_cli(s, "restart"), 0);
	stage_stop(s);
	/* Nothing else is left there. */
	assert_int_equal(rmdir(m->own), 0);
	assert_int_equal(rmdir(top), 0);
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
	    e2e_test(limits_that_a_reload_takes_away_are_gone),
	    e2e_test(instances_with_limits_and_without_live_side_by_side),
	    e2e_test(what_the_kernel_refuses_is_told),
	    e2e_test(limits_that_cannot_be_had_are_an_error_unless_optional),
	    e2e_test(names_that_are_no_limits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
