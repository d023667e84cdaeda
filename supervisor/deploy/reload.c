/* SPDX-License-Identifier: MIT */
/*
 * Reading the configuration anew. Everything that can fail (the file, programs, users, ports,
 * log files) is tried first, beside what runs; only then is anything changed. Then services
 * that are new start, those that are gone drain, and those that run otherwise now are
 * replaced instance by instance.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/job.h"
#include "supervisor/deploy/outcome.h"
#include "supervisor/deploy/reload.h"
#include "supervisor/deploy/version.h"
#include "supervisor/instance/preflight.h"
#include "supervisor/sockets/sockets.h"

static char no_memory[] = "nothing has changed: there is no memory";

/* From here on nothing fails. */
static void
apply_running(struct part *part, TALLOC_CTX *mem)
{
	struct service *s = part->service;
	char *ignored;

	if (part->undo != NULL)
		undo_keep(s, &part->undo);
	TALLOC_FREE(s->deploy->refused_why);
	s->deploy->fresh = false;
	service_configure(s, part->config);
	logs_open_service(s, mem, &ignored); /* opened already: only found again */
	for (unsigned i = 0; i < part->nstay; i++) {
		struct instance *inst = s->instances[i];

		if (s->deploy->undo != NULL)
			undo_keep_listeners(inst);
		socket_set_use(inst->sockets, part->listeners[i]);
	}
	for (unsigned i = 0; i < part->nadded; i++)
		s->instances[s->ninstances++] = talloc_steal(s, part->added[i]);
}

/* Those that came from another instance refuse, or not, as that one's do. */
static void
listeners_follow(const struct plan *p)
{
	for (size_t i = 0; i < p->nparts; i++) {
		struct service *s = p->parts[i].service;

		for (unsigned n = 0; n < s->ninstances && n < p->parts[i].n; n++)
			socket_set_settle(s->instances[n]->sockets);
	}
}

static bool
in_use(const struct deploy *d, const struct config *c)
{
	for (size_t i = 0; i < c->nservices; i++) {
		for (size_t k = 0; k < d->all->nservices; k++) {
			const struct service *s = d->all->services[k];

			if (s->config == c->services[i] || s->deploy->wanted == c->services[i] ||
			    proved_uses(s, c->services[i]) || undo_uses(s, c->services[i]))
				return true;
		}
	}
	return false;
}

/* The configuration that counted is needed as long as something that came from it lives. */
static void
retire(struct deploy *d, struct config *c)
{
	struct config **all = d->configs_before;
	size_t n = talloc_array_length(all), kept = 0;

	all[n - 1] = talloc_steal(all, c); /* make_room has seen to it that it is free */
	for (size_t i = 0; i < n; i++) {
		struct config *old = all[i];

		all[i] = NULL;
		if (old != NULL && in_use(d, old))
			all[kept++] = old;
		else
			talloc_free(old);
	}
}

/* Services in the order of the file; those that are gone come last, until they are down. */
static void
apply(struct plan *p)
{
	struct deploy *d = p->deploy;
	struct service **all = talloc_move(d, &p->all);
	size_t n = 0;

	for (size_t i = 0; i < p->nparts; i++) {
		if (p->parts[i].fresh)
			talloc_steal(d, p->parts[i].service);
		else
			apply_running(&p->parts[i], p);
		all[n++] = p->parts[i].service;
	}
	for (size_t i = 0; i < d->all->nservices; i++) {
		bool stays = false;

		for (size_t k = 0; k < p->nparts; k++)
			stays = stays || p->parts[k].service == d->all->services[i];
		if (!stays)
			all[n++] = d->all->services[i];
	}
	talloc_free(d->all->services);
	d->all->services = all;
	d->all->nservices = n;
	TALLOC_FREE(d->refused_why);
	d->read_unix_ms = timer_unix_ms();
	retire(d, d->config);
	d->config = talloc_steal(d, p->config);
	listeners_follow(p);
	store_update(d->all->sockets);
}

static void
add_to_queue(struct instance **queue, size_t *n, struct instance **more, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		queue[(*n)++] = more[i];
}

