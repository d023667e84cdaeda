/* SPDX-License-Identifier: MIT */
/*
 * What has proved good: of each service the executables that did, as sealed copies in memory,
 * with the configuration that each ran with. All instances share them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/deploy/version.h"

/* What is to become a struct proved when its copy is made. */
struct proved_copy {
	struct service *service;
	struct proved *proved;
};

static int
proved_close(struct proved *proved)
{
	if (proved->fd >= 0)
		close(proved->fd);
	return 0;
}

struct proved *
proved_new(TALLOC_CTX *mem)
{
	struct proved *proved = talloc_zero(mem, struct proved);

	if (proved == NULL)
		return NULL;
	proved->fd = -1;
	talloc_set_destructor(proved, proved_close);
	return proved;
}

static struct proved *
proved_of(TALLOC_CTX *mem, const struct generation *g)
{
	struct proved *proved = proved_new(mem);

	if (proved == NULL)
		return NULL;
	*proved = (struct proved){.fd = -1,
	    .exe = g->exe,
	    .config = g->instance->service->config,
	    .config_number = g->config_number,
	    .instance = talloc_strdup(proved, g->instance->name),
	    .generation = g->number,
	    .since_unix_ms = timer_unix_ms()};
	if (proved->instance == NULL)
		TALLOC_FREE(proved);
	return proved;
}

bool
proved_is(const struct proved *proved, const struct generation *g)
{
	return proved->config_number == g->config_number && executable_equal(&proved->exe, &g->exe);
}

/* Drops COUNT of them, from the one at FIRST on. */
static void
drop(struct service *s, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		talloc_free(s->deploy->proved[i]);
	s->deploy->nproved -= count;
	memmove(&s->deploy->proved[first], &s->deploy->proved[first + count],
	    (s->deploy->nproved - first) * sizeof(struct proved *));
}

int
proved_copy_for(const struct service *s, struct executable *exe)
{
	if (s->deploy->from == NULL)
		return -1;
	*exe = s->deploy->from->exe;
	return s->deploy->from->fd;
}

void
proved_trim(struct service *s)
{
	unsigned keep = (unsigned)s->config->keep_good;

	while (s->deploy->nproved > keep &&
	       s->deploy->proved[s->deploy->nproved - 1] != s->deploy->from)
		drop(s, s->deploy->nproved - 1, 1);
}

static void
put(struct service *s, struct proved *proved)
{
	if (s->deploy->nproved == GOOD_MAX)
		drop(s, GOOD_MAX - 1, 1); /* s->deploy->from is NULL: see proved_keep */
	memmove(&s->deploy->proved[1], &s->deploy->proved[0],
	    s->deploy->nproved * sizeof(struct proved *));
	s->deploy->proved[0] = talloc_steal(s, proved);
	s->deploy->nproved++;
	proved_trim(s);
}

static void
not_kept(struct service *s, const char *why)
{
	bool known =
	    s->deploy->not_kept != NULL && why != NULL && strcmp(s->deploy->not_kept, why) == 0;

	if (!known && why != NULL)
		output_say(deploy_of(s)->base->out, "%s: what it runs is good, but not kept: %s",
		    s->config->name, why);
	if (known)
		return;
	talloc_free(s->deploy->not_kept);
	s->deploy->not_kept = why == NULL ? NULL : talloc_strdup(s, why);
}

static void
copied(int fd, void *data)
{
	struct proved_copy *c = talloc_get_type_abort(data, struct proved_copy);
	struct service *s = c->service;

	if (fd >= 0) {
		c->proved->fd = fd;
		put(s, c->proved);
	} else {
		not_kept(s, strerror(-fd));
	}
	TALLOC_FREE(s->deploy->copying);
}

/* What cannot be started from a copy, or not as it was. NULL: it can. */
static const char *
unfit(const struct generation *g)
{
	struct executable is = executable_of(g->pid);
	const char *why = executable_unfit(&g->exe);

	if (why != NULL || executable_same_file(&is, &g->exe))
		return why;
	return is.known ? "it has executed another program since it was started"
			: "what it runs cannot be read";
}

/* The same bytes with another configuration: they are shared. */
static bool
share(struct service *s, const struct generation *g)
{
	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		struct proved *proved;

		if (!executable_equal(&s->deploy->proved[i]->exe, &g->exe))
			continue;
		proved = proved_of(s, g);
		if (proved == NULL)
			return true;
		proved->fd = fcntl(s->deploy->proved[i]->fd, F_DUPFD_CLOEXEC, 3);
		if (proved->fd >= 0)
			put(s, proved);
		else
			talloc_free(proved);
		return true;
	}
	return false;
}

static void
copy(struct service *s, const struct generation *g)
{
	struct proved_copy *c = talloc_zero(s, struct proved_copy);
	int error = -ENOMEM;

	if (c != NULL)
		c->proved = proved_of(c, g);
	if (c != NULL && c->proved != NULL) {
		c->service = s;
		executable_copy(
		    c, deploy_of(s)->base->timers, g->pid, s->config->name, copied, c, &error);
	}
	if (error == 0) {
		talloc_free(s->deploy->copying);
		s->deploy->copying = c;
		return;
	}
	not_kept(s, strerror(-error));
	talloc_free(c);
}

void
proved_keep(struct generation *g)
{
	struct service *s = g->instance->service;
	const char *why;

	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		if (!proved_is(s->deploy->proved[i], g))
			continue;
		if (s->deploy->proved[i] == s->deploy->from)
			drop(s, 0, i); /* from which somebody went back to this */
		return;
	}
	if (g->rolled_back || s->deploy->from != NULL)
		return; /* it is on its way out */
	if (s->deploy->copying != NULL && proved_is(s->deploy->copying->proved, g))
		return;
	if (g->config_number != s->config_number)
		return; /* of a configuration that counts no more */
	why = s->config->keep_good == 0 ? "keep_good is 0" : unfit(g);
	not_kept(s, why);
	if (why == NULL && !share(s, g))
		copy(s, g);
}

void
proved_forget(struct service *s, unsigned config_number)
{
	if (s->deploy->copying != NULL &&
	    s->deploy->copying->proved->config_number == config_number)
		TALLOC_FREE(s->deploy->copying);
	for (unsigned i = s->deploy->nproved; i-- > 0;) {
		if (s->deploy->proved[i]->config_number == config_number &&
		    s->deploy->proved[i] != s->deploy->from)
			drop(s, i, 1);
	}
}

bool
proved_uses(const struct service *s, const struct service_config *c)
{
	if (s->deploy->copying != NULL && s->deploy->copying->proved->config == c)
		return true;
	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		if (s->deploy->proved[i]->config == c)
			return true;
	}
	return false;
}

uint64_t
proved_bytes(const struct service *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		bool shared = false;

		for (unsigned k = 0; k < i; k++)
			shared = shared || executable_equal(&s->deploy->proved[i]->exe,
					       &s->deploy->proved[k]->exe);
		sum += shared ? 0 : (uint64_t)s->deploy->proved[i]->exe.size;
	}
	return sum;
}

json_t *
proved_json(const struct service *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->deploy->nproved; i++) {
		const struct proved *proved = s->deploy->proved[i];

		json_array_append_new(list,
		    json_pack("{s:s s:i s:I s:I}", "instance", proved->instance, "generation",
			(int)proved->generation, "since_unix_ms", (json_int_t)proved->since_unix_ms,
			"bytes", (json_int_t)proved->exe.size));
	}
	return list;
}
