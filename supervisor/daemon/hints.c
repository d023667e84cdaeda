/* SPDX-License-Identifier: MIT */
/* What to try next, for people: said once, when all has been started. */
#include "supervisor/daemon/supervisor.h"

/* One that serves, so that what people are told to try works. */
static const struct instance *
first_with_socket(const struct supervisor *sup)
{
	for (size_t i = 0; i < sup->all.nservices; i++) {
		const struct service *s = sup->all.services[i];

		for (unsigned n = 0; n < s->ninstances; n++) {
			if (s->instances[n]->life.state == LIFE_READY &&
			    s->instances[n]->sockets->nlisteners > 0)
				return s->instances[n];
		}
	}
	return NULL;
}

static unsigned
count_missing(const struct supervisor *sup, unsigned *all)
{
	unsigned missing = 0;

	*all = 0;
	for (size_t i = 0; i < sup->all.nservices; i++) {
		for (unsigned n = 0; n < sup->all.services[i]->ninstances; n++, (*all)++)
			missing += sup->all.services[i]->instances[n]->life.state != LIFE_READY;
	}
	return missing;
}

static void
say_what_to_try(struct supervisor *sup)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	const struct instance *inst = first_with_socket(sup);

	output_say(sup->base.out, "%s", "");
	output_say(sup->base.out, "try, from a second terminal:");
	if (inst != NULL && inst->sockets->listeners[0].file != NULL)
		output_say(sup->base.out, "  curl --unix-socket %s http://localhost/",
		    inst->sockets->listeners[0].address.un.sun_path);
	else if (inst != NULL)
		output_say(sup->base.out, "  curl %s/",
		    address_url(tmp, &inst->sockets->listeners[0].address));
	output_say(sup->base.out, "  %s status%s", sup->all.argv0, sup->how_to_reach);
	output_say(sup->base.out, "  %s restart%s", sup->all.argv0, sup->how_to_reach);
	talloc_free(tmp);
}

void
hints_say(struct supervisor *sup)
{
	unsigned all, missing = count_missing(sup, &all);

	if (missing > 0)
		output_warn(sup->base.out,
		    "%u of %u instances are not ready; baton goes on trying, "
		    "`%s status%s` shows them",
		    missing, all, sup->all.argv0, sup->how_to_reach);
	if (missing < all)
		say_what_to_try(sup);
	output_say(sup->base.out, "Ctrl-C here ends it in good order.");
	output_say(sup->base.out, "%s", "");
}
