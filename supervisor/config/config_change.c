/* SPDX-License-Identifier: MIT */
/* What differs between two readings of the configuration, by the table of keys. */
#include <string.h>

#include "supervisor/config/config.h"

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_words(char *const *a, char *const *b)
{
	for (; *a != NULL && *b != NULL; a++, b++) {
		if (strcmp(*a, *b) != 0)
			return false;
	}
	return *a == *b;
}

static bool
same_listens(const struct service_config *a, const struct service_config *b)
{
	if (a->nlistens != b->nlistens)
		return false;
	for (size_t i = 0; i < a->nlistens; i++) {
		const struct listen_config *x = &a->listens[i], *y = &b->listens[i];

		/* A port of 0 is equal to nothing for binding; here it is what was written. */
		if (strcmp(x->name, y->name) != 0 || x->base.len != y->base.len ||
		    x->base.any != y->base.any ||
		    memcmp(&x->base.sa, &y->base.sa, x->base.len) != 0)
			return false;
	}
	return true;
}

static bool
same_env(const struct service_config *a, const struct service_config *b)
{
	size_t n = talloc_array_length(a->env);

	if (n != talloc_array_length(b->env))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(a->env[i], b->env[i]) != 0)
			return false;
	}
	return true;
}

static bool
same_limits(const struct service_config *a, const struct service_config *b)
{
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

static bool
same_cgroups(const struct service_config *a, const struct service_config *b)
{
	if (a->ncgroups != b->ncgroups)
		return false;
	for (size_t i = 0; i < a->ncgroups; i++) {
		if (strcmp(a->cgroups[i].name, b->cgroups[i].name) != 0 ||
		    strcmp(a->cgroups[i].value, b->cgroups[i].value) != 0)
			return false;
	}
	return true;
}

bool
config_same_key(const struct key *k, const struct service_config *a, const struct service_config *b)
{
	const char *x = (const char *)a + k->offset, *y = (const char *)b + k->offset;

	switch (k->kind) {
	case KEY_NUMBER:
	case KEY_OCTAL:
	case KEY_YES_NO:
	case KEY_SIGNAL:
	case KEY_PORTS:
	case KEY_LIFETIME:
	case KEY_STRATEGY:
		return *(const long *)x == *(const long *)y;
	case KEY_PATH:
	case KEY_TEXT:
	case KEY_OUTPUT:
	case KEY_HEALTH:
		return same_text(*(char *const *)x, *(char *const *)y);
	case KEY_COMMAND:
		return same_words(*(char **const *)x, *(char **const *)y);
	case KEY_READY:
		return config_ready_same(a, b);
	case KEY_LISTEN:
		return same_listens(a, b);
	case KEY_ENV:
	case KEY_HTTP:
		return same_env(a, b);
	case KEY_CGROUP:
		return same_cgroups(a, b);
	case KEY_LIMIT:
		return same_limits(a, b);
	}
	return false;
}

enum config_change
config_service_change(const struct service_config *a, const struct service_config *b)
{
	enum config_change change = CONFIG_SAME;

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section != KEY_SERVICE || config_same_key(k, a, b))
			continue;
		if (!k->live)
			return CONFIG_NEEDS_PROCESS;
		change = CONFIG_LIVE;
	}
	return change;
}
