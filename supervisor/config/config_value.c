/* SPDX-License-Identifier: MIT */
/* One value of the configuration: from text to what it means, kind by kind. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "supervisor/config/config.h"
#include "supervisor/config/words.h"

static const struct {
	const char *name;
	int resource;
} limits[] = {
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"memlock", RLIMIT_MEMLOCK},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"stack", RLIMIT_STACK},
};

const char *
config_limit_name(int resource)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (limits[i].resource == resource)
			return limits[i].name;
	}
	return "?";
}

static int
set_number(long *to, const struct key *k, const char *value)
{
	int base = k->kind == KEY_OCTAL ? 8 : 10;
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, base);
	if (errno != 0 || end == value || *end != '\0' || value[0] == ' ' || n < k->min ||
	    n > k->max)
		return -EINVAL;
	*to = n;
	return 0;
}

/* 0 for the first word, 1 for the second. */
static int
set_one_of(long *to, const char *zero, const char *one, const char *value)
{
	if (strcmp(value, zero) != 0 && strcmp(value, one) != 0)
		return -EINVAL;
	*to = strcmp(value, one) == 0;
	return 0;
}

/* Those by which programs are told to end well; with or without SIG before them. */
static int
set_signal(long *to, const char *value)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

	if (strncmp(value, "SIG", 3) == 0)
		value += 3;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (strcmp(value, sigabbrev_np(signals[i])) != 0)
			continue;
		*to = signals[i];
		return 0;
	}
	return -EINVAL;
}

static int
set_text(void *object, char **to, const char *value, size_t max)
{
	if (value[0] == '\0' || strlen(value) > max)
		return -EINVAL;
	*to = talloc_strdup(object, value);
	return *to == NULL ? -ENOMEM : 0;
}

static int
set_listen(struct service_config *s, const char *where, const char *label, const char *value,
    const char **why)
{
	const char *name = label == NULL ? s->name : label;
	struct listen_config *grown, l;

	if (!config_good_name(name)) {
		*why = "a socket's name is 1 to 32 letters, digits, '-' and '_'";
		return -EINVAL;
	}
	if (address_parse(value, &l.base, why) < 0)
		return -EINVAL;
	l.name = talloc_strdup(s, name);
	l.where = talloc_strdup(s, where);
	grown = talloc_realloc(s, s->listens, struct listen_config, s->nlistens + 1);
	if (grown != NULL)
		s->listens = grown;
	if (grown == NULL || l.name == NULL || l.where == NULL)
		return -ENOMEM;
	s->listens[s->nlistens++] = l;
	return 0;
}

/* ENTRY is "NAME=value" and belongs to S; NULL stands for a lack of memory. */
static int
add_env(struct service_config *s, char *entry, const char **why)
{
	size_t n = talloc_array_length(s->env), len;
	char **grown;

	if (entry == NULL)
		return -ENOMEM;
	len = strcspn(entry, "=") + 1;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(s->env[i], entry, len) == 0) {
			*why = "it is set twice";
			return -EINVAL;
		}
	}
	grown = talloc_realloc(s, s->env, char *, (unsigned)n + 1);
	if (grown == NULL)
		return -ENOMEM;
	s->env = grown;
	s->env[n] = entry;
	return 0;
}

