/* SPDX-License-Identifier: MIT */
/*
 * The ring looks first and takes then. A thread that took a ticket first and emptied its slot
 * afterwards could be preempted in between, for longer than the others need to come round: then
 * the next item would overwrite the one that it has a ticket for. Here a slot is free as soon as
 * `tail` has moved past it; who has seen it before that finds that it has moved, and looks anew.
 * `tail` counts on and never comes back to a number.
 */
#include <errno.h>

#include "server/engine/ring.h"

int
ring_init(struct ring *r, TALLOC_CTX *mem, size_t room)
{
	for (r->size = 4; r->size < room;)
		r->size *= 2;
	r->slots = talloc_zero_array(mem, _Atomic(void *), (unsigned)r->size);
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	return r->slots == NULL ? -ENOMEM : 0;
}

void
ring_put(struct ring *r, void *item)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store(&r->slots[head & (r->size - 1)], item);
	atomic_store(&r->head, head + 1);
}

void *
ring_see(const struct ring *r, size_t *place)
{
	*place = atomic_load(&r->tail);
	/* What was put is counted after it: if it is counted, it is there. */
	if (*place == atomic_load(&r->head))
		return NULL;
	return atomic_load(&r->slots[*place & (r->size - 1)]);
}

bool
ring_claim(struct ring *r, size_t place)
{
	return atomic_compare_exchange_strong(&r->tail, &place, place + 1);
}

void *
ring_take(struct ring *r)
{
	size_t place;
	void *item;

	do
		item = ring_see(r, &place);
	while (item != NULL && !ring_claim(r, place));
	return item;
}
