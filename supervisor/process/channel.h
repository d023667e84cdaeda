/* SPDX-License-Identifier: MIT */
/*
 * The handover channel of one generation, as the supervisor holds it: duplicates of both ends,
 * by which every successor gets the same taking end, and each side hears of the other's death.
 * The messages are protocol.h's; connections themselves never pass through the supervisor.
 */
#ifndef SUPERVISOR_CHANNEL_H
#define SUPERVISOR_CHANNEL_H

#include <stdbool.h>
#include <talloc.h>

struct channel;

/* A new one with a single holder. NULL with errno set when memory or descriptors are short. */
struct channel *channel_new(void);

/* One more holder; returns C. */
struct channel *channel_ref(struct channel *c);
/* One less; the last one closes what is left. *C becomes NULL; it may be NULL already. */
void channel_unref(struct channel **c);

/* The ends, close-on-exec; -1 for one that is closed. */
int channel_give_fd(const struct channel *c);
int channel_take_fd(const struct channel *c);

/*
 * A successor has died while the giver lives. What the two had not read of each other is
 * dropped: offers that nobody took stay the giver's, and an answer of the dead must not move
 * a connection to it. Then the giver is told. Returns 0 or a negative errno.
 */
int channel_taker_gone(struct channel *c);

/* Before another successor of a living giver is started: what was offered to the dead one
 * after all, and taken back since, must not reach it. */
void channel_renew(struct channel *c);

/* The giver is to serve on: there will be no successor. Returns 0 or a negative errno. */
int channel_called_off(struct channel *c);

/*
 * The giver has died: whoever has the taking end is told, and nothing more can come. The end
 * that the giver had is closed; if even the message found no room, its end says the same.
 */
void channel_giver_gone(struct channel *c);

/* Whether there is something that a successor has not read: a giver that died left it. */
bool channel_has_unread(const struct channel *c);

/* One from descriptors (-1: closed) that are its own from now on; NULL: no memory. */
struct channel *channel_adopt(int give_fd, int take_fd);

#endif
