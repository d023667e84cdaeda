/* SPDX-License-Identifier: MIT */
/*
 * A second successor, after the first one died between OFFER and HAVE: it finds the offers of
 * then in the channel, and must not take from the giver what that serves on.
 */
#include "server/handover/channel.h"
#include "tests/harness/relay.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { N = 20 };

struct scene {
	struct relay relay;
	struct generation *giver;
	struct client *c[N];
};

/* Everything has been offered, and who was to answer is dead. */
static struct scene
scene_new(void)
{
	struct scene s = {.relay = relay_new(RELAY_IPV4)};

	s.giver = relay_next(&s.relay, NULL);
	for (int i = 0; i < N; i++) {
		s.c[i] = relay_client(&s.relay);
		relay_pid(s.c[i]);
	}
	assert_int_equal(handover_send(s.giver->take, BATON_HANDOVER_HELLO, 0, NULL, -1), 0);
	relay_stop(s.giver);
	relay_expect(s.giver, "STATUS=draining");
	return s;
}

static struct handover_message
hear(const struct scene *s)
{
	struct pollfd pfd = {.fd = s->giver->take, .events = POLLIN};
	struct handover_message m = {.fd = -1};

	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		harness_fail("the giver says nothing:\n%s", proc_text(s->giver->proc, PROC_ERR));
	assert_int_equal(handover_receive(s->giver->take, &m), 1);
	return m;
}

static bool
unread(const struct scene *s)
{
	struct pollfd pfd = {.fd = s->giver->take, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

static void
every_offer_is_taken_back_by_a_word(void **state)
{
	struct scene s = scene_new();
	uint64_t ids[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(&s);

		assert_int_equal(m.type, BATON_HANDOVER_OFFER);
		ids[i] = m.id;
		close(m.fd);
	}
	relay_tell_giver(s.giver, BATON_HANDOVER_TAKER_GONE);
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(&s);

		assert_int_equal(m.type, BATON_HANDOVER_BACK);
		assert_int_equal(m.id, ids[i]);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(s.giver->proc));
	relay_kill(s.giver);
}

/*
 * The giver is in the middle of a request on each when it dies: half of what the client has
 * sent is in its memory. Whoever took the connection now would answer something else, or
 * nothing. It cannot say a word about it any more: what it said before must be enough.
 */
static void
what_the_giver_served_on_ends_with_it(void **state)
{
	struct scene s = scene_new();
	struct generation *second;

	(void)state;
	wait_until("something is offered", unread(&s));
	relay_tell_giver(s.giver, BATON_HANDOVER_TAKER_GONE);
	for (int i = 0; i < N; i++) {
		client_send(s.c[i], "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				    "Content-Length: 5\r\n\r\n");
		assert_int_equal(client_read(s.c[i], "POST")->status, 100);
	}
	proc_signal(s.giver->proc, SIGSTOP);
	second = relay_next(&s.relay, s.giver);
	wait_until("the old offers are read", !unread(&s));
	proc_signal(s.giver->proc, SIGKILL);
	proc_wait(s.giver->proc);
	relay_tell_taker(s.giver, BATON_HANDOVER_GIVER_GONE);
	for (int i = 0; i < N; i++)
		assert_int_not_equal(client_wait_end(s.c[i]), CLIENT_DATA);
	assert_int_equal(relay_pid(relay_client(&s.relay)), proc_pid(second->proc));
	relay_kill(second);
	relay_kill(s.giver);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(every_offer_is_taken_back_by_a_word),
	    e2e_test(what_the_giver_served_on_ends_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
