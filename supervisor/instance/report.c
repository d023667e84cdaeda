/* SPDX-License-Identifier: MIT */
/* What people read in the terminal where `baton run` runs. */
#include <string.h>

#include "supervisor/daemon/supervisor.h"

char *
report_duration(TALLOC_CTX *mem, int64_t ms)
{
	if (ms < 1000)
		return talloc_asprintf(mem, "%lld ms", (long long)ms);
	if (ms < 60LL * 1000)
		return talloc_asprintf(
		    mem, "%lld.%lld s", (long long)ms / 1000, (long long)ms / 100 % 10);
	if (ms < 60LL * 60 * 1000)
		return talloc_asprintf(
		    mem, "%lld min %lld s", (long long)ms / 60000, (long long)ms / 1000 % 60);
	if (ms < 48LL * 60 * 60 * 1000)
		return talloc_asprintf(
		    mem, "%lld h %lld min", (long long)ms / 3600000, (long long)ms / 60000 % 60);
	return talloc_asprintf(mem, "%lld days", (long long)ms / 86400000);
}

/* Columns are as wide as the widest of all instances, so that lines printed one by one align. */
static void
widths(const struct supervisor *sup, int *name, int *url)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	*name = *url = 0;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++) {
			const struct instance *inst = sup->all.services[i]->instances[n];
			int nlen = (int)strlen(inst->name);
			const char *urls = instance_urls(tmp, inst);
			int ulen = urls == NULL ? 0 : (int)strlen(urls);

			*name = nlen > *name ? nlen : *name;
			*url = ulen > *url ? ulen : *url;
		}
	}
	talloc_free(tmp);
}

static void
say_ready(struct instance *inst, const struct generation *g)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *which =
	    g->number == 1 ? "" : talloc_asprintf(tmp, "  generation %u", g->number);
	const char *urls = instance_urls(tmp, inst);
	int name, url;

	widths(inst->sup, &name, &url);
	output_say(inst->all->base->out, "%-*s  %-*s  pid %d  %s in %s%s", name, inst->name, url,
	    urls == NULL ? "?" : urls, (int)g->pid, inst->spare ? "warm" : "ready",
	    report_duration(tmp, generation_age_ms(g)), which);
	talloc_free(tmp);
}

/* The consequence, which is what the reader wants to know next. */
static const char *
what_follows(TALLOC_CTX *mem, const struct instance *inst, const struct generation *g)
{
	int64_t wait;

	switch (inst->life.state) {
	case LIFE_BACKOFF:
		wait = life_backoff_ms(inst->life.crashes - 1, &inst->service->policy);
		if (wait == 0)
			return "starting it again at once";
		return talloc_asprintf(mem, "starting it again in %s", report_duration(mem, wait));
	case LIFE_HELD:
		return "starting it again when the others have ended";
	case LIFE_FAILED:
		return talloc_asprintf(mem,
		    "that makes %ld crashes within %s: it has failed; `baton reset %s` starts it again",
		    inst->service->config->crashes_max,
		    report_duration(mem, inst->service->config->crashes_time_ms),
		    inst->spare ? inst->service->config->name : inst->name);
	case LIFE_BECOMING:
		return talloc_asprintf(mem, "a spare (pid %d) takes its place",
		    inst->current != NULL ? (int)inst->current->pid : 0);
	case LIFE_READY:
		if (inst->spare)
			return "the one before it waits on";
		if (inst->current != NULL)
			return talloc_asprintf(
			    mem, "generation %u serves on", inst->current->number);
		return "";
	case LIFE_RECALLING:
		return talloc_asprintf(
		    mem, "generation %u is called back", inst->old != NULL ? inst->old->number : 0);
	case LIFE_STARTING:
	case LIFE_LATE:
		if (inst->old != NULL && inst->old->ready_ms < 0)
			return talloc_asprintf(mem,
			    "a spare (pid %d) takes its place until its successor is ready",
			    (int)inst->old->pid);
		return "its successor takes over";
	case LIFE_STOPPING:
	case LIFE_DOWN:
		return g->told || inst->service->config->lifetime == LIFETIME_PERMANENT
			   ? "it was told to stop"
			   : "its work is done";
	default:
		return "another generation is on its way";
	}
}

