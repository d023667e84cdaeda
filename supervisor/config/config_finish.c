/* SPDX-License-Identifier: MIT */
/* Values into the configuration, and what is checked when all of them are known. */
#include <errno.h>
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/protocol.h"

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
		error = config_value_set(s == NULL ? (void *)c : s, k, where, name, value, &why);
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

/* How many ports each of its `listen` lines takes. */
static long
ports_of(const struct service_config *s)
{
	return s->shared ? 1 : s->instances;
}

int
config_defaults(struct service_config *s)
{
	int error = 0;

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section == KEY_SERVICE && s->seen[i] == 0 && k->text_default != NULL &&
		    config_value_set(s, k, "", k->name, k->text_default, NULL) < 0)
			error = -ENOMEM; /* the table's own values are good */
	}
	return error;
}

static void
finish_service(struct config *c, struct service_config *s)
{
	TALLOC_CTX *tmp = talloc_new(NULL);

	for (size_t i = 0; i < keys_count; i++) {
		const struct key *k = &keys[i];

		if (k->section == KEY_SERVICE && s->seen[i] == 0 && k->required)
			config_error(c, "%s: %s%s: missing; expected %s",
			    config_place(tmp, c, s->line), config_section_text(tmp, c, s), k->name,
			    key_expected(tmp, k));
	}
	if (config_defaults(s) < 0)
		config_error(c, "%s: %sthere is no memory for it", config_place(tmp, c, s->line),
		    config_section_text(tmp, c, s));
	for (size_t i = 0; i < s->nlistens; i++) {
		const struct listen_config *l = &s->listens[i];
		unsigned port = address_port(&l->base);

		if (port != 0 && port + ports_of(s) - 1 > 65535)
			config_error(c,
			    "%s: %slisten: expected a port with room for %ld instances, "
			    "found %u: the last instance would need port %ld",
			    l->where, config_section_text(tmp, c, s), s->instances, port,
			    port + s->instances - 1);
	}
	config_listen_finish(c, s, config_section_text(tmp, c, s));
	/* They come to a spare in one packet. */
	if (s->spares > 0 && s->nlistens > BATON_SPARE_SOCKETS_MAX)
		config_error(c,
		    "%s: %sspares: expected 0 in a service with more than %d lines listen, found "
		    "%ld",
		    config_place(tmp, c, s->seen[key_index(key_find(KEY_SERVICE, "spares"))]),
		    config_section_text(tmp, c, s), BATON_SPARE_SOCKETS_MAX, s->spares);
	config_ready_finish(c, s, config_section_text(tmp, c, s));
	talloc_free(tmp);
}

/* Do instances of the two services want the same port of the same host, or of all? */
static bool
overlap(const struct listen_config *a, long na, const struct listen_config *b, long nb)
{
	struct address x = a->base, y = b->base;
	long pa = address_port(&x), pb = address_port(&y);

	if (address_is_unix(&x) && address_is_unix(&y))
		return config_listen_overlap(a, na, b, nb);
	if (pa == 0 || pb == 0)
		return false;
	address_set_port(&x, 1);
	address_set_port(&y, 1);
	return address_overlap(&x, &y) && pa < pb + nb && pb < pa + na;
}

/* Every `listen` line against those before it. */
static void
check_overlap(struct config *c, size_t service, size_t listen)
{
	const struct service_config *s = c->services[service];
	const struct listen_config *l = &s->listens[listen];

	for (size_t i = 0; i <= service; i++) {
		const struct service_config *o = c->services[i];
		size_t end = i == service ? listen : o->nlistens;

		for (size_t k = 0; k < end; k++) {
			char *text;

			if (!overlap(&o->listens[k], ports_of(o), l, ports_of(s)))
				continue;
			text = address_text(c, &l->base);
			config_error(c,
			    "%s: listen: %s with %ld instance%s of %s needs a %s that "
			    "%s has for %s",
			    l->where, text, s->instances, s->instances == 1 ? "" : "s", s->name,
			    address_is_unix(&l->base) ? "path" : "port", o->listens[k].where,
			    o->name);
			talloc_free(text);
			return;
		}
	}
}

void
config_finish(struct config *c)
{
	for (size_t i = 0; i < c->nservices; i++)
		finish_service(c, c->services[i]);
	for (size_t i = 0; i < c->nservices; i++) {
		for (size_t k = 0; k < c->services[i]->nlistens; k++)
			check_overlap(c, i, k);
	}
	if (c->nservices == 0 && c->nerrors == 0)
		config_error(c, "%s: expected at least one section [service NAME], found none",
		    c->file == NULL ? "baton run" : c->file);
}
