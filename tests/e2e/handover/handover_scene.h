/* SPDX-License-Identifier: MIT */
/* A taker, and a test that plays its predecessor: it has accepted connections, and offers them. */
#ifndef BATON_TESTS_HANDOVER_SCENE_H
#define BATON_TESTS_HANDOVER_SCENE_H

#include "server/handover/channel.h"
#include "tests/harness/relay.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { N = 20 };
#define GET "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"

struct scene {
	struct relay relay;
	int channel[2]; /* giving end, taking end */
	struct generation *taker;
	struct client *c[N];
	int fd[N]; /* the giver's ends of them */
};

/* Connections that the test has accepted, and a taker that is ready. */
static inline struct scene
scene_new(const char *const *argv, const char *const *env)
{
	struct scene s = {.relay = relay_new(RELAY_IPV4)};
	struct handover_message m;

	for (int i = 0; i < N; i++) {
		struct pollfd pfd = {.fd = s.relay.listener, .events = POLLIN};

		s.c[i] = relay_client(&s.relay);
		assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
		s.fd[i] = accept4(s.relay.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		assert_true(s.fd[i] >= 0);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s.channel), 0);
	s.relay.env = env;
	if (argv != NULL)
		s.relay.argv = argv;
	s.taker = relay_start(&s.relay, s.channel[1]);
	relay_expect(s.taker, "READY=1");
	assert_int_equal(handover_receive(s.channel[0], &m), 1);
	assert_int_equal(m.type, BATON_HANDOVER_HELLO);
	return s;
}

static inline void
scene_end(struct scene *s)
{
	for (int i = 0; i < N; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
	close(s->channel[0]);
	if (s->channel[1] >= 0)
		close(s->channel[1]);
}

static inline struct baton_handover_state
fresh(void)
{
	struct baton_handover_state state = {.peer_size = 16, .opened_unix_ms = 1};

	((struct sockaddr *)&state.peer)->sa_family = AF_INET;
	strcpy(state.listener, "web");
	return state;
}

static inline void
offer(struct scene *s, int i)
{
	struct baton_handover_state state = fresh();

	wait_until("there is room for an offer", handover_send(s->channel[0], BATON_HANDOVER_OFFER,
						     (uint64_t)i + 1, &state, s->fd[i % N]) == 0);
}

static inline void
say(const struct scene *s, enum baton_handover_type type, int i)
{
	wait_until("there is room for a word",
	    handover_send(s->channel[0], type, (uint64_t)i + 1, NULL, -1) == 0);
}

static inline enum baton_handover_type
hear(const struct scene *s, int i)
{
	struct pollfd pfd = {.fd = s->channel[0], .events = POLLIN};
	struct handover_message m;

	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		harness_fail("the taker says nothing:\n%s", proc_text(s->taker->proc, PROC_ERR));
	assert_int_equal(handover_receive(s->channel[0], &m), 1);
	assert_int_equal(m.id, i + 1);
	return m.type;
}

static inline void
hand_over(struct scene *s, int i)
{
	offer(s, i);
	assert_int_equal(hear(s, i), BATON_HANDOVER_HAVE);
	say(s, BATON_HANDOVER_YOURS, i);
}

#endif
