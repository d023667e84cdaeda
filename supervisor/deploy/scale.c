/* SPDX-License-Identifier: MIT */
/*
 * How many instances a service has: further ones are made with their sockets, those that are
 * too many end in good order and are removed, and a service may go altogether.
 */
#include <string.h>

#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"

/* After which it is tried again, if there was no memory. */
#define SHRINK_AGAIN_MS 100

/* Nothing of them lives any more, so they may go, with their sockets. Only from the loop: the
 * news that the last one is down come from the middle of its own code. */
static void
remove_them(void *data)
{
	struct service *s = talloc_get_type_abort(data, struct service);
	struct supervisor *sup = s->sup;

	s->shrinks = false;
	job_forget(sup, s->instances + s->keep, s->ninstances - s->keep);
	if (s->keep == 0)
		job_forget(sup, s->spares.places, s->spares.count);
	while (s->ninstances > s->keep)
		talloc_free(s->instances[--s->ninstances]);
	store_update(sup);
	if (s->keep > 0)
		return;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		if (sup->all.services[i] != s)
			continue;
		sup->all.nservices--;
		memmove(&sup->all.services[i], &sup->all.services[i + 1],
		    (sup->all.nservices - i) * sizeof(struct service *));
		break;
	}
	talloc_free(s);
	logs_close_unused(&sup->all);
}

/* False: no memory, and nothing has changed. */
static bool
shrink_to(struct service *s, unsigned keep, struct asker *asker)
{
	size_t n = s->ninstances - keep;
	struct instance **list =
	    talloc_memdup(s, s->instances + keep, n * sizeof(struct instance *));
	bool begun;

	if (list == NULL)
		return false;
	if (keep == 0)
		instances_append_spares(s, s, &list, &n);
	s->shrinks = true;
	s->keep = keep;
	begun = job_stop_list(s->sup, list, n, asker, remove_them, s);
	s->shrinks = begun;
	talloc_free(list);
	return begun;
}

/* All the sockets first: a port that is taken must be known before anything is started. */
static bool
grow(struct service *s, unsigned to, TALLOC_CTX *mem, char **why)
{
	unsigned had = s->ninstances;
	struct instance **grown = talloc_realloc(s, s->instances, struct instance *, to);

	*why = NULL;
	if (grown == NULL)
		return false;
	s->instances = grown;
	while (s->ninstances < to) {
		struct instance *inst = instance_new(s, s->ninstances);

		if (inst == NULL || listener_open_instance(inst, mem, why) < 0) {
			talloc_free(inst);
			while (s->ninstances > had)
				talloc_free(s->instances[--s->ninstances]);
			return false;
		}
		s->instances[s->ninstances++] = inst;
	}
	store_update(s->sup);
	return true;
}

static struct service *
service_named(struct supervisor *sup, const char *name)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		if (strcmp(sup->all.services[i]->config->name, name) == 0)
			return sup->all.services[i];
	}
	return NULL;
}

/* Whether the number may be changed now; if not, the asker has been told why. */
static bool
may_scale(struct supervisor *sup, const char *name, long instances, struct asker *asker)
{
	const struct key *k = key_find(KEY_SERVICE, "instances");
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;
	bool may = false;

	if (sup->all.phase != SUP_RUNNING)
		asker_error(asker, "baton is starting or stopping");
	else if (service_named(sup, name) == NULL)
		asker_error(asker, "%s", instances_no_such(tmp, &sup->all, name));
	else if (instances < k->min || instances > k->max)
		asker_error(asker, "expected %s, found %ld", key_expected(tmp, k), instances);
	else if (sup->roll != NULL)
		asker_error(asker, "a restart is under way (%s)", roll_where(sup));
	else if (scale_busy(sup, tmp, &why) || revert_busy(sup, tmp, &why))
		asker_error(asker, "%s", why != NULL ? why : "there is no memory");
	else
		may = true;
	talloc_free(tmp);
	return may;
}

void
scale_service(struct supervisor *sup, const char *name, long instances, struct asker *asker)
{
	struct service *s = service_named(sup, name);
	unsigned to = (unsigned)instances, had;
	char *why = NULL;

	if (!may_scale(sup, name, instances, asker))
		return;
	had = s->ninstances;
	if (to > had && !grow(s, to, sup, &why)) {
		asker_error(asker, "%s", why != NULL ? why : "there is no memory");
		talloc_free(why);
		return;
	}
	event_emit(&sup->all, NULL, NULL, "scale",
	    json_pack("{s:s s:i s:i}", "service", name, "from", (int)had, "to", (int)to),
	    "%s from %u to %u instances", name, had, to);
	if (to > had)
		job_start_list(sup, s->instances + had, to - had, asker);
	else if (!shrink_to(s, to, asker))
		asker_error(asker, "there is no memory");
}

static void
shrink_again(void *data)
{
	struct service *s = talloc_get_type_abort(data, struct service);

	scale_shrink(s, s->keep);
}

/* Nobody waits for it, and it has been said already: it must come about. */
void
scale_shrink(struct service *s, unsigned keep)
{
	/* Their end must not make sockets refuse that others have. */
	for (unsigned i = keep; i < s->ninstances; i++)
		listener_let_go(s->instances[i]);
	if (s->sup->all.phase != SUP_RUNNING || shrink_to(s, keep, NULL))
		return;
	s->shrinks = true;
	s->keep = keep;
	timer_after(s, s->sup->base.timers, SHRINK_AGAIN_MS, shrink_again, s);
}

void
scale_remove(struct service *s)
{
	scale_shrink(s, 0);
}

bool
scale_removes(const struct instance *inst)
{
	return inst->service->shrinks && !inst->spare && inst->index >= inst->service->keep;
}

bool
scale_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		const struct service *s = sup->all.services[i];

		if (!s->shrinks)
			continue;
		*why = talloc_asprintf(
		    mem, "instances of %s are being removed; ask again later", s->config->name);
		return true;
	}
	return false;
}
