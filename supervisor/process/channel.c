/* SPDX-License-Identifier: MIT */
/* The supervisor's duplicates of a handover channel, and the messages that it sends itself. */
#include "supervisor/process/channel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/protocol.h"

/* More than a full window of offers and words about them, so that a message of the
 * supervisor's has room as well; the kernel gives as much of it as it allows. */
#define BUFFER_BYTES (1024 * 1024)

/* No more is dropped at a time: a peer that writes for ever must not keep us here. */
#define DROP_MAX 4096

struct channel {
	int give, take;
	unsigned holders;
};

static void
close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
channel_close(struct channel *c)
{
	close_end(&c->give);
	close_end(&c->take);
	return 0;
}

struct channel *
channel_adopt(int give_fd, int take_fd)
{
	struct channel *c = talloc_zero(NULL, struct channel);

	if (c == NULL)
		return NULL;
	*c = (struct channel){.give = give_fd, .take = take_fd, .holders = 1};
	talloc_set_destructor(c, channel_close);
	return c;
}

struct channel *
channel_new(void)
{
	struct channel *c = channel_adopt(-1, -1);
	const int bytes = BUFFER_BYTES;
	int ends[2];

	if (c == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		talloc_free(c);
		return NULL;
	}
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	c->give = ends[0];
	c->take = ends[1];
	return c;
}

struct channel *
channel_ref(struct channel *c)
{
	c->holders++;
	return c;
}

void
channel_unref(struct channel **c)
{
	if (*c != NULL && --(*c)->holders == 0)
		talloc_free(*c);
	*c = NULL;
}

int
channel_give_fd(const struct channel *c)
{
	return c->give;
}

int
channel_take_fd(const struct channel *c)
{
	return c->take;
}

static int
say(int fd, enum baton_handover_type type)
{
	const struct baton_handover_head head = {
	    .version = BATON_HANDOVER_VERSION, .type = (uint16_t)type};

	if (fd < 0)
		return -EBADF;
	return send(fd, &head, sizeof(head), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Reads one packet and forgets it: connections that it carries are closed here, which ends
 * nothing, for the giver has them as well. False when there is none. */
static bool
drop_one(int fd)
{
	char text[2048];
	union {
		char space[CMSG_SPACE(16 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};

	if (recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			close(got);
		}
	}
	return true;
}

static void
drop_unread(int fd)
{
	for (int i = 0; fd >= 0 && i < DROP_MAX && drop_one(fd); i++)
		;
}

/* The type of the next message, not taken; 0 when there is none that is well formed. */
static int
peek(int fd)
{
	struct baton_handover_head head;

	if (fd < 0 ||
	    recv(fd, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT) != (ssize_t)sizeof(head))
		return 0;
	return head.type;
}

int
channel_taker_gone(struct channel *c)
{
	int type, error;

	/* Answers only. A HELLO that the giver has not seen yet must stay: the giver may be told
	 * to end at this very moment, and closes its doors if nobody seems to follow. Behind a
	 * HELLO there are no answers, for nothing has been offered. */
	while ((type = peek(c->give)) == BATON_HANDOVER_HAVE || type == BATON_HANDOVER_REFUSE)
		drop_one(c->give);
	error = say(c->take, BATON_HANDOVER_TAKER_GONE);
	drop_unread(c->take);
	return error;
}

void
channel_renew(struct channel *c)
{
	drop_unread(c->take);
}

int
channel_called_off(struct channel *c)
{
	return say(c->take, BATON_HANDOVER_CALLED_OFF);
}

void
channel_giver_gone(struct channel *c)
{
	say(c->give, BATON_HANDOVER_GIVER_GONE);
	close_end(&c->give);
}

bool
channel_has_unread(const struct channel *c)
{
	struct baton_handover_head head;
	ssize_t n = c->take < 0
			? -1
			: recv(c->take, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);

	/* The supervisor's own word is the last: behind it there is nothing. */
	return n > 0 && (n < (ssize_t)sizeof(head) || head.type != BATON_HANDOVER_GIVER_GONE);
}
