/* SPDX-License-Identifier: MIT */
/*
 * A ring by which one thread hands things out to many. Nobody waits for anybody: who is preempted
 * in the middle of taking something has not got it yet, and holds nothing.
 */
#ifndef BATON_SERVER_RING_H
#define BATON_SERVER_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>

struct ring {
	_Atomic(void *) *slots;
	size_t size;        /* a power of 2 */
	atomic_size_t head; /* so many were ever put */
	atomic_size_t tail; /* and so many taken; where the next one is, modulo size */
};

/* Room for so many, in memory under mem. 0, or -ENOMEM. */
int ring_init(struct ring *r, TALLOC_CTX *mem, size_t room);
/* One thread at a time puts, and never more than there is room for. */
void ring_put(struct ring *r, void *item);
/* In any thread: the one that was put first; NULL if there is none. */
void *ring_take(struct ring *r);

/* The two steps of ring_take: looks at what comes next, and takes it, unless another thread has
 * taken it meanwhile; then what was seen may be anything. */
void *ring_see(const struct ring *r, size_t *place);
bool ring_claim(struct ring *r, size_t place);

#endif
