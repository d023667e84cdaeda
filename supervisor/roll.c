/* SPDX-License-Identifier: MIT */
/*
 * The rolling restart: one instance after the other is replaced, and the first failure ends
 * it. It is a transaction with one verdict, told to whoever asked, and to baton's stderr.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

struct roll {
	struct supervisor *sup;
	struct client *client; /* who asked; NULL when it went away */
	struct instance **queue;
	size_t count, at, restarted;
	enum stage {
		BEGIN, /* queue[at] is to be replaced as soon as it is ready with no old one left */
		NEXT,  /* its successor was started */
		OLD,   /* the successor serves; the old one drains */
	} stage;
	unsigned number; /* of the successor */
	int64_t started_ms;
	char *where; /* for status */
	/* What became of the connections, as far as the old generations told. */
	bool drained;
	struct notify_drained sum;
	json_t *instances; /* one object for each instance that was replaced */
};

static void advance(struct roll *r);

static void
progress(struct roll *r, char *text)
{
	if (r->client != NULL && (r->where == NULL || strcmp(r->where, text) != 0))
		client_progress(r->client, text);
	talloc_free(r->where);
	r->where = talloc_steal(r, text);
}

/* The verdict, also kept for status. */
static void
finish(struct roll *r, json_t *result)
{
	json_object_set_new(result, "duration_ms", json_integer(timer_now_ms() - r->started_ms));
	json_object_set_new(result, "of", json_integer((json_int_t)r->count));
	json_object_set(result, "instances", r->instances);
	if (r->drained)
		json_object_set_new(result, "connections", status_drained(&r->sum));
	json_decref(r->sup->last_restart);
	r->sup->last_restart = json_deep_copy(result);
	json_object_set_new(r->sup->last_restart, "ended_unix_ms", json_integer(timer_unix_ms()));
	r->sup->roll = NULL;
	if (r->client != NULL)
		client_result(r->client, result);
	else
		json_decref(result);
	talloc_free(r);
}

static json_t *
tail_json(const struct generation *g)
{
	json_t *lines = json_array();

	for (unsigned i = 0; g != NULL && i < tail_count(g->tail); i++)
		json_array_append_new(lines, json_string(tail_line(g->tail, i)));
	return lines;
}

/* What serves now is part of the verdict: the reader's next question. */
static char *
what_is_left(TALLOC_CTX *mem, const struct instance *inst)
{
	if (inst->life.state == LIFE_RECALLING && inst->old != NULL)
		return talloc_asprintf(mem, "generation %u (pid %d) is called back",
		    inst->old->number, (int)inst->old->pid);
	if (inst->current != NULL && inst->life.state == LIFE_READY)
		return talloc_asprintf(mem, "generation %u (pid %d) serves on",
		    inst->current->number, (int)inst->current->pid);
	return talloc_strdup(mem, "nothing serves; baton goes on trying");
}

static void
failed(struct roll *r, struct instance *inst, const struct generation *g, const char *reason)
{
	char *left = what_is_left(r, inst);
	char *error = talloc_asprintf(r, "%s: %s; %s; %zu of %zu instances restarted", inst->name,
	    reason, left, r->restarted, r->count);

	output_warn(r->sup->out, "restart failed: %s", error);
	finish(r, json_pack("{s:b s:s s:s s:s s:s s:i s:o}", "ok", 0, "error", error, "instance",
		      inst->name, "reason", reason, "left", left, "restarted", (int)r->restarted,
		      "stderr", tail_json(g)));
}

static void
begin(struct roll *r, struct instance *inst)
{
	bool steady = inst->life.state == LIFE_READY && inst->life.alive == LIFE_CURRENT;

	if (!steady && inst->life.state != LIFE_BACKOFF && inst->life.state != LIFE_FAILED) {
		progress(r, talloc_asprintf(r, "%s: waiting, it is %s%s", inst->name,
				life_state_name(inst->life.state),
				inst->old != NULL ? " and its old generation drains" : ""));
		return;
	}
	r->stage = NEXT;
	r->number = inst->last_number + 1;
	instance_event(inst, LIFE_EV_RESTART);
}

static void
advance(struct roll *r)
{
	while (r->at < r->count) {
		struct instance *inst = r->queue[r->at];

		if (r->stage == BEGIN && inst->life.state == LIFE_DOWN) {
			r->at++; /* it was stopped: it is not to run, so there is nothing to replace */
			continue;
		}
		if (r->stage == BEGIN) {
			begin(r, inst);
			return;
		}
		if (r->stage == NEXT || inst->old != NULL)
			return;
		r->at++;
		r->restarted++;
		r->stage = BEGIN;
	}
	finish(r, json_pack("{s:b s:i}", "ok", 1, "restarted", (int)r->restarted));
}

