/* SPDX-License-Identifier: MIT */
/*
 * The order of things: instances are started one after the other, as the configuration lists
 * them, each when the one before is ready (or has failed: it goes on trying by itself, and
 * must not keep the others down). They are stopped service by service from the last to the
 * first, the instances of one service together.
 */
#include "supervisor/daemon/supervisor.h"

static struct instance *
awaited(struct supervisor *sup)
{
	if (sup->all.phase != SUP_STARTING || sup->next_service >= sup->all.nservices)
		return NULL;
	return sup->all.services[sup->next_service]->instances[sup->next_instance];
}

static void
start_next(struct supervisor *sup)
{
	struct instance *inst = awaited(sup);

	if (inst != NULL) {
		instance_event(inst, LIFE_EV_START);
		return;
	}
	sup->all.phase = SUP_RUNNING;
	places_look_all(&sup->all);
	sup->deploy_calls->started(sup);
	event_emit(&sup->all, NULL, NULL, "running", NULL, "every instance has been started");
	hints_say(sup);
}

void
sequence_start(struct supervisor *sup)
{
	sup->all.phase = SUP_STARTING;
	start_next(sup);
}

static bool
service_is_down(const struct service *s)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		if (s->instances[i]->life.state != LIFE_DOWN)
			return false;
	}
	return places_all_down(s);
}

/* Stops the last service that still runs; when none does, all is done. next_service counts
 * those that are left, the one being stopped included. */
static void
stop_next(struct supervisor *sup)
{
	sup->stop_next_runs = true;
	while (sup->next_service > 0) {
		struct service *s = sup->all.services[sup->next_service - 1];

		places_event_all(s, sup->all.killing ? LIFE_EV_KILL : LIFE_EV_STOP);
		for (unsigned i = s->ninstances; i-- > 0;)
			instance_event(
			    s->instances[i], sup->all.killing ? LIFE_EV_KILL : LIFE_EV_STOP);
		if (!service_is_down(s))
			break;
		sup->next_service--;
	}
	sup->stop_next_runs = false;
	if (sup->next_service == 0)
		sup->all.phase = SUP_DONE;
}

void
sequence_stop(struct supervisor *sup)
{
	if (sup->all.phase == SUP_STOPPING || sup->all.phase == SUP_DONE)
		return;
	sup->all.phase = SUP_STOPPING;
	sup->next_service = sup->all.nservices;
	event_emit(&sup->all, NULL, NULL, "stopping", NULL, "baton ends in good order");
	sup->deploy_calls->stops(sup, "baton was told to stop");
	reload_cancel(sup, "baton was told to stop");
	roll_cancel(sup, "baton was told to stop");
	job_cancel_all(sup, "baton was told to stop");
	stop_next(sup);
}

void
sequence_kill(struct supervisor *sup)
{
	sup->all.killing = true;
	sequence_stop(sup);
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++)
			instance_event(sup->all.services[i]->instances[n], LIFE_EV_KILL);
		places_event_all(sup->all.services[i], LIFE_EV_KILL);
	}
}

void
sequence_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	struct supervisor *sup = inst->sup;

	(void)g;
	if (inst == awaited(sup) &&
	    (news == NEWS_READY || news == NEWS_FAILED || news == NEWS_DOWN)) {
		if (++sup->next_instance == sup->all.services[sup->next_service]->ninstances) {
			sup->next_instance = 0;
			sup->next_service++;
		}
		start_next(sup);
	}
	/* An instance with no process goes down while stop_next looks on: it needs no news. */
	if (news == NEWS_DOWN && sup->all.phase == SUP_STOPPING && !sup->stop_next_runs &&
	    service_is_down(sup->all.services[sup->next_service - 1]))
		stop_next(sup);
}
