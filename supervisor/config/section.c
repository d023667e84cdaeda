/* SPDX-License-Identifier: MIT */
/*
 * A section, key by key: it is set, completed by defaults, compared with another reading of it, and
 * taken along to another baton. All of it goes by the table of keys and that of their kinds.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"

/* NAME is the key as written; OBJECT the struct that K's offset is in. */
static int
parse(void *object, const struct key *k, const char *where, const char *name, const char *value,
    const char **why)
{
	const char *behind = name + strlen(k->name);
	struct key_line line = {
	    .where = where, .label = *behind == '.' ? behind + 1 : NULL, .value = value};
	int error = kinds[k->kind].parse(object, k, &line);

	*why = line.why;
	return error;
}

static void
unknown_key(
    struct config *c, enum key_section section, const char *where, const char *in, const char *name)
{
	const struct key *near = key_nearest(section, name);

	if (near != NULL)
		config_error(
		    c, "%s: %s%s: unknown key; did you mean \"%s\"?", where, in, name, near->name);
	else
		config_error(c, "%s: %s%s: unknown key; `baton help config` lists them all", where,
		    in, name);
}

int
config_set(struct config *c, struct service_config *s, const char *where, int line,
    const char *name, const char *value)
{
	enum key_section section = s == NULL ? KEY_SUPERVISOR : KEY_SERVICE;
	const struct key *k = key_find(section, name);
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *in = config_section_text(tmp, c, s), *why = NULL;
	int *seen = s == NULL ? c->seen : s->seen;
	int error = -EINVAL;

	if (k == NULL) {
		unknown_key(c, section, where, in, name);
	} else if (seen[key_index(k)] != 0 && !k->repeats) {
		config_error(c, "%s: %s%s: set twice; the first is on line %d", where, in, name,
		    seen[key_index(k)]);
	} else {
		seen[key_index(k)] = line;
		error = parse(s == NULL ? (void *)c : s, k, where, name, value, &why);
		if (error == -ENOMEM)
			config_error(c, "%s: %s%s: there is no memory for it", where, in, name);
		else if (error < 0)
			config_error(c, "%s: %s%s: expected %s, found \"%s\"%s%s", where, in, name,
			    key_expected(tmp, k), value, why == NULL ? "" : ": ",
			    why == NULL ? "" : why);
	}
	talloc_free(tmp);
	return error;
}

int
config_line(const struct service_config *s, const char *key)
{
	int line = s->seen[key_index(key_find(KEY_SERVICE, key))];

	return line != 0 ? line : s->line;
}

int
config_defaults(struct service_config *s)
{
	const char *why;

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section != KEY_SERVICE || s->seen[i] != 0)
			continue;
		if (k->unset != 0)
			*(long *)((char *)s + k->offset) = k->unset;
		if (k->text_default != NULL && parse(s, k, "", k->name, k->text_default, &why) < 0)
			return -ENOMEM; /* the table's own values are good */
	}
	return 0;
}

static bool
same(const struct key *k, const void *a, const void *b)
{
	return kinds[k->kind].same(k, a, b);
}

enum config_change
config_service_change(const struct service_config *a, const struct service_config *b)
{
	enum config_change change = CONFIG_SAME;

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section != KEY_SERVICE || same(k, a, b))
			continue;
		if (k->change == KEY_BY_RESTART)
			return CONFIG_NEEDS_PROCESS;
		change = CONFIG_LIVE;
	}
	return change;
}

const struct key *
config_fixed_change(const struct config *a, const struct config *b)
{
	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section == KEY_SUPERVISOR && k->change == KEY_NEVER && !same(k, a, b))
			return k;
	}
	return NULL;
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

/*
 * Only what differs from its default is written. So a key that the reader does not know is one that
 * somebody has set: it would be lost, and the reader refuses.
 */
void
config_service_state(struct state *s, struct service_config *c)
{
	struct config *scratch = config_new(NULL, NULL);
	struct service_config *unset;
	struct state sub;

	unset = scratch == NULL ? NULL : config_service(scratch, "unset", 0, true);
	if (unset == NULL || config_defaults(state_saving(s) ? unset : c) < 0)
		state_fail(s, "keys", "there is no memory");
	sub = state_object(s, "keys");
	if (!state_saving(s) && state_ok(s))
		refuse_unknown(&sub);
	for (size_t i = 0; i < keys_count && state_ok(s); i++) {
		const struct key *k = &keys[i];

		if (k->section != KEY_SERVICE || kinds[k->kind].state == NULL)
			continue;
		if (state_saving(s) ? k->required || !same(k, unset, c) : state_has(&sub, k->name))
			kinds[k->kind].state(&sub, k, c);
	}
	if (state_ok(s) && c->command == NULL)
		state_fail(&sub, "command", "is missing");
	talloc_free(scratch);
}
