/* SPDX-License-Identifier: MIT */
/*
 * Watches a supervisor's children in /proc (see watch.h). Which instance one is it tells by
 * its environment, so a child that has not executed its program yet is not counted.
 */
#include "tests/harness/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEEN_MAX = 1024, PAUSE_MS = 5 };

struct watch {
	pid_t supervisor;
	atomic_bool stop;
	bool running;
	int most;
	pthread_t thread;
};

struct seen {
	pid_t pid;
	char instance[64];
};

static ssize_t
read_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

/* 0 if PID is no child of SUPERVISOR, else the letter of its state. */
static char
child_state(pid_t pid, pid_t supervisor)
{
	char stat[512], state;
	const char *end;
	int parent;

	if (read_file(pid, "stat", stat, sizeof(stat)) <= 0)
		return 0;
	end = strrchr(stat, ')');
	if (end == NULL || sscanf(end + 1, " %c %d", &state, &parent) != 2)
		return 0;
	return parent == supervisor ? state : 0;
}

static const char *
variable(const char *text, ssize_t len, const char *name)
{
	const size_t n = strlen(name);

	for (const char *p = text; p < text + len; p += strlen(p) + 1) {
		if (strncmp(p, name, n) == 0)
			return p + n;
	}
	return NULL;
}

static bool
identify(struct seen *s)
{
	char env[16384];
	const ssize_t len = read_file(s->pid, "environ", env, sizeof(env));
	const char *service = variable(env, len, "BATON_SERVICE=");
	const char *instance = variable(env, len, "BATON_INSTANCE=");

	if (service == NULL || instance == NULL)
		return false;
	snprintf(s->instance, sizeof(s->instance), "%.40s.%.10s", service, instance);
	return true;
}

/* Fills SEEN with those that live and have executed; counts those that have ended. */
static int
look(pid_t supervisor, struct seen *seen, int *zombies)
{
	DIR *d = opendir("/proc");
	int n = 0;

	*zombies = 0;
	if (d == NULL)
		return 0;
	for (const struct dirent *e = readdir(d); e != NULL && n < SEEN_MAX; e = readdir(d)) {
		struct seen s = {.pid = atoi(e->d_name)};
		const char state = s.pid <= 0 ? 0 : child_state(s.pid, supervisor);

		if (state == 'Z')
			++*zombies;
		else if (state != 0 && state != 'X' && identify(&s))
			seen[n++] = s;
	}
	closedir(d);
	return n;
}

/* Those seen one after the other lived at the same time if they still live now. */
static int
most_of_one(pid_t supervisor, const struct seen *seen, int n)
{
	int most = 0;

	for (int i = 0; i < n; i++) {
		int same = 0;

		for (int k = 0; k < n; k++)
			same += strcmp(seen[i].instance, seen[k].instance) == 0;
		if (same > 2) {
			same = 0;
			for (int k = 0; k < n; k++) {
				const char state = child_state(seen[k].pid, supervisor);

				same += strcmp(seen[i].instance, seen[k].instance) == 0 &&
					state != 0 && state != 'Z' && state != 'X';
			}
		}
		most = same > most ? same : most;
	}
	return most;
}

static void *
watch_thread(void *data)
{
	struct watch *w = data;
	struct seen *seen = calloc(SEEN_MAX, sizeof(*seen));
	int zombies;

	while (seen != NULL && !atomic_load(&w->stop)) {
		const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
		const int most =
		    most_of_one(w->supervisor, seen, look(w->supervisor, seen, &zombies));

		w->most = most > w->most ? most : w->most;
		nanosleep(&pause, NULL);
	}
	free(seen);
	return NULL;
}

static int
watch_end(struct watch *w)
{
	atomic_store(&w->stop, true);
	if (w->running)
		pthread_join(w->thread, NULL);
	w->running = false;
	return 0;
}

struct watch *
watch_start(pid_t supervisor)
{
	struct watch *w = talloc_zero(harness_mem(), struct watch);

	w->supervisor = supervisor;
	talloc_set_destructor(w, watch_end);
	w->running = pthread_create(&w->thread, NULL, watch_thread, w) == 0;
	if (!w->running)
		harness_fail("no thread to watch with");
	return w;
}

int
watch_stop(struct watch *w)
{
	int most;

	watch_end(w);
	most = w->most;
	talloc_free(w);
	return most;
}

int
watch_zombies(pid_t supervisor)
{
	struct seen *seen = talloc_array(harness_mem(), struct seen, SEEN_MAX);
	int zombies;

	look(supervisor, seen, &zombies);
	talloc_free(seen);
	return zombies;
}
