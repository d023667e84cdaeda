/* SPDX-License-Identifier: MIT */
/*
 * Orders about single services: start, stop, reset, scale. An operation knows the instances
 * that it is about and the state it wants them in; it starts them one after the other, stops
 * them together, and tells whoever asked when the last one has got there, or has failed.
 */
#include <string.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

struct op {
	struct op *next;
	struct supervisor *sup;
	struct client *client; /* who asked; NULL when it went away */
	enum op_goal { GOAL_READY, GOAL_DOWN } goal;
	struct instance **list;
	size_t count, at;        /* at: the one that is starting now */
	struct service *shrinks; /* its instances from `keep` on are removed at the end */
	unsigned keep;           /* 0: and the service with them */
	char *failures;          /* those that did not become ready, NULL: none */
	bool done;               /* it ends at the loop's next turn */
	bool advancing;          /* it is being moved on already: news come from within */
};

static struct op *
op_new(struct supervisor *sup, struct client *client, enum op_goal goal)
{
	struct op *op = talloc_zero(sup, struct op);

	op->sup = sup;
	op->goal = goal;
	op->next = sup->ops;
	sup->ops = op;
	if (client != NULL)
		client_later(client, &op->client);
	return op;
}

static void
finish(struct op *op, json_t *result)
{
	struct op **where = &op->sup->ops;

	while (*where != op)
		where = &(*where)->next;
	*where = op->next;
	if (op->client != NULL)
		client_result(op->client, result);
	else
		json_decref(result);
	talloc_free(op);
}

static void
progress(struct op *op, char *text)
{
	if (op->client != NULL)
		client_progress(op->client, text);
	talloc_free(text);
}

/* Nothing of them lives any more, so they may go, with their sockets. Only from the loop: the
 * news that the last one is down come from the middle of its own code. */
static void
shrink(struct op *op)
{
	struct service *s = op->shrinks;

	if (s == NULL)
		return;
	while (s->ninstances > op->keep)
		talloc_free(s->instances[--s->ninstances]);
	if (op->keep > 0)
		return;
	for (size_t i = 0; i < op->sup->nservices; i++) {
		if (op->sup->services[i] != s)
			continue;
		op->sup->nservices--;
		memmove(&op->sup->services[i], &op->sup->services[i + 1],
		    (op->sup->nservices - i) * sizeof(struct service *));
		break;
	}
	talloc_free(s);
}

static void
done(void *data)
{
	struct op *op = talloc_get_type_abort(data, struct op);

	shrink(op);
	if (op->failures == NULL)
		finish(op, json_pack("{s:b s:i}", "ok", 1, "instances", (int)op->count));
	else
		finish(op, json_pack("{s:b s:s s:i}", "ok", 0, "error", op->failures, "instances",
			       (int)op->count));
}

static bool
serves(const struct instance *inst)
{
	return inst->life.ready_ms >= 0 && inst->life.state != LIFE_STOPPING;
}

/* Moves it on as far as it goes. */
static void
advance(struct op *op)
{
	bool all_down = true;

	if (op->advancing)
		return;
	op->advancing = true;
	for (; op->goal == GOAL_READY && op->at < op->count; op->at++) {
		struct instance *inst = op->list[op->at];

		if (!serves(inst))
			instance_event(inst, LIFE_EV_START);
		if (!serves(inst))
			break;
	}
	for (size_t i = 0; op->goal == GOAL_DOWN && i < op->count; i++)
		all_down = all_down && op->list[i]->life.state == LIFE_DOWN;
	op->advancing = false;
	if (op->done || !(op->goal == GOAL_DOWN ? all_down : op->at == op->count))
		return;
	op->done = true;
	timer_after(op, op->sup->timers, 0, done, op);
}

static void
news_of_start(
    struct op *op, struct instance *inst, const struct generation *g, enum instance_news news)
{
	if (op->at >= op->count || inst != op->list[op->at])
		return;
	if (news == NEWS_READY && g != NULL) {
		progress(op, talloc_asprintf(op, "%s: generation %u ready in %lld ms", inst->name,
				 g->number, (long long)generation_age_ms(g)));
	} else if (news == NEWS_FAILED || news == NEWS_DOWN) {
		const char *why = news == NEWS_DOWN    ? "was told to stop"
				  : g == NULL          ? "there is no memory to start it"
				  : g->failure != NULL ? g->failure
						       : g->ended;

		op->failures = talloc_asprintf_append(
		    op->failures == NULL ? talloc_strdup(op, "") : op->failures, "%s%s: %s",
		    op->failures == NULL ? "" : "; ", inst->name, why);
		op->at++; /* baton goes on trying; whoever asked need not wait for that */
	} else {
		return;
	}
	advance(op);
}

static void
news_of_stop(
    struct op *op, struct instance *inst, const struct generation *g, enum instance_news news)
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
op_news(struct supervisor *sup, struct instance *inst, const struct generation *g,
    enum instance_news news)
{
	struct op *next;

	for (struct op *op = sup->ops; op != NULL; op = next) {
		next = op->next;
		if (op->goal == GOAL_READY)
			news_of_start(op, inst, g, news);
		else
			news_of_stop(op, inst, g, news);
	}
}

