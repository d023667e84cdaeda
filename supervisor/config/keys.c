/* SPDX-License-Identifier: MIT */
/* The table of configuration keys, and looking things up in it. */
#include "supervisor/config/keys.h"

#include <assert.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"
#include "supervisor/config/words.h"

#define HOUR_MS   3600000L
#define AT(field) offsetof(struct service_config, field)

/* A number of [service NAME] that counts at once; its field has the key's name. */
#define NUMBER(field, unit_, min_, max_, default_, text_)                                    \
	{                                                                                    \
		.section = KEY_SERVICE, .name = #field, .kind = KEY_NUMBER, .unit = (unit_), \
		.min = (min_), .max = (max_), .text_default = (default_), .change = KEY_NOW, \
		.offset = AT(field), .text = (text_)                                         \
	}

/* Another key that is for new processes; its field has the key's name. */
#define OTHER(field, kind_, default_, text_)                                         \
	{                                                                            \
		.section = KEY_SERVICE, .name = #field, .kind = (kind_), .unit = "", \
		.text_default = (default_), .offset = AT(field), .text = (text_)     \
	}

/* A key that is written with a label, "NAME.LABEL", and may stand once for each. */
#define LABELLED(name_, kind_, text_)                                                 \
	{                                                                             \
		.section = KEY_SERVICE, .name = (name_), .kind = (kind_), .unit = "", \
		.repeats = true, .text = (text_)                                      \
	}

