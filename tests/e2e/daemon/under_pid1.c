/* SPDX-License-Identifier: MIT */
/* baton as the first process of a container: a pid namespace of its own, made by unshare(1). */
#include "tests/e2e/supervisor_stage.h"

#include <dirent.h>
#include <unistd.h>

#define UNSHARE \
	"/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child=SIGKILL"

static void
skip_without_namespaces(void)
{
	struct proc *p = proc_run(UNSHARE, "/bin/true");

	if (proc_wait(p) == 0)
		return;
	harness_skip("no pid namespace for this user: %s", proc_text(p, PROC_ERR));
}

/* The children of a process, as pids of this namespace, and how many of them are zombies. */
static int
children(pid_t of, pid_t pids[16], int *zombies)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	*zombies = 0;
	while ((e = readdir(d)) != NULL) {
		const char *stat =
		    tempdir_read(talloc_asprintf(harness_mem(), "/proc/%.20s/stat", e->d_name));
		const char *end = stat == NULL ? NULL : strrchr(stat, ')');
		char state;
		int parent;

		if (end == NULL || sscanf(end, ") %c %d", &state, &parent) != 2 || parent != of)
			continue;
		*zombies += state == 'Z';
		if (n < 16)
			pids[n++] = atoi(e->d_name);
	}
	closedir(d);
	return n;
}

/* Starts it, both instances are ready; its pid out here. */
static pid_t
start(struct stage *s)
{
	pid_t pids[16];
	int zombies;

	/* /proc is still that of the other namespace, and so leaks cannot be looked for. */
	s->baton =
	    proc_start(&(struct proc_spec){.argv = (const char *const[]){UNSHARE,
					       harness_built("baton"), "run", "-c", s->conf, NULL},
		.env = (const char *const[]){"ASAN_OPTIONS=detect_leaks=0", NULL}});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_int_equal(children(proc_pid(s->baton), pids, &zombies), 1);
	assert_true(stage_matches(stage_status(s), "^w +w\\.1 +1 +[0-9]+ +ready "));
	return pids[0];
}

/* Nobody else would take a signal for which the first process has no handler. */
static void
it_ends_in_good_order_by_signal(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	(void)state;
	skip_without_namespaces();
	for (int i = 0; i < 2; i++) {
		struct stage *s = stage_new("");
		pid_t pid;

		stage_mode(s, "last-words");
		pid = start(s);
		assert_int_equal(kill(pid, signals[i]), 0);
		proc_finish(s->baton, 0);
		assert_true(stage_matches(
		    proc_text(s->baton, PROC_OUT), "^w\\.0 \\| these are my last words$"));
		assert_true(stage_matches(
		    proc_text(s->baton, PROC_OUT), "^w\\.1 \\| these are my last words$"));
		assert_string_equal(proc_text(s->baton, PROC_ERR), "");
	}
}

static void
it_ends_by_command(void **state)
{
	struct stage *s = stage_new("");

	(void)state;
	skip_without_namespaces();
	start(s);
	proc_finish(stage_cli(s, "restart"), 0);
	assert_int_equal(stage_ask(s->port).generation, 2);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_finish(s->baton, 0);
}

/* Grandchildren whose parents end come to the first process, and are none of its business. */
static void
it_reaps_orphans_silently(void **state)
{
	struct stage *s = stage_new("");
	pid_t pid, pids[16];
	int zombies;

	(void)state;
	skip_without_namespaces();
	stage_mode(s, "orphan");
	pid = start(s);
	for (int i = 0; i < 5; i++)
		proc_finish(stage_cli(s, "restart"), 0);
	wait_until("only the two instances are left, and no zombie",
	    children(pid, pids, &zombies) == 2 && zombies == 0);
	assert_string_equal(proc_text(s->baton, PROC_ERR), "");
	kill(pid, SIGTERM);
	proc_finish(s->baton, 0);
}

/* An instance that is killed is no orphan. */
static void
it_starts_its_own_again(void **state)
{
	struct stage *s = stage_new("");
	pid_t pid, pids[16];
	int zombies;

	(void)state;
	skip_without_namespaces();
	pid = start(s);
	assert_int_equal(children(pid, pids, &zombies), 2);
	kill(pids[0], SIGKILL);
	wait_until("another one is there",
	    (stage_ask(s->port).generation + stage_ask(s->port + 1).generation) == 3);
	wait_until("no zombie is left", children(pid, pids, &zombies) == 2 && zombies == 0);
	kill(pid, SIGTERM);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_ends_in_good_order_by_signal),
	    e2e_test(it_ends_by_command),
	    e2e_test(it_reaps_orphans_silently),
	    e2e_test(it_starts_its_own_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
