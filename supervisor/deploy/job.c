/* SPDX-License-Identifier: MIT */
/*
 * Orders about single services: start, stop, reset. An operation knows the instances that it
 * is about and the state it wants them in; it starts them one after the other, stops them
 * together, and tells whoever asked when the last one has got there, or has failed.
 */
#include "supervisor/deploy/job.h"
#include "supervisor/base/json_memory.h"
#include "supervisor/deploy/asker.h"

struct job {
	LIST_ENTRY(job) entry;
	struct deploy *deploy;
	struct asker *asker; /* who asked; NULL when it went away */
	enum job_goal { GOAL_READY, GOAL_DOWN } goal;
	struct instance **list;
	size_t count, at;  /* at: the one that is starting now */
	job_then_fn *then; /* called when all are down; NULL: nothing is */
	void *then_data;
	char *failures; /* those that did not become ready, NULL: none */
	json_t *failed; /* the first of them: its name and last lines; NULL: none */
	struct tevent_immediate *end;
	bool done;      /* it ends at the loop's next turn */
	bool advancing; /* it is being moved on already: news come from within */
};

static int
job_close(struct job *job)
{
	json_decref(job->failed);
	return 0;
}

/* NULL: no memory, and the asker has been told. */
static struct job *
job_new(struct deploy *d, struct asker *asker, enum job_goal goal)
{
	struct job *job = talloc_zero(d, struct job);

	/* Made here, so that it can always end. */
	if (job != NULL)
		job->end = tevent_create_immediate(job);
	if (job == NULL || job->end == NULL) {
		talloc_free(job);
		asker_error(asker, "there is no memory");
		return NULL;
	}
	talloc_set_destructor(job, job_close);
	job->deploy = d;
	job->goal = goal;
	LIST_INSERT_HEAD(&d->jobs, job, entry);
	asker_later(asker, &job->asker);
	return job;
}

static void
finish(struct job *job, json_t *result)
{
	LIST_REMOVE(job, entry);
	asker_result(job->asker, result);
	talloc_free(job);
}

static void
progress(struct job *job, char *text)
{
	asker_progress(job->asker, text);
	talloc_free(text);
}

static void
done(struct tevent_context *ev, struct tevent_immediate *end, void *data)
{
	struct job *job = talloc_get_type_abort(data, struct job);

	(void)ev;
	(void)end;

	if (job->then != NULL)
		job->then(job->then_data);
	if (job->failures == NULL)
		finish(job, json_pack("{s:b s:i}", "ok", 1, "instances", (int)job->count));
	else
		finish(job, json_pack("{s:b s:o s:i s:O* s:O*}", "ok", 0, "error",
				json_text(job->failures), "instances", (int)job->count, "instance",
				json_object_get(job->failed, "instance"), "stderr",
				json_object_get(job->failed, "stderr")));
}

static bool
serves(const struct instance *inst)
{
	return inst->life.ready_ms >= 0 && inst->life.state != LIFE_STOPPING;
}

/* Moves it on as far as it goes. */
static void
advance(struct job *job)
{
	bool all_down = true;

	if (job->advancing || job->done)
		return;
	job->advancing = true;
	while (job->goal == GOAL_READY && job->at < job->count) {
		const size_t at = job->at;
		struct instance *inst = job->list[at];

		if (!serves(inst))
			instance_event(inst, LIFE_EV_START);
		if (job->at != at)
			continue; /* there was no memory for it: that news has come already */
		if (!serves(inst))
			break;
		job->at++;
	}
	for (size_t i = 0; job->goal == GOAL_DOWN && i < job->count; i++)
		all_down = all_down && job->list[i]->life.state == LIFE_DOWN;
	job->advancing = false;
	if (!(job->goal == GOAL_DOWN ? all_down : job->at == job->count))
		return;
	job->done = true;
	tevent_schedule_immediate(job->end, job->deploy->base->ev, done, job);
}

/* G is the process that was to serve, if there was one. */
static void
failed(struct job *job, const struct instance *inst, const struct generation *g, const char *why)
{
	job->failures =
	    talloc_asprintf_append(job->failures == NULL ? talloc_strdup(job, "") : job->failures,
		"%s%s: %s", job->failures == NULL ? "" : "; ", inst->name, why);
	if (job->failed == NULL)
		job->failed =
		    json_pack("{s:s s:o}", "instance", inst->name, "stderr", report_tail_json(g));
}

static void
news_of_start(
    struct job *job, struct instance *inst, const struct generation *g, enum instance_news news)
{
	if (job->at >= job->count || inst != job->list[job->at])
		return;
	if (news == NEWS_READY && g != NULL) {
		progress(job, talloc_asprintf(job, "%s: generation %u ready in %lld ms", inst->name,
				  g->number, (long long)generation_age_ms(g)));
	} else if (news == NEWS_FAILED || news == NEWS_DOWN ||
		   (news == NEWS_GAVE_UP && g == NULL)) {
		const char *why = news == NEWS_DOWN      ? "was told to stop"
				  : news == NEWS_GAVE_UP ? "another that it depends on has failed"
				  : g == NULL            ? "there is no memory to start it"
				  : g->failure != NULL   ? g->failure
							 : g->ended;

		failed(job, inst, g, why);
		job->at++; /* baton goes on trying; whoever asked need not wait for that */
	} else {
		return;
	}
	advance(job);
}

static void
news_of_stop(
    struct job *job, struct instance *inst, const struct generation *g, enum instance_news news)
{
	bool mine = false;

	for (size_t i = 0; i < job->count; i++)
		mine = mine || job->list[i] == inst;
	if (!mine)
		return;
	if (news == NEWS_ENDED && g != NULL)
		progress(
		    job, talloc_asprintf(job, "%s: generation %u %s%s%s", inst->name, g->number,
			     g->failure != NULL ? g->failure : g->ended, g->drained ? "; " : "",
			     g->drained ? report_drained(job, &g->counts) : ""));
	if (news == NEWS_DOWN)
		advance(job);
}

