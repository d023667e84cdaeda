/* SPDX-License-Identifier: MIT */
/*
 * Addresses as people write them. Host names are refused: looking one up could block the
 * supervisor, and what it listens on would depend on the resolver's mood that day.
 */
#include "supervisor/config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/base/state.h"

#define UNIX_PREFIX "unix:"

/* Instances are numbered from 0 to 255, which may need so much more room than %i. */
#define INDEX_GROWS 1

static int
parse_port(const char *text, unsigned *port)
{
	unsigned n = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(*text - '0');
		if (n > 65535)
			return -EINVAL;
	}
	*port = n;
	return 0;
}

/* The text between brackets; getaddrinfo knows scopes (fe80::1%eth0) where inet_pton does not. */
static int
parse_v6(const char *host, struct address *a)
{
	const struct addrinfo hints = {
	    .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *found = NULL;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return -EINVAL;
	memcpy(&a->in6, found->ai_addr, sizeof(a->in6));
	a->len = sizeof(a->in6);
	freeaddrinfo(found);
	return 0;
}

/* HOST is the part before the last colon, terminated; it may be empty. */
static int
parse_host(char *host, struct address *a, const char **why)
{
	size_t len = strlen(host);

	if (len == 0) {
		a->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
		a->len = sizeof(a->in6);
		a->any = true;
		return 0;
	}
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		*why = "there is no IPv6 address between the brackets";
		return parse_v6(host + 1, a);
	}
	if (strchr(host, ':') != NULL) {
		*why = "an IPv6 address needs brackets";
		return -EINVAL;
	}
	a->in = (struct sockaddr_in){.sin_family = AF_INET};
	a->len = sizeof(a->in);
	*why = "names are not looked up, so the host must be an address";
	return inet_pton(AF_INET, host, &a->in.sin_addr) == 1 ? 0 : -EINVAL;
}

/* Nothing but %i and %% may follow a percent sign: there may be more of them one day. */
static bool
good_percents(const char *path)
{
	for (const char *p = path; (p = strchr(p, '%')) != NULL; p += 2) {
		if (p[1] != 'i' && p[1] != '%')
			return false;
	}
	return true;
}

static int
parse_path(const char *path, struct address *out, const char **why)
{
	struct address a = {.un = {.sun_family = AF_UNIX}};
	size_t len = strlen(path), room = 0;

	*why = NULL;
	if (path[0] == '\0')
		*why = "the path is missing";
	else if (path[0] == '@')
		*why = "a Unix socket needs a path; names without a file are not supported";
	else if (path[len - 1] == '/')
		*why = "the path is a directory's";
	else if (!good_percents(path))
		*why = "in a path, % is followed by i (the instance's number) or %";
	for (const char *p = path; *why == NULL && (p = strstr(p, "%i")) != NULL; p += 2)
		room += INDEX_GROWS;
	if (*why == NULL && len + room >= sizeof(a.un.sun_path))
		*why = "a Unix socket's path has at most 107 bytes";
	if (*why != NULL)
		return -EINVAL;
	memcpy(a.un.sun_path, path, len);
	a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	*out = a;
	return 0;
}

int
address_parse(const char *text, struct address *out, const char **why)
{
	struct address a = {.any = false};
	const char *colon = strrchr(text, ':');
	char host[128];
	unsigned port;

	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_path(text + strlen(UNIX_PREFIX), out, why);
	if (colon == NULL || (text[0] == '[' && text[strlen(text) - 1] == ']')) {
		*why = "the port is missing";
		return -EINVAL;
	}
	if ((size_t)(colon - text) >= sizeof(host)) {
		*why = "the host is too long";
		return -EINVAL;
	}
	if (parse_port(colon + 1, &port) < 0) {
		*why = "the port is not a number from 0 to 65535";
		return -EINVAL;
	}
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (parse_host(host, &a, why) < 0)
		return -EINVAL;
	address_set_port(&a, port);
	*out = a;
	return 0;
}

