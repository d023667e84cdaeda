/* SPDX-License-Identifier: MIT */
/*
 * Free ports (see port.h). Binding port 0 would give one that a client's connection can take
 * between our look and the program's bind; so ports come from below the ephemeral range, and
 * an abstract Unix socket named by the port keeps other tests away until this process ends.
 */
#include "tests/harness/port.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#undef port_free

enum { PORT_FIRST = 15000, PORT_LAST = 32000, PORT_TRIES = 2000 };

/* The reservation's socket, or -1. */
static int
reserve(int port)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int len =
	    snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "baton-test-port-%d", port);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		harness_fail("no socket to reserve a port with: %m");
	if (bind(fd, (struct sockaddr *)&name,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
can_bind(int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
take_row(int base, int count, int held[])
{
	for (int i = 0; i < count; i++) {
		held[i] = reserve(base + i);
		if (held[i] >= 0 && can_bind(base + i))
			continue;
		for (int j = 0; j <= i; j++)
			if (held[j] >= 0)
				close(held[j]);
		return false;
	}
	return true;
}

uint16_t
port_free(int count)
{
	unsigned int random = 0;
	int held[64];

	if (count < 1 || count > 64)
		harness_fail("port_free(%d): 1 to 64 ports", count);
	for (int tries = 0; tries < PORT_TRIES; tries++) {
		int base;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			harness_fail("no random number: %m");
		base = PORT_FIRST + (int)(random % (PORT_LAST - PORT_FIRST - 64));
		if (take_row(base, count, held))
			return (uint16_t)base;
	}
	harness_fail("no %d free ports in a row between %d and %d", count, PORT_FIRST, PORT_LAST);
}

const char *
port_address(uint16_t port)
{
	return talloc_asprintf(harness_mem(), "127.0.0.1:%u", port);
}
