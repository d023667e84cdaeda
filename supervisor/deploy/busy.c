/* SPDX-License-Identifier: MIT */
/* What stands against changing something now. */
#include "supervisor/deploy/roll.h"

bool
deploy_removes(const struct instance *inst)
{
	const struct service_deploy *s = inst->service->deploy;

	return s->shrinks && !inst->spare && inst->index >= s->keep;
}

bool
deploy_busy(const struct deploy *d, TALLOC_CTX *mem, char **why)
{
	const struct revert *b = STAILQ_FIRST(&d->reverts);

	for (size_t i = 0; i < d->all->nservices; i++) {
		const struct service *s = d->all->services[i];

		if (!s->deploy->shrinks)
			continue;
		*why = talloc_asprintf(
		    mem, "instances of %s are being removed; ask again later", s->config->name);
		return true;
	}
	if (b != NULL)
		*why = talloc_asprintf(mem, "%s is about to be rolled back; ask again later",
		    b->service->config->name);
	return b != NULL;
}