/* What is new counts for whatever is started from now on, until one of these fails. */
static void
replace(struct plan *p, size_t n, struct asker *asker)
{
	static const char why[] = "there is no memory to replace what runs, which therefore keeps "
				  "its configuration";

	if (roll_start_list(
		p->deploy, &(struct roll_task){.what = "reload"}, p->replace, n, asker) == 0)
		return;
	outcome_refuse_all(p->deploy, why);
	output_warn(p->deploy->base->out, "reload: %s", why);
	asker_error(asker, "%s", why);
}

/* Starts, stops and replaces what the plan says. */
static void
carry_out(struct plan *p, struct asker *asker)
{
	struct deploy *d = p->deploy;
	size_t nstart = 0, nreplace = 0, fresh = 0, gone = 0, changed = 0;
	char text[128];

	for (size_t i = d->all->nservices; i-- > p->nparts; gone++)
		scale_remove(d->all->services[i]);
	for (size_t i = 0; i < p->nparts; i++) {
		struct part *part = &p->parts[i];
		struct service *s = part->service;

		fresh += part->fresh;
		changed += !part->fresh && part->change != CONFIG_SAME;
		if (part->fresh)
			add_to_queue(p->start, &nstart, s->instances, s->ninstances);
		else if (s->deploy->undo !=
			 NULL) /* how many there are to be follows from the outcome */
			add_to_queue(p->replace, &nreplace, s->instances, part->nstay);
		else
			add_to_queue(p->start, &nstart, part->added, part->nadded);
		if (s->deploy->undo == NULL && !part->fresh && s->ninstances > part->n)
			scale_shrink(s, part->n);
	}
	snprintf(text, sizeof(text),
	    "the configuration was read anew: services: %zu new, %zu gone, %zu changed", fresh,
	    gone, changed);
	output_say(d->base->out, "%s", text);
	event_emit(d->all, NULL, NULL, "reload", json_pack("{s:b}", "ok", 1), "%s", text);
	asker_progress(asker, text);
	if (nstart > 0)
		job_start_list(d, p->start, nstart, nreplace == 0 ? asker : NULL);
	if (nreplace > 0)
		replace(p, nreplace, asker);
	else if (nstart == 0)
		asker_result(asker, json_pack("{s:b}", "ok", 1));
}

/* "nothing has changed: ", and WHY, which is NULL for lack of memory. */
static const char *
unchanged(TALLOC_CTX *mem, const char *why)
{
	const char *text =
	    why == NULL ? NULL : talloc_asprintf(mem, "nothing has changed: %s", why);

	return text == NULL ? no_memory : text;
}

static const char *
not_now(const struct deploy *d, TALLOC_CTX *mem)
{
	char *why = NULL;
	struct stat st;

	if (d->config->file == NULL || strcmp(d->config->file, "standard input") == 0)
		return "nothing has changed: baton was started without a configuration file";
	/* It is read twice, and the second time by the loop. */
	if (stat(d->config->file, &st) == 0 && !S_ISREG(st.st_mode))
		return unchanged(
		    mem, talloc_asprintf(
			     mem, "%s: expected a regular file, found none", d->config->file));
	if (d->all->phase != SUP_RUNNING)
		return "nothing has changed: baton is starting or stopping";
	if (d->roll != NULL)
		return unchanged(
		    mem, talloc_asprintf(mem, "a restart is under way (%s)", roll_where(d)));
	if (deploy_busy(d, mem, &why))
		return unchanged(mem, why);
	if (!LIST_EMPTY(&d->jobs))
		return "nothing has changed: instances are being started or stopped; ask again "
		       "later";
	return NULL;
}

/* NULL: it is to be applied. */
static const char *
try_it(struct plan *p, const char *owners, size_t n)
{
	struct deploy *d = p->deploy;
	const struct key *fixed;
	char *why = NULL;
	int error;

	p->config = config_read(p, d->config->file);
	if (p->config == NULL)
		return no_memory;
	fixed = config_fixed_change(d->config, p->config);
	if (fixed != NULL)
		config_error(p->config,
		    "%s: [supervisor] %s: cannot be changed while baton runs; change it back, or stop baton and start it again",
		    d->config->file, fixed->name);
	if (p->config->nerrors > 0)
		return reload_errors(p, p->config);
	if (p->config->nservices != n)
		return "nothing has changed: the file is being changed; ask again";
	for (size_t i = 0; i < n; i++) {
		memcpy(&p->config->services[i]->owner, owners + i * sizeof(struct socket_owner),
		    sizeof(struct socket_owner));
		p->config->services[i]->owner_known = true;
	}
	error = reload_prepare(p, p, &why);
	return error < 0 ? unchanged(p, why != NULL ? why : strerror(-error)) : NULL;
}

