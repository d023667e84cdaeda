/* SPDX-License-Identifier: MIT */
/* An instance among all of them: how it is made, how it is found, and who hears of it. */
#include <string.h>

#include "supervisor/instance/instances.h"

static int
instance_close(struct instance *inst)
{
	channel_unref(&inst->left);
	return 0;
}

struct instance *
instance_new(struct service *service, unsigned index)
{
	struct instance *inst = talloc_zero(service, struct instance);

	if (inst == NULL)
		return NULL;
	talloc_set_destructor(inst, instance_close);
	inst->all = service->all;
	inst->service = service;
	inst->index = index;
	inst->life = life_new();
	inst->name = talloc_asprintf(inst, "%s.%u", service->config->name, index);
	inst->prefix = talloc_asprintf(inst, "%s | ", inst->name);
	if (inst->name != NULL)
		inst->sockets =
		    socket_set_new(inst, inst->all->sockets, inst->name, index, &service->config,
			service->ninstances > 0 ? service->instances[0]->sockets : NULL);
	if (inst->sockets == NULL || inst->prefix == NULL)
		TALLOC_FREE(inst);
	return inst;
}

void
instance_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	for (const struct instance_hearer *h = inst->all->hearers; h->name != NULL; h++)
		h->news(inst, g, news);
}

struct generation *
instances_generation(struct instances *all, pid_t pid)
{
	struct generation *g;

	LIST_FOREACH(g, &all->generations, entry) {
		if (g->pid == pid)
			return g;
	}
	return NULL;
}

void
instances_append_spares(
    const struct service *s, TALLOC_CTX *mem, struct instance ***list, size_t *n)
{
	struct instance **grown =
	    talloc_realloc(mem, *list, struct instance *, (unsigned)*n + s->spares.count + 1);

	if (grown == NULL)
		return;
	*list = grown;
	for (unsigned i = 0; i < s->spares.count; i++)
		grown[(*n)++] = s->spares.places[i];
}

size_t
instances_select(struct instances *all, const char *name, TALLOC_CTX *mem, struct instance ***list)
{
	struct instance **grown;
	size_t n = 0;

	*list = NULL;
	for (size_t i = 0; i < all->nservices; i++) {
		struct service *s = all->services[i];
		bool whole = name == NULL || strcmp(s->config->name, name) == 0;

		for (unsigned k = 0; k < s->ninstances; k++) {
			if (!whole && strcmp(s->instances[k]->name, name) != 0)
				continue;
			grown = talloc_realloc(mem, *list, struct instance *, (unsigned)n + 1);
			if (grown == NULL) {
				TALLOC_FREE(*list);
				return 0; /* a part of them would be taken for all */
			}
			*list = grown;
			grown[n++] = s->instances[k];
		}
		if (whole)
			instances_append_spares(s, mem, list, &n);
	}
	return n;
}

/* Then it was memory that was missing. */
static bool
exists(const struct instances *all, const char *name)
{
	for (size_t i = 0; i < all->nservices; i++) {
		const struct service *s = all->services[i];

		if (strcmp(s->config->name, name) == 0)
			return s->ninstances > 0;
		for (unsigned k = 0; k < s->ninstances; k++) {
			if (strcmp(s->instances[k]->name, name) == 0)
				return true;
		}
	}
	return false;
}

char *
instances_no_such(TALLOC_CTX *mem, const struct instances *all, const char *name)
{
	static char no_memory[] = "there is no memory";
	char *why;

	if (name == NULL || exists(all, name))
		return no_memory;
	why = talloc_asprintf(mem, "there is no service \"%s\"; there is: ", name);
	for (size_t i = 0; i < all->nservices; i++)
		why = why == NULL ? NULL
				  : talloc_asprintf_append(why, "%s%s", i == 0 ? "" : ", ",
					all->services[i]->config->name);
	return why == NULL ? no_memory : why;
}
