/* SPDX-License-Identifier: MIT */
/*
 * Orders about single services: start, stop, reset. An operation knows the instances that it
 * is about and the state it wants them in; it starts them one after the other, stops them
 * together, and tells whoever asked when the last one has got there, or has failed.
 */
#include "supervisor/base/json_memory.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/asker.h"

struct job {
	struct job *next;
	struct supervisor *sup;
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
job_close(struct job *op)
{
	json_decref(op->failed);
	return 0;
}

/* NULL: no memory, and the asker has been told. */
static struct job *
job_new(struct supervisor *sup, struct asker *asker, enum job_goal goal)
{
	struct job *op = talloc_zero(sup, struct job);

	/* Made here, so that it can always end. */
	if (op != NULL)
		op->end = tevent_create_immediate(op);
	if (op == NULL || op->end == NULL) {
		talloc_free(op);
		asker_error(asker, "there is no memory");
		return NULL;
	}
	talloc_set_destructor(op, job_close);
	op->sup = sup;
	op->goal = goal;
	op->next = sup->jobs;
	sup->jobs = op;
	asker_later(asker, &op->asker);
	return op;
}

static void
finish(struct job *op, json_t *result)
{
	struct job **where = &op->sup->jobs;

	while (*where != op)
		where = &(*where)->next;
	*where = op->next;
	asker_result(op->asker, result);
	talloc_free(op);
}

static void
progress(struct job *op, char *text)
{
	asker_progress(op->asker, text);
	talloc_free(text);
}

static void
done(struct tevent_context *ev, struct tevent_immediate *end, void *data)
{
	struct job *op = talloc_get_type_abort(data, struct job);

	(void)ev;
	(void)end;

	if (op->then != NULL)
		op->then(op->then_data);
	if (op->failures == NULL)
		finish(op, json_pack("{s:b s:i}", "ok", 1, "instances", (int)op->count));
	else
		finish(op, json_pack("{s:b s:o s:i s:O* s:O*}", "ok", 0, "error",
			       json_text(op->failures), "instances", (int)op->count, "instance",
			       json_object_get(op->failed, "instance"), "stderr",
			       json_object_get(op->failed, "stderr")));
}

static bool
serves(const struct instance *inst)
{
	return inst->life.ready_ms >= 0 && inst->life.state != LIFE_STOPPING;
}

/* Moves it on as far as it goes. */
static void
advance(struct job *op)
{
	bool all_down = true;

	if (op->advancing || op->done)
		return;
	op->advancing = true;
	while (op->goal == GOAL_READY && op->at < op->count) {
		const size_t at = op->at;
		struct instance *inst = op->list[at];

		if (!serves(inst))
			instance_event(inst, LIFE_EV_START);
		if (op->at != at)
			continue; /* there was no memory for it: that news has come already */
		if (!serves(inst))
			break;
		op->at++;
	}
	for (size_t i = 0; op->goal == GOAL_DOWN && i < op->count; i++)
		all_down = all_down && op->list[i]->life.state == LIFE_DOWN;
	op->advancing = false;
	if (!(op->goal == GOAL_DOWN ? all_down : op->at == op->count))
		return;
	op->done = true;
	tevent_schedule_immediate(op->end, op->sup->base.ev, done, op);
}

/* G is the process that was to serve, if there was one. */
static void
failed(struct job *op, const struct instance *inst, const struct generation *g, const char *why)
{
	op->failures =
	    talloc_asprintf_append(op->failures == NULL ? talloc_strdup(op, "") : op->failures,
		"%s%s: %s", op->failures == NULL ? "" : "; ", inst->name, why);
	if (op->failed == NULL)
		op->failed =
		    json_pack("{s:s s:o}", "instance", inst->name, "stderr", report_tail_json(g));
}

static void
news_of_start(
    struct job *op, struct instance *inst, const struct generation *g, enum instance_news news)
{
	if (op->at >= op->count || inst != op->list[op->at])
		return;
	if (news == NEWS_READY && g != NULL) {
		progress(op, talloc_asprintf(op, "%s: generation %u ready in %lld ms", inst->name,
				 g->number, (long long)generation_age_ms(g)));
	} else if (news == NEWS_FAILED || news == NEWS_DOWN ||
		   (news == NEWS_GAVE_UP && g == NULL)) {
		const char *why = news == NEWS_DOWN      ? "was told to stop"
				  : news == NEWS_GAVE_UP ? "another that it depends on has failed"
				  : g == NULL            ? "there is no memory to start it"
				  : g->failure != NULL   ? g->failure
							 : g->ended;

		failed(op, inst, g, why);
		op->at++; /* baton goes on trying; whoever asked need not wait for that */
	} else {
		return;
	}
	advance(op);
}

static void
news_of_stop(
    struct job *op, struct instance *inst, const struct generation *g, enum instance_news news)
{
	bool mine = false;

	for (size_t i = 0; i < op->count; i++)
		mine = mine || op->list[i] == inst;
	if (!mine)
		return;
	if (news == NEWS_ENDED && g != NULL)
		progress(op, talloc_asprintf(op, "%s: generation %u %s%s%s", inst->name, g->number,
				 g->failure != NULL ? g->failure : g->ended, g->drained ? "; " : "",
				 g->drained ? report_drained(op, &g->counts) : ""));
	if (news == NEWS_DOWN)
		advance(op);
}

void
job_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	struct job *next;