/* One that is under way: a child of the supervisor. */
struct reload {
	struct deploy *deploy;
	struct asker *asker; /* who waits for it; NULL: nobody (any more) */
	bool tell;           /* others, too, as it has begun */
};

/* For the asker, and for everybody. */
static void
say_failed(struct deploy *d, struct asker *asker, const char *why)
{
	output_warn(d->base->out, "reload failed: %s", why);
	event_emit(d->all, NULL, NULL, "reload", json_pack("{s:b}", "ok", 0), "failed: %s", why);
	asker_error(asker, "%s", why);
}

/* Frees R: from now on another one may be asked for. Returns who waits: for the caller to answer, or
 * to hand on. */
static struct asker *
end(struct reload *r)
{
	struct asker *asker = r->asker;

	r->deploy->reload = NULL;
	if (asker != NULL)
		asker_release(asker);
	talloc_free(r);
	return asker;
}

static void
checked(const char *why, const void *owners, size_t n, void *data)
{
	struct reload *r = talloc_get_type_abort(data, struct reload);
	struct deploy *d = r->deploy;
	struct plan *p = talloc_zero(d, struct plan);
	TALLOC_CTX *tmp = talloc_new(NULL);
	bool tell = r->tell, good, judged = why != NULL;
	struct asker *asker;

	if (p == NULL)
		why = no_memory;
	else
		p->deploy = d;
	if (why != NULL && p != NULL)
		why = talloc_strdup(p, why); /* it goes with the check */
	else if (why == NULL && (why = not_now(d, p)) == NULL) {
		why = try_it(p, owners, n);
		judged = true;
	}
	good = why == NULL && p != NULL;
	asker = end(r);
	if (good) {
		notes_crashes(p->config);
		for (size_t i = 0; i < talloc_array_length(p->config->notes); i++)
			output_warn(d->base->out, "%s", p->config->notes[i]);
		apply(p);
		carry_out(p, asker);
	} else {
		why = why == NULL ? NULL : talloc_strdup(tmp, why);
		/* With the sockets that were opened: who has the answer must not find them. */
		TALLOC_FREE(p);
		/* What only came at the wrong time may be good. */
		if (judged)
			outcome_refused(d, why != NULL ? why : no_memory);
		say_failed(d, asker, why != NULL ? why : no_memory);
	}
	if (tell)
		d->calls->reloaded(d->sup, good);
	talloc_free(p);
	talloc_free(tmp);
	logs_close_unused(d->all);
}

static const char *
begin(struct reload *r, TALLOC_CTX *mem)
{
	const char *why = not_now(r->deploy, mem);
	int error;

	if (why != NULL)
		return why;
	error = reload_check(r, r->deploy, checked, r);
	return error < 0 ? unchanged(mem, strerror(-error)) : NULL;
}

void
reload(struct deploy *d, struct asker *asker)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct reload *r = d->reload != NULL ? NULL : talloc_zero(d, struct reload);
	const char *why = d->reload != NULL
			      ? "nothing has changed: a reload is under way; ask again later"
			      : no_memory;

	if (r != NULL) {
		/* READY=1 must not come too early or late. */
		*r = (struct reload){.deploy = d, .tell = d->all->phase == SUP_RUNNING};
		if (r->tell)
			d->calls->reloading(d->sup);
		why = begin(r, tmp);
		if (why != NULL && r->tell)
			d->calls->reloaded(d->sup, false);
	}
	if (why != NULL) {
		talloc_free(r);
		say_failed(d, asker, why);
	} else {
		d->reload = r;
		asker_later(asker, &r->asker);
	}
	talloc_free(tmp);
}

void
reload_cancel(struct deploy *d, const char *why)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct asker *asker;

	if (d->reload != NULL) {
		asker = end(d->reload);
		say_failed(d, asker, unchanged(tmp, why));
	}
	talloc_free(tmp);
}
