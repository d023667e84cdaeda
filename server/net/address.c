/* SPDX-License-Identifier: MIT */
/*
 * How many connections each client address has: only where connections_per_address_max asks
 * for it, since behind a proxy everybody comes from one address.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "server/net/net.h"

#define BUCKETS 4096

struct address {
	struct address *next;
	struct in6_addr addr; /* IPv4 as mapped */
	int64_t n;
};

struct addresses {
	int64_t max;
	struct address *buckets[BUCKETS];
};

int
address_start(struct net *net)
{
	net->addresses = talloc_zero(net->mem, struct addresses);
	if (net->addresses == NULL)
		return -ENOMEM;
	net->addresses->max = net->set->connections_per_address_max;
	return 0;
}

/* The address in one form; false for what has none. */
static bool
address_of(const struct http_conn *c, struct in6_addr *addr)
{
	if (c->wire.peer.ss_family == AF_INET6) {
		*addr = ((const struct sockaddr_in6 *)&c->wire.peer)->sin6_addr;
		return true;
	}
	if (c->wire.peer.ss_family != AF_INET)
		return false;
	memset(addr, 0, sizeof(*addr));
	addr->s6_addr[10] = addr->s6_addr[11] = 0xff;
	memcpy(&addr->s6_addr[12], &((const struct sockaddr_in *)&c->wire.peer)->sin_addr, 4);
	return true;
}

/* Where the address is linked, or would be. */
static struct address **
place(struct addresses *a, const struct in6_addr *addr)
{
	uint64_t hi, lo;
	struct address **at;

	memcpy(&hi, addr->s6_addr, 8);
	memcpy(&lo, addr->s6_addr + 8, 8);
	at = &a->buckets[((hi ^ lo) * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS];
	while (*at != NULL && memcmp(&(*at)->addr, addr, sizeof(*addr)) != 0)
		at = &(*at)->next;
	return at;
}

bool
address_count(struct addresses *a, struct http_conn *c)
{
	struct in6_addr addr;
	struct address **at;

	if (a == NULL || c->counted || !address_of(c, &addr))
		return true;
	at = place(a, &addr);
	if (*at == NULL) {
		*at = talloc_zero(a, struct address);
		if (*at == NULL)
			return false;
		(*at)->addr = addr;
	}
	if ((*at)->n >= a->max)
		return false;
	(*at)->n++;
	c->counted = true;
	return true;
}

void
address_uncount(struct addresses *a, struct http_conn *c)
{
	struct in6_addr addr;
	struct address **at, *gone;

	if (a == NULL || !c->counted || !address_of(c, &addr))
		return;
	c->counted = false;
	at = place(a, &addr);
	if (*at != NULL && --(*at)->n == 0) {
		gone = *at;
		*at = gone->next;
		talloc_free(gone);
	}
}
