/* SPDX-License-Identifier: MIT */
/*
 * Bad days of many processes, and of numbers: 200 instances die at the same moment, and a
 * process gets the pid of the one that it follows.
 */
#include "tests/e2e/daemon/bad_days.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CROWD = 200 };

/* How many processes baton has started that live; the dead that it has not reaped are none. */
static int
alive(struct proc *baton)
{
	int n = -1; /* itself */
	DIR *d = opendir("/proc");
	const struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		char path[300], line[512], state = 'Z';
		int parent = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = e->d_name[0] < '1' || e->d_name[0] > '9' ? NULL : fopen(path, "re");
		if (f != NULL && fgets(line, sizeof(line), f) != NULL && strrchr(line, ')') != NULL)
			sscanf(strrchr(line, ')'), ") %c %d", &state, &parent);
		if (f != NULL)
			fclose(f);
		n += state != 'Z' &&
		     (parent == (int)proc_pid(baton) || atoi(e->d_name) == (int)proc_pid(baton));
	}
	closedir(d);
	return n;
}

static void
two_hundred_die_at_once(void **state)
{
	struct stage *s = stage_new("");
	pid_t pids[CROWD];
	const char *text;
	struct day d;
	int n = 0;

	(void)state;
	s->conf = tempdir_write(s->dir, "conf",
	    "%sports = shared\nprobation_time_ms = 0\nbackoff_first_ms = 1\n",
	    tempdir_read(s->conf));
	proc_finish(proc_run("/bin/sed", "-i", "s/^instances = .*/instances = 200/", s->conf), 0);
	s->baton = proc_run("baton", "run", "-c", s->conf);
	for (int i = 0; i < CROWD; i++) /* one after the other: each has the time of a wait */
		proc_expect(s->baton, PROC_OUT, " ready in ");
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	d = day_begin_at(s, s->port, 1);
	text = stage_status(s);
	for (const char *line = text; line != NULL && n < CROWD;
	     line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1)
		n += sscanf(line, "w w.%*d 1 %d ready", &pids[n]) == 1;
	assert_int_equal(n, CROWD);
	/* It finds all of them dead when it looks again. */
	proc_signal(s->baton, SIGSTOP);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(kill(pids[i], SIGKILL), 0);
	d.may_lose = CROWD; /* each had taken one at the most */
	proc_signal(s->baton, SIGCONT);
	/* As long as it starts further ones it may take its time. */
	for (int begun = 0; begun < CROWD; begun = alive(s->baton))
		wait_until("it starts the next one", alive(s->baton) > begun);
	for (int i = 0; i < CROWD; i++)
		proc_expect(s->baton, PROC_OUT, " ready in .* generation 2$");
	day_end(&d, "w\\.199: generation 1 .*SIGKILL");
}

/* In a pid namespace of its own one may say which number is next. */
static void
a_pid_is_used_again(void **state)
{
	struct stage *s =
	    stage_new("probation_time_ms = 0\ncrashes_max = 0\nbackoff_max_ms = 100\n");
	struct proc *p = proc_run("/usr/bin/unshare", "-p", "-f", "--mount-proc", "/bin/sh", "-c",
	    "echo 100 >/proc/sys/kernel/ns_last_pid");
	int pid, same = 0;

	(void)state;
	if (proc_wait(p) != 0) { /* it takes root, and a root directory that is mounted */
		harness_skip("no pid can be chosen: %s", proc_text(p, PROC_ERR));
	}
	s->baton = proc_run("/usr/bin/unshare", "-p", "-f", "--kill-child", "--mount-proc",
	    harness_built("baton"), "run", "-c", s->conf);
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	for (int i = 0; i < 10; i++) {
		const char *script;
		struct who w = stage_ask(s->port);

		pid = w.pid;
		script = talloc_asprintf(harness_mem(),
		    "echo %d >/proc/sys/kernel/ns_last_pid; kill -9 %d", pid - 1, pid);
		/* By a shell in the same namespace, whose own number is taken before. */
		proc_finish(proc_run("/bin/sh", "-c",
				talloc_asprintf(harness_mem(),
				    "exec nsenter -t $(cat /proc/%d/task/*/children 2>/dev/null || "
				    "ps -o pid= --ppid %d) -p /bin/sh -c '%s'",
				    (int)proc_pid(s->baton), (int)proc_pid(s->baton), script)),
		    0);
		wait_until("its successor serves", stage_ask(s->port).generation > w.generation);
		same += stage_ask(s->port).pid == pid;
		assert_int_equal(stage_ask((uint16_t)(s->port + 1)).generation, 1);
	}
	assert_in_range(same, 1, 10);
	proc_finish(stage_cli(s, "restart"), 0);
	proc_finish(stage_cli(s, "stop"), 0);
	proc_finish(s->baton, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(two_hundred_die_at_once),
	    e2e_test(a_pid_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
