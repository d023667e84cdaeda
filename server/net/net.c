/* SPDX-License-Identifier: MIT */
/* What net/ has: at first, and at the end. */
#include <unistd.h>

#include "server/net/net.h"

void
net_init(struct net *net, TALLOC_CTX *mem, struct wire *wire, const int64_t *now_ms)
{
	*net = (struct net){.set = wire->set,
	    .counters = wire->counters,
	    .wire = wire,
	    .now_ms = now_ms,
	    .mem = mem,
	    .epoll_fd = -1};
	TAILQ_INIT(&net->listeners);
	TAILQ_INIT(&net->conns);
	for (int list = 0; list < CONN_LISTS; list++)
		TAILQ_INIT(&net->in[list]);
	TAILQ_INIT(&net->oldest);
	TAILQ_INIT(&net->hups);
	TAILQ_INIT(&net->lingers);
}

void
net_close(struct net *net)
{
	struct listener *l;

	TAILQ_FOREACH(l, &net->listeners, entry) {
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
	TALLOC_FREE(net->addresses);
}
