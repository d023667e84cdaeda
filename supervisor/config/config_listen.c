/* SPDX-License-Identifier: MIT */
/* Listening on Unix sockets: what a configuration may ask for. */
#include "supervisor/config/config.h"

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

void
config_listen_finish(struct config *c, const struct service_config *s, const char *in)
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

bool
config_listen_overlap(
    const struct listen_config *a, long na, const struct listen_config *b, long nb)
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
