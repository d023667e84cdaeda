/* SPDX-License-Identifier: MIT */
/* A service, and which configuration counts for it. */
#include <string.h>

#include "supervisor/deploy/version.h"

/* How long a draining instance may take to say that it serves again before another is started
 * beside it. One that knows how does so at once; connections wait in the queue meanwhile. */
#define RECALL_MS 1000

/* One that was not ready in time serves nobody: it need not drain, only put things in order. */
#define LATE_MS 5000

/* The same for a spare that was told which instance it is. */
#define BECOME_MS 1000

void
service_configure(struct service *s, const struct service_config *config)
{
	unsigned number = s->config_number;

	if (s->config == NULL || config_service_change(s->config, config) == CONFIG_NEEDS_PROCESS) {
		number = ++s->deploy->config_numbers;
		s->deploy->from = NULL; /* with the file as it is now */
	}
	s->deploy->wanted = config;
	s->deploy->wanted_number = number;
	s->deploy->read_unix_ms = timer_unix_ms();
	service_reconfigure(s, config, number);
}

void
service_reconfigure(struct service *s, const struct service_config *config, unsigned number)
{
	s->config = config;
	s->config_number = number;
	s->policy = (struct life_policy){.start_timeout_ms = config->start_timeout_ms,
	    .drain_timeout_ms = config->drain_timeout_ms,
	    .late_ms = config->drain_timeout_ms < LATE_MS ? config->drain_timeout_ms : LATE_MS,
	    .recall_ms = RECALL_MS,
	    .become_ms = BECOME_MS,
	    .backoff_first_ms = config->backoff_first_ms,
	    .backoff_max_ms = config->backoff_max_ms,
	    .quiet_ms = config->quiet_time_ms,
	    .crashes_max = (unsigned)config->crashes_max,
	    .crashes_time_ms = config->crashes_time_ms};
	health_configured(s);
	proved_trim(s);
	places_look(s);
}

struct service *
service_new_empty(struct deploy *d, const struct service_config *config)
{
	struct service *s = talloc_zero(d, struct service);

	if (s != NULL)
		s->deploy = talloc_zero(s, struct service_deploy);
	if (s == NULL || s->deploy == NULL) {
		talloc_free(s);
		return NULL;
	}
	s->deploy->room = d;
	s->all = d->all;
	service_configure(s, config);
	return s;
}

struct service *
service_new(struct deploy *d, const struct service_config *config)
{
	struct service *s = service_new_empty(d, config);

	if (s == NULL)
		return NULL;
	s->instances = talloc_zero_array(s, struct instance *, (unsigned)config->instances);
	for (unsigned i = 0; s->instances != NULL && i < config->instances; i++) {
		s->instances[i] = instance_new(s, i);
		if (s->instances[i] == NULL)
			break;
		s->ninstances++;
	}
	if (s->ninstances < config->instances) {
		talloc_free(s);
		return NULL;
	}
	return s;
}

struct service *
service_find(const struct deploy *d, const char *name)
{
	for (size_t i = 0; i < d->all->nservices; i++) {
		if (strcmp(d->all->services[i]->config->name, name) == 0)
			return d->all->services[i];
	}
	return NULL;
}
