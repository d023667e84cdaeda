/* SPDX-License-Identifier: MIT */
/*
 * Spares: processes that are warm and serve nobody. The place of each is an instance of its
 * own kind, "web.spare.0", whose life follows the same table (life.c): it is started, restarted
 * after a crash with growing waits, replaced, and ended. When an instance crashes or is sick, the
 * process moves from that place to the instance, and the place is filled again.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "supervisor/instance/instances.h"
#include "supervisor/protocol.h"

static bool
is_warm(const struct instance *place)
{
	const struct generation *g = place->current;

	return g != NULL && place->life.ready_ms >= 0 && place->life.state != LIFE_STOPPING &&
	       !g->told && !g->doomed && !g->stopping && g->sick == 0 && generation_lives(g);
}

static bool
is_the_same(const struct generation *spare, const struct generation *g)
{
	return spare->config_number == g->config_number && spare->rolled_back == g->rolled_back &&
	       executable_equal(&spare->exe, &g->exe) &&
	       !g->instance->all->policy->restarted_since(g->instance->service, spare->started_ms);
}

static struct instance *
find(const struct instance *inst, unsigned epoch, const struct generation *same)
{
	const struct spares *s = &inst->service->spares;

	for (unsigned i = 0; !inst->spare && i < s->count; i++) {
		const struct generation *g = s->places[i]->current;

		if (is_warm(s->places[i]) && g->epoch >= epoch && inst->all->policy->fits(g) &&
		    (same == NULL || is_the_same(g, same)))
			return s->places[i];
	}
	return NULL;
}

struct instance *
spare_for(const struct instance *inst)
{
	return find(inst, inst->current != NULL ? inst->current->epoch : inst->epoch, NULL);
}

struct instance *
spare_beside(const struct generation *g)
{
	return find(g->instance, g->epoch, g);
}

bool
spare_call(struct instance *inst, struct instance *place)
{
	inst->relief = place;
	return place != NULL;
}

/* --- A spare becomes an instance, or a part of one -------------------------------------------- */

/* The sockets, then the ends of the handover. */
static unsigned
list_descriptors(const struct generation *g, int *fds)
{
	const struct instance *inst = g->instance;
	unsigned n = 0;

	for (size_t i = 0; i < inst->sockets->nlisteners; i++)
		fds[n++] = inst->sockets->listeners[i].fd;
	fds[n++] = channel_give_fd(g->gives);
	if (g->takes != NULL)
		fds[n++] = channel_take_fd(g->takes);
	return n;
}

static int
send_word(const struct generation *g, const char *names)
{
	int fds[BATON_SPARE_SOCKETS_MAX + 2];
	unsigned n = list_descriptors(g, fds);
	struct baton_spare_message m = {.version = BATON_SPARE_VERSION,
	    .type = BATON_SPARE_BECOME,
	    .instance = g->instance->index,
	    .generation = g->number,
	    .sockets = (uint32_t)g->instance->sockets->nlisteners,
	    .ends = n - (uint32_t)g->instance->sockets->nlisteners,
	    .names_size = (uint32_t)strlen(names) + 1};
	char control[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = {0};
	struct iovec iov[2] = {{&m, sizeof(m)}, {(void *)names, m.names_size}};
	struct msghdr mh = {.msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = control,
	    .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	if (sendmsg(channel_give_fd(g->becomes), &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

/* Tells G, which was a spare, what it is now, and opens its channels. Returns 0 or -errno. */
static int
become_tell(struct generation *g)
{
	char *names = start_socket_names(g, g->instance);
	int error = names == NULL ? -ENOMEM : start_channels(g);

	if (error == 0) {
		sharing_note(g);
		error = send_word(g, names);
	}
	talloc_free(names);
	return error;
}

/* Its place is empty afterwards. GIVES: the channel by which it gives; NULL: one of its own. */
static struct generation *
move(struct instance *place, struct instance *inst, struct channel *gives)
{
	struct generation *g = talloc_steal(inst, place->current);
	int error;

	place->current = NULL;
	g->instance = inst;
	g->number = ++inst->last_number;
	g->started_ms = timer_now_ms();
	g->ready_ms = -1;
	g->gives = gives == NULL ? NULL : channel_ref(gives);
	start_move_group(g);
	error = become_tell(g);
	if (error < 0)
		generation_kill(g, talloc_asprintf(g, "could not be told that it is %s: %s",
				       inst->name, strerror(-error)));
	channel_unref(&g->becomes);
	return g;
}

/* Of one that stands in: where CURRENT, which is to replace it, takes. */
static struct channel *
channel_of_the_dead(const struct instance *inst)
{
	struct channel *c = inst->current == NULL ? NULL : inst->current->takes;

	return c != NULL && channel_give_fd(c) >= 0 ? c : NULL;
}

void
spare_take(struct instance *inst, struct generation **role)
{
	struct instance *place = inst->relief;

	inst->relief = NULL;
	socket_set_resume(inst->sockets);
	inst->restarts += role == &inst->current;
	*role = move(place, inst, role == &inst->old ? channel_of_the_dead(inst) : NULL);
	instance_news(inst, *role, NEWS_STARTED);
}

void
spare_outdated(struct instance *inst)
{
	/* What is sick is replaced for its own sake. */
	if (!inst->spare && (inst->current == NULL || inst->current->sick == 0))
		inst->service->spares.epoch++;
}
