/* SPDX-License-Identifier: MIT */
/* Spreads the word of what has happened to an instance. */
#include "supervisor/instance/instances.h"

void
instance_news(struct instance *inst, struct generation *g, enum instance_news news)
{
	for (const struct instance_hearer *h = inst->all->hearers; h->name != NULL; h++)
		h->news(inst, g, news);
}
