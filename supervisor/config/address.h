/* SPDX-License-Identifier: MIT */
/* Addresses to listen on, as people write them: 127.0.0.1:8080, [::1]:8080, :8080, unix:/run/x. */
#ifndef SUPERVISOR_ADDRESS_H
#define SUPERVISOR_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>
#include <talloc.h>

/* The forms that address_parse takes; error messages and the manual say it in these words. */
#define ADDRESS_FORMS "IPV4:PORT, [IPV6]:PORT, :PORT or unix:PATH"

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un; /* as written, until address_of_instance */
	};
	socklen_t len;
	bool any; /* was written ":port": both families, if the kernel has both */
};

/* Reads TEXT. Returns 0, or -EINVAL with *WHY saying what is wrong with it (static text). */
int address_parse(const char *text, struct address *out, const char **why);

bool address_is_unix(const struct address *a);
/* Whether it is a Unix socket's path with %i in it. */
bool address_has_index(const struct address *a);

/* What instance INDEX listens on: the port plus INDEX, or the path with INDEX for %i. */
struct address address_of_instance(const struct address *base, unsigned index);

/* 0 for a Unix socket. */
unsigned address_port(const struct address *a);
void address_set_port(struct address *a, unsigned port);

/* Same family, host and port, or path. Ports of 0 (the kernel chooses) are never the same. */
bool address_equal(const struct address *a, const struct address *b);

/* Whether no two sockets can listen on them at a time: they are equal, or one of them is a wildcard
 * of the other's family (or both families) with the same port. Ports of 0 never do. */
bool address_overlap(const struct address *a, const struct address *b);

/* "127.0.0.1:8080", as address_parse would read it. */
char *address_text(TALLOC_CTX *mem, const struct address *a);

/* "http://127.0.0.1:8080"; a wildcard becomes the loopback address, so that it can be tried. A
 * Unix socket has no URL of its own: it stays as it is. */
char *address_url(TALLOC_CTX *mem, const struct address *a);

struct state;
/* To the document of state.h or from it. */
void address_state(struct state *s, const char *name, struct address *a);

#endif
