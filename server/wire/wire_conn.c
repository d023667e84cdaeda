/* SPDX-License-Identifier: MIT */
/*
 * One connection, as libmicrohttpd knows it: what its requests, its answer and its record say, and
 * how much it has read ahead (readahead.c finds out where in the record that is).
 */
#include <errno.h>
#include <string.h>

#include "server/wire/parser.h"

void
wire_conn_init(struct wire_conn *c, struct wire *w, int fd)
{
	*c = (struct wire_conn){.wire = w, .fd = fd, .used_inexact = !w->traits.counts_heads};
}

bool
wire_conn_ended(const struct wire_conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return c->peer_done || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

size_t
parser_head_size(const struct wire_conn *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info == NULL ? 0 : info->header_size;
}

int
parser_status(const struct wire_conn *c)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_HTTP_STATUS);

	return info == NULL ? 0 : (int)info->http_status;
}

struct parser_extracts
parser_extracts(const struct wire_conn *c)
{
	return (struct parser_extracts){
	    MHD_get_connection_values(c->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL),
	    MHD_get_connection_values(c->mhd, MHD_COOKIE_KIND, NULL, NULL)};
}

size_t
wire_conn_word(const struct wire_conn *c, size_t at)
{
	size_t value;

	memcpy(&value, (const char *)c->mhd + at * sizeof(value), sizeof(value));
	return value;
}

const char *
readahead_begins(const struct wire_conn *c)
{
	size_t at = c->wire->traits.readahead_begins_at;

	return at == 0 ? NULL : (const char *)(uintptr_t)wire_conn_word(c, at);
}

bool
readahead_is(const struct wire_conn *c, size_t bytes)
{
	return c->wire->traits.readahead_at != 0 &&
	       wire_conn_word(c, c->wire->traits.readahead_at) == bytes;
}
