/* SPDX-License-Identifier: MIT */
/*
 * Accounting: what the kernel says of a connection's bytes, held against what its requests
 * used. Bytes taken from the socket that no complete request has used are in the parser: the
 * beginning of a request.
 */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "server/wire/probe.h"

#define TCP_ESTABLISHED_STATE 1 /* enum in netinet/tcp.h, which linux/tcp.h excludes */

/* Far beyond what is ever unread: each byte taken lowers the peek offset by one. */
#define PEEK_START (1 << 30)
/* The kernel keeps no offset below 0, so it is set anew before it comes there. */
#define PEEK_AGAIN (1 << 28)

/* Framing is looked at after so many pieces of content, for a look is two system calls. */
#define PIECES_A_LOOK 16
/* So many bytes of framing are always allowed: more than the parser can have read ahead. */
#define FRAMING_FREE  (128 << 10)

void
account_open(struct wire_conn *c)
{
	int on = PEEK_START;

	if (c->peer.ss_family == AF_UNIX &&
	    setsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof(on)) != 0)
		c->used_inexact = true;
}

int
account_unread(const struct wire_conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCINQ, &n) == 0 ? n : 0;
}

/* Bytes taken from the socket since it was accepted; negative if that cannot be told. */
static int64_t
taken(const struct wire_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int unread, offset;

	if (c->peer.ss_family == AF_UNIX) {
		len = sizeof(offset);
		if (getsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) != 0)
			return -1;
		return ((int64_t)PEEK_START - offset) & (PEEK_START - 1);
	}
	/* The order matters: what arrives in between makes the connection look busier, never idle. */
	unread = account_unread(c);
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len <= offsetof(struct tcp_info, tcpi_bytes_received))
		return -1;
	return (int64_t)info.tcpi_bytes_received - unread;
}

void
account_use(struct wire_conn *c, size_t bytes)
{
	socklen_t len = sizeof(int);
	int offset;

	c->used += (int64_t)bytes;
	if (c->peer.ss_family != AF_UNIX || c->used < PEEK_AGAIN || c->used >= PEEK_START)
		return;
	/* `used` and the offset count from here on; the difference, what the parser holds, stays. */
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) != 0)
		return;
	offset += (int)c->used;
	if (setsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0)
		c->used = 0;
}

/*
 * What was taken and is no content is framing: the lines of chunks. Each has a few bytes for its
 * size; those with long extensions around little content have no use but to keep us busy. The
 * bound is Go's: 16 bytes and two line ends for each chunk, and twice the content.
 */
bool
account_framing_fair(struct wire_conn *c, struct http_request *req)
{
	int64_t all, framing;

	if (++req->pieces % PIECES_A_LOOK != 0 || c->used_inexact || (all = taken(c)) < 0)
		return true;
	framing = all - (int64_t)req->body_len;
	/* What came before this request is in it, so what counts is how it grows. */
	if (req->pieces == PIECES_A_LOOK)
		req->framing_before = framing;
	return framing - req->framing_before <=
	       FRAMING_FREE + 20 * (int64_t)req->pieces + 2 * (int64_t)req->body_len;
}

/*
 * Between requests, what was taken is what was used and what the parser has left. If it has
 * nothing left, all of it was used, although framing and empty lines were not counted, nor is
 * urgent data, which nobody reads.
 */
static void
settle(struct wire_conn *c, int64_t all)
{
	if (c->current == NULL && all >= 0 && readahead_is(c, 0))
		c->used = all;
}

bool
account_partial(struct wire_conn *c)
{
	int64_t all;

	if (c->used_inexact)
		return false;
	all = taken(c);
	settle(c, all);
	return all > c->used;
}

int64_t
account_pending(struct wire_conn *c)
{
	int64_t all;

	if (c->used_inexact)
		return 0;
	all = taken(c);
	return all > c->used ? all - c->used : 0;
}

bool
account_mute(const struct wire_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return c->peer.ss_family != AF_UNIX &&
	       getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       len >= offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent) &&
	       info.tcpi_bytes_sent == 0 && info.tcpi_notsent_bytes == 0;
}

bool
account_between_requests(struct wire_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int64_t all;

	if (c->used_inexact || c->current != NULL)
		return false;
	all = taken(c);
	settle(c, all);
	if (all != c->used || (c->wire->traits.readahead_at != 0 && !readahead_is(c, 0)))
		return false;
	/* A connection that the peer or we are ending is not worth giving away. */
	return c->peer.ss_family == AF_UNIX ||
	       (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		   info.tcpi_state == TCP_ESTABLISHED_STATE);
}

bool
account_untouched(const struct wire_conn *c)
{
	return taken(c) == c->used;
}

void
account_note_inexact(struct wire_conn *c)
{
	if (c->wire->traits.readahead_at == 0 && c->current == NULL && account_unread(c) == 0 &&
	    account_partial(c))
		c->used_inexact = true;
}

int64_t
account_silent_ms(const struct wire_conn *c, int64_t idle_ms)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (c->peer.ss_family == AF_UNIX ||
	    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return idle_ms;
	return info.tcpi_last_data_recv < idle_ms ? (int64_t)info.tcpi_last_data_recv : idle_ms;
}

int64_t
account_sent(const struct wire_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int queued = 0;

	if (c->peer.ss_family == AF_UNIX) /* the peer's unread bytes: they shrink as it reads */
		return ioctl(c->fd, SIOCOUTQ, &queued) == 0 ? -(int64_t)queued : 0;
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	return (int64_t)info.tcpi_bytes_acked;
}
