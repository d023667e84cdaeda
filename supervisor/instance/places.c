/* SPDX-License-Identifier: MIT */
/*
 * How many spares a service has: its places are filled, replaced and emptied as the configuration
 * and the instances want it, unless the program does not know what a spare is.
 */
#include "supervisor/instance/instances.h"
#include "supervisor/protocol.h"

/* So many spares of a program end before it has ever said that it knows them, and it is taken
 * for one that does not. */
#define TRIES 3

/* When something that is under way has to end first, it is looked again. */
#define LOOK_AGAIN_MS 500

/* --- Programs that know spares, and others -------------------------------------------------- */

static void
do_without(struct service *s, const struct instance *place, const char *what)
{
	if (s->spares.refused)
		return;
	s->spares.refused = true;
	s->spares.refused_epoch = s->spares.epoch;
	output_warn(s->all->base->out,
	    "%s: %s: %s does not seem to know spares (see baton-handover(7)); until the next "
	    "restart of %s there are none, and its instances are started anew when they crash",
	    place->name, what, s->config->command[0], s->config->name);
	places_look(s);
}

bool
places_said_ready(struct generation *g, bool spare)
{
	struct service *s = g->instance->service;

	if (g->instance->spare && !spare && g->ready_ms < 0)
		do_without(s, g->instance, "it said READY=1 without " BATON_NOTIFY_SPARE);
	if (g->instance->spare && spare)
		s->spares.known = true;
	return g->instance->spare == spare;
}

void
places_ended(const struct generation *g)
{
	struct spares *s = &g->instance->service->spares;

	if (g->ready_ms < 0 && !g->told && !s->known && ++s->failures == TRIES)
		do_without(
		    g->instance->service, g->instance, "again it has ended before it was ready");
}

/* --- How many there are, and which ----------------------------------------------------------- */

static struct instance *
place_new(struct service *s, unsigned index)
{
	struct instance *place = instance_new(s, index);

	if (place == NULL)
		return NULL;
	place->spare = true;
	socket_set_withdraw(place->sockets);
	talloc_free(place->name);
	talloc_free(place->prefix);
	place->name = talloc_asprintf(place, "%s.spare.%u", s->config->name, index);
	place->prefix = talloc_asprintf(place, "%s | ", place->name);
	if (place->name == NULL || place->prefix == NULL)
		TALLOC_FREE(place);
	return place;
}

void
places_add(struct service *s, unsigned want)
{
	struct instance **grown;

	if (s->spares.count >= want)
		return;
	grown = talloc_realloc(s, s->spares.places, struct instance *, want);
	if (grown == NULL)
		return;
	s->spares.places = grown;
	while (s->spares.count < want) {
		grown[s->spares.count] = place_new(s, s->spares.count);
		if (grown[s->spares.count] == NULL)
			return;
		s->spares.count++;
	}
}

/* Others may wait for them to go down: while anybody does, they stay. */
static void
remove_places(struct service *s, unsigned want)
{
	for (unsigned i = want; i < s->spares.count; i++)
		instance_event(s->spares.places[i], LIFE_EV_STOP);
	while (s->spares.count > want && !s->all->policy->waited_for(s->all) &&
	       s->spares.places[s->spares.count - 1]->life.state == LIFE_DOWN)
		talloc_free(s->spares.places[--s->spares.count]);
}

/* The highest epoch of what serves, and whether anything does, or is to. */
static unsigned
newest(const struct service *s, bool *serves, bool *lives)
{
	unsigned epoch = 0;

	*serves = *lives = false;
	for (unsigned i = 0; i < s->ninstances; i++) {
		const struct instance *inst = s->instances[i];

		*lives =
		    *lives || (inst->life.state != LIFE_DOWN && inst->life.state != LIFE_STOPPING);
		if (inst->life.ready_ms < 0 || inst->life.state == LIFE_STOPPING)
			continue;
		*serves = true;
		if (inst->current != NULL && inst->current->epoch > epoch)
			epoch = inst->current->epoch;
	}
	return epoch;
}

/* Starts it, or replaces one whose program is older than what serves: once, for if that fails
 * the next attempt would be no better. */
static void
fill_place(struct instance *place, bool serves, unsigned epoch)
{
	const struct generation *g = place->current;

	if (place->life.state == LIFE_DOWN && serves) {
		instance_event(place, LIFE_EV_START);
	} else if (place->life.state == LIFE_READY && place->life.alive == LIFE_CURRENT &&
		   g != NULL && g->epoch < epoch && place->refreshed < epoch) {
		place->refreshed = epoch;
		instance_event(place, LIFE_EV_RESTART);
	}
}

static void
fill(void *data)
{
	struct service *s = talloc_get_type_abort(data, struct service);
	unsigned want = (unsigned)s->config->spares;
	bool serves, lives;
	unsigned epoch = newest(s, &serves, &lives);

	s->spares.look = NULL;
	if (s->all->phase != SUP_RUNNING)
		return;
	/* A restart may be about the program; it sees to the spares itself. */
	if (s->spares.refused && s->spares.epoch > s->spares.refused_epoch &&
	    !s->all->policy->restarting(s->all)) {
		s->spares.refused = s->spares.known = false;
		s->spares.failures = 0;
	}
	places_add(s, want);
	remove_places(s, want);
	for (unsigned i = 0; i < want && i < s->spares.count; i++) {
		if (!lives || s->spares.refused)
			instance_event(s->spares.places[i], LIFE_EV_STOP);
		else if (!s->all->policy->restarting(s->all))
			fill_place(s->spares.places[i], serves, epoch);
	}
	if (s->spares.look == NULL &&
	    (s->spares.count > want || (want > 0 && s->all->policy->restarting(s->all))))
		s->spares.look = timer_after(s, s->all->base->timers, LOOK_AGAIN_MS, fill, s);
}

void
places_look(struct service *s)
{
	if (s->config->spares == 0 && s->spares.count == 0)
		return;
	/* A look that is due keeps its place before what else is: another start, say, of a spare
	 * that is to be done without. */
	if (s->spares.look != NULL && timer_due_ms(s->spares.look) <= timer_now_ms())
		return;
	talloc_free(s->spares.look);
	s->spares.look = timer_after(s, s->all->base->timers, 0, fill, s);
}

void
places_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	(void)g;
	(void)news;
	places_look(inst->service);
}

void
places_look_all(struct instances *all)
{
	for (size_t i = 0; i < all->nservices; i++)
		places_look(all->services[i]);
}

/* --- All of them, for those who order ---------------------------------------------------------- */

void
places_event_all(struct service *s, enum life_event event)
{
	for (unsigned i = s->spares.count; i-- > 0;)
		instance_event(s->spares.places[i], event);
}

bool
places_all_down(const struct service *s)
{
	for (unsigned i = 0; i < s->spares.count; i++) {
		if (s->spares.places[i]->life.state != LIFE_DOWN)
			return false;
	}
	return true;
}
