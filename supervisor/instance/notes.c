/* SPDX-License-Identifier: MIT */
/* What is no error in a configuration, and nothing that a start would meet, but may be a surprise one
 * day. */
#include <assert.h>

#include "supervisor/config/config.h"
#include "supervisor/instance/life.h"
#include "supervisor/instance/preflight.h"
#include "supervisor/process/executable.h"
#include "supervisor/process/program.h"

static_assert(
    CRASHES_MAX <= LIFE_CRASHES_KEPT, "as many crashes as may be asked for are remembered");

/* The key that is most likely meant: the first of these that was set. */
static const char *
key_of_limit(const struct service_config *s)
{
	static const char *const names[] = {
	    "crashes_max", "crashes_time_ms", "backoff_first_ms", "backoff_max_ms"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (s->seen[key_index(key_find(KEY_SERVICE, names[i]))] != 0)
			return names[i];
	}
	return names[0];
}

static void
note_crashes(struct config *c, const struct service_config *s)
{
	const struct life_policy policy = {
	    .backoff_first_ms = s->backoff_first_ms, .backoff_max_ms = s->backoff_max_ms};
	unsigned most = life_crashes_within(s->crashes_time_ms, &policy);
	const char *key = key_of_limit(s);
	TALLOC_CTX *tmp;

	if (s->crashes_max <= (long)most)
		return;
	tmp = talloc_new(NULL);
	config_note(c,
	    "%s: %s%s: note: no instance can ever be given up: with waits from backoff_first_ms "
	    "(%ld) to backoff_max_ms (%ld) there are at most %u crashes within crashes_time_ms "
	    "(%ld), and crashes_max is %ld; say `crashes_max = %u` or less, or 0 if it is to be "
	    "tried for ever",
	    config_place(tmp, c, config_line(s, key)), config_section_text(tmp, c, s), key,
	    s->backoff_first_ms, s->backoff_max_ms, most, s->crashes_time_ms, s->crashes_max, most);
	talloc_free(tmp);
}

void
notes_crashes(struct config *c)
{
	for (size_t i = 0; i < c->nservices; i++)
		note_crashes(c, c->services[i]);
}

void
notes_rollback(struct config *c)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	for (size_t i = 0; i < c->nservices; i++) {
		const struct service_config *s = c->services[i];
		struct executable e = {.known = false};
		const char *why;
		char *path;

		if (s->command == NULL || s->keep_good == 0 ||
		    program_find(tmp, s->command[0], &path, &why) < 0)
			continue;
		e = executable_at(path);
		why = executable_unfit(&e);
		if (why != NULL)
			config_note(c, "%s: %scommand: note: it cannot be rolled back: %s",
			    config_place(tmp, c, config_line(s, "command")),
			    config_section_text(tmp, c, s), why);
	}
	talloc_free(tmp);
}
