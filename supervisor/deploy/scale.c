/* SPDX-License-Identifier: MIT */
/*
 * How many instances a service has: further ones are made with their sockets, those that are
 * too many end in good order and are removed, and a service may go altogether.
 */
#include <string.h>

#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/job.h"
#include "supervisor/sockets/sockets.h"

/* After which it is tried again, if there was no memory. */
#define SHRINK_AGAIN_MS 100

/* Nothing of them lives any more, so they may go, with their sockets. Only from the loop: the
 * news that the last one is down come from the middle of its own code. */
static void
remove_them(void *data)
{
	struct service *s = talloc_get_type_abort(data, struct service);
	struct deploy *d = deploy_of(s);

	s->deploy->shrinks = false;
	job_forget(d, s->instances + s->deploy->keep, s->ninstances - s->deploy->keep);
	if (s->deploy->keep == 0)
		job_forget(d, s->spares.places, s->spares.count);
	while (s->ninstances > s->deploy->keep)
		talloc_free(s->instances[--s->ninstances]);
	store_update(d->all->sockets);
	if (s->deploy->keep > 0)
		return;
	for (size_t i = 0; i < d->all->nservices; i++) {
		if (d->all->services[i] != s)
			continue;
		d->all->nservices--;
		memmove(&d->all->services[i], &d->all->services[i + 1],
		    (d->all->nservices - i) * sizeof(struct service *));
		break;
	}
	talloc_free(s);
	logs_close_unused(d->all);
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
	s->deploy->shrinks = true;
	s->deploy->keep = keep;
	begun = job_stop_list(deploy_of(s), list, n, asker, remove_them, s);
	s->deploy->shrinks = begun;
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

		if (inst == NULL || socket_set_open(inst->sockets, mem, why) < 0) {
			talloc_free(inst);
			while (s->ninstances > had)
				talloc_free(s->instances[--s->ninstances]);
			return false;
		}
		s->instances[s->ninstances++] = inst;
	}
	store_update(s->all->sockets);
	return true;
}

/* Whether the number may be changed now; if not, the asker has been told why. */
static bool
may_scale(struct deploy *d, const char *name, long instances, struct asker *asker)
{
	const struct key *k = key_find(KEY_SERVICE, "instances");
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;
	bool may = false;

	if (d->all->phase != SUP_RUNNING)
		asker_error(asker, "baton is starting or stopping");
	else if (service_find(d, name) == NULL)
		asker_error(asker, "%s", instances_no_such(tmp, d->all, name));
	else if (instances < k->min || instances > k->max)
		asker_error(asker, "expected %s, found %ld", key_expected(tmp, k), instances);
	else if (d->roll != NULL)
		asker_error(asker, "a restart is under way (%s)", roll_where(d));
	else if (deploy_busy(d, tmp, &why))
		asker_error(asker, "%s", why != NULL ? why : "there is no memory");
	else
		may = true;
	talloc_free(tmp);
	return may;
}

void
scale_service(struct deploy *d, const char *name, long instances, struct asker *asker)
{
	struct service *s = service_find(d, name);
	unsigned to = (unsigned)instances, had;
	char *why = NULL;

	if (!may_scale(d, name, instances, asker))
		return;
	had = s->ninstances;
	if (to > had && !grow(s, to, d, &why)) {
		asker_error(asker, "%s", why != NULL ? why : "there is no memory");
		talloc_free(why);
		return;
	}
	event_emit(d->all, NULL, NULL, "scale",
	    json_pack("{s:s s:i s:i}", "service", name, "from", (int)had, "to", (int)to),
	    "%s from %u to %u instances", name, had, to);
	if (to > had)
		job_start_list(d, s->instances + had, to - had, asker);
	else if (!shrink_to(s, to, asker))
		asker_error(asker, "there is no memory");
}

static void
shrink_again(void *data)
{
	struct service *s = talloc_get_type_abort(data, struct service);

	scale_shrink(s, s->deploy->keep);
}

/* Nobody waits for it, and it has been said already: it must come about. */
void
scale_shrink(struct service *s, unsigned keep)
{
	/* Their end must not make sockets refuse that others have. */
	for (unsigned i = keep; i < s->ninstances; i++)
		socket_set_let_go(s->instances[i]->sockets);
	if (deploy_of(s)->all->phase != SUP_RUNNING || shrink_to(s, keep, NULL))
		return;
	s->deploy->shrinks = true;
	s->deploy->keep = keep;
	timer_after(s, deploy_of(s)->base->timers, SHRINK_AGAIN_MS, shrink_again, s);
}

void
scale_remove(struct service *s)
{
	scale_shrink(s, 0);
}
