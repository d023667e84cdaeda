/* SPDX-License-Identifier: MIT */
/*
 * Which executable and configuration a service is started from: the file and what was read
 * last, or after a rollback, what had proved good. It is a matter of the whole service: an
 * instance that crashes in the middle of a roll is started as the roll wants it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "supervisor/deploy/version.h"
#include "supervisor/sockets/sockets.h"

char *
version_text(TALLOC_CTX *mem, const struct proved *proved)
{
	time_t since = (time_t)(proved->since_unix_ms / 1000);
	char date[32] = "?";
	struct tm tm;

	if (localtime_r(&since, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	return talloc_asprintf(mem, "the executable of generation %u of %s, which proved good %s",
	    proved->generation, proved->instance, date);
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
		fresh[i] = listener_open(mem, s->instances[i]->sockets, c,
		    c->shared && i > 0 ? fresh[0] : s->instances[i]->sockets->listeners, mem, why);
		if (fresh[i] == NULL)
			return *why == NULL ? -ENOMEM : -EADDRINUSE;
	}
	error = logs_open_named(s->all, c, mem, why);
	if (error < 0)
		return error;
	service_reconfigure(s, c, number);
	logs_open_service(s, mem, &ignored); /* opened already: only found again */
	for (unsigned i = 0; i < s->ninstances; i++) {
		socket_set_use(s->instances[i]->sockets, fresh[i]);
		socket_set_settle(s->instances[i]->sockets);
	}
	store_update(s->all->sockets);
	logs_close_unused(s->all);
	return 0;
}

static int
start_from(struct service *s, const struct proved *proved, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	if (proved->config_number != s->config_number)
		error = reconfigure(s, proved->config, proved->config_number, mem, why);
	if (error == 0) {
		s->deploy->from = proved;
		s->spares.epoch++;               /* they are of what is left now … */
		TALLOC_FREE(s->deploy->copying); /* … and so is this */
	}
	return error;
}

static int
start_from_file(struct service *s, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	if (s->config_number != s->deploy->wanted_number)
		error = reconfigure(s, s->deploy->wanted, s->deploy->wanted_number, mem, why);
	if (error == 0)
		s->deploy->from = NULL;
	return error;
}

/* Whether an instance runs, or ran last, something else. */
static bool
differs(const struct service *s, const struct proved *proved)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		const struct instance *inst = s->instances[i];

		if (inst->life.state == LIFE_DOWN)
			continue;
		if (inst->current != NULL ? !proved_is(proved, inst->current)
					  : inst->last_config_number != proved->config_number ||
						!executable_equal(&inst->last_exe, &proved->exe))
			return true;
	}
	return false;
}

/* The youngest that is not what runs already, but never younger than that; or NULL. */
static const struct proved *
target_of(const struct service *s)
{
	bool older = s->deploy->from == NULL;

	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		older = older || s->deploy->proved[i] == s->deploy->from;
		if (older && differs(s, s->deploy->proved[i]))
			return s->deploy->proved[i];
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
	if (s->deploy->nproved > 0)
		return talloc_asprintf(mem,
		    "%s: nothing before what runs now is kept, %s (keep_good is %ld)",
		    s->config->name,
		    version_text(
			mem, s->deploy->from != NULL ? s->deploy->from : s->deploy->proved[0]),
		    s->config->keep_good);
	if (s->config->keep_good == 0)
		return talloc_asprintf(
		    mem, "%s: nothing is kept, for keep_good is 0", s->config->name);
	if (s->deploy->not_kept != NULL)
		return talloc_asprintf(
		    mem, "%s: nothing is kept: %s", s->config->name, s->deploy->not_kept);
	return talloc_asprintf(mem,
	    "%s: nothing of it has proved good yet, by being ready and well for %s",
	    s->config->name, report_duration(mem, s->config->probation_time_ms));
}

int
version_go_back(struct deploy *d, const char *target, TALLOC_CTX *mem, char **why)
{
	size_t n = 0, entered = 0;
	int error = 0;

	*why = NULL;
	for (size_t i = 0; i < d->all->nservices && error == 0; i++) {
		struct service *s = d->all->services[i];
		const struct proved *proved;

		if (target != NULL && strcmp(target, s->config->name) != 0)
			continue;
		n++;
		proved = target_of(s);
		if (proved != NULL) {
			s->deploy->from_file_before = s->deploy->from == NULL;
			error = start_from(s, proved, mem, why);
			entered += error == 0;
			if (error == 0)
				TALLOC_FREE(s->deploy->back_why); /* by itself no more */
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
version_start_from_proved(struct service *s, TALLOC_CTX *mem, char **why)
{
	int error;

	*why = NULL;
	if (s->deploy->nproved == 0) {
		*why = why_not(s, mem);
		return -ENOENT;
	}
	error = start_from(s, s->deploy->proved[0], mem, why);
	if (error < 0 && *why == NULL)
		*why = talloc_strdup(mem, strerror(-error));
	return error;
}

int
version_newest(struct instance **list, size_t count, TALLOC_CTX *mem, char **why)
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
version_back_failed(struct service *s)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;

	if (s->deploy->from != NULL && s->deploy->from_file_before &&
	    start_from_file(s, tmp, &why) < 0)
		output_warn(deploy_of(s)->base->out,
		    "%s: what was read last cannot count again: %s", s->config->name,
		    why == NULL ? "no memory" : why);
	talloc_free(tmp);
}

bool
version_fits(const struct generation *g)
{
	const struct proved *from = g->instance->service->deploy->from;

	return from == NULL || proved_is(from, g);
}

bool
version_runs(const struct instance *inst)
{
	const struct proved *from = inst->service->deploy->from;

	if (from == NULL)
		return true; /* of another service, which has nothing to go back to */
	return inst->current != NULL && inst->successor == NULL && inst->life.ready_ms >= 0 &&
	       proved_is(from, inst->current);
}
