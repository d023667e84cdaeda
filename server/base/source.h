/* SPDX-License-Identifier: MIT */
/*
 * What the loop's epoll points to: everything in it starts with one of these, by which the loop
 * knows whom it tells (server/loop.c).
 */
#ifndef BATON_SERVER_SOURCE_H
#define BATON_SERVER_SOURCE_H

enum source {
	SOURCE_WAKE,
	SOURCE_PARSER,
	SOURCE_LISTENER,
	SOURCE_CONN,
	SOURCE_LINGER,
	SOURCE_GIVE,
	SOURCE_TAKE,
	SOURCE_SPARE
};

/* Has the epoll tell of what there is to read on fd; 0 or a negative errno. */
int source_watch(int epoll_fd, int fd, enum source *source);
/* No more: also if somebody else has a duplicate of fd, for whom its close would not do. */
void source_unwatch(int epoll_fd, int fd);

#endif
