/* SPDX-License-Identifier: MIT */
/* What is checked when a whole configuration is known: keys against each other. */
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/protocol.h"

/* How many ports each of its `listen` lines takes. */
static long
ports_of(const struct service_config *s)
{
	return s->shared ? 1 : s->instances;
}

/* Each instance needs a path of its own, and sockets that all have need just one. */
static void
check_index(
    struct config *c, const struct service_config *s, const struct listen_config *l, const char *in)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	bool has = address_has_index(&l->base);

	if (!has && !s->shared && s->instances > 1)
		config_error(c,
		    "%s: %slisten: expected a path with %%i, which becomes the instance's number, "
		    "found \"%s\" for %ld instances; or say `ports = shared`",
		    l->where, in, address_text(tmp, &l->base), s->instances);
	if (has && s->shared)
		config_error(c,
		    "%s: %slisten: expected a path without %%i, as `ports = shared` means one "
		    "socket for all instances, found \"%s\"",
		    l->where, in, address_text(tmp, &l->base));
	talloc_free(tmp);
}

static void
finish_sockets(struct config *c, const struct service_config *s, const char *in)
{
	static const char *const only_unix[] = {"socket_mode", "socket_user", "socket_group"};
	bool has_unix = false;

	for (size_t i = 0; i < s->nlistens; i++) {
		if (!address_is_unix(&s->listens[i].base))
			continue;
		has_unix = true;
		check_index(c, s, &s->listens[i], in);
	}
	for (size_t i = 0; !has_unix && i < sizeof(only_unix) / sizeof(only_unix[0]); i++) {
		if (s->seen[key_index(key_find(KEY_SERVICE, only_unix[i]))] != 0)
			config_error(c,
			    "%s:%d: %s%s: expected a `listen = unix:PATH` that it is for, "
			    "found none",
			    c->file, config_line(s, only_unix[i]), in, only_unix[i]);
	}
}

static void
finish_ready(struct config *c, const struct service_config *s, const char *in)
{
	const struct ready_config *r = &s->ready;
	TALLOC_CTX *tmp = talloc_new(NULL);
	const char *where = config_place(tmp, c, config_line(s, "ready"));
	long sockets = (long)s->nlistens;

	if (r->kind == READY_FD && r->fd != 0 && r->fd < READY_FD_MIN + sockets)
		config_error(c,
		    "%s: %sready: expected fd:N with N from %ld on, as its sockets are 3 to %ld, "
		    "found fd:%ld",
		    where, in, READY_FD_MIN + sockets, READY_FD_MIN + sockets - 1, r->fd);
	if (r->kind == READY_DELAY && r->delay_ms >= s->start_timeout_ms)
		config_error(c,
		    "%s: %sready: expected a delay below start_timeout_ms (%ld), found %ld ms",
		    where, in, s->start_timeout_ms, r->delay_ms);
	if (r->kind == READY_HTTP && sockets == 0)
		config_error(c,
		    "%s: %sready: expected a `listen` on which http:%s can be asked, found none",
		    where, in, r->path);
	if (r->kind != READY_NOTIFY && s->spares > 0)
		config_error(c,
		    "%s: %sready: expected notify in a service with spares, for only that says "
		    "when one of them has become an instance",
		    where, in);
	if (s->health != NULL && sockets == 0)
		config_error(c,
		    "%s: %shealth: expected a `listen` on which http:%s can be asked, found none",
		    config_place(tmp, c, config_line(s, "health")), in, s->health);
	talloc_free(tmp);
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
	finish_sockets(c, s, config_section_text(tmp, c, s));
	/* They come to a spare in one packet. */
	if (s->spares > 0 && s->nlistens > BATON_SPARE_SOCKETS_MAX)
		config_error(c,
		    "%s: %sspares: expected 0 in a service with more than %d lines listen, found "
		    "%ld",
		    config_place(tmp, c, s->seen[key_index(key_find(KEY_SERVICE, "spares"))]),
		    config_section_text(tmp, c, s), BATON_SPARE_SOCKETS_MAX, s->spares);
	finish_ready(c, s, config_section_text(tmp, c, s));
	talloc_free(tmp);
}

/* Do instances of the two services want the same path? */
static bool
paths_overlap(const struct listen_config *a, long na, const struct listen_config *b, long nb)
{
	for (unsigned i = 0; i < na; i++) {
		struct address x = address_of_instance(&a->base, i);

		for (unsigned k = 0; k < nb; k++) {
			struct address y = address_of_instance(&b->base, k);

			if (address_overlap(&x, &y))
				return true;
		}
	}
	return false;
}

/* Do instances of the two services want the same port of the same host, or of all? */
static bool
overlap(const struct listen_config *a, long na, const struct listen_config *b, long nb)
{
	struct address x = a->base, y = b->base;
	long pa = address_port(&x), pb = address_port(&y);

	if (address_is_unix(&x) && address_is_unix(&y))
		return paths_overlap(a, na, b, nb);
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
