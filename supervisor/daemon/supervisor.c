/* SPDX-License-Identifier: MIT */
/* Puts the supervisor together and runs its loop. */
#include "supervisor/daemon/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/control/control.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/protocol.h"

/* How long the very last lines may take to reach a reader. */
#define LAST_LINES_MS 1000

/* People and followers first; then those who decide what comes next; spares follow from that. */
static const struct instance_hearer hearers[] = {
    {"report", report_news},
    {"event", event_news},
    {"trial", trial_news},
    {"roll", roll_news},
    {"sequence", sequence_news},
    {"job", job_news},
    {"strategy", strategy_news},
    {"spare", places_news},
    {NULL, NULL},
};

static struct supervisor *
owner_of(const struct instances *all)
{
	return talloc_get_type_abort(all->owner, struct supervisor);
}

static bool
restarting(const struct instances *all)
{
	return owner_of(all)->deploy->roll != NULL;
}

static bool
waited_for(const struct instances *all)
{
	const struct supervisor *sup = owner_of(all);

	return !LIST_EMPTY(&sup->deploy->jobs) || sup->deploy->roll != NULL;
}

static void
tell_event(struct instances *all, json_t *event)
{
	follow_event(owner_of(all)->control, event);
}

static void
tell_line(struct instance *inst, bool err, const char *text, size_t len)
{
	follow_line(owner_of(inst->all)->control, inst, err, text, len);
}

static const struct instance_policy policy = {
    .event = tell_event,
    .line = tell_line,
    .crashed = strategy_crashed,
    .failing = trial_failed,
    .copy = proved_copy_for,
    .fits = version_fits,
    .restarted_since = roll_had_begun,
    .restarting = restarting,
    .waited_for = waited_for,
};

/* --- what the service manager, and an upgrade, are told of baton as a whole ------------------ */

static void
baton_started(struct supervisor *sup)
{
	manager_say(sup, "READY=1\nSTATUS=running\n");
	hints_say(sup);
}

static void
baton_reloaded(struct supervisor *sup, bool good)
{
	manager_say(sup, "READY=1\nSTATUS=running%s\n",
	    good ? "" : "; the last reload failed and has changed nothing");
}

static void
baton_stops(struct supervisor *sup, const char *why)
{
	manager_say(sup, "STOPPING=1\nSTATUS=stopping\n");
	if (sup->upgrade.calls != NULL)
		sup->upgrade.calls->cancel(sup, why);
}

static const struct deploy_calls deploy_calls = {.started = baton_started,
    .reloading = manager_reloading,
    .reloaded = baton_reloaded,
    .stops = baton_stops};

/* --- what clients, and signals, ask of baton as a whole ---------------------------------------- */

void
supervisor_reload(struct supervisor *sup, struct asker *asker)
{
	control_renew(sup->control);
	reload(sup->deploy, asker);
}

static void
asked_to_reload(void *data, struct asker *asker)
{
	supervisor_reload(talloc_get_type_abort(data, struct supervisor), asker);
}

static void
asked_to_upgrade(void *data, struct asker *asker)
{
	struct supervisor *sup = talloc_get_type_abort(data, struct supervisor);

	sup->upgrade.calls->ask(sup, asker);
}

static const struct control_calls control_calls = {
    .reload = asked_to_reload, .upgrade = asked_to_upgrade};

/* --- the supervisor --------------------------------------------------------------------------- */

struct supervisor *
supervisor_new(TALLOC_CTX *mem, struct config *config, const char *argv0)
{
	struct supervisor *sup = talloc_zero(mem, struct supervisor);
	bool started;

	if (sup == NULL)
		return NULL;
	json_memory_watch();
	sup->all.owner = sup;
	sup->all.hearers = hearers;
	sup->all.policy = &policy;
	instances_listen(&sup->all);
	sup->all.by_hand = config->file == NULL;
	sup->all.base = &sup->base;
	sup->all.argv0 = argv0;
	sup->how_to_reach = "";
	started = base_start(&sup->base, sup);
	sup->all.events = events_new(sup);
	sup->all.accepted_by = started ? accepted_by_queue_new(sup, sup->base.timers) : NULL;
	sup->all.sockets = sockets_new(sup, sup->base.out);
	sup->all.services = talloc_zero_array(sup, struct service *, config->nservices);
	sup->deploy = deploy_new(sup, sup, &deploy_calls, &sup->base, &sup->all, config);
	sup->control = control_new(sup, &sup->all, sup->deploy, &control_calls, sup);
	if (sup->all.services == NULL || sup->all.events == NULL || sup->all.accepted_by == NULL ||
	    sup->all.sockets == NULL || sup->deploy == NULL || sup->control == NULL) {
		talloc_free(sup);
		return NULL;
	}
	for (size_t i = 0; i < config->nservices; i++) {
		sup->all.services[i] = service_new(sup->deploy, config->services[i]);
		if (sup->all.services[i] == NULL) {
			talloc_free(sup);
			return NULL;
		}
		sup->all.nservices++;
	}
	return sup;
}

int
supervisor_run(struct supervisor *sup)
{
	/* After an upgrade it is a subreaper still, and the manager knows who it is. */
	if (!sup->upgrade.resumed) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		manager_say(sup, "MAINPID=%d\nSTATUS=starting\n", (int)getpid());
		sequence_start(sup->deploy);
	}
	while (sup->all.phase != SUP_DONE) {
		if (tevent_loop_once(sup->base.ev) != 0) {
			output_warn(
			    sup->base.out, "the event loop failed: %s; ending", strerror(errno));
			sequence_kill(sup->deploy);
		}
	}
	/* Before anybody is told that it is done: whoever waits for that may bind them next. */
	sockets_close(sup->all.sockets);
	control_end(sup->control, LAST_LINES_MS);
	output_drain(sup->base.out, LAST_LINES_MS);
	return 0;
}
