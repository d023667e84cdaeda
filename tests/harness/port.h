/* SPDX-License-Identifier: MIT */
/* Ports of 127.0.0.1 that nobody uses, also not another test on this machine. */
#ifndef BATON_TESTS_PORT_H
#define BATON_TESTS_PORT_H

#include "tests/harness/harness.h"

/*
 * The first of `count` ports in a row, all free and reserved for this process until it ends.
 * They lie outside the range from which the kernel takes ports for outgoing connections.
 */
uint16_t port_free(int count);
#define port_free(...) HARNESS_HERE(port_free(__VA_ARGS__))

/* "127.0.0.1:PORT", in harness_mem(). */
const char *port_address(uint16_t port);

#endif
