/* SPDX-License-Identifier: MIT */
/* Clients of the control socket when baton replaces itself: their descriptors, what they have
 * asked, and what they have not read. */
#include "supervisor/base/state.h"
#include "supervisor/control/client.h"

static void
plain(struct state *s, struct client *c)
{
	static const struct state_field fields[] = {
	    STATE_NUMBER(struct client, moved_ms),
	    STATE_NUMBER(struct client, heard),
	    STATE_FLAG(struct client, busy),
	    STATE_FLAG(struct client, eof),
	    STATE_FLAG(struct client, ending),
	};

	STATE_FIELDS(s, c, fields);
	c->in_used = state_bytes(s, "in", c->in, c->in_used, sizeof(c->in));
	state_blob(s, "out", c, &c->out, &c->out_used);
}

void
client_save(struct state *s, struct client *c)
{
	bool upgrader = c == c->sup->upgrader;
	int64_t yes = 1;

	state_fd(s, "fd", &c->fd);
	plain(s, c);
	follow_state(s, c->sup, c);
	if (upgrader)
		state_number(s, "upgrader", &yes);
}

struct client *
client_load(struct state *s, struct control *control, struct supervisor *sup)
{
	int fd = -1;
	struct client *c;

	state_fd(s, "fd", &fd);
	c = fd < 0 ? NULL : client_new(control, sup, fd);
	if (c == NULL) {
		state_fail(s, "fd", fd < 0 ? "is missing" : "there is no memory");
		return NULL;
	}
	plain(s, c);
	follow_state(s, sup, c);
	if (state_has(s, "upgrader"))
		client_later(c, &sup->upgrader);
	client_watch(c);
	return c;
}
