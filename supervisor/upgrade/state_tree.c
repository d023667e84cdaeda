/* SPDX-License-Identifier: MIT */
/* The whole supervisor in the document, and the document's own head. */
#include <string.h>
#include <unistd.h>

#include "supervisor/base/state.h"
#include "supervisor/control/control.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/process/spawn.h"
#include "supervisor/upgrade/state_tree.h"

static const struct state_field fields[] = {
    STATE_STRING(struct supervisor, how_to_reach),
};

static const struct state_field deploy_fields[] = {
    STATE_NUMBER(struct deploy, next_service),
    STATE_NUMBER(struct deploy, next_instance),
    STATE_NUMBER(struct deploy, read_unix_ms),
    STATE_STRING(struct deploy, refused_why),
    STATE_NUMBER(struct deploy, refused_unix_ms),
};

static const struct state_field base_fields[] = {
    STATE_NUMBER(struct base, started_ms),
};

static const struct state_field all_fields[] = {
    STATE_NUMBER(struct instances, lines),
};

static const struct state_field service_fields[] = {
    STATE_NUMBER(struct service, config_number),
};

static const struct state_field service_deploy_fields[] = {
    STATE_NUMBER(struct service_deploy, config_numbers),
    STATE_STRING(struct service_deploy, not_kept),
    STATE_FLAG(struct service_deploy, from_file_before),
    STATE_STRING(struct service_deploy, back_why),
    STATE_NUMBER(struct service_deploy, back_unix_ms),
    STATE_NUMBER(struct service_deploy, wanted_number),
    STATE_NUMBER(struct service_deploy, read_unix_ms),
    STATE_STRING(struct service_deploy, refused_why),
    STATE_NUMBER(struct service_deploy, refused_unix_ms),
};

/* An upgrade is refused in the other phases (upgrade.c), so they are never written. */
static const struct state_word phases[] = {
    {"starting", SUP_STARTING, 0},
    {"running", SUP_RUNNING, 1},
};

static const struct state_field config_fields[] = {
    STATE_STRING(struct config, file),
    STATE_STRING(struct config, control),
};

static void
load_instances(struct state *s, struct service *service, unsigned n)
{
	service->instances = talloc_zero_array(service, struct instance *, n + 1);
	for (unsigned i = 0; i < n && service->instances != NULL && state_ok(s); i++) {
		service->instances[i] = instance_new(service, i);
		if (service->instances[i] == NULL)
			state_fail(s, "instances", "there is no memory");
		else
			service->ninstances++;
	}
	if (service->instances == NULL)
		state_fail(s, "instances", "there is no memory");
}

static void
instances(struct state *s, struct service *service)
{
	unsigned n = state_array(s, "instances", service->ninstances);

	if (!state_saving(s))
		load_instances(s, service, n);
	for (unsigned i = 0; i < service->ninstances && state_ok(s); i++) {
		struct state sub = state_element(s, "instances", i);

		state_instance(&sub, service->instances[i]);
	}
}

/* Makes one service of the list, with its configuration. */
static struct service *
load_service(struct state *s, struct supervisor *sup)
{
	char *name = NULL;
	struct service_config *c;
	struct service *service;

	state_text(s, "name", sup, &name);
	c = name == NULL ? NULL : config_service(sup->deploy->config, name, 0, true);
	if (c == NULL) {
		state_fail(s, "name",
		    name == NULL || !config_good_name(name) ? "is missing, or is no name"
							    : "there is no memory");
		return NULL;
	}
	talloc_free(name);
	config_service_state(s, c);
	if (!state_ok(s))
		return NULL;
	service = service_new_empty(sup->deploy, c);
	if (service == NULL)
		state_fail(s, "name", "there is no memory");
	return service;
}

static void
open_logs(struct state *s, struct service *service)
{
	char *why = NULL;

	/* The log files are open already, so this only finds them. */
	if (state_ok(s) && logs_open_service(service, service, &why) < 0)
		state_fail(s, "name", "%s", why == NULL ? "there is no memory" : why);
}

static const struct state_field spares_fields[] = {
    STATE_NUMBER(struct spares, epoch),
    STATE_FLAG(struct spares, known),
    STATE_NUMBER(struct spares, failures),
    STATE_FLAG(struct spares, refused),
    STATE_NUMBER(struct spares, refused_epoch),
};

/* The places of spares are instances; how many there are to be is looked at anew. */
static void
spares(struct state *s, struct service *service)
{
	struct state sub = state_object(s, "spares");
	unsigned n = state_array(&sub, "places", service->spares.count);

	STATE_FIELDS(&sub, &service->spares, spares_fields);
	if (!state_saving(s))
		places_add(service, n);
	if (service->spares.count < n)
		state_fail(&sub, "places", "there is no memory");
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state place = state_element(&sub, "places", i);

		state_instance(&place, service->spares.places[i]);
	}
	if (!state_saving(s))
		places_look(service);
}

