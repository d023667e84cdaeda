/* SPDX-License-Identifier: MIT */
/* The state of everything as JSON: what the status command answers. */
#include <unistd.h>

#include "supervisor/base/json_memory.h"
#include "supervisor/control/control_internal.h"
#include "supervisor/deploy/deploy.h"

/* Counting connections may take so long; an answer should take less than 100 ms. */
#define COUNT_MS 80

/* Somebody who waits for the connections to be counted. */
struct asked {
	LIST_ENTRY(asked) entry; /* in control.asked */
	struct control *control;
	struct asker *asker; /* NULL when it went away */
};

static json_t *
sockets_json(const struct instance *inst)
{
	json_t *list = json_array();
	TALLOC_CTX *tmp = talloc_new(NULL);

	for (size_t i = 0; i < inst->sockets->nlisteners; i++) {
		const struct listener *l = &inst->sockets->listeners[i];

		json_t *o = json_pack("{s:s s:o s:o}", "name", l->name, "address",
		    json_text(address_text(tmp, &l->address)), "url",
		    json_text(address_url(tmp, &l->address)));

		if (!address_is_unix(&l->address))
			json_object_set_new(o, "port", json_integer(address_port(&l->address)));
		json_array_append_new(list, o);
	}
	talloc_free(tmp);
	return list;
}

static const char *
role(const struct instance *inst, const struct generation *g)
{
	if (g == inst->old)
		return g->doomed ? "killed" : g->recalled ? "called back" : "draining";
	if (g->doomed)
		return "killed";
	if (g->stopping || g->told)
		return "stopping";
	if (inst->spare && g->ready_ms >= 0)
		return "warm";
	return g->ready_ms >= 0 ? "ready" : "starting";
}