void
job_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	struct job *next;

	for (struct job *job = LIST_FIRST(&deploy_of(inst->service)->jobs); job != NULL;
	     job = next) {
		next = LIST_NEXT(job, entry);
		if (job->goal == GOAL_READY)
			news_of_start(job, inst, g, news);
		else
			news_of_stop(job, inst, g, news);
	}
}

static void
forget(struct job *job, const struct instance *inst)
{
	size_t n = 0, at = job->at;

	for (size_t i = 0; i < job->count; i++) {
		if (job->list[i] != inst)
			job->list[n++] = job->list[i];
		else if (i < job->at)
			at--;
		else if (job->goal == GOAL_READY)
			failed(job, inst, NULL, "was told to stop");
	}
	job->count = n;
	job->at = at;
}

/* Of all that wait for them, or only of those that start them. */
static void
forget_all(struct deploy *d, struct instance **list, size_t count, bool only_starts)
{
	struct job *job, *next;

	/* First all of them: who moves on must not start the next one that goes. */
	LIST_FOREACH(job, &d->jobs, entry) {
		for (size_t i = 0; i < count && !job->done; i++) {
			if (job->goal == GOAL_READY || !only_starts)
				forget(job, list[i]);
		}
	}
	for (job = LIST_FIRST(&d->jobs); job != NULL; job = next) {
		next = LIST_NEXT(job, entry);
		advance(job);
	}
}

void
job_forget(struct deploy *d, struct instance **list, size_t count)
{
	forget_all(d, list, count, false);
}

/* NULL, and the asker has been told why, if there is nothing of that name, or baton stops. */
static struct job *
job_about(struct deploy *d, const char *name, struct asker *asker, enum job_goal goal)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **list;
	size_t n = instances_select(d->all, name, tmp, &list);
	struct job *job = NULL;

	if (d->all->phase == SUP_STOPPING || d->all->phase == SUP_DONE) {
		asker_error(asker, "baton is stopping");
	} else if (n == 0) {
		asker_error(asker, "%s", instances_no_such(tmp, d->all, name));
	} else {
		job = job_new(d, asker, goal);
		if (job != NULL) {
			job->list = talloc_steal(job, list);
			job->count = n;
		}
	}
	talloc_free(tmp);
	return job;
}

void
job_start(struct deploy *d, const char *name, struct asker *asker)
{
	struct job *job = job_about(d, name, asker, GOAL_READY);
	size_t n = 0;

	if (job == NULL)
		return;
	/* Spares follow by themselves, when there is something that they can stand in for. */
	for (size_t i = 0; i < job->count; i++) {
		if (deploy_removes(job->list[i]))
			failed(job, job->list[i], NULL, "is being removed");
		else if (!job->list[i]->spare)
			job->list[n++] = job->list[i];
	}
	job->count = n;
	advance(job);
}

/* From the last to the first, and then they are waited for together. */
static void
stop_all(struct job *job)
{
	job->advancing = true;
	for (size_t i = job->count; i-- > 0;)
		instance_event(job->list[i], LIFE_EV_STOP);
	job->advancing = false;
	advance(job);
}

void
job_stop(struct deploy *d, const char *name, struct asker *asker)
{
	struct job *job = job_about(d, name, asker, GOAL_DOWN);

	if (job != NULL)
		stop_all(job);
}

void
job_reset(struct deploy *d, const char *name, struct asker *asker)
{
	struct job *job = job_about(d, name, asker, GOAL_READY);
	size_t n = 0;

	if (job == NULL)
		return;
	for (size_t i = 0; i < job->count; i++) {
		enum life_state state = job->list[i]->life.state;

		if (!deploy_removes(job->list[i]) &&
		    (state == LIFE_FAILED || state == LIFE_BACKOFF || state == LIFE_HELD))
			job->list[n++] = job->list[i];
	}
	job->count = n;
	advance(job);
}

/* NULL: no memory, and ASKER has not been told. */
static struct job *
job_of_list(
    struct deploy *d, struct instance **list, size_t count, struct asker *asker, enum job_goal goal)
{
	struct instance **copy = talloc_memdup(d, list, count * sizeof(struct instance *));
	struct job *job = copy == NULL ? NULL : job_new(d, NULL, goal);

	if (job == NULL) {
		talloc_free(copy);
		return NULL;
	}
	asker_later(asker, &job->asker);
	job->list = talloc_steal(job, copy);
	job->count = count;
	return job;
}

void
job_start_list(struct deploy *d, struct instance **list, size_t count, struct asker *asker)
{
	struct job *job = job_of_list(d, list, count, asker, GOAL_READY);

	if (job == NULL) {
		/* They are there, and must run: all at once then, and nobody waits. */
		asker_error(asker, "there is no memory to wait for what is started");
		for (size_t i = 0; i < count; i++)
			instance_event(list[i], LIFE_EV_START);
		return;
	}
	advance(job);
}

bool
job_stop_list(struct deploy *d, struct instance **list, size_t count, struct asker *asker,
    job_then_fn *then, void *data)
{
	struct job *job = job_of_list(d, list, count, asker, GOAL_DOWN);

	if (job == NULL)
		return false;
	job->then = then;
	job->then_data = data;
	forget_all(d, job->list, count, true);
	stop_all(job);
	return true;
}

void
job_cancel_all(struct deploy *d, const char *why)
{
	while (!LIST_EMPTY(&d->jobs))
		finish(
		    LIST_FIRST(&d->jobs), json_pack("{s:b s:o}", "ok", 0, "error", json_text(why)));
}
