/* SPDX-License-Identifier: MIT */
/*
 * How a process is started: everything that is looked up or opened for it anew each time, so
 * that a deployment, a new user, or another environment file counts from the next start on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/instance/instances.h"
#include "supervisor/process/cgroup.h"
#include "supervisor/process/environment.h"
#include "supervisor/process/program.h"
#include "supervisor/process/spawn.h"
#include "supervisor/protocol.h"

int
start_channels(struct generation *g)
{
	struct instance *inst = g->instance;
	const struct generation *giver = inst->old != NULL ? inst->old : inst->current;

	if (g->gives != NULL)
		return 0; /* it stands in: it gives where the dead one would have given */
	g->gives = channel_new();
	if (g->gives == NULL)
		return -errno;
	if (giver != NULL && giver->gives != NULL) {
		g->takes = channel_ref(giver->gives);
		if (generation_lives(giver))
			channel_renew(g->takes);
	} else {
		g->takes = inst->left;
		inst->left = NULL;
	}
	return 0;
}

/* A spare gets them when it becomes an instance. */
static int
open_channels(struct generation *g)
{
	if (!g->instance->spare)
		return start_channels(g);
	g->becomes = channel_new();
	return g->becomes == NULL ? -errno : 0;
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

void
start_number(struct generation *g)
{
	const struct ready_config *r = &g->ready;
	int next = BATON_LISTEN_FDS_START + (int)g->instance->sockets->nlisteners;
	int given = r->kind == READY_FD ? (int)r->fd : 0;

	g->give_number = next == given ? ++next : next;
	next += next + 1 == given ? 2 : 1;
	g->take_number = g->takes == NULL ? -1 : next++;
	g->ready_number = r->kind != READY_FD ? -1 : given != 0 ? given : next;
}

static void
list_one(struct spawn *s, int number, int fd)
{
	if (number >= 0)
		s->fds[number - BATON_LISTEN_FDS_START] = fd;
}

/* READY_FD is the writing end, or -1. */
static int
list_descriptors(struct spawn *s, const struct generation *g, int ready_fd, TALLOC_CTX *mem)
{
	const struct instance *inst = g->instance;
	int last = g->take_number > g->give_number ? g->take_number : g->give_number;

	last = g->ready_number > last ? g->ready_number : last;
	s->nfds = (size_t)(last + 1 - BATON_LISTEN_FDS_START);
	s->fds = talloc_array(mem, int, (unsigned)s->nfds);
	if (s->fds == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->nfds; i++)
		s->fds[i] = i < inst->sockets->nlisteners ? inst->sockets->listeners[i].fd : -1;
	list_one(s, g->give_number,
	    inst->spare ? channel_take_fd(g->becomes) : channel_give_fd(g->gives));
	list_one(s, g->take_number, g->takes == NULL ? -1 : channel_take_fd(g->takes));
	list_one(s, g->ready_number, ready_fd);
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
spawn_with(struct generation *g, struct spawn *s, TALLOC_CTX *mem)
{
	int ready_fd = g->ready_number >= 0 ? ready_open(g) : -1;
	int error;

	s->out = open_output(g, false);
	s->err = open_output(g, true);
	error = list_descriptors(s, g, ready_fd, mem);
	if (error == 0 && g->ready_number >= 0 && ready_fd < 0)
		error = ready_fd;
	if (error == 0 && (s->out < 0 || s->err < 0))
		error = s->out < 0 ? s->out : s->err;
	if (error == 0) {
		sharing_note(g);
		sharing_block(g);
	}
	if (error == 0)
		error = spawn_process(s, &g->pid, &g->pidfd, &g->exec_fd);
	if (s->out >= 0)
		close(s->out);
	if (s->err >= 0)
		close(s->err);
	if (ready_fd >= 0)
		close(ready_fd);
	return error;
}

/* The file as it is now, or the copy of what has proved good. */
static int
choose_program(struct generation *g, struct spawn *s, TALLOC_CTX *mem, const char **why)
{
	const struct service *service = g->instance->service;
	char *path = service->config->command[0];
	int copy = service->all->policy->copy(service, &g->exe);
	int error = copy >= 0 ? 0 : find_program(mem, service->config, &path, why);

	g->config_number = service->config_number;
	g->rolled_back = copy >= 0;
	if (copy >= 0) {
		s->program = copy;
	} else if (error == 0) {
		g->program = talloc_strdup(g, path);
		g->exe = executable_at(path);
	}
	s->path = path;
	return error;
}

/* All that is written into its group, as one text. */
static char *
limits_text(TALLOC_CTX *mem, const struct service_config *c)
{
	char *text = talloc_strdup(mem, "");

	for (size_t i = 0; i < c->ncgroups && text != NULL; i++)
		text = talloc_asprintf_append(
		    text, "%s=%s\n", c->cgroups[i].name, c->cgroups[i].value);
	return text;
}

/* The one of its instance's other processes that has that group. */
static const struct generation *
who_is_in(const struct generation *g, const char *group)
{
	const struct instance *inst = g->instance;
	const struct generation *all[] = {inst->current, inst->old, inst->successor};

	for (size_t i = 0; i < 3; i++) {
		if (all[i] != NULL && all[i] != g && all[i]->group != NULL &&
		    strcmp(all[i]->group, group) == 0)
			return all[i];
	}
	return NULL;
}

/* All processes of an instance share its group. But what a limit was before is not known: where
 * others are in the group who have other limits, G gets another one. */
static bool
choose_group(struct generation *g)
{
	const struct instance *inst = g->instance;
	const struct generation *other = who_is_in(g, inst->name);

	g->limits = limits_text(g, inst->service->config);
	g->group = talloc_strdup(g, inst->name);
	if (g->limits == NULL || g->group == NULL)
		return false;
	if (other == NULL || strcmp(other->limits, g->limits) == 0)
		return true;
	talloc_free(g->group);
	g->group = talloc_asprintf(g, "%s.g%u", inst->name, g->number);
	return g->group != NULL;
}

/* A descriptor for struct spawn, 0 if it has no such limits, or a negative errno. */
static int
open_cgroup(struct generation *g, TALLOC_CTX *mem, const char **why)
{
	const struct instance *inst = g->instance;
	const struct service_config *c = inst->service->config;
	int fd;

	if (c->ncgroups == 0)
		return 0;
	fd = !choose_group(g) ? -ENOMEM
			      : cgroup_make(mem, g->group, who_is_in(g, g->group) == NULL,
				    c->cgroups, c->ncgroups, why);
	if (fd >= 0)
		return fd;
	TALLOC_FREE(g->group);
	if (!c->cgroup_optional)
		return fd;
	output_warn(inst->all->base->out, "%s: runs without a control group: %s", inst->name,
	    *why == NULL ? strerror(-fd) : *why);
	*why = NULL;
	return 0;
}

void
start_leave_group(struct generation *g)
{
	if (g->group != NULL && who_is_in(g, g->group) == NULL)
		cgroup_remove(g->group);
	TALLOC_FREE(g->group);
}

void
start_move_group(struct generation *g)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *before = talloc_steal(tmp, g->group);
	const char *why = NULL;
	int fd;

	g->group = NULL;
	fd = open_cgroup(g, tmp, &why);
	if (fd < 0 || (fd > 0 && dprintf(fd, "%d", (int)g->pid) < 0)) {
		output_warn(g->instance->all->base->out,
		    "%s: stays in the control group of its spare: %s", g->instance->name,
		    why != NULL ? why : strerror(fd < 0 ? -fd : errno));
		TALLOC_FREE(g->group);
	}
	if (g->group == NULL) {
		g->group = talloc_steal(g, before);
	} else if (before != NULL) {
		cgroup_remove(before);
	}
	if (fd > 0)
		close(fd);
	talloc_free(tmp);
}

char *
start_socket_names(TALLOC_CTX *mem, const struct instance *inst)
{
	char *names = talloc_strdup(mem, "");

	for (size_t i = 0; i < inst->sockets->nlisteners && names != NULL; i++)
		names = talloc_asprintf_append(
		    names, "%s%s", i == 0 ? "" : ":", inst->sockets->listeners[i].name);
	return names;
}

int
start_environment(TALLOC_CTX *mem, const struct generation *g, const struct credentials *id,
    char ***out, const char **why)
{
	const struct instance *inst = g->instance;
	const struct environment e = {.config = inst->service->config,
	    .credentials = id,
	    .index = inst->index,
	    .generation = g->number,
	    .spare = inst->spare,
	    .notify_path = notify_path(g->notify),
	    .nsockets = inst->sockets->nlisteners,
	    .socket_names = start_socket_names(mem, inst),
	    .give_number = g->give_number,
	    .take_number = g->take_number,
	    .ready_number = g->ready_number,
	    .watchdog_ms = g->watchdog_ms};

	return e.socket_names == NULL ? -ENOMEM : environment_build(mem, &e, out, why);
}

/* In the child: users come from wherever nsswitch.conf(5) says, which may be a server that does not
 * answer, and the file may lie on a disk that is gone. */
static int
look_up(TALLOC_CTX *mem, void *data, struct credentials *id, char ***envp, const char **why)
{
	const struct generation *g = data;
	const struct service_config *c = g->instance->service->config;
	int error = credentials_find(mem, c->user, c->group, id, why);

	return error < 0 ? error : start_environment(mem, g, id, envp, why);
}

int
start_choose(struct generation *g, struct spawn *s, TALLOC_CTX *mem, const char **why)
{
	const struct service_config *c = g->instance->service->config;
	int error;

	*s = (struct spawn){.argv = c->command, .config = c, .look_up = look_up, .data = g};
	error = choose_program(g, s, mem, why);
	return error < 0 ? error : open_channels(g);
}

int
start_process(struct generation *g, struct spawn *s, TALLOC_CTX *mem, const char **why)
{
	int error;

	start_number(g);
	s->cgroup = open_cgroup(g, mem, why);
	error = s->cgroup < 0 ? s->cgroup : spawn_with(g, s, mem);
	if (s->cgroup > 0)
		close(s->cgroup);
	if (error == 0)
		notify_expect(g->notify, g->pid);
	return error;
}