static void
news_of_next(
    struct roll *r, struct instance *inst, const struct generation *g, enum instance_news news)
{
	if (g == NULL) {
		if (news == NEWS_FAILED)
			failed(r, inst, g, "there is no memory to start its successor");
		return;
	}
	if (g->number != r->number)
		return; /* the one that is being replaced ended by itself: its successor goes on */
	if (news == NEWS_STARTED) {
		progress(r, talloc_asprintf(r, "%s: generation %u started, pid %d", inst->name,
				g->number, (int)g->pid));
	} else if (news == NEWS_READY) {
		char *drains = inst->old == NULL
				   ? ""
				   : talloc_asprintf(r, "; generation %u (pid %d) drains",
					 inst->old->number, (int)inst->old->pid);

		progress(r, talloc_asprintf(r, "%s: generation %u ready in %lld ms%s", inst->name,
				g->number, (long long)generation_age_ms(g), drains));
		r->stage = OLD;
		advance(r);
	} else if (news == NEWS_FAILED) {
		failed(r, inst, g,
		    talloc_asprintf(r, "generation %u %s%s", g->number,
			g->failure != NULL ? g->failure : g->ended,
			g->failure != NULL ? "" : " before it was ready"));
	} else if (news == NEWS_ENDED) {
		failed(r, inst, g, talloc_asprintf(r, "generation %u %s", g->number, g->ended));
	}
}

/* The old generation is gone: what it told of its connections goes into the verdict. */
static void
take_account(struct roll *r, const struct instance *inst, const struct generation *g)
{
	json_t *o = json_pack("{s:s s:i s:i s:s}", "name", inst->name, "from", (int)g->number, "to",
	    (int)r->number, "exit", g->failure != NULL ? g->failure : g->ended);

	if (g->drained) {
		r->drained = true;
		r->sum.moved += g->counts.moved;
		r->sum.finished += g->counts.finished;
		r->sum.ended += g->counts.ended;
		r->sum.cut += g->counts.cut;
		json_object_set_new(o, "connections", status_drained(&g->counts));
	}
	json_array_append_new(r->instances, o);
}

static void
news_of_old(
    struct roll *r, struct instance *inst, const struct generation *g, enum instance_news news)
{
	if (news != NEWS_ENDED || g == NULL)
		return;
	if (g->number == r->number) {
		failed(r, inst, g,
		    talloc_asprintf(r, "generation %u said that it was ready, and %s", g->number,
			g->failure != NULL ? g->failure : g->ended));
		return;
	}
	take_account(r, inst, g);
	progress(r, talloc_asprintf(r, "%s: generation %u %s%s%s", inst->name, g->number,
			g->failure != NULL ? g->failure : g->ended, g->drained ? "; " : "",
			g->drained ? report_drained(r, &g->counts) : ""));
	advance(r);
}

void
roll_news(struct supervisor *sup, struct instance *inst, const struct generation *g,
    enum instance_news news)
{
	struct roll *r = sup->roll;

	if (r == NULL || inst != r->queue[r->at])
		return;
	if (news == NEWS_DOWN && r->stage != BEGIN)
		failed(r, inst, NULL, "it was told to stop");
	else if (r->stage == NEXT)
		news_of_next(r, inst, g, news);
	else if (r->stage == OLD)
		news_of_old(r, inst, g, news);
	else
		advance(r);
}

static int
roll_close(struct roll *r)
{
	json_decref(r->instances);
	return 0;
}

static struct roll *
roll_new(struct supervisor *sup, const char *name)
{
	struct roll *r = talloc_zero(sup, struct roll);

	r->sup = sup;
	r->started_ms = timer_now_ms();
	r->stage = BEGIN;
	r->instances = json_array();
	talloc_set_destructor(r, roll_close);
	r->count = supervisor_select(sup, name, r, &r->queue);
	return r;
}

int
roll_start(
    struct supervisor *sup, const char *service, struct client *client, TALLOC_CTX *mem, char **why)
{
	struct roll *r;

	if (sup->phase == SUP_STOPPING || sup->phase == SUP_DONE) {
		*why = talloc_strdup(mem, "baton is stopping");
		return -EBUSY;
	}
	if (op_busy(sup, mem, why))
		return -EBUSY;
	if (sup->roll != NULL) {
		*why = talloc_asprintf(mem,
		    "a restart is under way already (%s); `baton status` "
		    "shows it, and only one is done at a time",
		    roll_where(sup));
		return -EBUSY;
	}
	r = roll_new(sup, service);
	if (r->count == 0) {
		*why = supervisor_no_such(mem, sup, service);
		talloc_free(r);
		return -ENOENT;
	}
	sup->roll = r;
	client_later(client, &r->client);
	advance(r);
	return 0;
}

void
roll_start_list(struct supervisor *sup, struct instance **list, size_t count, struct client *client)
{
	struct roll *r = roll_new(sup, "");

	r->queue = talloc_memdup(r, list, count * sizeof(struct instance *));
	r->count = count;
	sup->roll = r;
	if (client != NULL)
		client_later(client, &r->client);
	advance(r);
}

void
roll_cancel(struct supervisor *sup, const char *why)
{
	struct roll *r = sup->roll;

	if (r == NULL)
		return;
	finish(r, json_pack("{s:b s:s# s:i}", "ok", 0, "error", why, (int)strlen(why), "restarted",
		      (int)r->restarted));
}

const char *
roll_where(const struct supervisor *sup)
{
	if (sup->roll == NULL)
		return NULL;
	return sup->roll->where != NULL ? sup->roll->where : "it has just begun";
}