bool
address_is_unix(const struct address *a)
{
	return a->sa.sa_family == AF_UNIX;
}

bool
address_has_index(const struct address *a)
{
	const char *p = a->un.sun_path;

	if (!address_is_unix(a))
		return false;
	while ((p = strchr(p, '%')) != NULL && p[1] != 'i')
		p += 2;
	return p != NULL;
}

struct address
address_of_instance(const struct address *base, unsigned index)
{
	struct address a = *base;
	char *to = a.un.sun_path;

	if (!address_is_unix(base)) {
		address_set_port(&a, address_port(&a) + index);
		return a;
	}
	/* There is room: parse_path has seen to it. */
	for (const char *from = base->un.sun_path; *from != '\0'; from++) {
		if (*from != '%')
			*to++ = *from;
		else if (*++from == '%')
			*to++ = '%';
		else
			to += sprintf(to, "%u", index);
	}
	memset(to, 0, sizeof(a.un.sun_path) - (size_t)(to - a.un.sun_path));
	a.len = (socklen_t)(to + 1 - (char *)&a.un);
	return a;
}

unsigned
address_port(const struct address *a)
{
	if (address_is_unix(a))
		return 0;
	return ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port);
}

void
address_set_port(struct address *a, unsigned port)
{
	if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons((uint16_t)port);
	else
		a->in.sin_port = htons((uint16_t)port);
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (address_is_unix(a) && address_is_unix(b))
		return strcmp(a->un.sun_path, b->un.sun_path) == 0;
	if (a->sa.sa_family != b->sa.sa_family || address_port(a) != address_port(b) ||
	    address_port(a) == 0)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0 &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

static bool
is_wildcard(const struct address *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == INADDR_ANY
					  : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

bool
address_overlap(const struct address *a, const struct address *b)
{
	if (address_is_unix(a) || address_is_unix(b))
		return address_is_unix(a) && address_is_unix(b) && address_equal(a, b);
	if (address_port(a) != address_port(b) || address_port(a) == 0)
		return false;
	if (a->any || b->any)
		return true;
	return a->sa.sa_family == b->sa.sa_family &&
	       (is_wildcard(a) || is_wildcard(b) || address_equal(a, b));
}

char *
address_text(TALLOC_CTX *mem, const struct address *a)
{
	char host[NI_MAXHOST];

	if (address_is_unix(a))
		return talloc_asprintf(mem, UNIX_PREFIX "%s", a->un.sun_path);
	if (a->any)
		return talloc_asprintf(mem, ":%u", address_port(a));
	if (getnameinfo(&a->sa, a->len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
		return talloc_strdup(mem, "?");
	return talloc_asprintf(
	    mem, a->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, address_port(a));
}

char *
address_url(TALLOC_CTX *mem, const struct address *a)
{
	struct address b = *a;
	char *text, *url;

	if (address_is_unix(a))
		return address_text(mem, a);
	if (a->any || (a->sa.sa_family == AF_INET && a->in.sin_addr.s_addr == INADDR_ANY))
		return talloc_asprintf(mem, "http://127.0.0.1:%u", address_port(a));
	if (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
		b.in6.sin6_addr = in6addr_loopback;
	text = address_text(mem, &b);
	url = talloc_asprintf(mem, "http://%s", text);
	talloc_free(text);
	return url;
}

/* A socket address is the kernel's own form, and always will be. */
void
address_state(struct state *s, const char *name, struct address *a)
{
	static const struct state_field fields[] = {STATE_FLAG(struct address, any)};
	struct state sub = state_object(s, name);

	a->len =
	    (socklen_t)state_bytes(&sub, "address", &a->sa, a->len, offsetof(struct address, len));
	STATE_FIELDS(&sub, a, fields);
	if (state_ok(s) && a->len < sizeof(a->sa.sa_family))
		state_fail(&sub, "address", "is missing");
}
