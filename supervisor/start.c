/* SPDX-License-Identifier: MIT */
/*
 * How a process is started: everything that is looked up or opened for it anew each time, so
 * that a deployment, a new user, or another environment file counts from the next start on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/program.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

/* From whom it takes: the one that drains, the one that it is to replace, or what the dead
 * have left. */
static int
open_channels(struct generation *g)
{
	struct instance *inst = g->instance;
	const struct generation *giver = inst->old != NULL ? inst->old : inst->current;

	g->gives = channel_new();
	if (g->gives == NULL)
		return -errno;
	if (giver != NULL && giver->gives != NULL) {
		g->takes = channel_hold(giver->gives);
		if (generation_lives(giver))
			channel_renew(g->takes);
	} else {
		g->takes = inst->left;
		inst->left = NULL;
	}
	return 0;
}

/* A relative path means the same with and without `directory`. */
static int
find_program(TALLOC_CTX *mem, const struct service_config *c, char **path, const char **why)
{
	int error = program_find(mem, c->command[0], path, why);
	char *here;

	if (error < 0 || c->directory == NULL || (*path)[0] == '/')
		return error;
	here = get_current_dir_name();
	if (here == NULL)
		return -errno;
	*path = talloc_asprintf(mem, "%s/%s", here, *path);
	free(here);
	return *path == NULL ? -ENOMEM : 0;
}

/* Sockets, then the ends of the handover: environment.c says so. */
static int
list_descriptors(struct spawn *s, const struct generation *g, TALLOC_CTX *mem)
{
	const struct instance *inst = g->instance;

	s->nfds = inst->nlisteners + (g->takes == NULL ? 1 : 2);
	s->fds = talloc_array(mem, int, (unsigned)s->nfds);
	if (s->fds == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < inst->nlisteners; i++)
		s->fds[i] = inst->listeners[i].fd;
	s->fds[inst->nlisteners] = channel_give_fd(g->gives);
	if (g->takes != NULL)
		s->fds[inst->nlisteners + 1] = channel_take_fd(g->takes);
	return 0;
}

/* A pipe to baton, or baton's own descriptor: the writing end, the caller's, or -errno. */
static int
open_output(struct generation *g, bool err)
{
	const struct service_config *c = g->instance->service->config;
	int fd;

	if (strcmp(err ? c->err : c->out, "inherit") != 0)
		return generation_open_output(g, err);
	fd = fcntl(err ? 2 : 1, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static int
spawn_with(struct generation *g, struct spawn *s)
{
	int error;

	s->out = open_output(g, false);
	if (s->out < 0)
		return s->out;
	s->err = open_output(g, true);
	error = s->err < 0 ? s->err : spawn_process(s, &g->pid, &g->pidfd, &g->exec_fd);
	close(s->out);
	if (s->err >= 0)
		close(s->err);
	return error;
}

int
start_process(struct generation *g, TALLOC_CTX *mem, const char **why)
{
	const struct service_config *c = g->instance->service->config;
	struct identity id = {.other = false};
	struct spawn s = {.argv = c->command, .config = c, .identity = &id};
	char *path;
	int error = find_program(mem, c, &path, why);

	if (error == 0)
		error = identity_find(mem, c->user, c->group, &id, why);
	if (error == 0)
		error = open_channels(g);
	if (error < 0)
		return error;
	g->notify = generation_listen(g, id.other ? id.uid : geteuid());
	if (g->notify == NULL)
		return -errno;
	s.path = path;
	error = environment_build(mem, g, &id, &s.envp, &s.pid_at, why);
	if (error == 0)
		error = list_descriptors(&s, g, mem);
	if (error == 0)
		error = spawn_with(g, &s);
	if (error == 0)
		notify_expect(g->notify, g->pid);
	return error;
}
