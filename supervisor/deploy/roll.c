/* SPDX-License-Identifier: MIT */
/*
 * The rolling restart: the instances are replaced in their task, service by service, as many
 * of one service at a time as its `surge` says. It is a transaction with one verdict: after the
 * first failure nothing further is begun, and those that are under way finish.
 */
#include "supervisor/deploy/roll.h"

#include <errno.h>
#include <string.h>

#include "supervisor/deploy/asker.h"
#include "supervisor/deploy/version.h"

static char no_memory[] = "there is no memory";

static char *
what_is_waited_for(struct roll *r, const struct instance *inst)
{
	if (inst->life.state != LIFE_READY || inst->old == NULL)
		return talloc_asprintf(
		    r, "%s: waiting, it is %s", inst->name, life_state_name(inst->life.state));
	return talloc_asprintf(r, "%s: waiting, generation %u (pid %d) still drains%s", inst->name,
	    inst->old->number, (int)inst->old->pid,
	    r->task.now ? "" : "; `baton restart --now` cuts that");
}

/* Begins it, unless a process of its instance starts or drains: then that is waited for. */
static void
begin(struct roll *r, struct turn *t)
{
	struct instance *inst = t->inst;
	bool steady = inst->life.state == LIFE_READY && inst->life.alive == LIFE_CURRENT;

	if (!steady && inst->life.state != LIFE_BACKOFF && inst->life.state != LIFE_HELD &&
	    inst->life.state != LIFE_FAILED) {
		t->stage = TURN_WAITS;
		roll_progress(r, t, what_is_waited_for(r, inst));
		if (r->task.now)
			instance_cut_drain(inst);
		return;
	}
	t->stage = TURN_NEXT;
	t->number = inst->last_number + 1;
	instance_event(inst, LIFE_EV_RESTART);
}

/* The first of those that are not through; NULL: all are. */
static struct turn *
first_open(struct roll *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->turns[i].stage < TURN_DONE)
			return &r->turns[i];
	}
	return NULL;
}

static void
pause_is_over(void *data)
{
	struct roll *r = talloc_get_type_abort(data, struct roll);

	r->pause_timer = NULL;
	roll_judge_canary(r);
	roll_advance(r);
}

/* Without a time it lasts until `baton continue`. */
static void
time_pause(struct roll *r)
{
	long ms = r->paused == NULL ? 0 : r->paused->inst->service->config->canary_time_ms;

	if (ms > 0 && r->pause_timer == NULL)
		r->pause_timer = timer_after(r, r->deploy->base->timers, ms, pause_is_over, r);
}

/* Begins what may begin now: only of the first service that is not through. */
static void
begin_some(struct roll *r)
{
	const struct turn *end = r->turns + r->count;
	struct turn *t = first_open(r);
	const struct service *s = t == NULL ? NULL : t->inst->service;
	long room = s == NULL ? 0 : roll_room(r, s);

	time_pause(r);
	for (; t != NULL && t < end && t->inst->service == s && room > 0; t++) {
		if (t->stage == TURN_QUEUED || t->stage == TURN_WAITS) {
			if (t->inst->life.state == LIFE_DOWN ||
			    (r->task.back && version_runs(t->inst))) {
				t->stage = TURN_SKIPPED;
				r->again = true;
				continue;
			}
			if (!r->failed)
				begin(r, t);
		}
		room -= t->stage < TURN_DONE;
	}
}

static bool
is_over(const struct roll *r)
{
	bool begun = false, open = false;

	for (size_t i = 0; i < r->count; i++) {
		begun = begun || roll_under_way(&r->turns[i]);
		open = open || r->turns[i].stage < TURN_DONE;
	}
	return r->failed ? !begun : !open;
}

