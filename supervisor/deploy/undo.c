/* SPDX-License-Identifier: MIT */
/*
 * What counts is what last succeeded. A reload that replaces processes makes the new configuration
 * of a service count while it does so, and keeps the one before, with its sockets, until the last
 * instance is replaced. If one of them fails, the one before counts again: for restarts after
 * crashes, for spares, for scale; and instances that run the new one already are replaced again.
 */
#include <string.h>

#include "supervisor/deploy/proved.h"
#include "supervisor/deploy/reload.h"
#include "supervisor/deploy/roll.h"

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
	struct undo *u = s->undo = talloc_move(s, undo);

	u->config = s->config;
	u->wanted = s->wanted;
	u->config_number = s->config_number;
	u->wanted_number = s->wanted_number;
	u->from = s->from;
	u->read_unix_ms = s->read_unix_ms;
	u->nlisteners = s->config->nlistens;
}

void
undo_keep_listeners(struct instance *inst)
{
	struct undo *u = inst->service->undo;

	u->listeners[inst->index] = talloc_move(u->listeners, &inst->listeners);
}

bool
undo_uses(const struct service *s, const struct service_config *c)
{
	return s->undo != NULL && (s->undo->config == c || s->undo->wanted == c);
}

bool
undo_would_bring(const struct service *s, unsigned config_number)
{
	return s->undo != NULL && !s->undo->decided && s->undo->config_number == config_number;
}

/* It may have been dropped meanwhile. */
static const struct proved *
still_kept(const struct service *s, const struct proved *proved)
{
	for (unsigned i = 0; i < s->nproved; i++) {
		if (s->proved[i] == proved)
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
	struct undo *u = s->undo;
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;

	u->decided = true;
	proved_forget(s, s->config_number);
	s->wanted = u->wanted;
	s->wanted_number = u->wanted_number;
	s->from = still_kept(s, u->from);
	s->read_unix_ms = u->read_unix_ms;
	service_reconfigure(s, u->config, u->config_number);
	if (logs_open_service(s, tmp, &why) < 0)
		output_warn(
		    s->sup->base.out, "%s: %s", s->config->name, why == NULL ? "no memory" : why);
	put_listeners_back(s, u);
	end_refused_spares(s);
	places_look(s);
	store_update(s->sup);
	talloc_free(tmp);
}

void
undo_refused(struct service *s, const char *why)
{
	struct supervisor *sup = s->sup;

	talloc_free(s->refused_why);
	s->refused_why = talloc_strdup(s, why);
	s->refused_unix_ms = timer_unix_ms();
	output_warn(sup->base.out,
	    "%s: its new configuration is refused; the one before counts again", s->config->name);
	event_emit(&sup->all, NULL, NULL, "reload",
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
	const struct undo *u = s->undo;
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

	for (unsigned i = 0; i < s->undo->ninstances; i++)
		is = is || has_one_of(other, s, i);
	return is;
}

/* S must have its sockets back: who got them gives them back, with all that it has got. */
static void
undo_with_others(struct service *s, const char *why)
{
	struct supervisor *sup = s->sup;
	char *text;

	s->undo->decided = true; /* two may have swapped theirs */
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct service *o = sup->all.services[i];

		if (o == s || o->shrinks || (o->undo != NULL && o->undo->decided) ||
		    (o->undo == NULL && !o->fresh) || !is_in_the_way(o, s))
			continue;
		text = talloc_asprintf(
		    o, "it has an address of %s, which was refused: %s", s->config->name, why);
		if (o->undo != NULL)
			undo_with_others(o, text == NULL ? why : text);
		else
			o->refused = true;
		talloc_free(text);
	}
	undo_apply(s);
	undo_refused(s, why);
}

void
reload_judge(struct roll *r)
{
	struct supervisor *sup = r->sup;
	const char *why = r->error != NULL ? r->error : "there is no memory";
	char *names = NULL;

	if (!r->failed || r->cancelled != NULL)
		return;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct service *s = sup->all.services[i];

		if (s->undo != NULL && !s->undo->decided && !is_through(r, s))
			undo_with_others(s, why);
	}
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct service *s = sup->all.services[i];

		if (s->undo == NULL || !s->undo->decided)
			continue;
		if (s->refused_why == NULL)
			undo_refused(s, why); /* it was rolled back by itself */
		names = talloc_asprintf_append(names == NULL ? talloc_strdup(r, "") : names, "%s%s",
		    names == NULL ? "" : ", ", s->config->name);
	}
	if (names == NULL)
		return;
	reload_refused(sup, why);
	r->error = talloc_asprintf_append(
	    r->error, "; the configuration that was before counts again for %s", names);
}

void
reload_close(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct undo *u = sup->all.services[i]->undo;

		if (u != NULL && !u->decided)
			TALLOC_FREE(u->listeners);
	}
}

void
undo_all(struct supervisor *sup, const char *why)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct service *s = sup->all.services[i];

		if (s->undo != NULL && !s->undo->decided)
			undo_with_others(s, why);
	}
	reload_settle(sup);
}

/* --- what follows ------------------------------------------------------------------------------ */

/* Instances that had to wait for the outcome are started, or end. */
static void
settle(struct service *s)
{
	struct undo *u = s->undo;
	unsigned n = u->decided ? u->ninstances : u->wants;
	struct instance **added = s->instances + u->ninstances;
	unsigned nadded = s->ninstances > u->ninstances ? s->ninstances - u->ninstances : 0;

	s->runs_refused = u->decided;
	if (s->ninstances > n)
		scale_shrink(s, n);
	else if (nadded > 0)
		job_start_list(s->sup, added, nadded, NULL);
	TALLOC_FREE(s->undo); /* with the sockets that nobody has now */
}

void
reload_settle(struct supervisor *sup)
{
	bool something = false;

	for (size_t i = sup->all.nservices; i-- > 0;) {
		struct service *s = sup->all.services[i];

		something = something || s->undo != NULL || s->refused;
		if (sup->all.phase != SUP_RUNNING)
			TALLOC_FREE(s->undo); /* nothing is started any more */
		else if (s->undo != NULL)
			settle(s);
		else if (s->refused)
			scale_remove(s);
		s->refused = false;
	}
	if (something) {
		store_update(sup);
		logs_close_unused(&sup->all);
	}
	reload_revert(sup);
}

static bool
runs_another(const struct instance *inst)
{
	const struct service *s = inst->service;

	return inst->current != NULL && inst->current->config_number != s->config_number;
}

void
reload_revert(struct supervisor *sup)
{
	const struct roll_task task = {
	    .what = "revert", .why = "the new configuration was refused", .revert = true};
	struct instance **list = NULL;
	size_t n = 0;

	if (sup->roll != NULL || sup->all.phase != SUP_RUNNING)
		return;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		struct service *s = sup->all.services[i];
		struct instance **grown =
		    talloc_realloc(sup, list, struct instance *, (unsigned)(n + s->ninstances + 1));

		if (grown == NULL)
			break;
		list = grown;
		for (unsigned k = 0; s->runs_refused && k < (s->shrinks ? s->keep : s->ninstances);
		     k++) {
			if (runs_another(s->instances[k]))
				list[n++] = s->instances[k];
		}
		s->runs_refused = false;
	}
	if (n > 0 && roll_start_list(sup, &task, list, n, NULL) < 0)
		output_warn(sup->base.out,
		    "no memory to replace what runs a refused configuration: "
		    "`baton restart` does that");
	talloc_free(list);
}