/* clang-format off */
const struct key keys[] = {
	{.section = KEY_SUPERVISOR, .name = "control", .kind = KEY_PATH, .unit = "",
	    .change = KEY_NEVER, .offset = offsetof(struct config, control),
	    .text = "The control socket's path; see baton(1) for where it is when this is not set."},
	{.section = KEY_SERVICE, .name = "command", .kind = KEY_COMMAND, .unit = "",
	    .required = true, .offset = AT(command),
	    .text = "The program and its arguments, split and quoted as in sh(1); no shell runs."},
	NUMBER(instances, "", 1, 256, "1", "How many instances run."),
	{.section = KEY_SERVICE, .name = "listen", .kind = KEY_LISTEN, .unit = "",
	    .repeats = true, .offset = AT(listens),
	    .text = "An address to listen on; instance n gets the port + n, or the path of a Unix "
	    "socket with n for %i. May stand several times; listen.NAME names the socket "
	    "(LISTEN_FDNAMES), else it has the service's name."},
	{.section = KEY_SERVICE, .name = "ports", .kind = KEY_PORTS, .unit = "",
	    .text_default = "each", .offset = AT(shared),
	    .text = "Whether each instance has sockets of its own, on the port + n, or all of them "
	    "have the same ones (shared)."},
	{.section = KEY_SERVICE, .name = "backlog", .kind = KEY_NUMBER, .unit = "", .min = 1,
	    .max = 65535, .text_default = "4096", .change = KEY_NOW, .offset = AT(backlog),
	    .text = "How many connections may wait in each socket's queue; the kernel's own limit is "
	    "net.core.somaxconn."},
	{.section = KEY_SERVICE, .name = "socket_mode", .kind = KEY_OCTAL, .unit = "", .min = 0,
	    .max = 0777, .text_default = "0666", .change = KEY_NOW, .offset = AT(socket_mode),
	    .text = "The mode of its Unix sockets' files, in octal: who may write may connect."},
	{.section = KEY_SERVICE, .name = "socket_user", .kind = KEY_TEXT, .unit = "", .change = KEY_NOW,
	    .offset = AT(socket_user),
	    .text = "The owner of its Unix sockets' files, by name or number; if not set, baton's."},
	{.section = KEY_SERVICE, .name = "socket_group", .kind = KEY_TEXT, .unit = "", .change = KEY_NOW,
	    .offset = AT(socket_group),
	    .text = "Their group; if not set, socket_user's own, or baton's."},
	NUMBER(surge, "", 1, 256, "1", "How many instances a restart replaces at a time."),
	{.section = KEY_SERVICE, .name = "canary", .kind = KEY_YES_NO, .unit = "",
	    .text_default = "no", .change = KEY_NOW, .offset = AT(canary),
	    .text = "Whether a restart pauses after the first instance."},
	NUMBER(canary_time_ms, "ms", 0, 24 * HOUR_MS, "60000",
	    "How long it pauses, unless `baton continue` ends that before. 0: until then."),
	OTHER(ready, KEY_READY, "notify",
	    "How it shows that it is ready: by READY=1 (notify), a newline on a descriptor "
	    "(fd, fd:N), an answer to GET /PATH (http:/PATH), by living for so long (delay:5s), or "
	    "not at all: it counts as ready when it runs (none)."),
	NUMBER(start_timeout_ms, "ms", 1, HOUR_MS, "30000",
	    "From start to readiness; an instance that is later is told to end, and then killed."),
	NUMBER(drain_timeout_ms, "ms", 1, 24 * HOUR_MS, "30000",
	    "From SIGTERM to SIGKILL of the instance's process group."),
	{.section = KEY_SERVICE, .name = "stop_signal", .kind = KEY_SIGNAL, .unit = "",
	    .text_default = "TERM", .change = KEY_NOW, .offset = AT(stop_signal),
	    .text = "The signal that tells it to finish what it does and end: QUIT for nginx, USR1 "
	    "for HAProxy, WINCH for Apache."},
	NUMBER(backoff_first_ms, "ms", 1, HOUR_MS, "100",
	    "The wait before a restart after the second crash; the first crash restarts at once. "
	    "Each further crash doubles it."),
	NUMBER(backoff_max_ms, "ms", 1, HOUR_MS, "30000", "The longest wait before a restart."),
	NUMBER(crashes_max, "", 0, CRASHES_MAX, "9",
	    "After so many crashes within crashes_time_ms an instance has failed: it is not "
	    "started again until `baton reset`. 0: never."),
	NUMBER(crashes_time_ms, "ms", 1, 24 * HOUR_MS, "60000", "See crashes_max."),
	NUMBER(refuse_after_ms, "ms", 0, 24 * HOUR_MS, "5000",
	    "An instance that has not been ready for so long, and one that has failed or was "
	    "stopped, refuses connections instead of letting them wait."),
	NUMBER(spares, "", 0, 64, "0",
	    "How many warm processes wait to take over the sockets of an instance that crashes; "
	    "for programs that know spares, such as those of baton's server library."),
	{.section = KEY_SERVICE, .name = "lifetime", .kind = KEY_LIFETIME, .unit = "",
	    .text_default = "permanent", .change = KEY_NOW, .offset = AT(lifetime),
	    .text = "Whether a process that ends by itself is started again: always (permanent), "
	    "unless it ended with status 0 (transient), or never (temporary)."},
	{.section = KEY_SERVICE, .name = "strategy", .kind = KEY_STRATEGY, .unit = "",
	    .text_default = "one_for_one", .change = KEY_NOW, .offset = AT(strategy),
	    .text = "Who is started again when an instance crashes: that one (one_for_one), all of "
	    "the service (one_for_all), or that one and those behind it (rest_for_one)."},
	{.section = KEY_SERVICE, .name = "watchdog_ms", .kind = KEY_NUMBER, .unit = "ms", .min = 0,
	    .max = HOUR_MS, .text_default = "0", .offset = AT(watchdog_ms),
	    .text = "A process that is ready and does not say WATCHDOG=1 for so long is replaced, "
	    "and then killed. 0: it need not."},
	{.section = KEY_SERVICE, .name = "health", .kind = KEY_HEALTH, .unit = "", .change = KEY_NOW,
	    .offset = AT(health),
	    .text = "http:/PATH: a process that serves is asked GET /PATH, and is well if it answers "
	    "with 2xx or 3xx; one that is not is replaced."},
	NUMBER(health_interval_ms, "ms", 1, 24 * HOUR_MS, "10000",
	    "From the end of one health check to the beginning of the next."),
	NUMBER(health_timeout_ms, "ms", 1, HOUR_MS, "1000", "How long an answer may take."),
	NUMBER(health_failures, "", 1, 1000, "3",
	    "So many failed health checks in a row, and the process is replaced."),
	NUMBER(quiet_time_ms, "ms", 0, 24 * HOUR_MS, "10000",
	    "An instance that was ready for so long counts as healthy: its next crash is its "
	    "first."),
	NUMBER(probation_time_ms, "ms", 0, 24 * HOUR_MS, "10000",
	    "A generation that was ready and well for so long has proved good. 0: as soon as it "
	    "is ready."),
	NUMBER(keep_good, "", 0, GOOD_MAX, "2",
	    "So many executables that have proved good are kept in memory, for going back to "
	    "them."),
	OTHER(user, KEY_TEXT, NULL,
	    "As which user it runs, by name or number; baton itself must be root. Its sockets are "
	    "bound before."),
	OTHER(group, KEY_TEXT, NULL, "Its group; if not set, the user's."),
	{.section = KEY_SERVICE, .name = "stdout", .kind = KEY_OUTPUT, .unit = "",
	    .text_default = "lines", .offset = AT(out),
	    .text = "Where its standard output goes: as lines with its name before them to baton's "
	    "own, to baton's own as it is (inherit), or to a file (a path with a slash), which "
	    "SIGUSR1 opens anew."},
	{.section = KEY_SERVICE, .name = "stderr", .kind = KEY_OUTPUT, .unit = "",
	    .text_default = "lines", .offset = AT(err),
	    .text = "The same for its standard error."},
	OTHER(directory, KEY_TEXT, NULL, "Its working directory; if not set, baton's."),
	{.section = KEY_SERVICE, .name = "umask", .kind = KEY_OCTAL, .unit = "", .min = 0,
	    .max = 0777, .unset = -1, .offset = AT(umask),
	    .text = "Its file mode creation mask, in octal; if not set, baton's."},
	{.section = KEY_SERVICE, .name = "nice", .kind = KEY_NUMBER, .unit = "", .min = -20,
	    .max = 19, .text_default = "0", .offset = AT(nice),
	    .text = "Added to baton's own nice value."},
	OTHER(no_new_privs, KEY_YES_NO, "no",
	    "Whether set-user-ID programs and file capabilities mean nothing to it."),
	OTHER(die_with_supervisor, KEY_YES_NO, "no",
	    "Whether its processes are killed when baton itself is; else they serve on."),
	LABELLED("limit", KEY_LIMIT,
	    "limit.NAME: a resource limit (as, core, cpu, data, fsize, memlock, nofile, nproc, "
	    "stack), in the units of setrlimit(2)."),
	LABELLED("cgroup", KEY_CGROUP,
	    "cgroup.NAME: a limit of each instance's control group, by the name of its file, as in "
	    "cgroup.memory.max."),
	OTHER(cgroup_optional, KEY_YES_NO, "no",
	    "Whether instances run without these limits where there is no right to set them."),
	OTHER(env_inherit, KEY_YES_NO, "yes",
	    "Whether it gets baton's own environment, or of that PATH only."),
	OTHER(env_file, KEY_TEXT, NULL, "A file of lines NAME=value, read at every start."),
	LABELLED("env", KEY_ENV, "env.NAME: a variable of its environment."),
	LABELLED("http", KEY_HTTP,
	    "http.NAME: a setting of baton's server library (BATON_HTTP_NAME in its environment)."),
};
/* clang-format on */
const size_t keys_count = sizeof(keys) / sizeof(keys[0]);

