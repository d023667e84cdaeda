/* SPDX-License-Identifier: MIT */
/* Which log files the sections of services name, and which of them are needed no more. */
#include "supervisor/base/logfile.h"
#include "supervisor/instance/instances.h"

int
logs_open_named(struct instances *all, const struct service_config *c, TALLOC_CTX *mem, char **why)
{
	struct logfiles *files = all->base->logfiles;
	struct logfile *ignored;
	int error = logfile_open(files, c->out, &ignored, mem, why);

	return error < 0 ? error : logfile_open(files, c->err, &ignored, mem, why);
}

int
logs_open_service(struct service *s, TALLOC_CTX *mem, char **why)
{
	struct logfiles *files = s->all->base->logfiles;
	int error = logfile_open(files, s->config->out, &s->out, mem, why);

	return error < 0 ? error : logfile_open(files, s->config->err, &s->err, mem, why);
}

static bool
is_used(const struct logfile *l, const void *data)
{
	const struct instances *all = data;

	for (size_t i = 0; i < all->nservices; i++) {
		if (all->services[i]->out == l || all->services[i]->err == l)
			return true;
	}
	return false;
}

void
logs_close_unused(struct instances *all)
{
	logfiles_close_unused(all->base->logfiles, is_used, all);
}
