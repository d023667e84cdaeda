/* SPDX-License-Identifier: MIT */
/* Puts the supervisor together and runs its loop. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor/control.h"
#include "supervisor/protocol.h"

/* How long the very last lines may take to reach a reader. */
#define LAST_LINES_MS 1000

/* How long a draining instance may take to say that it serves again before another is started
 * beside it. One that knows how does so at once; connections wait in the queue meanwhile. */
#define RECALL_MS 1000

void
supervisor_service_configure(struct service *s, const struct service_config *config)
{
	s->config = config;
	s->policy = (struct life_policy){.start_timeout_ms = config->start_timeout_ms,
	    .drain_timeout_ms = config->drain_timeout_ms,
	    .recall_ms = RECALL_MS,
	    .backoff_first_ms = config->backoff_first_ms,
	    .backoff_max_ms = config->backoff_max_ms,
	    .quiet_ms = config->quiet_time_ms,
	    .crashes_max = (unsigned)config->crashes_max,
	    .crashes_time_ms = config->crashes_time_ms};
}

struct service *
supervisor_service_new(struct supervisor *sup, const struct service_config *config)
{
	struct service *s = talloc_zero(sup, struct service);

	if (s == NULL)
		return NULL;
	s->sup = sup;
	supervisor_service_configure(s, config);
	s->instances = talloc_zero_array(s, struct instance *, (unsigned)config->instances);
	for (unsigned i = 0; s->instances != NULL && i < config->instances; i++) {
		s->instances[i] = instance_new(s, i);
		if (s->instances[i] == NULL)
			return NULL;
		s->ninstances++;
	}
	return s->instances == NULL ? NULL : s;
}

static int
supervisor_close(struct supervisor *sup)
{
	json_decref(sup->last_restart);
	return 0;
}

struct supervisor *
supervisor_new(TALLOC_CTX *mem, struct config *config, const char *argv0)
{
	struct supervisor *sup = talloc_zero(mem, struct supervisor);

	if (sup == NULL)
		return NULL;
	talloc_set_destructor(sup, supervisor_close);
	sup->config = config;
	sup->argv0 = argv0;
	sup->how_to_reach = "";
	sup->started_ms = timer_now_ms();
	sup->manager = getenv(BATON_ENV_NOTIFY_SOCKET);
	sup->ev = tevent_context_init(sup);
	sup->timers = sup->ev == NULL ? NULL : timers_new(sup, sup->ev);
	sup->out = sup->ev == NULL ? NULL : output_new(sup, sup->ev, 1, 2);
	sup->services = talloc_zero_array(sup, struct service *, config->nservices);
	if (sup->timers == NULL || sup->out == NULL || sup->services == NULL) {
		talloc_free(sup);
		return NULL;
	}
	for (size_t i = 0; i < config->nservices; i++) {
		sup->services[i] = supervisor_service_new(sup, config->services[i]);
		if (sup->services[i] == NULL) {
			talloc_free(sup);
			return NULL;
		}
		sup->nservices++;
	}
	return sup;
}

static void
tell_manager_who(struct supervisor *sup)
{
	char *text = talloc_asprintf(sup, "MAINPID=%d\nSTATUS=starting\n", (int)getpid());

	if (text != NULL)
		notify_send(sup->manager, text);
	talloc_free(text);
}

int
supervisor_run(struct supervisor *sup)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	tell_manager_who(sup);
	order_start(sup);
	while (sup->phase != SUP_DONE) {
		if (tevent_loop_once(sup->ev) != 0) {
			output_warn(sup->out, "the event loop failed: %s; ending", strerror(errno));
			order_kill(sup);
		}
	}
	if (sup->control != NULL) {
		control_close(sup->control);
		control_stopped(sup->control);
		control_flush(sup->control);
	}
	output_drain(sup->out, LAST_LINES_MS);
	return 0;
}

struct generation *
supervisor_generation(struct supervisor *sup, pid_t pid)
{
	struct generation *g = sup->generations;

	while (g != NULL && g->pid != pid)
		g = g->next;
	return g;
}

size_t
supervisor_select(
    struct supervisor *sup, const char *name, TALLOC_CTX *mem, struct instance ***list)
{
	size_t n = 0;

	*list = NULL;
	for (size_t i = 0; i < sup->nservices; i++) {
		struct service *s = sup->services[i];
		bool all = name == NULL || strcmp(s->config->name, name) == 0;

		for (unsigned k = 0; k < s->ninstances; k++) {
			if (!all && strcmp(s->instances[k]->name, name) != 0)
				continue;
			*list = talloc_realloc(mem, *list, struct instance *, (unsigned)n + 1);
			(*list)[n++] = s->instances[k];
		}
	}
	return n;
}

char *
supervisor_no_such(TALLOC_CTX *mem, const struct supervisor *sup, const char *name)
{
	char *why = talloc_asprintf(mem, "there is no service \"%s\"; there is: ", name);

	for (size_t i = 0; i < sup->nservices; i++)
		why = talloc_asprintf_append(
		    why, "%s%s", i == 0 ? "" : ", ", sup->services[i]->config->name);
	return why;
}

void
supervisor_news(struct instance *inst, const struct generation *g, enum instance_news news)
{
	struct supervisor *sup = inst->sup;

	report_news(inst, g, news);
	roll_news(sup, inst, g, news);
	order_news(sup, inst, news);
	op_news(sup, inst, g, news);
}
