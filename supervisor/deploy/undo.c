/* SPDX-License-Identifier: MIT */
/*
 * What counts is what last succeeded. A reload that replaces processes makes the new configuration
 * of a service count while it does so, and keeps the one before, with its sockets, until the last
 * instance is replaced. If one of them fails, the one before counts again: for restarts after
 * crashes, for spares, for scale; and instances that run the new one already are replaced again.
 */
#include <string.h>

#include "supervisor/deploy/job.h"
#include "supervisor/deploy/reload.h"
#include "supervisor/deploy/roll.h"
#include "supervisor/deploy/version.h"
#include "supervisor/sockets/store.h"

struct undo {
	const struct service_config *config, *wanted;
	unsigned config_number, wanted_number;
	const struct proved *from;
	int64_t read_unix_ms;
	struct listener **listeners; /* of each instance that stays; freed with this array */
	size_t nlisteners;           /* of each */
	unsigned ninstances, wants;  /* so many there were, and are to be */
	bool decided;
};

struct undo *
undo_new(TALLOC_CTX *mem, const struct part *part)
{
	struct undo *u = talloc_zero(mem, struct undo);

	if (u == NULL)
		return NULL;
	u->listeners = talloc_zero_array(u, struct listener *, part->nstay + 1);
	u->ninstances = part->service->ninstances;
	u->wants = part->n;
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
	u->nlisteners = s->config->nlistens;
}

void
undo_keep_listeners(struct instance *inst)
{
	struct undo *u = inst->service->deploy->undo;

	u->listeners[inst->index] = talloc_move(u->listeners, &inst->listeners);
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
		talloc_free(inst->listeners);
		inst->listeners = talloc_move(inst, &u->listeners[i]);
		inst->nlisteners = u->nlisteners;
		listener_own(inst);
		listener_settle(inst);
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
	store_update(deploy_of(s)->sup);
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

/* --- which of them, when a roll is over ------------------------------------------------------- */

static bool
is_through(const struct roll *r, const struct service *s)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct turn *t = &r->turns[i];

		if (t->inst->service == s && t->stage != TURN_DONE && t->stage != TURN_SKIPPED)
			return false;
	}
	return true;
}

static bool
have_one_in_common(const struct listener *a, size_t na, const struct listener *b, size_t nb)
{
	for (size_t i = 0; i < na; i++) {
		for (size_t k = 0; k < nb; k++) {
			if (address_equal(&a[i].address, &b[k].address))
				return true;
		}
	}
	return false;
}

/* Whether OTHER has one of the sockets that instance I of S had before. */
static bool
has_one_of(const struct service *other, const struct service *s, unsigned i)
{
	const struct undo *u = s->deploy->undo;
	bool kept = i < talloc_array_length(u->listeners) && u->listeners[i] != NULL;
	const struct instance *inst = i < s->ninstances ? s->instances[i] : NULL;
	bool has = false;

	for (unsigned n = 0; n < other->ninstances && (kept || inst != NULL); n++)
		has = has ||
		      have_one_in_common(other->instances[n]->listeners,
			  other->instances[n]->nlisteners, kept ? u->listeners[i] : inst->listeners,
			  kept ? u->nlisteners : inst->nlisteners);
	return has;
}

static bool
is_in_the_way(const struct service *other, const struct service *s)
{
	bool is = false;

	for (unsigned i = 0; i < s->deploy->undo->ninstances; i++)
		is = is || has_one_of(other, s, i);
	return is;
}

/* S must have its sockets back: who got them gives them back, with all that it has got. */
static void
undo_with_others(struct service *s, const char *why)
{
	struct deploy *d = deploy_of(s);
	char *text;

	s->deploy->undo->decided = true; /* two may have swapped theirs */
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *o = d->all->services[i];

		if (o == s || o->deploy->shrinks ||
		    (o->deploy->undo != NULL && o->deploy->undo->decided) ||
		    (o->deploy->undo == NULL && !o->deploy->fresh) || !is_in_the_way(o, s))
			continue;
		text = talloc_asprintf(
		    o, "it has an address of %s, which was refused: %s", s->config->name, why);
		if (o->deploy->undo != NULL)
			undo_with_others(o, text == NULL ? why : text);
		else
			o->deploy->goes = true;
		talloc_free(text);
	}
	undo_apply(s);
	undo_refused(s, why);
}

