/* SPDX-License-Identifier: MIT */
/* What has proved good, in the document: the copies themselves go along as descriptors. */
#include "supervisor/base/state.h"
#include "supervisor/deploy/version.h"
#include "supervisor/upgrade/state_tree.h"

static const struct state_field executable_fields[] = {
    STATE_FLAG(struct executable, known),
    STATE_NUMBER(struct executable, dev),
    STATE_NUMBER(struct executable, ino),
    STATE_NUMBER(struct executable, size),
    STATE_NUMBER(struct executable, mtime.tv_sec),
    STATE_NUMBER(struct executable, mtime.tv_nsec),
    STATE_NUMBER(struct executable, ctime.tv_sec),
    STATE_NUMBER(struct executable, ctime.tv_nsec),
    STATE_FLAG(struct executable, elf),
    STATE_FLAG(struct executable, privileged),
};

static const struct state_field fields[] = {
    STATE_NUMBER(struct proved, config_number),
    STATE_NEEDED_STRING(struct proved, instance),
    STATE_NEEDED_FD(struct proved, fd),
    STATE_NUMBER(struct proved, generation),
    STATE_NUMBER(struct proved, since_unix_ms),
};

void
state_executable(struct state *s, const char *name, struct executable *e)
{
	struct state sub = state_object(s, name);

	STATE_FIELDS(&sub, e, executable_fields);
}

/* One that was read before lives on with those that are replaced: see reload.c. */
static struct service_config *
load_config(struct state *s, struct deploy *d, const char *name)
{
	size_t n = talloc_array_length(d->configs_before);
	struct config **grown =
	    talloc_realloc(d, d->configs_before, struct config *, (unsigned)n + 1);
	struct service_config *c;

	if (grown == NULL) {
		state_fail(s, "config", "there is no memory");
		return NULL;
	}
	d->configs_before = grown;
	grown[n] = config_new(grown, NULL);
	c = grown[n] == NULL ? NULL : config_service(grown[n], name, 0, true);
	if (c == NULL)
		state_fail(s, "config", "there is no memory");
	else
		config_service_state(s, c);
	return c;
}

/* Configurations are told apart by their place in memory. Each is written where it comes first
 * in REFS; later ones name that place. */
static void
config_of(struct state *s, struct service *service, const struct service_config **refs, unsigned at)
{
	int64_t first = at;
	struct state sub;

	for (unsigned i = at; state_saving(s) && i-- > 0;)
		first = refs[i] == refs[at] ? i : first;
	state_number(s, "config_of", &first);
	if (first >= 0 && first < at) {
		refs[at] = refs[first];
		return;
	}
	if (first != at)
		state_fail(s, "config_of", "there is no configuration %lld", (long long)first);
	sub = state_object(s, "config");
	if (state_saving(s))
		config_service_state(&sub, (struct service_config *)refs[at]);
	else if (state_ok(s))
		refs[at] = load_config(&sub, deploy_of(service), service->deploy->wanted->name);
}

static void
one(struct state *s, struct service *service, struct proved *proved,
    const struct service_config **refs, unsigned at)
{
	STATE_FIELDS(s, proved, fields);
	state_executable(s, "exe", &proved->exe);
	refs[at] = proved->config;
	config_of(s, service, refs, at);
	proved->config = refs[at];
}

/* From which of the copies the service's processes are started; none: from the file. */
static void
start_from(struct state *s, struct service *service)
{
	int64_t from = -1;

	for (unsigned i = 0; state_saving(s) && i < service->deploy->nproved; i++) {
		if (service->deploy->proved[i] == service->deploy->from)
			from = i;
	}
	state_number(s, "from", &from);
	if (!state_saving(s) && from >= 0 && from < service->deploy->nproved)
		service->deploy->from = service->deploy->proved[from];
}

void
state_good(struct state *s, struct service *service)
{
	/* The one that was read last, the one that counts, those that the copies ran with. */
	const struct service_config *refs[GOOD_MAX + 2] = {
	    service->deploy->wanted, service->config};
	unsigned n = state_array(s, "good", service->deploy->nproved);

	config_of(s, service, refs, 1);
	if (!state_saving(s) && state_ok(s) && refs[1] != service->config)
		service_reconfigure(service, refs[1], 0);
	for (unsigned i = 0; i < n && i < GOOD_MAX && state_ok(s); i++) {
		struct state sub = state_element(s, "good", i);
		struct proved *proved =
		    state_saving(s) ? service->deploy->proved[i] : proved_new(service);

		if (proved == NULL) {
			state_fail(&sub, "fd", "there is no memory");
			return;
		}
		one(&sub, service, proved, refs, i + 2);
		if (!state_saving(s))
			service->deploy->proved[service->deploy->nproved++] = proved;
	}
	start_from(s, service);
}
