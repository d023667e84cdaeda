/* SPDX-License-Identifier: MIT */
/*
 * The order of things: instances are started one after the other, as the configuration lists
 * them, each when the one before is ready (or has failed: it goes on trying by itself, and
 * must not keep the others down). They are stopped service by service from the last to the
 * first, the instances of one service together.
 */
#include "supervisor/deploy/job.h"
#include "supervisor/deploy/reload.h"
#include "supervisor/deploy/roll.h"

static struct instance *
awaited(struct deploy *d)
{
	if (d->all->phase != SUP_STARTING || d->next_service >= d->all->nservices)
		return NULL;
	return d->all->services[d->next_service]->instances[d->next_instance];
}

static void
start_next(struct deploy *d)
{
	struct instance *inst = awaited(d);

	if (inst != NULL) {
		instance_event(inst, LIFE_EV_START);
		return;
	}
	d->all->phase = SUP_RUNNING;
	places_look_all(d->all);
	event_emit(d->all, NULL, NULL, "running", NULL, "every instance has been started");
	d->calls->started(d->sup);
}

void
sequence_start(struct deploy *d)
{
	d->all->phase = SUP_STARTING;
	start_next(d);
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
stop_next(struct deploy *d)
{
	d->stop_next_runs = true;
	while (d->next_service > 0) {
		struct service *s = d->all->services[d->next_service - 1];

		places_event_all(s, d->all->killing ? LIFE_EV_KILL : LIFE_EV_STOP);
		for (unsigned i = s->ninstances; i-- > 0;)
			instance_event(
			    s->instances[i], d->all->killing ? LIFE_EV_KILL : LIFE_EV_STOP);
		if (!service_is_down(s))
			break;
		d->next_service--;
	}
	d->stop_next_runs = false;
	if (d->next_service == 0)
		d->all->phase = SUP_DONE;
}

void
sequence_stop(struct deploy *d)
{
	if (d->all->phase == SUP_STOPPING || d->all->phase == SUP_DONE)
		return;
	d->all->phase = SUP_STOPPING;
	d->next_service = d->all->nservices;
	event_emit(d->all, NULL, NULL, "stopping", NULL, "baton ends in good order");
	d->calls->stops(d->sup, "baton was told to stop");
	reload_cancel(d, "baton was told to stop");
	revert_cancel(d, "baton was told to stop");
	roll_cancel(d, "baton was told to stop");
	job_cancel_all(d, "baton was told to stop");
	stop_next(d);
}

void
sequence_kill(struct deploy *d)
{
	d->all->killing = true;
	sequence_stop(d);
	for (size_t i = 0; i < d->all->nservices; i++) {
		for (unsigned n = 0; n < d->all->services[i]->ninstances; n++)
			instance_event(d->all->services[i]->instances[n], LIFE_EV_KILL);
		places_event_all(d->all->services[i], LIFE_EV_KILL);
	}
}

void
sequence_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	struct deploy *d = deploy_of(inst->service);

	(void)g;
	if (inst == awaited(d) &&
	    (news == NEWS_READY || news == NEWS_FAILED || news == NEWS_DOWN)) {
		if (++d->next_instance == d->all->services[d->next_service]->ninstances) {
			d->next_instance = 0;
			d->next_service++;
		}
		start_next(d);
	}
	/* An instance with no process goes down while stop_next looks on: it needs no news. */
	if (news == NEWS_DOWN && d->all->phase == SUP_STOPPING && !d->stop_next_runs &&
	    service_is_down(d->all->services[d->next_service - 1]))
		stop_next(d);
}
