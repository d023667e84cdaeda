/* SPDX-License-Identifier: MIT */
/* What people read in the terminal where `baton run` runs. */
#include <string.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/instance/instances.h"

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

char *
report_urls(TALLOC_CTX *mem, const struct instance *inst)
{
	char *urls = talloc_strdup(mem, inst->sockets->nlisteners == 0 ? "-" : "");

	for (size_t i = 0; i < inst->sockets->nlisteners; i++) {
		char *url = address_url(mem, &inst->sockets->listeners[i].address);

		urls = talloc_asprintf_append(urls, "%s%s", i == 0 ? "" : " ", url);
		talloc_free(url);
	}
	return urls;
}

/* Columns are as wide as the widest of all instances, so that lines printed one by one align. */
static void
widths(const struct instances *all, int *name, int *url)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	*name = *url = 0;
	for (size_t i = 0; i < all->nservices; i++) {
		for (unsigned n = 0; n < all->services[i]->ninstances; n++) {
			const struct instance *inst = all->services[i]->instances[n];
			int nlen = (int)strlen(inst->name);
			const char *urls = report_urls(tmp, inst);
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
	const char *urls = report_urls(tmp, inst);
	int name, url;

	widths(inst->all, &name, &url);
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

json_t *
report_drained_json(const struct notify_drained *d)
{
	return json_pack("{s:I s:I s:I s:I}", "moved", (json_int_t)d->moved, "finished",
	    (json_int_t)d->finished, "ended", (json_int_t)d->ended, "cut", (json_int_t)d->cut);
}

json_t *
report_tail_json(const struct generation *g)
{
	json_t *lines = json_array();

	for (unsigned i = 0; g != NULL && i < tail_count(g->tail); i++)
		json_array_append_new(lines, json_text(tail_line(g->tail, i)));
	return lines;
}
