/* SPDX-License-Identifier: MIT */
/*
 * Clients that go on asking in the background while the test restarts or kills something.
 * They never send anything twice; GET and POST in turn; every body is checked byte for byte.
 */
#ifndef BATON_TESTS_LOAD_H
#define BATON_TESTS_LOAD_H

#include "tests/harness/harness.h"

struct load;

struct load_spec {
	uint16_t port;      /* of 127.0.0.1; client i uses port + i % ports */
	int ports;          /* 0 means 1 */
	int keepalive;      /* clients that keep their connection while the server does */
	int oneshot;        /* clients that open a connection for each request */
	int gap_ms;         /* a pause after each answer */
	const char *get;    /* target of GETs, NULL for "/" */
	const char *expect; /* their whole body, NULL for "hello\n" */
	const char *post;   /* target of POSTs, which returns the body; NULL for "/echo" */
	size_t post_bytes;  /* their length (it varies by a few bytes); 0: no POSTs */
	bool chunked;       /* POSTs are sent chunked */
};

struct load_result {
	uint64_t ok;       /* status 200 and the right body */
	uint64_t failed;   /* no answer, or a broken one, to a request sent on a connection that
			      the server had not announced to close */
	uint64_t refused;  /* a connect was refused or reset */
	uint64_t reopened; /* a keep-alive client needed another connection */
	uint64_t other;    /* answers with another status */
	uint64_t wrong;    /* status 200 with another body than expected */
	char why[1024];    /* the first few things that went wrong, one a line */
};

struct load *load_start(const struct load_spec *spec);
#define load_start(...) HARNESS_HERE(load_start(__VA_ARGS__))

/* Waits until that many more requests have been answered (with 200) than now. */
void load_wait_ok(struct load *l, uint64_t more);
#define load_wait_ok(...) HARNESS_HERE(load_wait_ok(__VA_ARGS__))

/* The counts of this moment. */
struct load_result load_so_far(struct load *l);

/* Lets every request in flight have its answer, then ends. */
struct load_result load_stop(struct load *l);
#define load_stop(...) HARNESS_HERE(load_stop(__VA_ARGS__))

/* Fails the test unless everything was answered well: only `reopened` may be positive. */
void load_assert_clean(const struct load_result *r);
#define load_assert_clean(...) HARNESS_HERE(load_assert_clean(__VA_ARGS__))

#endif