void
reload_judge(struct roll *r)
{
	struct deploy *d = r->deploy;
	const char *why = r->error != NULL ? r->error : "there is no memory";
	char *names = NULL;

	if (!r->failed || r->cancelled != NULL)
		return;
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *s = d->all->services[i];

		if (s->deploy->undo != NULL && !s->deploy->undo->decided && !is_through(r, s))
			undo_with_others(s, why);
	}
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *s = d->all->services[i];

		if (s->deploy->undo == NULL || !s->deploy->undo->decided)
			continue;
		if (s->deploy->refused_why == NULL)
			undo_refused(s, why); /* it was rolled back by itself */
		names = talloc_asprintf_append(names == NULL ? talloc_strdup(r, "") : names, "%s%s",
		    names == NULL ? "" : ", ", s->config->name);
	}
	if (names == NULL)
		return;
	reload_refused(d, why);
	r->error = talloc_asprintf_append(
	    r->error, "; the configuration that was before counts again for %s", names);
}

void
reload_close(struct deploy *d)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct undo *u = d->all->services[i]->deploy->undo;

		if (u != NULL && !u->decided)
			TALLOC_FREE(u->listeners);
	}
}

void
undo_all(struct deploy *d, const char *why)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *s = d->all->services[i];

		if (s->deploy->undo != NULL && !s->deploy->undo->decided)
			undo_with_others(s, why);
	}
	reload_settle(d);
}

/* --- what follows ------------------------------------------------------------------------------ */

/* Instances that had to wait for the outcome are started, or end. */
static void
settle(struct service *s)
{
	struct undo *u = s->deploy->undo;
	unsigned n = u->decided ? u->ninstances : u->wants;
	struct instance **added = s->instances + u->ninstances;
	unsigned nadded = s->ninstances > u->ninstances ? s->ninstances - u->ninstances : 0;

	s->deploy->runs_refused = u->decided;
	if (s->ninstances > n)
		scale_shrink(s, n);
	else if (nadded > 0)
		job_start_list(deploy_of(s), added, nadded, NULL);
	TALLOC_FREE(s->deploy->undo); /* with the sockets that nobody has now */
}

void
reload_settle(struct deploy *d)
{
	bool something = false;

	for (size_t i = d->all->nservices; i-- > 0;) {
		struct service *s = d->all->services[i];

		something = something || s->deploy->undo != NULL || s->deploy->goes;
		if (d->all->phase != SUP_RUNNING)
			TALLOC_FREE(s->deploy->undo); /* nothing is started any more */
		else if (s->deploy->undo != NULL)
			settle(s);
		else if (s->deploy->goes)
			scale_remove(s);
		s->deploy->goes = false;
	}
	if (something) {
		store_update(d->sup);
		logs_close_unused(d->all);
	}
	reload_revert(d);
}

static bool
runs_another(const struct instance *inst)
{
	const struct service *s = inst->service;

	return inst->current != NULL && inst->current->config_number != s->config_number;
}

void
reload_revert(struct deploy *d)
{
	const struct roll_task task = {
	    .what = "revert", .why = "the new configuration was refused", .revert = true};
	struct instance **list = NULL;
	size_t n = 0;

	if (d->roll != NULL || d->all->phase != SUP_RUNNING)
		return;
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *s = d->all->services[i];
		struct instance **grown =
		    talloc_realloc(d, list, struct instance *, (unsigned)(n + s->ninstances + 1));

		if (grown == NULL)
			break;
		list = grown;
		for (unsigned k = 0; s->deploy->runs_refused &&
				     k < (s->deploy->shrinks ? s->deploy->keep : s->ninstances);
		     k++) {
			if (runs_another(s->instances[k]))
				list[n++] = s->instances[k];
		}
		s->deploy->runs_refused = false;
	}
	if (n > 0 && roll_start_list(d, &task, list, n, NULL) < 0)
		output_warn(d->base->out, "no memory to replace what runs a refused configuration: "
					  "`baton restart` does that");
	talloc_free(list);
}