/* NULL, and the client has been told why, if there is nothing of that name, or baton stops. */
static struct op *
op_about(struct supervisor *sup, const char *name, struct client *client, enum op_goal goal)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct instance **list;
	size_t n = supervisor_select(sup, name, tmp, &list);
	struct op *op = NULL;

	if (sup->phase == SUP_STOPPING || sup->phase == SUP_DONE) {
		client_error(client, "baton is stopping");
	} else if (n == 0) {
		client_error(client, "%s", supervisor_no_such(tmp, sup, name));
	} else {
		op = op_new(sup, client, goal);
		op->list = talloc_steal(op, list);
		op->count = n;
	}
	talloc_free(tmp);
	return op;
}

void
op_start(struct supervisor *sup, const char *name, struct client *client)
{
	struct op *op = op_about(sup, name, client, GOAL_READY);

	if (op != NULL)
		advance(op);
}

/* From the last to the first, and then they are waited for together. */
static void
stop_all(struct op *op)
{
	op->advancing = true;
	for (size_t i = op->count; i-- > 0;)
		instance_event(op->list[i], LIFE_EV_STOP);
	op->advancing = false;
	advance(op);
}

void
op_stop(struct supervisor *sup, const char *name, struct client *client)
{
	struct op *op = op_about(sup, name, client, GOAL_DOWN);

	if (op != NULL)
		stop_all(op);
}

void
op_reset(struct supervisor *sup, const char *name, struct client *client)
{
	struct op *op = op_about(sup, name, client, GOAL_READY);
	size_t n = 0;

	if (op == NULL)
		return;
	for (size_t i = 0; i < op->count; i++) {
		enum life_state state = op->list[i]->life.state;

		if (state == LIFE_FAILED || state == LIFE_BACKOFF)
			op->list[n++] = op->list[i];
	}
	op->count = n;
	advance(op);
}

/* All the sockets first: a port that is taken must be known before anything is started. */
static bool
grow(struct service *s, unsigned to, TALLOC_CTX *mem, char **why)
{
	unsigned had = s->ninstances;

	s->instances = talloc_realloc(s, s->instances, struct instance *, to);
	while (s->ninstances < to) {
		struct instance *inst = instance_new(s, s->ninstances);

		if (inst == NULL || listener_open_instance(inst, mem, why) < 0) {
			talloc_free(inst);
			while (s->ninstances > had)
				talloc_free(s->instances[--s->ninstances]);
			return false;
		}
		s->instances[s->ninstances++] = inst;
	}
	return true;
}

static struct service *
service_named(struct supervisor *sup, const char *name)
{
	for (size_t i = 0; i < sup->nservices; i++) {
		if (strcmp(sup->services[i]->config->name, name) == 0)
			return sup->services[i];
	}
	return NULL;
}

/* Whether the number may be changed now; if not, the client has been told why. */
static bool
may_scale(struct supervisor *sup, const char *name, long instances, struct client *client)
{
	const struct key *k = key_find(KEY_SERVICE, "instances");
	TALLOC_CTX *tmp = talloc_new(NULL);
	char *why = NULL;

	if (sup->phase != SUP_RUNNING)
		why = talloc_strdup(tmp, "baton is starting or stopping");
	else if (service_named(sup, name) == NULL)
		why = supervisor_no_such(tmp, sup, name);
	else if (instances < k->min || instances > k->max)
		why =
		    talloc_asprintf(tmp, "expected %s, found %ld", key_expected(tmp, k), instances);
	else if (sup->roll != NULL)
		why = talloc_asprintf(tmp, "a restart is under way (%s)", roll_where(sup));
	else
		op_busy(sup, tmp, &why);
	if (why != NULL)
		client_error(client, "%s", why);
	talloc_free(tmp);
	return why == NULL;
}

void
op_start_list(struct supervisor *sup, struct instance **list, size_t count, struct client *client)
{
	struct op *op = op_new(sup, client, GOAL_READY);

	op->list = talloc_memdup(op, list, count * sizeof(struct instance *));
	op->count = count;
	advance(op);
}

static void
shrink_to(struct op *op, struct service *s, unsigned keep)
{
	op->count = s->ninstances - keep;
	op->list = talloc_memdup(op, s->instances + keep, op->count * sizeof(struct instance *));
	op->shrinks = s;
	op->keep = keep;
	stop_all(op);
}

void
op_shrink(struct supervisor *sup, struct service *s, unsigned keep)
{
	shrink_to(op_new(sup, NULL, GOAL_DOWN), s, keep);
}

void
op_remove(struct supervisor *sup, struct service *s)
{
	shrink_to(op_new(sup, NULL, GOAL_DOWN), s, 0);
}

void
op_scale(struct supervisor *sup, const char *name, long instances, struct client *client)
{
	struct service *s = service_named(sup, name);
	unsigned to = (unsigned)instances, had;
	char *why = NULL;

	if (!may_scale(sup, name, instances, client))
		return;
	had = s->ninstances;
	if (to > had && !grow(s, to, sup, &why)) {
		client_error(client, "%s", why != NULL ? why : "there is no memory");
		talloc_free(why);
		return;
	}
	if (to > had)
		op_start_list(sup, s->instances + had, to - had, client);
	else
		shrink_to(op_new(sup, client, GOAL_DOWN), s, to);
}

bool
op_busy(const struct supervisor *sup, TALLOC_CTX *mem, char **why)
{
	for (const struct op *op = sup->ops; op != NULL; op = op->next) {
		if (op->shrinks == NULL)
			continue;
		*why = talloc_asprintf(mem, "instances of %s are being removed; ask again later",
		    op->shrinks->config->name);
		return true;
	}
	return false;
}

void
op_cancel_all(struct supervisor *sup, const char *why)
{
	while (sup->ops != NULL)
		finish(sup->ops, json_pack("{s:b s:s}", "ok", 0, "error", why));
}
