/* SPDX-License-Identifier: MIT */
/*
 * The outcome of a reload, when the roll that replaces processes is over. If one of them has failed,
 * the configuration of before counts again for its service: for restarts after crashes, for spares,
 * for scale; and instances that run the new one already are replaced again.
 */
#include "supervisor/deploy/outcome.h"

#include "supervisor/deploy/job.h"
#include "supervisor/deploy/version.h"
#include "supervisor/sockets/sockets.h"

void
outcome_refused(struct deploy *d, const char *why)
{
	talloc_free(d->refused_why);
	d->refused_why = talloc_strdup(d, why);
	d->refused_unix_ms = timer_unix_ms();
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
		      have_one_in_common(other->instances[n]->sockets->listeners,
			  other->instances[n]->sockets->nlisteners,
			  kept ? u->listeners[i] : inst->sockets->listeners,
			  kept ? talloc_array_length(u->listeners[i]) : inst->sockets->nlisteners);
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

/* What was judged to count has the sockets that it wants: those of before that are in nobody's
 * hands now are closed, so that who waits for the verdict finds them gone. */
static void
close_unused(struct deploy *d)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct undo *u = d->all->services[i]->deploy->undo;

		if (u != NULL && !u->decided)
			TALLOC_FREE(u->listeners);
	}
}

static void
judge_failed(struct roll *r)
{
	struct deploy *d = r->deploy;
	const char *why = r->error != NULL ? r->error : "there is no memory";
	char *names = NULL;

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
	outcome_refused(d, why);
	r->error = talloc_asprintf_append(
	    r->error, "; the configuration that was before counts again for %s", names);
}

void
outcome_judge(struct roll *r)
{
	if (r->failed && r->cancelled == NULL)
		judge_failed(r);
	close_unused(r->deploy);
}

void
outcome_refuse_all(struct deploy *d, const char *why)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		struct service *s = d->all->services[i];

		if (s->deploy->undo != NULL && !s->deploy->undo->decided)
			undo_with_others(s, why);
	}
	outcome_follow(d);
}

/* --- what follows ------------------------------------------------------------------------------ */

/* Instances that had to wait for the outcome are started, or end. */
static void
follow(struct service *s)
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

static bool
runs_another(const struct instance *inst)
{
	const struct service *s = inst->service;

	return inst->current != NULL && inst->current->config_number != s->config_number;
}

/* Those that run what was refused are replaced, now or when the next roll is over. */
static void
replace_refused(struct deploy *d)
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
		for (unsigned k = 0; s->deploy->runs_refused && k < deploy_stay(s); k++) {
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

void
outcome_follow(struct deploy *d)
{
	bool something = false;

	for (size_t i = d->all->nservices; i-- > 0;) {
		struct service *s = d->all->services[i];

		something = something || s->deploy->undo != NULL || s->deploy->goes;
		if (d->all->phase != SUP_RUNNING)
			TALLOC_FREE(s->deploy->undo); /* nothing is started any more */
		else if (s->deploy->undo != NULL)
			follow(s);
		else if (s->deploy->goes)
			scale_remove(s);
		s->deploy->goes = false;
	}
	if (something) {
		store_update(d->all->sockets);
		logs_close_unused(d->all);
	}
	replace_refused(d);
}