/* A copy of the program that was being made is begun anew. */
static void
copying(struct state *s, struct service *service)
{
	int64_t begun = service->deploy->copying != NULL;

	state_number(s, "copying", &begun);
	if (state_saving(s) || !state_ok(s) || begun == 0)
		return;
	for (unsigned i = 0; i < service->ninstances; i++) {
		struct generation *g = service->instances[i]->current;

		if (g != NULL && g->proved)
			proved_keep(g);
	}
}

static void
services(struct state *s, struct supervisor *sup)
{
	unsigned n = state_array(s, "services", sup->all.nservices);

	if (!state_saving(s)) {
		talloc_free(sup->all.services);
		sup->all.services = talloc_zero_array(sup, struct service *, n + 1);
		if (sup->all.services == NULL)
			state_fail(s, "services", "there is no memory");
	}
	for (unsigned i = 0; i < n && sup->all.services != NULL && state_ok(s); i++) {
		struct state sub = state_element(s, "services", i);

		if (state_saving(s)) {
			struct service_config *c =
			    (struct service_config *)sup->all.services[i]->deploy->wanted;

			state_text(&sub, "name", NULL, &c->name);
			config_service_state(&sub, c);
		} else {
			sup->all.services[i] = load_service(&sub, sup);
			if (sup->all.services[i] == NULL)
				return;
			sup->all.nservices++;
		}
		state_good(&sub, sup->all.services[i]);
		STATE_FIELDS(&sub, sup->all.services[i], service_fields);
		STATE_FIELDS(&sub, sup->all.services[i]->deploy, service_deploy_fields);
		if (!state_saving(s))
			open_logs(&sub, sup->all.services[i]);
		instances(&sub, sup->all.services[i]);
		spares(&sub, sup->all.services[i]);
		strategy_state(&sub, sup->all.services[i]);
		copying(&sub, sup->all.services[i]);
	}
}

static void
supervisor(struct state *s, struct supervisor *sup)
{
	struct state sub = state_object(s, "config");

	STATE_FIELDS(&sub, sup->deploy->config, config_fields);
	sup->all.by_hand = sup->deploy->config->file == NULL;
	STATE_FIELDS(s, sup, fields);
	STATE_FIELDS(s, &sup->base, base_fields);
	STATE_FIELDS(s, sup->deploy, deploy_fields);
	STATE_FIELDS(s, &sup->all, all_fields);
	state_text(s, "program", sup, (char **)&sup->upgrade.program);
	state_text(s, "argv0", sup, (char **)&sup->all.argv0);
	sup->all.phase = STATE_WORD(s, "phase", sup->all.phase, phases);
	state_json(s, "last_restart", &sup->deploy->last_restart);
	signals_state(s, sup);
	spawn_state(s);
	output_state(s, "output", sup->base.out);
	logfiles_state(s, sup->base.logfiles);
	event_state(s, sup->all.events);
	inherited_state(s, sup->all.sockets);
	store_state(s, sup->all.sockets);
	manager_state(s, sup);
	services(s, sup);
	if (state_ok(s) && sup->all.phase == SUP_STARTING &&
	    (sup->deploy->next_service >= sup->all.nservices ||
		sup->deploy->next_instance >=
		    sup->all.services[sup->deploy->next_service]->ninstances))
		state_fail(s, "next_service", "there is no such instance");
	control_state(s, sup->control, &sup->upgrade.asker);
}

void
state_save(struct state_doc *doc, struct supervisor *sup)
{
	struct state root = state_root(doc), sub;
	int64_t pid = getpid();

	state_head(&root);
	state_number(&root, "pid", &pid);
	sub = state_object(&root, "supervisor");
	supervisor(&sub, sup);
	state_held(&root);
}

struct supervisor *
state_load(TALLOC_CTX *mem, struct state_doc *doc)
{
	struct state root = state_root(doc), sub;
	struct config *config = config_new(mem, NULL);
	struct supervisor *sup = config == NULL ? NULL : supervisor_new(mem, config, "baton");

	state_head(&root);
	if (sup == NULL)
		state_fail(&root, "supervisor", "there is no memory");
	state_held(&root);
	sub = state_object(&root, "supervisor");
	if (sup == NULL || !state_ok(&root))
		return NULL;
	sup->upgrade.resumed = true;
	if (!manager_start(sup))
		state_fail(&sub, "manager", "there is no memory");
	talloc_steal(sup->deploy, config);
	supervisor(&sub, sup);
	if (!state_complete(doc))
		return NULL;
	state_shared_done(doc);
	return sup;
}
