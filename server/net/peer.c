/* SPDX-License-Identifier: MIT */
/*
 * A peer's address as text, made once for each connection.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "server/net/net.h"

/* Decimal; returns where it ends. */
static char *
put_number(char *p, unsigned n)
{
	char reversed[10];
	int len = 0;

	do
		reversed[len++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	while (len > 0)
		*p++ = reversed[--len];
	return p;
}

static char *
put_ipv4(char *p, const uint8_t octets[4])
{
	for (int i = 0; i < 4; i++) {
		p = put_number(p, octets[i]);
		*p++ = i < 3 ? '.' : ':';
	}
	return p;
}

void
peer_format(const struct sockaddr_storage *ss, char text[PEER_TEXT_BYTES])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	char *p = text;

	if (ss->ss_family == AF_INET) {
		p = put_number(put_ipv4(p, (const uint8_t *)&in->sin_addr), ntohs(in->sin_port));
	} else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		/* An IPv4 client of a socket for both is named as one. */
		p = put_ipv4(p, &in6->sin6_addr.s6_addr[12]);
		p = put_number(p, ntohs(in6->sin6_port));
	} else if (ss->ss_family == AF_INET6) {
		*p++ = '[';
		inet_ntop(AF_INET6, &in6->sin6_addr, p, INET6_ADDRSTRLEN);
		p += strlen(p);
		*p++ = ']';
		*p++ = ':';
		p = put_number(p, ntohs(in6->sin6_port));
	} else if (ss->ss_family == AF_UNIX) {
		p = stpcpy(p, "unix");
	}
	*p = '\0';
}
