/* SPDX-License-Identifier: MIT */
/* What the files of this room have in common, and who of them hears that a roll is over. */
#include "supervisor/deploy/deploy.h"

#include "supervisor/deploy/outcome.h"
#include "supervisor/deploy/roll.h"

/* A service that goes back by itself comes before what a reload still has to do. */
static const struct roll_hearer hearers[] = {
    {.name = "strategy", .over = strategy_after_roll},
    {.name = "revert", .adopt = revert_adopt, .over = revert_next},
    {.name = "outcome", .judge = outcome_judge, .over = outcome_follow},
    {.name = NULL},
};

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
	    .hearers = hearers,
	    .base = base,
	    .all = all,
	    .config = config,
	    .read_unix_ms = timer_unix_ms()};
	LIST_INIT(&d->jobs);
	STAILQ_INIT(&d->reverts);
	talloc_set_destructor(d, deploy_close);
	return d;
}
