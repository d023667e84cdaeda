/* SPDX-License-Identifier: MIT */
/*
 * Which processes have which sockets. Whether a socket blocks is one mark for all who have it, so a
 * process that sets O_NONBLOCK sets it for its successors, too, and a program that simply calls
 * accept() would fail where it is not the first. So the mark is taken away before a process is
 * started, but only if no other one that lives has the socket: an event loop that is not told would
 * wait in accept() for ever.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/instance/instances.h"

static ino_t
inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

void
sharing_note(struct generation *g)
{
	const struct instance *inst = g->instance;

	talloc_free(g->sockets);
	g->sockets = talloc_zero_array(g, ino_t, (unsigned)inst->sockets->nlisteners);
	for (size_t i = 0; g->sockets != NULL && i < inst->sockets->nlisteners; i++)
		g->sockets[i] = inode_of(inst->sockets->listeners[i].fd);
}

/* Of one that was started by the baton before an upgrade, it is not known: it may have all. */
static bool
may_have(const struct generation *g, const struct instance *inst, ino_t socket)
{
	if (g->sockets == NULL)
		return g->instance == inst ||
		       (g->instance->service == inst->service && inst->service->config->shared);
	for (size_t i = 0; i < talloc_array_length(g->sockets); i++) {
		if (g->sockets[i] == socket)
			return true;
	}
	return false;
}

/* One that has it, other than G; NULL: there is none. */
static const struct generation *
another(const struct generation *g, ino_t socket)
{
	const struct generation *o;

	LIST_FOREACH(o, &g->instance->all->generations, entry) {
		if (o != g && generation_lives(o) && may_have(o, g->instance, socket))
			return o;
	}
	return NULL;
}

void
sharing_block(const struct generation *g)
{
	struct instance *inst = g->instance;

	for (size_t i = 0; i < inst->sockets->nlisteners; i++) {
		const struct listener *l = &inst->sockets->listeners[i];
		int flags = fcntl(l->fd, F_GETFL);
		const struct generation *o;

		if (flags < 0 || (flags & O_NONBLOCK) == 0)
			continue;
		o = another(g, inode_of(l->fd));
		if (o == NULL)
			fcntl(l->fd, F_SETFL, flags & ~O_NONBLOCK);
		else if (o->program != NULL && g->program != NULL &&
			 strcmp(o->program, g->program) != 0)
			output_say(inst->all->base->out,
			    "%s: its socket %s is non-blocking, for %s has set it so, and has it "
			    "still; should %s fail in accept(), say `baton stop %s` and `baton "
			    "start %s`",
			    inst->name, l->name, o->program, g->program,
			    inst->service->config->name, inst->service->config->name);
	}
}
