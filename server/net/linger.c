/* SPDX-License-Identifier: MIT */
/*
 * Lingering close (RFC 9112 section 9.6): when we end a connection whose peer may still be
 * sending, closing at once would make the kernel answer with a reset, which can destroy our
 * last answer before it is read. A duplicate of the fd is read until its end for a while. If
 * the parser still has the connection by then, this is what ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/net/net.h"

#define LINGER_MS     2000
/* Beyond so many, the one that has lingered for longest goes: most peers need a round trip. */
#define LINGERS_MAX   256
/* Of one peer in one turn: those who are served do not wait for what is thrown away. */
#define READS_AT_ONCE 4

struct lingering {
	enum source source;
	int fd; /* a duplicate, ours */
	int64_t until_ms;
	TAILQ_ENTRY(lingering) entry;
};

static int
linger_destroy(struct lingering *l)
{
	/* It may not be the last duplicate; and the parser, if it has one, is told by this. */
	shutdown(l->fd, SHUT_RDWR);
	close(l->fd);
	return 0;
}

static void
linger_end(struct net *net, struct lingering *l)
{
	TAILQ_REMOVE(&net->lingers, l, entry);
	net->lingers_n--;
	/* Not by its close: a predecessor may still have a duplicate. */
	source_unwatch(net->epoll_fd, l->fd);
	talloc_free(l);
}

bool
linger_make_room(struct net *net)
{
	struct lingering *oldest = TAILQ_FIRST(&net->lingers);

	if (oldest != NULL)
		linger_end(net, oldest);
	return oldest != NULL;
}

static int
duplicate(struct net *net, int fd)
{
	int copy;

	do
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	while (copy < 0 && errno == EMFILE && linger_make_room(net));
	return copy;
}

bool
linger_start(struct net *net, int fd)
{
	struct lingering *l = talloc_zero(net->mem, struct lingering);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = l};

	if (l == NULL)
		return false;
	l->source = SOURCE_LINGER;
	if (net->lingers_n >= LINGERS_MAX)
		(void)linger_make_room(net);
	l->fd = duplicate(net, fd);
	if (l->fd < 0) {
		talloc_free(l);
		return false;
	}
	talloc_set_destructor(l, linger_destroy);
	l->until_ms = *net->now_ms + LINGER_MS;
	shutdown(l->fd, SHUT_WR);
	TAILQ_INSERT_TAIL(&net->lingers, l, entry);
	net->lingers_n++;
	if (epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) != 0)
		linger_end(net, l);
	return true;
}

void
linger_read(struct net *net, struct lingering *l)
{
	char buf[16384];
	ssize_t n = 1;

	for (int i = 0; i < READS_AT_ONCE && n > 0; i++)
		n = recv(l->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		linger_end(net, l);
}

int64_t
linger_expire(struct net *net)
{
	struct lingering *l;

	while ((l = TAILQ_FIRST(&net->lingers)) != NULL && l->until_ms <= *net->now_ms)
		linger_end(net, l);
	return l == NULL ? INT64_MAX : l->until_ms;
}
