/* SPDX-License-Identifier: MIT */
/* One process in the document: what it said and how it is, and the descriptors to it. */
#include "supervisor/base/state.h"
#include "supervisor/daemon/supervisor.h"
#include "supervisor/deploy/deploy.h"
#include "supervisor/upgrade/state_tree.h"

static const struct state_field fields[] = {
    STATE_NUMBER(struct generation, pid),
    STATE_FD(struct generation, pidfd),
    STATE_FD(struct generation, exec_fd),
    STATE_NUMBER(struct generation, uid),
    STATE_NUMBER(struct generation, started_ms),
    STATE_NUMBER(struct generation, ready_ms),
    STATE_FLAG(struct generation, stopping),
    STATE_FLAG(struct generation, told),
    STATE_FLAG(struct generation, told_once),
    STATE_FLAG(struct generation, recalled),
    STATE_FLAG(struct generation, drained),
    STATE_NUMBER(struct generation, counts.moved),
    STATE_NUMBER(struct generation, counts.finished),
    STATE_NUMBER(struct generation, counts.ended),
    STATE_NUMBER(struct generation, counts.cut),
    STATE_FLAG(struct generation, doomed),
    STATE_FLAG(struct generation, lingers),
    STATE_NUMBER(struct generation, ready.fd),
    STATE_NUMBER(struct generation, ready.delay_ms),
    STATE_STRING(struct generation, ready.path),
    STATE_STRING(struct generation, ready_why),
    STATE_FD(struct generation, ready_fd),
    STATE_NUMBER(struct generation, ready_number),
    STATE_NUMBER(struct generation, check_width),
    STATE_STRING(struct generation, health_last),
    STATE_NUMBER(struct generation, health_failures),
    STATE_FLAG(struct generation, health_blind),
    STATE_NUMBER(struct generation, watchdog_ms),
    STATE_NUMBER(struct generation, watchdog_due_ms),
    STATE_FLAG(struct generation, watchdog_last),
    STATE_STRING(struct generation, group),
    STATE_STRING(struct generation, limits),
    STATE_STRING(struct generation, program),
    STATE_NUMBER(struct generation, config_number),
    STATE_NUMBER(struct generation, epoch),
    STATE_FLAG(struct generation, proved),
    STATE_STRING(struct generation, sick_why),
    STATE_NUMBER(struct generation, sick_tries),
    STATE_STRING(struct generation, status),
    STATE_STRING(struct generation, failure),
    STATE_FLAG(struct generation, starved),
    STATE_FLAG(struct generation, succeeded),
    STATE_STRING(struct generation, ended),
    STATE_FLAG(struct generation, rolled_back),
    STATE_STRING(struct generation, not_rolled_back),
};

static const struct state_word sick[] = {
    {"hung", SICK_HUNG, 1},
    {"unhealthy", SICK_UNHEALTHY, 2},
};

static void
output(struct state *s, const char *name, struct generation *g, bool err)
{
	const struct tevent_fd *fde = err ? g->err_event : g->out_event;
	int fd = fde == NULL ? -1 : (int)tevent_fd_get_tag(fde);

	state_fd(s, name, &fd);
	if (!state_saving(s) && fd >= 0 && generation_read_output(g, err, fd) < 0)
		state_fail(s, name, "there is no memory");
}

static void
notifications(struct state *s, struct generation *g)
{
	struct state sub;

	if (state_saving(s) ? g->notify == NULL : !state_has(s, "notify"))
		return;
	sub = state_object(s, "notify");
	if (state_saving(s))
		notify_save(&sub, g->notify);
	else
		g->notify =
		    notify_load(&sub, g, g->instance->all->base->ev, generation_notified, g);
	if (g->notify == NULL)
		state_fail(s, "notify", "there is no memory");
	else
		generation_ask_uid(g);
}

/* Watches the process again, as it was watched before by instance_orders.c and generation.c. */
static void
revive(struct state *s, struct generation *g)
{
	if (g->pid <= 0) {
		g->pid = 0;
		generation_stillborn(g);
		return;
	}
	if (g->pidfd < 0 || g->exec_fd < 0 || g->notify == NULL) {
		state_fail(s, "pidfd", "a process needs pidfd, exec_fd and notify");
		return;
	}
	if (!g->lingers)
		generation_watch(g);
	if (g->ready_ms < 0 && !ready_begin(g))
		state_fail(s, "ready_fd", "there is no memory");
	if (g->ready_ms >= 0)
		health_resume(g);
	if (g->takes != NULL && channel_give_fd(g->takes) < 0)
		generation_giver_gone(g);
}

static void
both_ways(struct state *s, struct generation *g)
{
	int64_t watchdog, probation, sick_due;

	STATE_FIELDS(s, g, fields);
	g->sick = STATE_WORDS(s, "sick", g->sick, sick);
	g->ready.kind = ready_kind_state(s, "ready.kind", g->ready.kind);
	output(s, "out", g, false);
	output(s, "err", g, true);
	lines_state(s, "out_lines", g->out_lines);
	lines_state(s, "err_lines", g->err_lines);
	tail_state(s, "tail", g->tail);
	notifications(s, g);
	state_channel(s, "gives", &g->gives);
	state_channel(s, "takes", &g->takes);
	state_channel(s, "becomes", &g->becomes);
	state_executable(s, "exe", &g->exe);
	watchdog = state_timer(s, "watchdog", g->watchdog);
	probation = state_timer(s, "probation", g->trial);
	sick_due = state_timer(s, "sick_timer", g->sick_timer);
	if (state_saving(s) || !state_ok(s))
		return;
	revive(s, g);
	if (watchdog >= 0)
		watchdog_rearm(g, watchdog);
	if (probation >= 0)
		trial_rearm(g, probation);
	if (sick_due >= 0)
		sick_rearm(g, sick_due);
}

void
state_generation(struct state *s, const char *name, struct instance *inst, struct generation **g)
{
	struct state sub;
	int64_t number;

	if (state_saving(s) ? *g == NULL : !state_has(s, name))
		return;
	sub = state_object(s, name);
	number = state_saving(s) ? (*g)->number : 0;
	state_number(&sub, "number", &number);
	if (!state_ok(s))
		return;
	if (!state_saving(s))
		*g = generation_new(inst, (unsigned)number);
	if (*g == NULL)
		state_fail(&sub, "number", "there is no memory");
	else
		both_ways(&sub, *g);
}
