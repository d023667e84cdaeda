/* SPDX-License-Identifier: MIT */
/* All of a reload that can fail: sockets, log files, memory. What runs is not touched. */
#include <errno.h>
#include <string.h>

#include "supervisor/deploy/reload.h"
#include "supervisor/deploy/version.h"

static int
prepare_new(struct plan *p, struct part *part, TALLOC_CTX *mem, char **why)
{
	struct service *s = service_new(p->deploy, part->config);

	if (s == NULL)
		return -ENOMEM;
	part->service = talloc_steal(p, s);
	part->fresh = s->deploy->fresh = true;
	part->n = s->ninstances;
	for (unsigned i = 0; i < s->ninstances; i++) {
		struct instance *inst = s->instances[i];
		struct listener *list = listener_take(inst, inst->sockets, part->config,
		    part->config->shared && i > 0 ? s->instances[0]->sockets->listeners : NULL, mem,
		    why);

		if (list == NULL)
			return *why == NULL ? -ENOMEM : -EADDRINUSE;
		socket_set_use(inst->sockets, list);
	}
	return logs_open_service(s, mem, why);
}

/* What the file says, unless it says the same as before: then it may have been scaled since. */
static unsigned
number(const struct service *s, const struct service_config *fresh)
{
	const struct service_config *last =
	    s->deploy->wanted != NULL ? s->deploy->wanted : s->config;

	return fresh->instances == last->instances ? s->ninstances : (unsigned)fresh->instances;
}

/* Instances that stay get their sockets for the new addresses, further ones are made. */
static int
prepare_running(struct plan *p, struct part *part, TALLOC_CTX *mem, char **why)
{
	struct service *s = part->service;
	struct instance **grown;
	unsigned n = part->n = number(s, part->config);

	part->change = config_service_change(s->config, part->config);
	part->nstay = n < s->ninstances ? n : s->ninstances;
	part->listeners = talloc_zero_array(p, struct listener *, part->nstay);
	part->added = talloc_zero_array(p, struct instance *, n + 1);
	grown = talloc_realloc(
	    s, s->instances, struct instance *, n > s->ninstances ? n : s->ninstances);
	if (part->listeners == NULL || part->added == NULL || grown == NULL)
		return -ENOMEM;
	s->instances = grown;
	for (unsigned i = 0; i < part->nstay; i++) {
		const struct instance *inst = s->instances[i];

		part->listeners[i] = listener_take(p, inst->sockets, part->config,
		    part->config->shared && i > 0 ? part->listeners[0] : inst->sockets->listeners,
		    mem, why);
		if (part->listeners[i] == NULL)
			return *why == NULL ? -ENOMEM : -EADDRINUSE;
		/* Whatever the reason, such as a file that was removed: it must get the new ones. */
		if (!listener_same_sockets(inst->sockets->listeners, inst->sockets->nlisteners,
			part->listeners[i], part->config->nlistens))
			part->change = CONFIG_NEEDS_PROCESS;
	}
	for (; part->nstay + part->nadded < n; part->nadded++) {
		struct instance *inst = instance_new(s, part->nstay + part->nadded);
		struct listener *list;

		if (inst == NULL)
			return -ENOMEM;
		part->added[part->nadded] = talloc_steal(p, inst);
		list = listener_take(inst, inst->sockets, part->config,
		    part->config->shared ? part->listeners[0] : NULL, mem, why);
		if (list == NULL)
			return *why == NULL ? -ENOMEM : -EADDRINUSE;
		socket_set_use(inst->sockets, list);
	}
	if (part->change == CONFIG_NEEDS_PROCESS) {
		part->undo = undo_new(p, s, n);
		if (part->undo == NULL)
			return -ENOMEM;
	}
	return logs_open_named(p->deploy->all, part->config, mem, why);
}

/* For the lists of what is to be done, and for the configuration that counted until now. */
static int
make_room(struct plan *p)
{
	struct deploy *d = p->deploy;
	size_t n = 1, had = talloc_array_length(d->configs_before);
	struct config **grown = d->configs_before;

	for (size_t i = 0; i < p->nparts; i++)
		n += p->parts[i].n;
	p->all = talloc_zero_array(p, struct service *, (unsigned)(p->nparts + d->all->nservices));
	p->start = talloc_zero_array(p, struct instance *, (unsigned)n);
	p->replace = talloc_zero_array(p, struct instance *, (unsigned)n);
	if (had == 0 || grown[had - 1] != NULL) {
		grown = talloc_realloc(d, grown, struct config *, (unsigned)had + 1);
		if (grown == NULL)
			return -ENOMEM;
		grown[had] = NULL;
		d->configs_before = grown;
	}
	return p->all == NULL || p->start == NULL || p->replace == NULL ? -ENOMEM : 0;
}

/* Which line of PART's means A, or an address that A overlaps with. */
static const struct listen_config *
line_for(const struct part *part, const struct address *a)
{
	const struct service_config *c = part->config;

	for (size_t k = 0; k < c->nlistens; k++) {
		for (unsigned n = 0; n < (c->shared ? 1 : part->n); n++) {
			const struct address x = address_of_instance(&c->listens[k].base, n);

			if (address_overlap(&x, a))
				return &c->listens[k];
		}
	}
	return NULL;
}

/* An address of PART's instance INDEX, of which the file does not know, may be another's now. */
static char *
taken_by_line(const struct plan *p, const struct part *part, unsigned index, TALLOC_CTX *mem)
{
	const struct service_config *c = part->config;

	for (size_t k = 0; k < c->nlistens; k++) {
		const struct address a = address_of_instance(&c->listens[k].base, index);

		for (size_t i = 0; i < p->nparts; i++) {
			const struct listen_config *line =
			    &p->parts[i] == part ? NULL : line_for(&p->parts[i], &a);

			if (line != NULL)
				return talloc_asprintf(mem,
				    "%s: listen: %s.%u has %s, as %s was scaled to %u instances; "
				    "`baton scale %s=%ld` first, or change the address",
				    line->where, c->name, index, address_text(mem, &a), c->name,
				    part->n, c->name, c->instances);
		}
	}
	return NULL;
}

static char *
scaled_into_another(const struct plan *p, TALLOC_CTX *mem)
{
	char *why = NULL;

	for (size_t i = 0; i < p->nparts; i++) {
		const struct part *part = &p->parts[i];
		unsigned n = (unsigned)part->config->instances;

		for (; !part->config->shared && n < part->n && why == NULL; n++)
			why = taken_by_line(p, part, n, mem);
	}
	return why;
}

int
reload_prepare(struct plan *p, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	p->nparts = p->config->nservices;
	p->parts = talloc_zero_array(p, struct part, (unsigned)p->nparts);
	if (p->parts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->nparts && error == 0; i++) {
		struct part *part = &p->parts[i];

		part->config = p->config->services[i];
		part->service = service_find(p->deploy, part->config->name);
		error = part->service == NULL ? prepare_new(p, part, mem, why)
					      : prepare_running(p, part, mem, why);
	}
	if (error < 0)
		return error;
	*why = scaled_into_another(p, mem);
	return *why != NULL ? -EADDRINUSE : make_room(p);
}
