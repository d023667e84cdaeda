/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets whose files somebody has removed: nobody finds them any more. A socket cannot get
 * another file, so there is another socket then, and processes that run are replaced to get it.
 */
#include "supervisor/deploy/roll.h"
#include "supervisor/sockets/sockets.h"

static bool
lacks_a_file(const struct instance *inst)
{
	for (size_t i = 0; i < inst->sockets->nlisteners; i++) {
		if (!listener_can_be_found(&inst->sockets->listeners[i]))
			return true;
	}
	return false;
}

/* Nothing has changed if that fails, as when another program has the path now. */
static bool
make_anew(struct instance *inst)
{
	const struct service_config *c = inst->service->config;
	const struct instance *first = inst->service->instances[0];
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;
	struct listener *fresh = listener_open(tmp, inst->sockets, c,
	    c->shared && inst != first ? first->sockets->listeners : inst->sockets->listeners, tmp,
	    &why);

	if (fresh == NULL) {
		output_warn(deploy_of(inst->service)->base->out,
		    "%s: the file of a socket was removed, and %s", inst->name,
		    why == NULL ? "there is no memory to make it anew" : why);
	} else {
		output_say(deploy_of(inst->service)->base->out,
		    "%s: the file of a socket was removed; it is made anew", inst->name);
		socket_set_use(inst->sockets, fresh);
		socket_set_settle(inst->sockets);
	}
	talloc_free(tmp);
	return fresh != NULL;
}

static bool
is_busy(struct deploy *d)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;
	bool busy = d->all->phase != SUP_RUNNING || d->roll != NULL || !LIST_EMPTY(&d->jobs) ||
		    d->reload != NULL || deploy_busy(d, tmp, &why);

	talloc_free(tmp);
	return busy;
}

void
renew_sockets(struct deploy *d)
{
	static const struct roll_task task = {
	    .what = "restart", .why = "the file of a socket was removed"};
	struct instance **list;
	size_t n = instances_select(d->all, NULL, d, &list), live = 0;
	bool some = false;

	for (size_t i = 0; i < n && !is_busy(d); i++) {
		if (list[i]->spare || !lacks_a_file(list[i]) || !make_anew(list[i]))
			continue;
		some = true;
		if (list[i]->life.alive != 0)
			list[live++] = list[i];
	}
	if (some)
		store_update(d->all->sockets);
	if (live > 0 && roll_start_list(d, &task, list, live, NULL) < 0)
		output_warn(d->base->out, "no memory to replace what has a socket without a file: "
					  "`baton restart` does that");
	talloc_free(list);
}
