/* SPDX-License-Identifier: MIT */
/*
 * The handover channel: its messages. What each side does at each is in net/conn_life.c. The order OFFER, HAVE, YOURS means: at any moment exactly one process may
 * read from a connection, and whichever of the two dies, the other one knows whose it is.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/handover/channel.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int
handover_send(int channel, enum baton_handover_type type, uint64_t id,
    const struct baton_handover_state *state, int fd)
{
	struct baton_handover_head head = {.version = BATON_HANDOVER_VERSION,
	    .type = (uint16_t)type,
	    .size = state != NULL ? sizeof(*state) : 0,
	    .id = id};
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)state, head.size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = state != NULL ? 2 : 1};
	union control control = {0};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The last fd that came; *n says how many there were, the others being closed. */
static int
received_fd(struct msghdr *msg, int *n)
{
	int fd = -1;

	*n = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
			if (fd >= 0)
				close(fd);
			memcpy(&fd, (char *)c + at, sizeof(fd));
			(*n)++;
		}
	}
	return fd;
}

static bool
well_formed(const struct handover_message *m, const struct baton_handover_head *head, size_t size)
{
	if (size < sizeof(*head) || head->version == 0 || size - sizeof(*head) != head->size)
		return false;
	/* What other types of a later version mean, and carry, is not known. */
	if (head->type != BATON_HANDOVER_OFFER)
		return m->fd < 0 || head->type > BATON_HANDOVER_GIVER_GONE;
	return memchr(m->state.listener, '\0', sizeof(m->state.listener)) != NULL &&
	       m->state.peer_size <= sizeof(m->state.peer);
}

/* An empty packet looks like the end. */
static bool
has_ended(int channel)
{
	struct pollfd pfd = {.fd = channel, .events = POLLRDHUP};
	int left = 0;

	return poll(&pfd, 1, 0) > 0 && (ioctl(channel, SIOCINQ, &left) != 0 || left == 0);
}

static ssize_t
receive(int channel, struct msghdr *msg)
{
	ssize_t n = recvmsg(channel, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	/* Said once, before what is left to read: the other side had not read all of ours. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(channel, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	return n;
}

int
handover_receive(int channel, struct handover_message *m)
{
	/* Room for a state that a later version has extended. */
	struct {
		struct baton_handover_head head;
		char state[1024];
	} packet;
	struct iovec iov = {&packet, sizeof(packet)};
	union control control;
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n = receive(channel, &msg);
	size_t known;
	int fds;

	if (n < 0)
		return -errno;
	memset(m, 0, sizeof(*m));
	m->fd = received_fd(&msg, &fds);
	if (n == 0 && fds == 0 && has_ended(channel))
		return 0;
	known = (size_t)n - sizeof(packet.head);
	if ((size_t)n > sizeof(packet.head))
		memcpy(
		    &m->state, packet.state, known < sizeof(m->state) ? known : sizeof(m->state));
	if ((msg.msg_flags & MSG_TRUNC) != 0 || fds > 1 ||
	    !well_formed(m, &packet.head, (size_t)n)) {
		if (m->fd >= 0)
			close(m->fd);
		m->fd = -1;
		return -EBADMSG;
	}
	m->type = packet.head.type;
	m->id = packet.head.id;
	return 1;
}