static int
set_env(struct service_config *s, const char *label, const char *value, const char **why)
{
	size_t len = label == NULL ? 0 : strlen(label);

	if (len == 0 || (label[0] >= '0' && label[0] <= '9') ||
	    strspn(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
		len) {
		*why = "the key is env.NAME, with the variable's name";
		return -EINVAL;
	}
	if (config_variable_is_batons(label)) {
		*why = "baton sets this variable itself";
		return -EINVAL;
	}
	return add_env(s, talloc_asprintf(s, "%s=%s", label, value), why);
}

/* http.body_max_bytes is BATON_HTTP_BODY_MAX_BYTES, which a server of baton's library reads. */
static int
set_http(struct service_config *s, const char *label, const char *value, const char **why)
{
	size_t len = label == NULL ? 0 : strlen(label);
	char *entry;

	if (len == 0 || strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_") != len) {
		*why = "the key is http.NAME, with the setting's name in lower case";
		return -EINVAL;
	}
	if (config_http_check(s, label, value, why) < 0)
		return -EINVAL;
	entry = talloc_asprintf(s, "BATON_HTTP_%s=%s", label, value);
	for (char *p = entry; p != NULL && *p != '='; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
	return add_env(s, entry, why);
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

static int
set_limit(struct service_config *s, const char *label, const char *value, const char **why)
{
	struct limit_config l = {.resource = -1}, *grown;
	const char *end;

	for (size_t i = 0; label != NULL && i < sizeof(limits) / sizeof(limits[0]); i++)
		l.resource = strcmp(limits[i].name, label) == 0 ? limits[i].resource : l.resource;
	if (l.resource < 0) {
		*why = "the key is limit.NAME, with one of as, core, cpu, data, fsize, memlock, "
		       "nofile, nproc, stack";
		return -EINVAL;
	}
	if (!limit_number(value, &l.value.rlim_cur, &end))
		return -EINVAL;
	l.value.rlim_max = l.value.rlim_cur;
	if (*end == ':' && !limit_number(end + 1, &l.value.rlim_max, &end))
		return -EINVAL;
	if (*end != '\0' || l.value.rlim_cur > l.value.rlim_max)
		return -EINVAL;
	for (size_t i = 0; i < s->nlimits; i++) {
		if (s->limits[i].resource == l.resource) {
			*why = "it is set twice";
			return -EINVAL;
		}
	}
	grown = talloc_realloc(s, s->limits, struct limit_config, (unsigned)s->nlimits + 1);
	if (grown == NULL)
		return -ENOMEM;
	s->limits = grown;
	s->limits[s->nlimits++] = l;
	return 0;
}

/* What a value may be is the kernel's business; a name must not lead out of the group. */
static int
set_cgroup(struct service_config *s, const char *label, const char *value, const char **why)
{
	const char *dot = label == NULL ? NULL : strchr(label, '.');
	struct cgroup_config c, *grown;

	if (dot == NULL || dot == label || dot[1] == '\0' || strchr(label, '/') != NULL ||
	    strcmp(label, "cgroup.procs") == 0 || strcmp(label, "cgroup.threads") == 0) {
		*why = "the key is cgroup.NAME, with the name of a file that sets a limit, such as "
		       "memory.max, cpu.max or pids.max";
		return -EINVAL;
	}
	if (value[0] == '\0')
		return -EINVAL;
	for (size_t i = 0; i < s->ncgroups; i++) {
		if (strcmp(s->cgroups[i].name, label) == 0) {
			*why = "it is set twice";
			return -EINVAL;
		}
	}
	c = (struct cgroup_config){
	    .name = talloc_strdup(s, label), .value = talloc_strdup(s, value)};
	grown = talloc_realloc(s, s->cgroups, struct cgroup_config, (unsigned)s->ncgroups + 1);
	if (grown != NULL)
		s->cgroups = grown;
	if (grown == NULL || c.name == NULL || c.value == NULL)
		return -ENOMEM;
	s->cgroups[s->ncgroups++] = c;
	return 0;
}

int
config_value_set(void *object, const struct key *k, const char *where, const char *name,
    const char *value, const char **why)
{
	/* Those that repeat are keys of services only: keys.c's test sees to it. */
	const char *label = name[strlen(k->name)] == '.' ? name + strlen(k->name) + 1 : NULL;
	char *field = (char *)object + k->offset;

	switch (k->kind) {
	case KEY_NUMBER:
	case KEY_OCTAL:
		return set_number((long *)field, k, value);
	case KEY_SIGNAL:
		return set_signal((long *)field, value);
	case KEY_YES_NO:
		return set_one_of((long *)field, "no", "yes", value);
	case KEY_PATH:
		return set_text(
		    object, (char **)field, value, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	case KEY_TEXT:
		return set_text(object, (char **)field, value, 4095);
	case KEY_LIFETIME:
		if (strcmp(value, "temporary") != 0)
			return set_one_of((long *)field, "permanent", "transient", value);
		*(long *)field = LIFETIME_TEMPORARY;
		return 0;
	case KEY_STRATEGY:
		if (strcmp(value, "rest_for_one") != 0)
			return set_one_of((long *)field, "one_for_one", "one_for_all", value);
		*(long *)field = STRATEGY_REST_FOR_ONE;
		return 0;
	case KEY_HEALTH:
		return config_health_set(object, value);
	case KEY_READY:
		return config_ready_set(object, value);
	case KEY_PORTS:
		return set_one_of((long *)field, "each", "shared", value);
	case KEY_OUTPUT:
		if (strcmp(value, "lines") != 0 && strcmp(value, "inherit") != 0 &&
		    strchr(value, '/') == NULL)
			return -EINVAL;
		return set_text(object, (char **)field, value, 4095);
	case KEY_COMMAND:
		return words_split(object, value, (char ***)field, why);
	case KEY_LISTEN:
		return set_listen(object, where, label, value, why);
	case KEY_ENV:
		return set_env(object, label, value, why);
	case KEY_HTTP:
		return set_http(object, label, value, why);
	case KEY_CGROUP:
		return set_cgroup(object, label, value, why);
	case KEY_LIMIT:
		return set_limit(object, label, value, why);
	}
	return -EINVAL;
}