static_assert(sizeof(keys) / sizeof(keys[0]) <= KEYS_MAX, "raise KEYS_MAX");

const struct key *
key_find(enum key_section section, const char *name)
{
	for (size_t i = 0; i < keys_count; i++) {
		size_t len = strlen(keys[i].name);

		if (keys[i].section != section || strncmp(keys[i].name, name, len) != 0)
			continue;
		if (name[len] == '\0' || (keys[i].repeats && name[len] == '.'))
			return &keys[i];
	}
	return NULL;
}

size_t
key_index(const struct key *k)
{
	return (size_t)(k - keys);
}

/* "permanent, transient or temporary" */
static char *
words_text(TALLOC_CTX *mem, const struct kind *kind)
{
	char *text = talloc_strdup(mem, kind->words[0].name);

	for (size_t i = 1; i < kind->nwords && text != NULL; i++)
		text = talloc_asprintf_append(
		    text, "%s%s", i + 1 < kind->nwords ? ", " : " or ", kind->words[i].name);
	return text;
}

char *
key_expected(TALLOC_CTX *mem, const struct key *k)
{
	const struct kind *kind = &kinds[k->kind];

	if (kind->words != NULL)
		return words_text(mem, kind);
	return kind->range != NULL ? kind->range(mem, k) : talloc_strdup(mem, kind->text);
}

const struct key *
key_nearest(enum key_section section, const char *name)
{
	const struct key *best = NULL;
	unsigned least = 4; /* more edits than three are another word */

	for (size_t i = 0; i < keys_count; i++) {
		unsigned d = keys[i].section == section ? words_distance(name, keys[i].name) : 99;

		if (d < least && 2 * d < strlen(keys[i].name)) {
			least = d;
			best = &keys[i];
		}
	}
	return best;
}