/* Who hears of it may begin another one. */
static void
roll_finish(struct roll *r)
{
	struct deploy *d = r->deploy;
	const struct roll_hearer *h;
	json_t *result;

	for (h = d->hearers; h->name != NULL; h++) {
		if (h->judge != NULL)
			h->judge(r);
	}
	if (r->failed) {
		r->error = talloc_asprintf_append(r->error, "; %zu of %zu instances restarted",
		    roll_count(r, TURN_DONE), r->count);
		output_warn(d->base->out, "%s failed: %s", r->task.what, r->error);
	}
	for (size_t i = 0; r->task.back && r->task.why == NULL && r->failed && i < r->count; i++)
		version_back_failed(r->turns[i].inst->service);
	result = roll_verdict(r);
	json_decref(d->last_restart);
	d->last_restart = json_deep_copy(result);
	json_object_set_new(d->last_restart, "ended_unix_ms", json_integer(timer_unix_ms()));
	d->roll = NULL;
	roll_tell_end(r);
	for (h = d->hearers; h->name != NULL; h++) {
		if (h->adopt != NULL)
			h->adopt(r, result);
	}
	roll_tell_all(&r->waiters, result);
	json_decref(result);
	talloc_free(r);
	for (h = d->hearers; h->name != NULL; h++)
		h->over(d);
}

static void
finish(void *data)
{
	roll_finish(talloc_get_type_abort(data, struct roll));
}

/* The verdict is told from the loop, never from the middle of an instance's own code: a
 * client's next request may follow it. */
void
roll_advance(struct roll *r)
{
	if (r->advancing || r->over) {
		r->again = true;
		return;
	}
	r->advancing = true;
	do {
		r->again = false;
		if (!r->failed)
			begin_some(r);
	} while (r->again);
	r->advancing = false;
	if (!is_over(r))
		return;
	r->over = true;
	if (timer_after(r, r->deploy->base->timers, 0, finish, r) == NULL)
		roll_finish(r);
}

static int
roll_close(struct roll *r)
{
	json_decref(r->instances);
	json_decref(r->failure);
	json_decref(r->task.failed);
	return 0;
}

