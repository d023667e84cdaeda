/* SPDX-License-Identifier: MIT */
/*
 * What counts is what last succeeded. A reload that replaces processes makes the new configuration
 * of a service count while it does so, and keeps the one before, with its sockets, until the last
 * instance is replaced: outcome.c says which of them stays.
 */
#include "supervisor/deploy/version.h"
#include "supervisor/sockets/sockets.h"

struct undo *
undo_new(TALLOC_CTX *mem, const struct service *s, unsigned wants)
{
	struct undo *u = talloc_zero(mem, struct undo);

	if (u == NULL)
		return NULL;
	u->listeners = talloc_zero_array(
	    u, struct listener *, (wants < s->ninstances ? wants : s->ninstances) + 1);
	u->ninstances = s->ninstances;
	u->wants = wants;
	if (u->listeners == NULL)
		TALLOC_FREE(u);
	return u;
}

void
undo_keep(struct service *s, struct undo **undo)
{
	struct undo *u = s->deploy->undo = talloc_move(s, undo);

	u->config = s->config;
	u->wanted = s->deploy->wanted;
	u->config_number = s->config_number;
	u->wanted_number = s->deploy->wanted_number;
	u->from = s->deploy->from;
	u->read_unix_ms = s->deploy->read_unix_ms;
}

void
undo_keep_listeners(struct instance *inst)
{
	struct undo *u = inst->service->deploy->undo;

	u->listeners[inst->index] = talloc_move(u->listeners, &inst->sockets->listeners);
}

bool
undo_uses(const struct service *s, const struct service_config *c)
{
	return s->deploy->undo != NULL &&
	       (s->deploy->undo->config == c || s->deploy->undo->wanted == c);
}

bool
undo_would_bring(const struct service *s, unsigned config_number)
{
	return s->deploy->undo != NULL && !s->deploy->undo->decided &&
	       s->deploy->undo->config_number == config_number;
}

/* It may have been dropped meanwhile. */
static const struct proved *
still_kept(const struct service *s, const struct proved *proved)
{
	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		if (s->deploy->proved[i] == proved)
			return proved;
	}
	return NULL;
}

static void
put_listeners_back(struct service *s, struct undo *u)
{
	for (unsigned i = 0; i < talloc_array_length(u->listeners); i++) {
		struct instance *inst = i < s->ninstances ? s->instances[i] : NULL;

		if (inst == NULL || u->listeners[i] == NULL)
			continue;
		socket_set_use(inst->sockets, talloc_move(u, &u->listeners[i]));
		socket_set_settle(inst->sockets);
	}
}

/* Those that run the refused configuration would take the place of what runs the one that counts. */
static void
end_refused_spares(struct service *s)
{
	for (unsigned i = 0; i < s->spares.count; i++) {
		const struct generation *g = s->spares.places[i]->current;

		if (g != NULL && g->config_number != s->config_number)
			instance_event(s->spares.places[i], LIFE_EV_STOP);
	}
}

void
undo_apply(struct service *s)
{
	struct undo *u = s->deploy->undo;
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;

	u->decided = true;
	proved_forget(s, s->config_number);
	s->deploy->wanted = u->wanted;
	s->deploy->wanted_number = u->wanted_number;
	s->deploy->from = still_kept(s, u->from);
	s->deploy->read_unix_ms = u->read_unix_ms;
	service_reconfigure(s, u->config, u->config_number);
	if (logs_open_service(s, tmp, &why) < 0)
		output_warn(deploy_of(s)->base->out, "%s: %s", s->config->name,
		    why == NULL ? "no memory" : why);
	put_listeners_back(s, u);
	end_refused_spares(s);
	places_look(s);
	store_update(s->all->sockets);
	talloc_free(tmp);
}

void
undo_refused(struct service *s, const char *why)
{
	struct deploy *d = deploy_of(s);

	talloc_free(s->deploy->refused_why);
	s->deploy->refused_why = talloc_strdup(s, why);
	s->deploy->refused_unix_ms = timer_unix_ms();
	output_warn(d->base->out,
	    "%s: its new configuration is refused; the one before counts again", s->config->name);
	event_emit(d->all, NULL, NULL, "reload",
	    json_pack("{s:b s:s}", "ok", 0, "service", s->config->name), "refused for %s: %s",
	    s->config->name, why);
}
