/* SPDX-License-Identifier: MIT */
/* Experiments with a parser before serving: for parser_probe.c, guard_selftest.c and readahead.c. */
#ifndef BATON_WIRE_PROBE_H
#define BATON_WIRE_PROBE_H

#include "server/wire/wire.h"

/* So many the parser has taken out of a head. */
struct parser_extracts {
	int arguments, cookies;
};

/* The word at that place (in words) of the parser's record of a connection. */
size_t wire_conn_word(const struct wire_conn *c, size_t at);
/* What it has taken out of the head of the current request. */
struct parser_extracts parser_extracts(const struct wire_conn *c);

/* A parser of its own for an experiment, on socket pairs. */
struct probe {
	TALLOC_CTX *mem;
	struct http_settings set;
	struct counters counters;
	struct wire wire;
	unsigned open_n;                   /* connections */
	STAILQ_HEAD(, http_request) ready; /* complete, not answered yet */
	struct parser_extracts extracted;  /* of the last head */
	size_t head_size;
	/* Shown each request that is complete, if not NULL. */
	void (*seen)(void *data, const struct http_request *req);
	void *data;
};

/* With the traits that are known so far. Close it in any case. */
int probe_open(struct probe *p, struct wire *w);
void probe_close(struct probe *p);
/* A connection; *fd is the client's end. NULL if there is none; then *fd is -1. */
struct wire_conn *probe_connect(struct probe *p, int *fd);
/* The parser runs; what is ready is answered with 200. */
void probe_turn(struct probe *p);

/* ---- readahead.c: what the parser has read and not used ------------------------------------------------ */

/* Finds out where the parser keeps how much it has read ahead: traits.readahead_at. */
void readahead_learn(struct wire *w);
/* Finds out where it keeps where that begins: traits.readahead_begins_at. */
void readahead_learn_where(struct wire *w);
#endif
