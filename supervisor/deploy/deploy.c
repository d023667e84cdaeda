/* SPDX-License-Identifier: MIT */
/* What all of this room have in common. */
#include "supervisor/deploy/deploy.h"

static int
deploy_close(struct deploy *d)
{
	json_decref(d->last_restart);
	return 0;
}

struct deploy *
deploy_new(TALLOC_CTX *mem, struct supervisor *sup, const struct deploy_calls *calls,
    struct base *base, struct instances *all, struct config *config)
{
	struct deploy *d = talloc(mem, struct deploy);

	if (d == NULL)
		return NULL;
	*d = (struct deploy){.sup = sup,
	    .calls = calls,
	    .base = base,
	    .all = all,
	    .config = config,
	    .read_unix_ms = timer_unix_ms()};
	LIST_INIT(&d->jobs);
	STAILQ_INIT(&d->reverts);
	talloc_set_destructor(d, deploy_close);
	return d;
}
