/* SPDX-License-Identifier: MIT */
/*
 * What has several holders: handover channels (who gives, who takes, the instance that keeps what
 * the dead left), and files of Unix sockets (one for all instances with shared sockets). In the
 * document each stands once, in an array of its kind, and holders name it by its place there.
 */
#include "supervisor/base/state_internal.h"
#include "supervisor/process/channel.h"
#include "supervisor/sockets/socket_file.h"
#include "supervisor/upgrade/state_tree.h"

static void
channel_save(struct state *s, void *object)
{
	int give = channel_give_fd(object), take = channel_take_fd(object);

	state_fd(s, "give", &give);
	state_fd(s, "take", &take);
}

static void *
channel_load(struct state *s)
{
	int give = -1, take = -1;

	state_fd(s, "give", &give);
	state_fd(s, "take", &take);
	return state_ok(s) ? channel_adopt(give, take) : NULL;
}

static void
channel_more(void *object)
{
	channel_hold(object);
}

static void
channel_less(void *object)
{
	struct channel *c = object;

	channel_drop(&c);
}

static void
file_save(struct state *s, void *object)
{
	socket_file_state(s, object);
}

static void *
file_load(struct state *s)
{
	return socket_file_load(s);
}

static void
file_more(void *object)
{
	socket_file_hold(object);
}

static void
file_less(void *object)
{
	struct socket_file *f = object;

	socket_file_drop(&f);
}

static const struct kind {
	const char *name;
	void (*save)(struct state *s, void *object);
	void *(*load)(struct state *s); /* with one holder: the document */
	void (*more)(void *object);
	void (*less)(void *object);
} kinds[STATE_SHARED_KINDS] = {
    [STATE_CHANNEL] = {"channels", channel_save, channel_load, channel_more, channel_less},
    [STATE_SOCKET_FILE] = {"socket_files", file_save, file_load, file_more, file_less},
};

/* Its place, -1 if there is no memory for one more. */
static int64_t
place_of(struct state_doc *doc, enum state_shared_kind kind, void *object)
{
	void **all = doc->shared[kind];
	size_t n = talloc_array_length(all);

	for (size_t i = 0; i < n; i++) {
		if (all[i] == object)
			return (int64_t)i;
	}
	all = talloc_realloc(doc, all, void *, (unsigned)n + 1);
	if (all == NULL)
		return -1;
	doc->shared[kind] = all;
	all[n] = object;
	return (int64_t)n;
}

/* OBJECT is what is held; returns it, when reading with one holder more. */
static void *
shared(struct state *s, const char *name, enum state_shared_kind kind, void *object)
{
	int64_t place = -1;

	if (state_saving(s) && object == NULL)
		return NULL;
	if (state_saving(s)) {
		place = place_of(s->doc, kind, object);
		if (place < 0)
			state_fail(s, name, "there is no memory");
	}
	state_number(s, name, &place);
	if (state_saving(s) || !state_ok(s) || place == -1)
		return object;
	if (place < 0 || (size_t)place >= talloc_array_length(s->doc->shared[kind])) {
		state_fail(
		    s, name, "there is nothing at %lld of %s", (long long)place, kinds[kind].name);
		return object;
	}
	kinds[kind].more(s->doc->shared[kind][place]);
	return s->doc->shared[kind][place];
}

void
state_channel(struct state *s, const char *name, struct channel **c)
{
	*c = shared(s, name, STATE_CHANNEL, *c);
}

void
state_socket_file(struct state *s, const char *name, struct socket_file **f)
{
	*f = shared(s, name, STATE_SOCKET_FILE, *f);
}

static void
all_of(struct state *s, enum state_shared_kind kind)
{
	const char *name = kinds[kind].name;
	unsigned n = state_array(s, name, talloc_array_length(s->doc->shared[kind]));

	if (!state_saving(s) && n > 0)
		s->doc->shared[kind] = talloc_zero_array(s->doc, void *, n);
	if (n > 0 && s->doc->shared[kind] == NULL)
		state_fail(s, name, "there is no memory");
	for (unsigned i = 0; i < n && state_ok(s); i++) {
		struct state sub = state_element(s, name, i);

		if (state_saving(s)) {
			kinds[kind].save(&sub, s->doc->shared[kind][i]);
			continue;
		}
		s->doc->shared[kind][i] = kinds[kind].load(&sub);
		if (s->doc->shared[kind][i] == NULL)
			state_fail(s, name, "there is no memory");
	}
}

void
state_shared(struct state *s)
{
	for (int kind = 0; kind < STATE_SHARED_KINDS; kind++)
		all_of(s, (enum state_shared_kind)kind);
}

void
state_shared_done(struct state_doc *doc)
{
	for (int kind = 0; kind < STATE_SHARED_KINDS; kind++) {
		for (size_t i = 0; i < talloc_array_length(doc->shared[kind]); i++)
			kinds[kind].less(doc->shared[kind][i]);
		TALLOC_FREE(doc->shared[kind]);
	}
}
