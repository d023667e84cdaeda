/* SPDX-License-Identifier: MIT */
/*
 * Which executable and configuration a service is started from: the file and what was read
 * last, or after a rollback, what had proved good. It is a matter of the whole service: an
 * instance that crashes in the middle of a roll is started as the roll wants it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "supervisor/deploy/good.h"

char *
rollback_text(TALLOC_CTX *mem, const struct good *good)
{
	time_t since = (time_t)(good->since_unix_ms / 1000);
	char date[32] = "?";
	struct tm tm;

	if (localtime_r(&since, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	return talloc_asprintf(mem, "the executable of generation %u of %s, which proved good %s",
	    good->generation, good->instance, date);
}

/* Sockets and log files of that configuration are opened before anything changes. */
static int
reconfigure(
    struct service *s, const struct service_config *c, unsigned number, TALLOC_CTX *mem, char **why)
{
	struct listener **fresh = talloc_zero_array(mem, struct listener *, s->ninstances);
	char *ignored;
	int error;

	if (undo_would_bring(s, number)) {
		undo_apply(s);
		return 0;
	}
	if (fresh == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < s->ninstances; i++) {
		fresh[i] = listener_open(mem, s->instances[i], c,
		    c->shared && i > 0 ? fresh[0] : s->instances[i]->listeners, mem, why);
		if (fresh[i] == NULL)
			return *why == NULL ? -ENOMEM : -EADDRINUSE;
	}
	error = logs_open_named(s->all, c, mem, why);
	if (error < 0)
		return error;
	service_reconfigure(s, c, number);
	logs_open_service(s, mem, &ignored); /* opened already: only found again */
	for (unsigned i = 0; i < s->ninstances; i++) {
		talloc_free(s->instances[i]->listeners);
		s->instances[i]->listeners = talloc_steal(s->instances[i], fresh[i]);
		s->instances[i]->nlisteners = c->nlistens;
		listener_own(s->instances[i]);
		listener_settle(s->instances[i]);
	}
	store_update(s->sup);
	logs_close_unused(s->all);
	return 0;
}

static int
start_from(struct service *s, const struct good *good, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	if (good->config_number != s->config_number)
		error = reconfigure(s, good->config, good->config_number, mem, why);
	if (error == 0) {
		s->from = good;
		s->spares.epoch++;       /* they are of what is left now … */
		TALLOC_FREE(s->copying); /* … and so is this */
	}
	return error;
}

static int
start_from_file(struct service *s, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	if (s->config_number != s->wanted_number)
		error = reconfigure(s, s->wanted, s->wanted_number, mem, why);
	if (error == 0)
		s->from = NULL;
	return error;
}

/* Whether an instance runs, or ran last, something else. */
static bool
differs(const struct service *s, const struct good *good)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		const struct instance *inst = s->instances[i];

		if (inst->life.state == LIFE_DOWN)
			continue;
		if (inst->current != NULL ? !good_is(good, inst->current)
					  : inst->last_config_number != good->config_number ||
						!executable_equal(&inst->last_exe, &good->exe))
			return true;
	}
	return false;
}

/* The youngest that is not what runs already, but never younger than that; or NULL. */
static const struct good *
target_of(const struct service *s)
{
	bool older = s->from == NULL;

	for (unsigned i = 0; i < s->ngood; i++) {
		older = older || s->good[i] == s->from;
		if (older && differs(s, s->good[i]))
			return s->good[i];
	}
	return NULL;
}

static char *
why_not(const struct service *s, TALLOC_CTX *mem)
{
	bool runs = false;

	for (unsigned i = 0; i < s->ninstances; i++)
		runs = runs || s->instances[i]->life.state != LIFE_DOWN;
	if (!runs)
		return talloc_asprintf(mem, "%s does not run", s->config->name);
	if (s->ngood > 0)
		return talloc_asprintf(mem,
		    "%s: nothing before what runs now is kept, %s (keep_good is %ld)",
		    s->config->name, rollback_text(mem, s->from != NULL ? s->from : s->good[0]),
		    s->config->keep_good);
	if (s->config->keep_good == 0)
		return talloc_asprintf(
		    mem, "%s: nothing is kept, for keep_good is 0", s->config->name);
	if (s->not_kept != NULL)
		return talloc_asprintf(
		    mem, "%s: nothing is kept: %s", s->config->name, s->not_kept);
	return talloc_asprintf(mem,
	    "%s: nothing of it has proved good yet, by being ready and well for %s",
	    s->config->name, report_duration(mem, s->config->probation_time_ms));
}

int
rollback_enter(struct supervisor *sup, const char *target, TALLOC_CTX *mem, char **why)
{
	size_t n = 0, entered = 0;
	int error = 0;

	*why = NULL;
	for (size_t i = 0; i < sup->all.nservices && error == 0; i++) {
		struct service *s = sup->all.services[i];
		const struct good *good;

		if (target != NULL && strcmp(target, s->config->name) != 0)
			continue;
		n++;
		good = target_of(s);
		if (good != NULL) {
			s->from_file_before = s->from == NULL;
			error = start_from(s, good, mem, why);
			entered += error == 0;
			if (error == 0)
				TALLOC_FREE(s->back_why); /* by itself no more */
		} else {
			char *reason = why_not(s, mem);

			*why = *why == NULL ? reason : talloc_asprintf(mem, "%s; %s", *why, reason);
		}
	}
	if (n == 0) {
		*why = talloc_asprintf(
		    mem, "%s is one instance; a service goes back as a whole", target);
		return -EINVAL;
	}
	if (error < 0 && *why == NULL)
		*why = talloc_strdup(mem, strerror(-error));
	return entered > 0 ? 0 : error < 0 ? error : -ENOENT;
}

int
rollback_start_from_good(struct service *s, TALLOC_CTX *mem, char **why)
{
	int error;

	*why = NULL;
	if (s->ngood == 0) {
		*why = why_not(s, mem);
		return -ENOENT;
	}
	error = start_from(s, s->good[0], mem, why);
	if (error < 0 && *why == NULL)
		*why = talloc_strdup(mem, strerror(-error));
	return error;
}

int
rollback_leave(struct instance **list, size_t count, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	*why = NULL;
	for (size_t i = 0; i < count && error == 0; i++)
		error = start_from_file(list[i]->service, mem, why);
	if (error < 0 && *why == NULL)
		*why = talloc_strdup(mem, strerror(-error));
	return error;
}

void
rollback_failed(struct service *s)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;

	if (s->from != NULL && s->from_file_before && start_from_file(s, tmp, &why) < 0)
		output_warn(s->sup->base.out, "%s: what was read last cannot count again: %s",
		    s->config->name, why == NULL ? "no memory" : why);
	talloc_free(tmp);
}

bool
rollback_fits(const struct generation *g)
{
	const struct good *from = g->instance->service->from;

	return from == NULL || good_is(from, g);
}

bool
rollback_is_done(const struct instance *inst)
{
	const struct good *from = inst->service->from;

	if (from == NULL)
		return true; /* of another service, which has nothing to go back to */
	return inst->current != NULL && inst->successor == NULL && inst->life.ready_ms >= 0 &&
	       good_is(from, inst->current);
}
