/* SPDX-License-Identifier: MIT */
/*
 * What has several holders: handover channels (who gives, who takes, the instance that keeps what
 * the dead left), and files of Unix sockets (one for all instances with shared sockets).
 */
#include "supervisor/base/state.h"
#include "supervisor/process/channel.h"
#include "supervisor/sockets/socket_file.h"
#include "supervisor/upgrade/state_tree.h"

static void *
channel_one(struct state *s, void *object)
{
	int give = state_saving(s) ? channel_give_fd(object) : -1;
	int take = state_saving(s) ? channel_take_fd(object) : -1;

	state_fd(s, "give", &give);
	state_fd(s, "take", &take);
	if (state_saving(s))
		return object;
	return state_ok(s) ? channel_adopt(give, take) : NULL;
}

static void
channel_one_ref(void *object)
{
	channel_ref(object);
}

static void
channel_one_unref(void *object)
{
	struct channel *c = object;

	channel_unref(&c);
}

static void *
file_one(struct state *s, void *object)
{
	if (!state_saving(s))
		return socket_file_load(s);
	socket_file_state(s, object);
	return object;
}

static void
file_one_ref(void *object)
{
	socket_file_ref(object);
}

static void
file_one_unref(void *object)
{
	struct socket_file *f = object;

	socket_file_unref(&f);
}

static const struct state_shared_kind channels = {
    "channels", channel_one, channel_one_ref, channel_one_unref};
static const struct state_shared_kind socket_files = {
    "socket_files", file_one, file_one_ref, file_one_unref};

void
state_channel(struct state *s, const char *name, struct channel **c)
{
	*c = state_shared(s, name, &channels, *c);
}

void
state_socket_file(struct state *s, const char *name, struct socket_file **f)
{
	*f = state_shared(s, name, &socket_files, *f);
}

void
state_held(struct state *s)
{
	state_shared_all(s, &channels);
	state_shared_all(s, &socket_files);
}
