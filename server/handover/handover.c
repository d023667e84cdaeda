/* SPDX-License-Identifier: MIT */
/* What a handover has: at first, what the environment names, and at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/handover/channel.h"
#include "server/handover/handover.h"

void
handover_init(struct handover *h, struct net *net, struct sched *sched)
{
	*h = (struct handover){.set = net->set,
	    .counters = net->counters,
	    .now_ms = net->now_ms,
	    .mem = net->mem,
	    .net = net,
	    .sched = sched,
	    .give_fd = -1,
	    .take_fd = -1,
	    .spare_fd = -1,
	    .source_give = SOURCE_GIVE,
	    .source_take = SOURCE_TAKE,
	    .source_spare = SOURCE_SPARE};
	net->events = &give_events;
	net->data = h;
}

static int
usable(long fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (fd < 0 || getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type != SOCK_SEQPACKET)
		return -1;
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

static void
inherit_channels(struct handover *h)
{
	const char *value = getenv(BATON_ENV_HANDOVER);
	char *end;

	h->give_fd = h->take_fd = -1;
	if (value != NULL) {
		h->give_fd = usable(strtol(value, &end, 10));
		if (*end == ',')
			h->take_fd = usable(strtol(end + 1, NULL, 10));
	}
	unsetenv(BATON_ENV_HANDOVER);
}

int
handover_inherit(struct handover *h)
{
	h->notify = notify_new(h->mem);
	if (h->notify == NULL)
		return -ENOMEM;
	inherit_channels(h);
	return 0;
}

int
handover_watch(struct handover *h)
{
	int err = 0;

	if (h->give_fd >= 0)
		err = source_watch(h->net->epoll_fd, h->give_fd, &h->source_give);
	if (err == 0 && h->take_fd >= 0)
		err = source_watch(h->net->epoll_fd, h->take_fd, &h->source_take);
	return err;
}

void
handover_close(struct handover *h)
{
	if (h->give_fd >= 0)
		close(h->give_fd);
	if (h->take_fd >= 0)
		close(h->take_fd);
	if (h->spare_fd >= 0)
		close(h->spare_fd);
	h->give_fd = h->take_fd = h->spare_fd = -1;
	TALLOC_FREE(h->notify);
}