static json_t *
known(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

/* Memory and CPU time of a process that has lived for UPTIME_MS. */
static void
add_usage(json_t *o, pid_t pid, int64_t uptime_ms)
{
	struct usage u = {.memory_bytes = -1, .cpu_ms = -1};

	if (pid <= 0 || !usage_read(pid, &u))
		u = (struct usage){.memory_bytes = -1, .cpu_ms = -1};
	json_object_set_new(o, "memory_bytes", known(u.memory_bytes));
	json_object_set_new(o, "cpu_ms", known(u.cpu_ms));
	json_object_set_new(o, "cpu_percent",
	    u.cpu_ms < 0
		? json_null()
		: json_real(100.0 * (double)u.cpu_ms / (double)(uptime_ms > 0 ? uptime_ms : 1)));
}

static void
copy_usage(json_t *to, json_t *from)
{
	static const char *const members[] = {"memory_bytes", "cpu_ms", "cpu_percent"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(from, members[i]);

		json_object_set_new(
		    to, members[i], value == NULL ? json_null() : json_incref(value));
	}
}

static void
add_generation(json_t *list, const struct instance *inst, const struct generation *g)
{
	json_t *o;

	if (g == NULL)
		return;
	o = json_pack("{s:i s:i s:s s:I}", "generation", (int)g->number, "pid", (int)g->pid,
	    "state", role(inst, g), "uptime_ms", (json_int_t)(timer_now_ms() - g->started_ms));
	if (g->ready_ms >= 0)
		json_object_set_new(o, "ready_in_ms", json_integer(generation_age_ms(g)));
	if (g->rolled_back)
		json_object_set_new(o, "rolled_back", json_true());
	if (g->proved)
		json_object_set_new(o, "proved_good", json_true());
	if (g->health_last != NULL)
		json_object_set_new(o, "health",
		    json_pack("{s:o s:i}", "last", json_text(g->health_last), "failures",
			(int)g->health_failures));
	if (g->sick_why != NULL)
		json_object_set_new(o, "sick", json_text(g->sick_why));
	if (g->status != NULL)
		json_object_set_new(o, "status", json_text(g->status));
	add_usage(o, g->pid, timer_now_ms() - g->started_ms);
	json_array_append_new(list, o);
}

static const char *
state_name(const struct instance *inst)
{
	return inst->spare && inst->life.state == LIFE_READY ? "warm"
							     : life_state_name(inst->life.state);
}

/* The generation that stands for the instance comes first, and gives it pid and uptime. */
static json_t *
instance_json(const struct instance *inst, const struct connections *c)
{
	json_t *generations = json_array();
	const struct generation *g = inst->current;
	json_t *o = json_pack("{s:s s:i s:s s:i s:o}", "name", inst->name, "index",
	    (int)inst->index, "state", state_name(inst), "restarts", (int)inst->restarts, "sockets",
	    sockets_json(inst));

	json_object_set_new(
	    o, "generation", json_integer(g != NULL ? g->number : inst->last_number));
	json_object_set_new(o, "pid", g != NULL && g->pid > 0 ? json_integer(g->pid) : json_null());
	json_object_set_new(
	    o, "uptime_ms", g != NULL ? json_integer(timer_now_ms() - g->started_ms) : json_null());
	json_object_set_new(
	    o, "last_exit", inst->last_exit != NULL ? json_text(inst->last_exit) : json_null());
	if (inst->last_drain_number > 0) {
		json_t *d = report_drained_json(&inst->last_drain);

		json_object_set_new(d, "generation", json_integer(inst->last_drain_number));
		json_object_set_new(o, "last_drain", d);
	}
	add_generation(generations, inst, inst->current);
	add_generation(generations, inst, inst->successor);
	add_generation(generations, inst, inst->old);
	copy_usage(o, inst->current == NULL ? NULL : json_array_get(generations, 0));
	/* Of a socket that several instances have the kernel tells no more than the sum, which stands
	 * at the service. */
	json_object_set_new(o, "connections",
	    known(inst->service->config->shared && inst->service->ninstances > 1
		      ? -1
		      : connections_of(c, inst)));
	json_object_set_new(o, "generations", generations);
	return o;
}

static int64_t
service_connections(const struct service *s, const struct connections *c)
{
	int64_t sum = -1;

	for (unsigned n = 0; n < (s->config->shared ? 1 : s->ninstances); n++) {
		int64_t more = n < s->ninstances ? connections_of(c, s->instances[n]) : -1;

		if (more >= 0)
			sum = (sum < 0 ? 0 : sum) + more;
	}
	return sum;
}

/* When the configuration that counts was read, and why a later one does not count. */
static json_t *
configuration_json(int64_t read_unix_ms, const char *refused_why, int64_t refused_unix_ms)
{
	return json_pack("{s:I s:o? s:o}", "read_unix_ms", (json_int_t)read_unix_ms, "refused_why",
	    json_text(refused_why), "refused_unix_ms",
	    refused_why == NULL ? json_null() : json_integer(refused_unix_ms));
}

static json_t *
service_json(const struct service *s, const struct connections *c)
{
	json_t *instances = json_array(), *spares = json_array();

	for (unsigned n = 0; n < s->ninstances; n++)
		json_array_append_new(instances, instance_json(s->instances[n], c));
	for (unsigned n = 0; n < s->spares.count; n++)
		json_array_append_new(spares, instance_json(s->spares.places[n], c));
	return json_pack("{s:s s:o s:o s:o s:o s:b s:o? s:o s:o s:I s:o?}", "name", s->config->name,
	    "configuration",
	    configuration_json(
		s->deploy->read_unix_ms, s->deploy->refused_why, s->deploy->refused_unix_ms),
	    "connections", known(service_connections(s, c)), "instances", instances, "spares",
	    spares, "rolled_back", s->deploy->from != NULL, "rollback_why",
	    json_text(s->deploy->back_why), "rollback_unix_ms",
	    s->deploy->back_why == NULL ? json_null() : json_integer(s->deploy->back_unix_ms),
	    "good", proved_json(s), "good_bytes", (json_int_t)proved_bytes(s), "not_kept",
	    json_text(s->deploy->not_kept));
}

static const char *
phase_name(enum instances_phase phase)
{
	switch (phase) {
	case SUP_STARTING:
		return "starting";
	case SUP_RUNNING:
		return "running";
	case SUP_STOPPING:
		return "stopping";
	case SUP_DONE:
		break;
	}
	return "stopped";
}

static json_t *
all(const struct control *control, const struct connections *c)
{
	json_t *services = json_array();
	const struct deploy *d = control->deploy;
	const char *roll = roll_where(d);
	json_t *status;

	for (size_t i = 0; i < control->all->nservices; i++)
		json_array_append_new(services, service_json(control->all->services[i], c));
	status = json_pack("{s:{s:s s:i s:s s:I s:o s:I} s:o s:o s:O? s:o}", "baton", "version",
	    BATON_VERSION, "pid", (int)getpid(), "state", phase_name(control->all->phase),
	    "uptime_ms", (json_int_t)(timer_now_ms() - control->base->started_ms), "control",
	    json_text(control->path), "lines_dropped",
	    (json_int_t)(output_dropped(control->base->out) +
			 logfiles_dropped(control->base->logfiles)),
	    "restart", roll != NULL ? json_text(roll) : json_null(), "pause", roll_pause_json(d),
	    "last_restart", d->last_restart, "services", services);
	add_usage(
	    json_object_get(status, "baton"), getpid(), timer_now_ms() - control->base->started_ms);
	json_object_set_new(status, "configuration",
	    configuration_json(d->read_unix_ms, d->refused_why, d->refused_unix_ms));
	json_object_set_new(json_object_get(status, "configuration"), "file",
	    d->config->file == NULL ? json_null() : json_text(d->config->file));
	json_object_set_new(status, "ok", json_true());
	return status;
}

/* Called from the loop only, because the client's next request may be served at once. */
static void
tell(struct asked *a, const struct connections *c)
{
	if (a->asker != NULL)
		asker_result(a->asker, all(a->control, c));
	talloc_free(a);
}

static void
counted(struct connections *c, void *data)
{
	tell(talloc_get_type_abort(data, struct asked), c);
}

static int
asked_unlink(struct asked *a)
{
	if (a->asker != NULL)
		asker_release(a->asker);
	LIST_REMOVE(a, entry);
	return 0;
}

void
status_tell(struct control *c, struct asker *asker)
{
	struct asked *a = talloc_zero(c, struct asked);

	if (a == NULL) {
		asker_result(asker, all(c, NULL));
		return;
	}
	a->control = c;
	LIST_INSERT_HEAD(&c->asked, a, entry);
	talloc_set_destructor(a, asked_unlink);
	asker_later(asker, &a->asker);
	if (connections_count(a, c->all, COUNT_MS, counted, a) == NULL)
		tell(a, NULL);
}

void
status_tell_all(struct control *c)
{
	while (!LIST_EMPTY(&c->asked))
		tell(LIST_FIRST(&c->asked), NULL);
}