static struct roll *
roll_new(struct deploy *d, const struct roll_task *task, struct instance **list, size_t count)
{
	struct roll *r = talloc_zero(d, struct roll);

	if (r == NULL)
		return NULL;
	r->deploy = d;
	r->started_ms = timer_now_ms();
	r->task = *task;
	r->task.waiters = NULL;
	json_incref(r->task.failed);
	STAILQ_INIT(&r->waiters);
	r->task.target = talloc_strdup(r, task->target);
	r->task.why = talloc_strdup(r, task->why);
	r->instances = json_array();
	talloc_set_destructor(r, roll_close);
	r->turns = talloc_zero_array(r, struct turn, (unsigned)count);
	if (r->turns == NULL || r->instances == NULL ||
	    (r->task.target == NULL) != (task->target == NULL) ||
	    (r->task.why == NULL) != (task->why == NULL)) {
		talloc_free(r);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		r->turns[i].inst = list[i];
	r->count = count;
	return r;
}

static bool
same_target(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Whether what is asked for is what is being done already. */
static bool
joins(const struct roll *r, const struct roll_task *task)
{
	if (task->canary && !r->task.canary)
		return false;
	return strcmp(r->task.what, task->what) == 0 && task->why == NULL &&
	       same_target(r->task.target, task->target) && !r->failed;
}

/* 0, or why none can begin now. */
static int
may_start(struct deploy *d, const struct roll_task *task, TALLOC_CTX *mem, char **why)
{
	const struct roll *r = d->roll;

	if (d->all->phase == SUP_STOPPING || d->all->phase == SUP_DONE) {
		*why = talloc_strdup(mem, "baton is stopping");
		return -EBUSY;
	}
	*why = NULL;
	if (deploy_busy(d, mem, why))
		return -EBUSY;
	if (r == NULL || joins(r, task))
		return 0;
	*why = talloc_asprintf(mem, "a %s%s%s %s already (%s); only one is done at a time",
	    r->task.what, r->task.target == NULL ? "" : " of ",
	    r->task.target == NULL ? "" : r->task.target,
	    r->failed ? "has failed, but is under way" : "is under way", roll_where(d));
	return -EBUSY;
}

/* Somebody has lost patience. */
static void
cut_drains(struct roll *r)
{
	r->task.now = true;
	for (size_t i = 0; i < r->count; i++) {
		if (r->turns[i].stage == TURN_WAITS || r->turns[i].stage == TURN_OLD)
			instance_cut_drain(r->turns[i].inst);
	}
}

/* FRESH is NULL if one is under way. */
static void
begin_or_join(
    struct deploy *d, const struct roll_task *task, struct roll *fresh, struct asker *asker)
{
	bool joined = fresh == NULL;
	struct roll *r = joined ? d->roll : fresh;

	d->roll = r;
	if (joined && asker != NULL)
		asker_progress(asker, talloc_asprintf(r, "joining the %s that is under way: %s",
					  r->task.what, roll_where(d)));
	if (asker != NULL)
		roll_tell(r, asker);
	if (joined && task->now)
		cut_drains(r);
	if (task->waiters != NULL)
		roll_move_waiters(r, &r->waiters, task->waiters);
	if (!joined && r->task.why != NULL)
		roll_progress(r, NULL, talloc_asprintf(r, "%s: %s", task->what, r->task.why));
	if (!joined)
		roll_tell_begin(r);
	roll_advance(r);
}

int
roll_start(struct deploy *d, const struct roll_task *task, struct asker *asker, TALLOC_CTX *mem,
    char **why)
{
	struct instance **list;
	size_t count = instances_select(d->all, task->target, mem, &list);
	struct roll *fresh = NULL;
	int error = 0;

	if (count == 0) {
		*why = instances_no_such(mem, d->all, task->target);
		return -ENOENT;
	}
	if (d->roll != NULL && d->roll->over)
		roll_finish(d->roll); /* the next turn of the loop would have done it */
	error = may_start(d, task, mem, why);
	if (error == 0 && d->roll == NULL) {
		fresh = roll_new(d, task, list, count);
		error = fresh == NULL ? -ENOMEM
			: task->back  ? version_go_back(d, task->target, mem, why)
				      : version_newest(list, count, mem, why);
	}
	if (error == 0)
		begin_or_join(d, task, fresh, asker);
	else
		talloc_free(fresh);
	if (error < 0 && *why == NULL)
		*why = no_memory;
	return error;
}

int
roll_start_list(struct deploy *d, const struct roll_task *task, struct instance **list,
    size_t count, struct asker *asker)
{
	struct roll *fresh = roll_new(d, task, list, count);

	if (fresh == NULL)
		return -ENOMEM;
	begin_or_join(d, task, fresh, asker);
	return 0;
}

void
roll_cancel(struct deploy *d, const char *why)
{
	struct roll *r = d->roll;

	if (r == NULL)
		return;
	r->cancelled = why;
	roll_finish(r);
}

const char *
roll_where(const struct deploy *d)
{
	if (d->roll == NULL)
		return NULL;
	if (d->roll->paused != NULL)
		return roll_pause_text(d->roll);
	return d->roll->where != NULL ? d->roll->where : "it has just begun";
}

int
roll_continue(struct deploy *d, const char *service, TALLOC_CTX *mem, char **why)
{
	struct roll *r = d->roll;
	const char *at;
	struct instance **list;

	if (service != NULL && instances_select(d->all, service, mem, &list) == 0) {
		*why = instances_no_such(mem, d->all, service);
		return -EINVAL;
	}
	if (r == NULL) {
		*why = talloc_strdup(mem, "nothing is paused, and no restart is under way");
		return -EINVAL;
	}
	if (r->paused == NULL) {
		*why = talloc_asprintf(
		    mem, "nothing is paused; a %s is under way (%s)", r->task.what, roll_where(d));
		return -EINVAL;
	}
	at = r->paused->inst->service->config->name;
	if (service != NULL && strcmp(service, at) != 0) {
		*why = talloc_asprintf(
		    mem, "the %s is paused at %s, not at %s", r->task.what, at, service);
		return -EINVAL;
	}
	roll_end_pause(r, "`baton continue`");
	roll_advance(r);
	return 0;
}

bool
roll_is_about(const struct roll *r, const struct service *s)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->turns[i].inst->service == s)
			return true;
	}
	return false;
}

bool
roll_had_begun(const struct service *s, int64_t since_ms)
{
	const struct roll *r = deploy_of(s)->roll;

	return r != NULL && since_ms >= r->started_ms && roll_is_about(r, s);
}
