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

#include "server/internal.h"

#define TCP_ESTABLISHED_STATE 1 /* enum in netinet/tcp.h, which linux/tcp.h excludes */

/* Far beyond what is ever unread: each byte taken lowers the peek offset by one. */
#define PEEK_START (1 << 30)

void
account_open(struct http_conn *c)
{
	int on = PEEK_START;

	if (c->peer.ss_family == AF_UNIX)
		c->uncertain = setsockopt(c->fd, SOL_SOCKET, SO_PEEK_OFF, &on, sizeof(on)) != 0;
}

int
account_unread(const struct http_conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCINQ, &n) == 0 ? n : 0;
}

/* Bytes taken from the socket since it was accepted; negative if that cannot be told. */
static int64_t
taken(const struct http_conn *c)
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
	/* In this order: what arrives in between makes it look busier, never idle. */
	unread = account_unread(c);
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
	    len <= offsetof(struct tcp_info, tcpi_bytes_received))
		return -1;
	return (int64_t)info.tcpi_bytes_received - unread;
}

bool
account_partial(const struct http_conn *c)
{
	return !c->uncertain && taken(c) > c->used;
}

bool
account_between_requests(const struct http_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (c->uncertain || taken(c) != c->used)
		return false;
	/* Of one that is ending there is nothing to give. */
	return c->peer.ss_family == AF_UNIX ||
	       (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
		   info.tcpi_state == TCP_ESTABLISHED_STATE);
}

int64_t
account_silent_ms(const struct http_conn *c)
{
	int64_t since = c->server->now_ms - c->since_ms;
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (c->peer.ss_family == AF_UNIX ||
	    getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return since;
	return info.tcpi_last_data_recv < since ? (int64_t)info.tcpi_last_data_recv : since;
}

int64_t
account_sent(const struct http_conn *c)
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