	for (struct job *op = inst->sup->jobs; op != NULL; op = next) {
		next = op->next;
		if (op->goal == GOAL_READY)
			news_of_start(op, inst, g, news);
		else
			news_of_stop(op, inst, g, news);
	}
}

static void
forget(struct job *op, const struct instance *inst)
{
	size_t n = 0, at = op->at;

	for (size_t i = 0; i < op->count; i++) {
		if (op->list[i] != inst)
			op->list[n++] = op->list[i];
		else if (i < op->at)
			at--;
		else if (op->goal == GOAL_READY)
			failed(op, inst, NULL, "was told to stop");
	}
	op->count = n;
	op->at = at;
}

/* Of all that wait for them, or only of those that start them. */
static void
forget_all(struct supervisor *sup, struct instance **list, size_t count, bool only_starts)
{
	struct job *next;

	/* First all of them: who moves on must not start the next one that goes. */
	for (struct job *op = sup->jobs; op != NULL; op = op->next) {
		for (size_t i = 0; i < count && !op->done; i++) {
			if (op->goal == GOAL_READY || !only_starts)
				forget(op, list[i]);
		}
	}
	for (struct job *op = sup->jobs; op != NULL; op = next) {
		next = op->next;
		advance(op);
	}
}

void
job_forget(struct supervisor *sup, struct instance **list, size_t count)
{
	forget_all(sup, list, count, false);
}

/* NULL, and the asker has been told why, if there is nothing of that name, or baton stops. */
static struct job *
job_about(struct supervisor *sup, const char *name, struct asker *asker, enum job_goal goal)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **list;
	size_t n = instances_select(&sup->all, name, tmp, &list);
	struct job *op = NULL;

	if (sup->all.phase == SUP_STOPPING || sup->all.phase == SUP_DONE) {
		asker_error(asker, "baton is stopping");
	} else if (n == 0) {
		asker_error(asker, "%s", instances_no_such(tmp, &sup->all, name));
	} else {
		op = job_new(sup, asker, goal);
		if (op != NULL) {
			op->list = talloc_steal(op, list);
			op->count = n;
		}
	}
	talloc_free(tmp);
	return op;
}

void
job_start(struct supervisor *sup, const char *name, struct asker *asker)
{
	struct job *op;
	size_t n = 0;

	renew_sockets(sup);
	op = job_about(sup, name, asker, GOAL_READY);

	if (op == NULL)
		return;
	/* Spares follow by themselves, when there is something that they can stand in for. */
	for (size_t i = 0; i < op->count; i++) {
		if (scale_removes(op->list[i]))
			failed(op, op->list[i], NULL, "is being removed");
		else if (!op->list[i]->spare)
			op->list[n++] = op->list[i];
	}
	op->count = n;
	advance(op);
}

/* From the last to the first, and then they are waited for together. */
static void
stop_all(struct job *op)
{
	op->advancing = true;
	for (size_t i = op->count; i-- > 0;)
		instance_event(op->list[i], LIFE_EV_STOP);
	op->advancing = false;
	advance(op);
}

void
job_stop(struct supervisor *sup, const char *name, struct asker *asker)
{
	struct job *op = job_about(sup, name, asker, GOAL_DOWN);

	if (op != NULL)
		stop_all(op);
}

void
job_reset(struct supervisor *sup, const char *name, struct asker *asker)
{
	struct job *op = job_about(sup, name, asker, GOAL_READY);
	size_t n = 0;

	if (op == NULL)
		return;
	for (size_t i = 0; i < op->count; i++) {
		enum life_state state = op->list[i]->life.state;

		if (!scale_removes(op->list[i]) &&
		    (state == LIFE_FAILED || state == LIFE_BACKOFF || state == LIFE_HELD))
			op->list[n++] = op->list[i];
	}
	op->count = n;
	advance(op);
}

void
job_start_list(struct supervisor *sup, struct instance **list, size_t count, struct asker *asker)
{
	struct instance **copy = talloc_memdup(sup, list, count * sizeof(struct instance *));
	struct job *op = copy == NULL ? NULL : job_new(sup, NULL, GOAL_READY);

	if (op == NULL) {
		/* They are there, and must run: all at once then, and nobody waits. */
		talloc_free(copy);
		asker_error(asker, "there is no memory to wait for what is started");
		for (size_t i = 0; i < count; i++)
			instance_event(list[i], LIFE_EV_START);
		return;
	}
	asker_later(asker, &op->asker);
	op->list = talloc_steal(op, copy);
	op->count = count;
	advance(op);
}

bool
job_stop_list(struct supervisor *sup, struct instance **list, size_t count, struct asker *asker,
    job_then_fn *then, void *data)
{
	struct instance **copy = talloc_memdup(sup, list, count * sizeof(struct instance *));
	struct job *op = copy == NULL ? NULL : job_new(sup, NULL, GOAL_DOWN);

	if (op == NULL) {
		talloc_free(copy);
		return false;
	}
	asker_later(asker, &op->asker);
	op->list = talloc_steal(op, copy);
	op->count = count;
	op->then = then;
	op->then_data = data;
	forget_all(sup, op->list, count, true);
	stop_all(op);
	return true;
}

void
job_cancel_all(struct supervisor *sup, const char *why)
{
	while (sup->jobs != NULL)
		finish(sup->jobs, json_pack("{s:b s:o}", "ok", 0, "error", json_text(why)));
}
