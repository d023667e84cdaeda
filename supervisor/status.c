/* SPDX-License-Identifier: MIT */
/* The state of everything as JSON: what the status command answers. */
#include <unistd.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

json_t *
status_drained(const struct notify_drained *d)
{
	return json_pack("{s:I s:I s:I s:I}", "moved", (json_int_t)d->moved, "finished",
	    (json_int_t)d->finished, "ended", (json_int_t)d->ended, "cut", (json_int_t)d->cut);
}

static json_t *
sockets_json(const struct instance *inst)
{
	json_t *list = json_array();
	TALLOC_CTX *tmp = talloc_new(NULL);

	for (size_t i = 0; i < inst->nlisteners; i++) {
		const struct listener *l = &inst->listeners[i];

		json_array_append_new(
		    list, json_pack("{s:s s:s s:s s:i}", "name", l->name, "address",
			      address_text(tmp, &l->address), "url", address_url(tmp, &l->address),
			      "port", (int)address_port(&l->address)));
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
	return g->ready_ms >= 0 ? "ready" : "starting";
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
	if (g->status != NULL)
		json_object_set_new(o, "status", json_string(g->status));
	json_array_append_new(list, o);
}

/* The generation that stands for the instance comes first, and gives it pid and uptime. */
static json_t *
instance_json(const struct instance *inst)
{
	json_t *generations = json_array();
	const struct generation *g = inst->current;
	json_t *o = json_pack("{s:s s:i s:s s:i s:o}", "name", inst->name, "index",
	    (int)inst->index, "state", life_state_name(inst->life.state), "restarts",
	    (int)inst->restarts, "sockets", sockets_json(inst));

	json_object_set_new(
	    o, "generation", json_integer(g != NULL ? g->number : inst->last_number));
	json_object_set_new(o, "pid", g != NULL && g->pid > 0 ? json_integer(g->pid) : json_null());
	json_object_set_new(
	    o, "uptime_ms", g != NULL ? json_integer(timer_now_ms() - g->started_ms) : json_null());
	json_object_set_new(
	    o, "last_exit", inst->last_exit != NULL ? json_string(inst->last_exit) : json_null());
	if (inst->last_drain_number > 0) {
		json_t *d = status_drained(&inst->last_drain);

		json_object_set_new(d, "generation", json_integer(inst->last_drain_number));
		json_object_set_new(o, "last_drain", d);
	}
	add_generation(generations, inst, inst->current);
	add_generation(generations, inst, inst->successor);
	add_generation(generations, inst, inst->old);
	json_object_set_new(o, "generations", generations);
	return o;
}

static const char *
phase_name(enum supervisor_phase phase)
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

json_t *
status_json(const struct supervisor *sup)
{
	json_t *services = json_array();
	const char *roll = roll_where(sup);

	for (size_t i = 0; i < sup->nservices; i++) {
		const struct service *s = sup->services[i];
		json_t *instances = json_array();

		for (unsigned n = 0; n < s->ninstances; n++)
			json_array_append_new(instances, instance_json(s->instances[n]));
		json_array_append_new(services,
		    json_pack("{s:s s:o}", "name", s->config->name, "instances", instances));
	}
	return json_pack("{s:{s:s s:i s:s s:I s:s s:I} s:o s:O? s:o}", "baton", "version",
	    BATON_VERSION, "pid", (int)getpid(), "state", phase_name(sup->phase), "uptime_ms",
	    (json_int_t)(timer_now_ms() - sup->started_ms), "control",
	    control_socket_path(sup->control), "lines_dropped",
	    (json_int_t)(output_dropped(sup->out) + logfile_dropped(sup)), "restart",
	    roll != NULL ? json_string(roll) : json_null(), "last_restart", sup->last_restart,
	    "services", services);
}
