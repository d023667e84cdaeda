/* SPDX-License-Identifier: MIT */
/*
 * Reading the configuration anew. Everything that can fail (the file, programs, users, ports,
 * log files) is tried first, beside what runs; only then is anything changed. Then services
 * that are new start, those that are gone drain, and those that run otherwise now are
 * replaced instance by instance.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/control.h"
#include "supervisor/supervisor.h"

/* One service of the fresh configuration. What it owns is freed with it, unless applied. */
struct part {
	const struct service_config *config;
	struct service *service; /* the one that runs, or a new one */
	bool fresh;
	enum config_change change;
	struct listener **listeners; /* for each instance that stays */
	unsigned nstay;
	struct instance **added;
	unsigned nadded;
};

struct plan {
	struct supervisor *sup;
	struct config *config;
	struct part *parts;
	size_t nparts;
};

static struct service *
running(const struct supervisor *sup, const char *name)
{
	for (size_t i = 0; i < sup->nservices; i++) {
		if (strcmp(sup->services[i]->config->name, name) == 0)
			return sup->services[i];
	}
	return NULL;
}

static int
prepare_new(struct plan *p, struct part *part, TALLOC_CTX *mem, char **why)
{
	struct service *s = supervisor_service_new(p->sup, part->config);

	if (s == NULL)
		return -ENOMEM;
	part->service = talloc_steal(p, s);
	part->fresh = true;
	for (unsigned i = 0; i < s->ninstances; i++) {
		int error = listener_open_instance(s->instances[i], mem, why);

		if (error < 0)
			return error;
	}
	return logfile_open_service(s, mem, why);
}

/* Instances that stay get their sockets for the new addresses, further ones are made. */
static int
prepare_running(struct plan *p, struct part *part, TALLOC_CTX *mem, char **why)
{
	struct service *s = part->service;
	unsigned n = (unsigned)part->config->instances;

	part->change = config_service_change(s->config, part->config);
	part->nstay = n < s->ninstances ? n : s->ninstances;
	part->listeners = talloc_zero_array(p, struct listener *, part->nstay);
	for (unsigned i = 0; i < part->nstay; i++) {
		part->listeners[i] = listener_open(p, s->instances[i], part->config,
		    part->config->shared && i > 0 ? part->listeners[0] : s->instances[i]->listeners,
		    mem, why);
		if (part->listeners[i] == NULL)
			return -EADDRINUSE;
	}
	part->added = talloc_zero_array(p, struct instance *, n + 1);
	for (; part->nstay + part->nadded < n; part->nadded++) {
		struct instance *inst = instance_new(s, part->nstay + part->nadded);

		part->added[part->nadded] = talloc_steal(p, inst);
		inst->listeners = listener_open(inst, inst, part->config,
		    part->config->shared ? part->listeners[0] : NULL, mem, why);
		if (inst->listeners == NULL)
			return -EADDRINUSE;
		inst->nlisteners = part->config->nlistens;
	}
	return logfile_open_named(p->sup, part->config, mem, why);
}

static int
prepare(struct plan *p, TALLOC_CTX *mem, char **why)
{
	int error = 0;

	p->nparts = p->config->nservices;
	p->parts = talloc_zero_array(p, struct part, (unsigned)p->nparts);
	for (size_t i = 0; i < p->nparts && error == 0; i++) {
		struct part *part = &p->parts[i];

		part->config = p->config->services[i];
		part->service = running(p->sup, part->config->name);
		error = part->service == NULL ? prepare_new(p, part, mem, why)
					      : prepare_running(p, part, mem, why);
	}
	return error;
}

/* From here on nothing fails. */
static void
apply_running(struct part *part, TALLOC_CTX *mem)
{
	struct service *s = part->service;
	char *ignored;

	supervisor_service_configure(s, part->config);
	logfile_open_service(s, mem, &ignored); /* opened already: only found again */
	for (unsigned i = 0; i < part->nstay; i++) {
		struct instance *inst = s->instances[i];

		talloc_free(inst->listeners);
		inst->listeners = talloc_steal(inst, part->listeners[i]);
		inst->nlisteners = part->config->nlistens;
	}
	if (part->nadded > 0)
		s->instances = talloc_realloc(
		    s, s->instances, struct instance *, s->ninstances + part->nadded);
	for (unsigned i = 0; i < part->nadded; i++)
		s->instances[s->ninstances++] = talloc_steal(s, part->added[i]);
}

/* Services in the order of the file; those that are gone come last, until they are down. */
static void
apply(struct plan *p)
{
	struct supervisor *sup = p->sup;
	struct service **all =
	    talloc_zero_array(sup, struct service *, (unsigned)(p->nparts + sup->nservices));
	size_t n = 0;

	for (size_t i = 0; i < p->nparts; i++) {
		if (p->parts[i].fresh)
			talloc_steal(sup, p->parts[i].service);
		else
			apply_running(&p->parts[i], p);
		all[n++] = p->parts[i].service;
	}
	for (size_t i = 0; i < sup->nservices; i++) {
		bool stays = false;

		for (size_t k = 0; k < p->nparts; k++)
			stays = stays || p->parts[k].service == sup->services[i];
		if (!stays)
			all[n++] = sup->services[i];
	}
	talloc_free(sup->services);
	sup->services = all;
	sup->nservices = n;
	/* Gone services and instances still use it; at the next time there are none. */
	talloc_free(sup->config_before);
	sup->config_before = talloc_steal(sup, sup->config);
	sup->config = talloc_steal(sup, p->config);
}

