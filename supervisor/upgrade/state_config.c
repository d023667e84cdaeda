/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a service as it counts now, whatever the file says by now: by the table
 * of keys. Only what differs from its default is written. So a key that the reader does not
 * know is one that somebody has set: it would be lost, and the reader refuses.
 */
#include <signal.h>

#include "supervisor/base/state_internal.h"
#include "supervisor/config/config.h"
#include "supervisor/upgrade/state_tree.h"

static const struct state_word answers[] = {{"no", 0, 0}, {"yes", 1, 1}};
static const struct state_word ports[] = {{"each", 0, 0}, {"shared", 1, 1}};

static const struct state_word lifetimes[] = {
    {"permanent", LIFETIME_PERMANENT, 0},
    {"transient", LIFETIME_TRANSIENT, 1},
    {"temporary", LIFETIME_TEMPORARY, 2},
};

static const struct state_word strategies[] = {
    {"one_for_one", STRATEGY_ONE_FOR_ONE, 0},
    {"one_for_all", STRATEGY_ONE_FOR_ALL, 1},
    {"rest_for_one", STRATEGY_REST_FOR_ONE, 2},
};

static const struct state_word kinds_of_readiness[] = {
    {"notify", READY_NOTIFY, 0},
    {"fd", READY_FD, 1},
    {"http", READY_HTTP, 2},
    {"delay", READY_DELAY, 3},
};

/* These the kernel numbers, and always the same on one machine. */
static const struct state_word signals[] = {
    {"HUP", SIGHUP, SIGHUP},
    {"INT", SIGINT, SIGINT},
    {"QUIT", SIGQUIT, SIGQUIT},
    {"TERM", SIGTERM, SIGTERM},
    {"USR1", SIGUSR1, SIGUSR1},
    {"USR2", SIGUSR2, SIGUSR2},
    {"WINCH", SIGWINCH, SIGWINCH},
};

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

static void
words(struct state *s, const struct key *k, void *mem, char ***list)
{
	size_t n = 0;
	unsigned count;
	char **all = *list;

	while (state_saving(s) && all != NULL && all[n] != NULL)
		n++;
	count = state_array(s, k->name, n);
	if (!state_saving(s)) {
		all = talloc_zero_array(mem, char *, count + 1);
		if (all == NULL || count == 0)
			state_fail(
			    s, k->name, all == NULL ? "there is no memory" : "expected a program");
	}
	for (unsigned i = 0; all != NULL && i < count && state_ok(s); i++)
		all[i] = state_text_element(s, k->name, i, all, all[i]);
	if (state_ok(s))
		*list = all;
}

static void
listens(struct state *s, const struct key *k, struct service_config *c)
{
	unsigned count = state_array(s, k->name, c->nlistens);

	if (!state_saving(s) && count > 0) {
		c->listens = talloc_zero_array(c, struct listen_config, count);
		c->nlistens = c->listens == NULL ? 0 : count;
		if (c->listens == NULL)
			state_fail(s, k->name, "there is no memory");
	}
	for (unsigned i = 0; i < c->nlistens && state_ok(s); i++) {
		struct state sub = state_element(s, k->name, i);
		struct listen_config *l = &c->listens[i];

		address_state(&sub, "base", &l->base);
		state_text(&sub, "name", c, &l->name);
		state_text(&sub, "where", c, &l->where);
		if (state_ok(s) && (l->name == NULL || l->where == NULL))
			state_fail(&sub, "name", "is missing");
	}
}

static void
variables(struct state *s, const struct key *k, struct service_config *c)
{
	unsigned count = state_array(s, k->name, talloc_array_length(c->env));

	if (!state_saving(s) && count > 0)
		c->env = talloc_zero_array(c, char *, count);
	if (c->env == NULL && count > 0)
		state_fail(s, k->name, "there is no memory");
	for (unsigned i = 0; c->env != NULL && i < count && state_ok(s); i++)
		c->env[i] = state_text_element(s, k->name, i, c, c->env[i]);
}

static void
limits(struct state *s, const struct key *k, struct service_config *c)
{
	unsigned count = state_array(s, k->name, c->nlimits);

	if (!state_saving(s) && count > 0) {
		c->limits = talloc_zero_array(c, struct limit_config, count);
		c->nlimits = c->limits == NULL ? 0 : count;
		if (c->limits == NULL)
			state_fail(s, k->name, "there is no memory");
	}
	for (unsigned i = 0; i < c->nlimits && state_ok(s); i++) {
		struct state sub = state_element(s, k->name, i);
		struct limit_config *l = &c->limits[i];
		int64_t soft = (int64_t)l->value.rlim_cur, hard = (int64_t)l->value.rlim_max;

		l->resource = (int)STATE_WORD(&sub, "resource", l->resource, resources);
		state_number(&sub, "soft", &soft); /* -1: unlimited */
		state_number(&sub, "hard", &hard);
		l->value = (struct rlimit){.rlim_cur = (rlim_t)soft, .rlim_max = (rlim_t)hard};
	}
}