static void
say_ended(struct instance *inst, const struct generation *g, bool failed)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct output *out = inst->all->base->out;
	int64_t since = g->ready_ms >= 0 ? g->ready_ms : g->started_ms;
	const char *lived = report_duration(tmp, timer_now_ms() - since);
	const char *how = g->failure != NULL ? g->failure : g->ended;

	if (failed && g->failure != NULL)
		output_warn(out, "%s: generation %u %s; %s", inst->name, g->number, how,
		    what_follows(tmp, inst, g));
	else if (failed)
		output_warn(out, "%s: generation %u %s after %s, before it was ready; %s",
		    inst->name, g->number, how, lived, what_follows(tmp, inst, g));
	else if (!g->told || g->failure != NULL)
		output_warn(out, "%s: generation %u (pid %d) %s, %s after it was ready; %s",
		    inst->name, g->number, (int)g->pid, how, lived, what_follows(tmp, inst, g));
	else
		output_say(
		    out, "%s  generation %u  pid %d  %s", inst->name, g->number, (int)g->pid, how);
	talloc_free(tmp);
}

void
report_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	if (g == NULL) {
		if (news == NEWS_FAILED)
			output_warn(inst->all->base->out, "%s: no memory to start it", inst->name);
		return;
	}
	if (news == NEWS_READY)
		say_ready(inst, g);
	else if (news == NEWS_BACK)
		output_say(inst->all->base->out, "%s  generation %u  pid %d  serves again",
		    inst->name, g->number, (int)g->pid);
	else if (news == NEWS_FAILED || news == NEWS_ENDED)
		say_ended(inst, g, news == NEWS_FAILED);
}

static const char *
plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

char *
report_drained(TALLOC_CTX *mem, const struct notify_drained *d)
{
	return talloc_asprintf(mem,
	    "%lld connection%s moved, %lld request%s finished, %lld connection%s ended, %lld cut",
	    (long long)d->moved, plural(d->moved), (long long)d->finished, plural(d->finished),
	    (long long)d->ended, plural(d->ended), (long long)d->cut);
}

/* That serves, so that what is said to try works. */
static const struct instance *
first_with_socket(const struct supervisor *sup)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		const struct service *s = sup->all.services[i];

		for (unsigned n = 0; n < s->ninstances; n++) {
			if (s->instances[n]->life.state == LIFE_READY &&
			    s->instances[n]->nlisteners > 0)
				return s->instances[n];
		}
	}
	return NULL;
}

static unsigned
count_missing(const struct supervisor *sup, unsigned *all)
{
	unsigned missing = 0;

	*all = 0;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++, (*all)++)
			missing += sup->all.services[i]->instances[n]->life.state != LIFE_READY;
	}
	return missing;
}

static void
say_what_to_try(struct supervisor *sup)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const struct instance *inst = first_with_socket(sup);

	output_say(sup->base.out, "%s", "");
	output_say(sup->base.out, "try, from a second terminal:");
	if (inst != NULL && inst->listeners[0].file != NULL)
		output_say(sup->base.out, "  curl --unix-socket %s http://localhost/",
		    inst->listeners[0].address.un.sun_path);
	else if (inst != NULL)
		output_say(
		    sup->base.out, "  curl %s/", address_url(tmp, &inst->listeners[0].address));
	output_say(sup->base.out, "  %s status%s", sup->argv0, sup->how_to_reach);
	output_say(sup->base.out, "  %s restart%s", sup->argv0, sup->how_to_reach);
	talloc_free(tmp);
}

void
report_hints(struct supervisor *sup)
{
	unsigned all, missing = count_missing(sup, &all);

	if (missing > 0)
		output_warn(sup->base.out,
		    "%u of %u instances are not ready; baton goes on trying, "
		    "`%s status%s` shows them",
		    missing, all, sup->argv0, sup->how_to_reach);
	if (missing < all)
		say_what_to_try(sup);
	output_say(sup->base.out, "Ctrl-C here ends it in good order.");
	output_say(sup->base.out, "%s", "");
}
