/* SPDX-License-Identifier: MIT */
/*
 * The environment of an instance: baton's own, without what was meant for baton or for
 * another process, and with what this generation is to know.
 */
#include <string.h>
#include <unistd.h>

#include "supervisor/protocol.h"
#include "supervisor/supervisor.h"

/* Never inherited: they speak of baton's own sockets, watchdog, or generation. */
static const char *const never[] = {BATON_ENV_LISTEN_FDS, BATON_ENV_LISTEN_PID,
    BATON_ENV_LISTEN_FDNAMES, BATON_ENV_NOTIFY_SOCKET, BATON_ENV_SERVICE, BATON_ENV_INSTANCE,
    BATON_ENV_GENERATION, "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID", "MANAGERPID",
    BATON_ENV_HANDOVER};

static bool
inherited(const char *entry)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		size_t len = strlen(never[i]);

		if (strncmp(entry, never[i], len) == 0 && entry[len] == '=')
			return false;
	}
	return true;
}

static char *
socket_names(TALLOC_CTX *mem, const struct instance *inst)
{
	char *names = talloc_strdup(mem, BATON_ENV_LISTEN_FDNAMES "=");

	for (size_t i = 0; i < inst->nlisteners && names != NULL; i++)
		names = talloc_asprintf_append(
		    names, "%s%s", i == 0 ? "" : ":", inst->listeners[i].name);
	return names;
}

char **
environment_build(TALLOC_CTX *mem, const struct generation *g, char **pid_at)
{
	const struct instance *inst = g->instance;
	size_t n = 0, most = 9;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = talloc_zero_array(mem, char *, n + most);
	if (env == NULL)
		return NULL;
	n = 0;
	for (char **e = environ; *e != NULL; e++) {
		if (inherited(*e))
			env[n++] = *e;
	}
	env[n++] = talloc_asprintf(env, BATON_ENV_SERVICE "=%s", inst->service->config->name);
	env[n++] = talloc_asprintf(env, BATON_ENV_INSTANCE "=%u", inst->index);
	env[n++] = talloc_asprintf(env, BATON_ENV_GENERATION "=%u", g->number);
	env[n++] = talloc_asprintf(env, BATON_ENV_NOTIFY_SOCKET "=%s", notify_path(g->notify));
	/* The ends come after the sockets; generation.c puts them there in this order. */
	env[n++] = talloc_asprintf(env, BATON_ENV_HANDOVER "=%zu,%d",
	    BATON_LISTEN_FDS_START + inst->nlisteners,
	    g->takes == NULL ? -1 : BATON_LISTEN_FDS_START + (int)inst->nlisteners + 1);
	*pid_at = NULL;
	if (inst->nlisteners > 0) {
		env[n++] = talloc_asprintf(env, BATON_ENV_LISTEN_FDS "=%zu", inst->nlisteners);
		env[n++] = socket_names(env, inst);
		env[n] =
		    talloc_asprintf(env, BATON_ENV_LISTEN_PID "=%0*d", ENVIRONMENT_PID_DIGITS, 0);
		if (env[n] != NULL)
			*pid_at = env[n] + sizeof(BATON_ENV_LISTEN_PID);
		n++;
	}
	return env;
}