enum ready_kind
state_ready_kind(struct state *s, const char *name, enum ready_kind kind)
{
	return STATE_WORD(s, name, kind, kinds_of_readiness);
}

static void
readiness(struct state *s, const struct key *k, struct service_config *c)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct ready_config, fd),
	    STATE_NUMBER(struct ready_config, delay_ms),
	};
	struct state sub = state_object(s, k->name);

	c->ready.kind = state_ready_kind(&sub, "kind", c->ready.kind);
	STATE_FIELDS(&sub, &c->ready, fields);
	state_text(&sub, "path", c, &c->ready.path);
	if (state_ok(s) && c->ready.kind == READY_HTTP && c->ready.path == NULL)
		state_fail(&sub, "path", "is missing");
}

static void
cgroups(struct state *s, const struct key *k, struct service_config *c)
{
	unsigned count = state_array(s, k->name, c->ncgroups);

	if (!state_saving(s) && count > 0) {
		c->cgroups = talloc_zero_array(c, struct cgroup_config, count);
		c->ncgroups = c->cgroups == NULL ? 0 : count;
		if (c->cgroups == NULL)
			state_fail(s, k->name, "there is no memory");
	}
	for (unsigned i = 0; i < c->ncgroups && state_ok(s); i++) {
		struct state sub = state_element(s, k->name, i);

		state_text(&sub, "name", c, &c->cgroups[i].name);
		state_text(&sub, "value", c, &c->cgroups[i].value);
		if (state_ok(s) && (c->cgroups[i].name == NULL || c->cgroups[i].value == NULL))
			state_fail(&sub, "name", "is missing");
	}
}

static void
number(struct state *s, const struct key *k, long *value)
{
	int64_t n = *value;

	state_number(s, k->name, &n);
	if (!state_saving(s) && state_ok(s) && (n < k->min || n > k->max))
		state_fail(s, k->name, "expected a number from %ld to %ld, found %lld", k->min,
		    k->max, (long long)n);
	else
		*value = (long)n;
}

static void
one(struct state *s, const struct key *k, struct service_config *c)
{
	void *at = (char *)c + k->offset;

	switch (k->kind) {
	case KEY_NUMBER:
	case KEY_OCTAL:
		number(s, k, at);
		break;
	case KEY_YES_NO:
		*(long *)at = STATE_WORD(s, k->name, *(long *)at, answers);
		break;
	case KEY_PORTS:
		*(long *)at = STATE_WORD(s, k->name, *(long *)at, ports);
		break;
	case KEY_LIFETIME:
		*(long *)at = STATE_WORD(s, k->name, *(long *)at, lifetimes);
		break;
	case KEY_STRATEGY:
		*(long *)at = STATE_WORD(s, k->name, *(long *)at, strategies);
		break;
	case KEY_SIGNAL:
		*(long *)at = STATE_WORD(s, k->name, *(long *)at, signals);
		break;
	case KEY_PATH:
	case KEY_TEXT:
	case KEY_OUTPUT:
		state_text(s, k->name, c, at);
		break;
	case KEY_READY:
		readiness(s, k, c);
		break;
	case KEY_HEALTH:
		state_text(s, k->name, c, &c->health);
		break;
	case KEY_COMMAND:
		words(s, k, c, at);
		break;
	case KEY_LISTEN:
		listens(s, k, c);
		break;
	case KEY_ENV:
		variables(s, k, c); /* … and with them those of KEY_HTTP */
		break;
	case KEY_HTTP:
		break;
	case KEY_CGROUP:
		cgroups(s, k, c);
		break;
	case KEY_LIMIT:
		limits(s, k, c);
		break;
	}
}

static void
refuse_unknown(struct state *s)
{
	const char *name;
	json_t *value;

	json_object_foreach(s->at, name, value)
	{
		if (state_ok(s) && key_find(KEY_SERVICE, name) == NULL)
			state_fail(s, name,
			    "this baton does not know that key of the configuration, which is set");
	}
}

void
state_service_config(struct state *s, struct service_config *c)
{
	struct config *scratch = config_new(NULL, NULL);
	struct service_config *unset;
	struct state sub;

	if (scratch == NULL) {
		state_fail(s, "keys", "there is no memory");
		return;
	}
	unset = config_service(scratch, "unset", 0, true);
	if (unset == NULL || config_defaults(state_saving(s) ? unset : c) < 0)
		state_fail(s, "keys", "there is no memory");
	sub = state_object(s, "keys");
	if (!state_saving(s) && state_ok(s))
		refuse_unknown(&sub);
	for (size_t i = 0; i < keys_count && state_ok(s); i++) {
		const struct key *k = &keys[i];

		if (k->section != KEY_SERVICE)
			continue;
		if (state_saving(s) ? k->required || !config_same_key(k, unset, c)
				    : state_has(&sub, k->name))
			one(&sub, k, c);
	}
	if (state_ok(s) && c->command == NULL)
		state_fail(&sub, "command", "is missing");
	talloc_free(scratch);
}
