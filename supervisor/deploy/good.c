/* SPDX-License-Identifier: MIT */
/*
 * What has proved good: of each service the executables that did, as sealed copies in memory,
 * with the configuration that each ran with. All instances share them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/deploy/good.h"

/* What is to become a struct good when its copy is made. */
struct good_copy {
	struct service *service;
	struct good *good;
};

static int
good_close(struct good *good)
{
	if (good->fd >= 0)
		close(good->fd);
	return 0;
}

struct good *
good_new(TALLOC_CTX *mem)
{
	struct good *good = talloc_zero(mem, struct good);

	if (good == NULL)
		return NULL;
	good->fd = -1;
	talloc_set_destructor(good, good_close);
	return good;
}

static struct good *
good_of(TALLOC_CTX *mem, const struct generation *g)
{
	struct good *good = good_new(mem);

	if (good == NULL)
		return NULL;
	*good = (struct good){.fd = -1,
	    .exe = g->exe,
	    .config = g->instance->service->config,
	    .config_number = g->config_number,
	    .instance = talloc_strdup(good, g->instance->name),
	    .generation = g->number,
	    .since_unix_ms = timer_unix_ms()};
	if (good->instance == NULL)
		TALLOC_FREE(good);
	return good;
}

bool
good_is(const struct good *good, const struct generation *g)
{
	return good->config_number == g->config_number && executable_equal(&good->exe, &g->exe);
}

/* Drops COUNT of them, from the one at FIRST on. */
static void
drop(struct service *s, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		talloc_free(s->good[i]);
	s->ngood -= count;
	memmove(
	    &s->good[first], &s->good[first + count], (s->ngood - first) * sizeof(struct good *));
}

int
good_copy_for(const struct service *s, struct executable *exe)
{
	if (s->from == NULL)
		return -1;
	*exe = s->from->exe;
	return s->from->fd;
}

void
good_trim(struct service *s)
{
	unsigned keep = (unsigned)s->config->keep_good;

	while (s->ngood > keep && s->good[s->ngood - 1] != s->from)
		drop(s, s->ngood - 1, 1);
}

static void
put(struct service *s, struct good *good)
{
	if (s->ngood == GOOD_MAX)
		drop(s, GOOD_MAX - 1, 1); /* s->from is NULL: see good_take */
	memmove(&s->good[1], &s->good[0], s->ngood * sizeof(struct good *));
	s->good[0] = talloc_steal(s, good);
	s->ngood++;
	good_trim(s);
}

static void
not_kept(struct service *s, const char *why)
{
	bool known = s->not_kept != NULL && why != NULL && strcmp(s->not_kept, why) == 0;

	if (!known && why != NULL)
		output_say(s->sup->base.out, "%s: what it runs is good, but not kept: %s",
		    s->config->name, why);
	if (known)
		return;
	talloc_free(s->not_kept);
	s->not_kept = why == NULL ? NULL : talloc_strdup(s, why);
}

static void
copied(int fd, void *data)
{
	struct good_copy *c = talloc_get_type_abort(data, struct good_copy);
	struct service *s = c->service;

	if (fd >= 0) {
		c->good->fd = fd;
		put(s, c->good);
	} else {
		not_kept(s, strerror(-fd));
	}
	TALLOC_FREE(s->copying);
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
	for (unsigned i = 0; i < s->ngood; i++) {
		struct good *good;

		if (!executable_equal(&s->good[i]->exe, &g->exe))
			continue;
		good = good_of(s, g);
		if (good == NULL)
			return true;
		good->fd = fcntl(s->good[i]->fd, F_DUPFD_CLOEXEC, 3);
		if (good->fd >= 0)
			put(s, good);
		else
			talloc_free(good);
		return true;
	}
	return false;
}

static void
copy(struct service *s, const struct generation *g)
{
	struct good_copy *c = talloc_zero(s, struct good_copy);
	int error = -ENOMEM;

	if (c != NULL)
		c->good = good_of(c, g);
	if (c != NULL && c->good != NULL) {
		c->service = s;
		executable_copy(c, s->sup->base.timers, g->pid, s->config->name, copied, c, &error);
	}
	if (error == 0) {
		talloc_free(s->copying);
		s->copying = c;
		return;
	}
	not_kept(s, strerror(-error));
	talloc_free(c);
}

void
good_take(struct generation *g)
{
	struct service *s = g->instance->service;
	const char *why;

	for (unsigned i = 0; i < s->ngood; i++) {
		if (!good_is(s->good[i], g))
			continue;
		if (s->good[i] == s->from)
			drop(s, 0, i); /* from which somebody went back to this */
		return;
	}
	if (g->rolled_back || s->from != NULL)
		return; /* it is on its way out */
	if (s->copying != NULL && good_is(s->copying->good, g))
		return;
	if (g->config_number != s->config_number)
		return; /* of a configuration that counts no more */
	why = s->config->keep_good == 0 ? "keep_good is 0" : unfit(g);
	not_kept(s, why);
	if (why == NULL && !share(s, g))
		copy(s, g);
}

void
good_forget(struct service *s, unsigned config_number)
{
	if (s->copying != NULL && s->copying->good->config_number == config_number)
		TALLOC_FREE(s->copying);
	for (unsigned i = s->ngood; i-- > 0;) {
		if (s->good[i]->config_number == config_number && s->good[i] != s->from)
			drop(s, i, 1);
	}
}

bool
good_uses(const struct service *s, const struct service_config *c)
{
	if (s->copying != NULL && s->copying->good->config == c)
		return true;
	for (unsigned i = 0; i < s->ngood; i++) {
		if (s->good[i]->config == c)
			return true;
	}
	return false;
}

uint64_t
good_bytes(const struct service *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->ngood; i++) {
		bool shared = false;

		for (unsigned k = 0; k < i; k++)
			shared = shared || executable_equal(&s->good[i]->exe, &s->good[k]->exe);
		sum += shared ? 0 : (uint64_t)s->good[i]->exe.size;
	}
	return sum;
}

json_t *
good_json(const struct service *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->ngood; i++) {
		const struct good *good = s->good[i];

		json_array_append_new(list,
		    json_pack("{s:s s:i s:I s:I}", "instance", good->instance, "generation",
			(int)good->generation, "since_unix_ms", (json_int_t)good->since_unix_ms,
			"bytes", (json_int_t)good->exe.size));
	}
	return list;
}