static void
add_to_queue(
    TALLOC_CTX *mem, struct instance ***queue, size_t *n, struct instance **more, unsigned count)
{
	*queue = talloc_realloc(mem, *queue, struct instance *, (unsigned)*n + count + 1);
	for (unsigned i = 0; i < count; i++)
		(*queue)[(*n)++] = more[i];
}

/* Starts, stops and replaces what the plan says; returns what it comes to, in words. */
static char *
carry_out(struct plan *p, struct client *client)
{
	struct supervisor *sup = p->sup;
	struct instance **start = NULL, **replace = NULL;
	size_t nstart = 0, nreplace = 0, fresh = 0, gone = 0, changed = 0;
	char *text;

	for (size_t i = sup->nservices; i-- > p->nparts; gone++)
		op_remove(sup, sup->services[i]);
	for (size_t i = 0; i < p->nparts; i++) {
		struct part *part = &p->parts[i];
		struct service *s = part->service;

		fresh += part->fresh;
		changed += !part->fresh && part->change != CONFIG_SAME;
		if (part->fresh)
			add_to_queue(p, &start, &nstart, s->instances, s->ninstances);
		else
			add_to_queue(p, &start, &nstart, part->added, part->nadded);
		if (!part->fresh && s->ninstances > (unsigned)part->config->instances)
			op_shrink(sup, s, (unsigned)part->config->instances);
		if (!part->fresh && part->change == CONFIG_NEEDS_PROCESS)
			add_to_queue(p, &replace, &nreplace, s->instances, part->nstay);
	}
	text = talloc_asprintf(sup,
	    "the configuration was read anew: services: %zu new, %zu gone, %zu changed", fresh,
	    gone, changed);
	output_say(sup->out, "%s", text);
	if (client != NULL)
		client_progress(client, text);
	if (nstart > 0)
		op_start_list(sup, start, nstart, nreplace == 0 ? client : NULL);
	if (nreplace > 0)
		roll_start_list(sup, replace, nreplace, client);
	else if (nstart == 0 && client != NULL)
		client_result(client, json_pack("{s:b}", "ok", 1));
	return text;
}

static char *
all_errors(TALLOC_CTX *mem, const struct config *c)
{
	char *text = talloc_strdup(mem, "nothing has changed:");
	unsigned kept = c->nerrors < CONFIG_ERRORS_MAX ? c->nerrors : CONFIG_ERRORS_MAX;

	for (unsigned i = 0; i < kept; i++)
		text = talloc_asprintf_append(text, "\n  %s", c->errors[i]);
	if (c->nerrors > kept)
		text = talloc_asprintf_append(text, "\n  … and %u more", c->nerrors - kept);
	return text;
}

static char *
not_now(const struct supervisor *sup, TALLOC_CTX *mem)
{
	if (sup->config->file == NULL || strcmp(sup->config->file, "standard input") == 0)
		return talloc_strdup(
		    mem, "nothing has changed: baton was started without a configuration file");
	if (sup->phase != SUP_RUNNING)
		return talloc_strdup(mem, "nothing has changed: baton is starting or stopping");
	if (sup->roll != NULL)
		return talloc_asprintf(
		    mem, "nothing has changed: a restart is under way (%s)", roll_where(sup));
	if (sup->ops != NULL)
		return talloc_strdup(mem,
		    "nothing has changed: instances are being started or stopped; ask again later");
	return NULL;
}

static char *
try_it(struct plan *p)
{
	struct supervisor *sup = p->sup;
	const char *had = sup->config->control;
	char *why = NULL;
	int error;

	p->config = config_read(p, sup->config->file);
	if (p->config == NULL)
		return talloc_strdup(p, "nothing has changed: there is no memory");
	config_check_programs(p->config);
	if ((had == NULL) != (p->config->control == NULL) ||
	    (had != NULL && p->config->control != NULL && strcmp(had, p->config->control) != 0))
		config_error(p->config,
		    "%s: [supervisor] control: the control socket cannot be changed while baton "
		    "runs",
		    sup->config->file);
	if (p->config->nerrors > 0)
		return all_errors(p, p->config);
	error = prepare(p, p, &why);
	if (error < 0)
		return talloc_asprintf(
		    p, "nothing has changed: %s", why != NULL ? why : strerror(-error));
	return NULL;
}

void
reload(struct supervisor *sup, struct client *client)
{
	struct plan *p = talloc_zero(sup, struct plan);
	char *why;

	p->sup = sup;
	why = not_now(sup, p);
	if (why == NULL)
		why = try_it(p);
	if (why != NULL) {
		output_warn(sup->out, "reload failed: %s", why);
		if (client != NULL)
			client_error(client, "%s", why);
	} else {
		apply(p);
		talloc_free(carry_out(p, client));
	}
	talloc_free(p);
}
