/* SPDX-License-Identifier: MIT */
/*
 * Variables of a service's environment: `env`, and `http`, by which a server of baton's library is
 * set. Which of them no configuration may set.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"
#include "supervisor/protocol.h"

/* Never inherited, and never set by the configuration: they speak of baton's own sockets,
 * watchdog, or generation. */
static const char *const never[] = {BATON_ENV_LISTEN_FDS, BATON_ENV_LISTEN_PID,
    BATON_ENV_LISTEN_FDNAMES, BATON_ENV_NOTIFY_SOCKET, BATON_ENV_SERVICE, BATON_ENV_INSTANCE,
    BATON_ENV_GENERATION, "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID", "MANAGERPID",
    BATON_ENV_HANDOVER, BATON_ENV_SPARE, BATON_ENV_READY_FD};

bool
config_variable_is_batons(const char *name)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (strcmp(never[i], name) == 0)
			return true;
	}
	return false;
}

/* ENTRY is "NAME=value" and belongs to C; NULL stands for a lack of memory. */
static int
add_variable(struct service_config *c, char *entry, const char **why)
{
	size_t n = talloc_array_length(c->env), len;
	char **grown;

	if (entry == NULL)
		return -ENOMEM;
	len = strcspn(entry, "=") + 1;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(c->env[i], entry, len) == 0) {
			*why = "it is set twice";
			return -EINVAL;
		}
	}
	grown = talloc_realloc(c, c->env, char *, (unsigned)n + 1);
	if (grown == NULL)
		return -ENOMEM;
	c->env = grown;
	c->env[n] = entry;
	return 0;
}

int
env_parse(void *object, const struct key *k, struct key_line *line)
{
	const char *name = line->label;
	size_t len = name == NULL ? 0 : strlen(name);

	(void)k;
	if (len == 0 || (name[0] >= '0' && name[0] <= '9') ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
		len) {
		line->why = "the key is env.NAME, with the variable's name";
		return -EINVAL;
	}
	if (config_variable_is_batons(name)) {
		line->why = "baton sets this variable itself";
		return -EINVAL;
	}
	return add_variable(
	    object, talloc_asprintf(object, "%s=%s", name, line->value), &line->why);
}

/* http.body_max_bytes is BATON_HTTP_BODY_MAX_BYTES, which a server of baton's library reads. */
int
http_parse(void *object, const struct key *k, struct key_line *line)
{
	const char *name = line->label;
	size_t len = name == NULL ? 0 : strlen(name);
	char *entry;

	(void)k;
	if (len == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len) {
		line->why = "the key is http.NAME, with the setting's name in lower case";
		return -EINVAL;
	}
	if (config_http_check(object, name, line->value, &line->why) < 0)
		return -EINVAL;
	entry = talloc_asprintf(object, "BATON_HTTP_%s=%s", name, line->value);
	for (char *p = entry; p != NULL && *p != '='; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
	return add_variable(object, entry, &line->why);
}

bool
env_same(const struct key *k, const void *one, const void *other)
{
	const struct service_config *a = one, *b = other;
	size_t n = talloc_array_length(a->env);

	(void)k;
	if (n != talloc_array_length(b->env))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(a->env[i], b->env[i]) != 0)
			return false;
	}
	return true;
}

void
env_state(struct state *s, const struct key *k, void *object)
{
	struct service_config *c = object;

	c->env = state_texts(s, k->name, c, c->env, talloc_array_length(c->env), 0);
}
