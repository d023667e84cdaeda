/* SPDX-License-Identifier: MIT */
/* `listen`: addresses, each a new element of service_config.listens. */
#include <errno.h>
#include <string.h>

#include "supervisor/base/state.h"
#include "supervisor/config/config.h"
#include "supervisor/config/kinds.h"

int
listen_parse(void *object, const struct key *k, struct key_line *line)
{
	struct service_config *c = object;
	const char *name = line->label == NULL ? c->name : line->label;
	struct listen_config *grown, l;

	(void)k;
	if (!config_good_name(name)) {
		line->why = "a socket's name is 1 to 32 letters, digits, '-' and '_'";
		return -EINVAL;
	}
	if (address_parse(line->value, &l.base, &line->why) < 0)
		return -EINVAL;
	l.name = talloc_strdup(c, name);
	l.where = talloc_strdup(c, line->where);
	grown = talloc_realloc(c, c->listens, struct listen_config, c->nlistens + 1);
	if (grown != NULL)
		c->listens = grown;
	if (grown == NULL || l.name == NULL || l.where == NULL)
		return -ENOMEM;
	c->listens[c->nlistens++] = l;
	return 0;
}

bool
listen_same(const struct key *k, const void *one, const void *other)
{
	const struct service_config *a = one, *b = other;

	(void)k;
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

static void
listen_element(struct state *s, void *owner, void *element)
{
	static const struct state_field fields[] = {
	    STATE_NEEDED_STRING(struct listen_config, name),
	    STATE_NEEDED_STRING(struct listen_config, where),
	};

	address_state(s, "base", &((struct listen_config *)element)->base);
	STATE_FIELDS_OF(s, owner, element, fields);
}

void
listen_state(struct state *s, const struct key *k, void *object)
{
	struct service_config *c = object;

	c->listens = state_list(
	    s, k->name, c, c->listens, &c->nlistens, sizeof(*c->listens), listen_element);
}
