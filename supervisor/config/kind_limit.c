/* SPDX-License-Identifier: MIT */
/* What a service may use: `limit`, by setrlimit(2), and `cgroup`, by files of a control group. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"

/* The kernel numbers them, and always the same on one machine. */
static const struct state_word resources[] = {
    {"as", RLIMIT_AS, RLIMIT_AS},
    {"core", RLIMIT_CORE, RLIMIT_CORE},
    {"cpu", RLIMIT_CPU, RLIMIT_CPU},
    {"data", RLIMIT_DATA, RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE, RLIMIT_FSIZE},
    {"memlock", RLIMIT_MEMLOCK, RLIMIT_MEMLOCK},
    {"nofile", RLIMIT_NOFILE, RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC, RLIMIT_NPROC},
    {"stack", RLIMIT_STACK, RLIMIT_STACK},
};
#define RESOURCES (sizeof(resources) / sizeof(resources[0]))

const char *
config_limit_name(int resource)
{
	for (size_t i = 0; i < RESOURCES; i++) {
		if ((int)resources[i].value == resource)
			return resources[i].name;
	}
	return "?";
}

/* "N" or "unlimited"; *END is where it ends. */
static bool
limit_number(const char *text, rlim_t *n, const char **end)
{
	char *stop;

	if (strncmp(text, "unlimited", 9) == 0) {
		*n = RLIM_INFINITY;
		*end = text + 9;
		return true;
	}
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*n = strtoull(text, &stop, 10);
	*end = stop;
	return errno == 0;
}

static bool
limit_value(const char *text, struct rlimit *out)
{
	const char *end;

	if (!limit_number(text, &out->rlim_cur, &end))
		return false;
	out->rlim_max = out->rlim_cur;
	if (*end == ':' && !limit_number(end + 1, &out->rlim_max, &end))
		return false;
	return *end == '\0' && out->rlim_cur <= out->rlim_max;
}

int
limit_parse(void *object, const struct key *k, struct key_line *line)
{
	struct service_config *c = object;
	struct limit_config l = {.resource = -1}, *grown;

	(void)k;
	for (size_t i = 0; line->label != NULL && i < RESOURCES; i++) {
		if (strcmp(resources[i].name, line->label) == 0)
			l.resource = (int)resources[i].value;
	}
	if (l.resource < 0) {
		line->why = "the key is limit.NAME, with one of as, core, cpu, data, fsize, "
			    "memlock, nofile, nproc, stack";
		return -EINVAL;
	}
	if (!limit_value(line->value, &l.value))
		return -EINVAL;
	for (size_t i = 0; i < c->nlimits; i++) {
		if (c->limits[i].resource == l.resource) {
			line->why = "it is set twice";
			return -EINVAL;
		}
	}
	grown = talloc_realloc(c, c->limits, struct limit_config, (unsigned)c->nlimits + 1);
	if (grown == NULL)
		return -ENOMEM;
	c->limits = grown;
	c->limits[c->nlimits++] = l;
	return 0;
}

bool
limit_same(const struct key *k, const void *one, const void *other)
{
	const struct service_config *a = one, *b = other;

	(void)k;
	if (a->nlimits != b->nlimits)
		return false;
	for (size_t i = 0; i < a->nlimits; i++) {
		const struct limit_config *x = &a->limits[i], *y = &b->limits[i];

		if (x->resource != y->resource || x->value.rlim_cur != y->value.rlim_cur ||
		    x->value.rlim_max != y->value.rlim_max)
			return false;
	}
	return true;
}

static void
limit_element(struct state *s, void *owner, void *element)
{
	struct limit_config *l = element;
	int64_t soft = (int64_t)l->value.rlim_cur, hard = (int64_t)l->value.rlim_max;

	(void)owner;
	l->resource = (int)STATE_WORD(s, "resource", l->resource, resources);
	state_number(s, "soft", &soft); /* -1: unlimited */
	state_number(s, "hard", &hard);
	l->value = (struct rlimit){.rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard};
}

void
limit_state(struct state *s, const struct key *k, void *object)
{
	struct service_config *c = object;

	c->limits =
	    state_list(s, k->name, c, c->limits, &c->nlimits, sizeof(*c->limits), limit_element);
}

/* What a value may be is the kernel's business; a name must not lead out of the group. */
static bool
cgroup_name(const char *name)
{
	const char *dot = name == NULL ? NULL : strchr(name, '.');

	return dot != NULL && dot != name && dot[1] != '\0' && strchr(name, '/') == NULL &&
	       strcmp(name, "cgroup.procs") != 0 && strcmp(name, "cgroup.threads") != 0;
}

int
cgroup_parse(void *object, const struct key *k, struct key_line *line)
{
	struct service_config *c = object;
	struct cgroup_config file, *grown;

	(void)k;
	if (!cgroup_name(line->label)) {
		line->why = "the key is cgroup.NAME, with the name of a file that sets a limit, "
			    "such as memory.max, cpu.max or pids.max";
		return -EINVAL;
	}
	if (line->value[0] == '\0')
		return -EINVAL;
	for (size_t i = 0; i < c->ncgroups; i++) {
		if (strcmp(c->cgroups[i].name, line->label) == 0) {
			line->why = "it is set twice";
			return -EINVAL;
		}
	}
	file = (struct cgroup_config){
	    .name = talloc_strdup(c, line->label), .value = talloc_strdup(c, line->value)};
	grown = talloc_realloc(c, c->cgroups, struct cgroup_config, (unsigned)c->ncgroups + 1);
	if (grown != NULL)
		c->cgroups = grown;
	if (grown == NULL || file.name == NULL || file.value == NULL)
		return -ENOMEM;
	c->cgroups[c->ncgroups++] = file;
	return 0;
}

bool
cgroup_same(const struct key *k, const void *one, const void *other)
{
	const struct service_config *a = one, *b = other;

	(void)k;
	if (a->ncgroups != b->ncgroups)
		return false;
	for (size_t i = 0; i < a->ncgroups; i++) {
		if (strcmp(a->cgroups[i].name, b->cgroups[i].name) != 0 ||
		    strcmp(a->cgroups[i].value, b->cgroups[i].value) != 0)
			return false;
	}
	return true;
}

static void
cgroup_element(struct state *s, void *owner, void *element)
{
	static const struct state_field fields[] = {
	    STATE_NEEDED_STRING(struct cgroup_config, name),
	    STATE_NEEDED_STRING(struct cgroup_config, value),
	};

	STATE_FIELDS_OF(s, owner, element, fields);
}

void
cgroup_state(struct state *s, const struct key *k, void *object)
{
	struct service_config *c = object;

	c->cgroups = state_list(
	    s, k->name, c, c->cgroups, &c->ncgroups, sizeof(*c->cgroups), cgroup_element);
}
