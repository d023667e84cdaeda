/* SPDX-License-Identifier: MIT */
/*
 * A giver whose successor is played by the test: one that refuses, does not answer, does not
 * read, dies at each step, or talks nonsense. Whatever it does, no client is forgotten.
 */
#include "server/handover/channel.h"
#include "tests/harness/relay.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { N = 30 };
#define GET "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"

struct scene {
	struct relay relay;
	struct generation *giver;
	struct client *c[N];
};

/* A giver with connections, used and unused; `env` as in proc_spec. */
static struct scene
scene_new(const char *const *env)
{
	struct scene s = {.relay = relay_new(RELAY_IPV4)};

	s.relay.env = env;
	s.giver = relay_next(&s.relay, NULL);
	for (int i = 0; i < N; i++) {
		s.c[i] = relay_client(&s.relay);
		if (i % 2 == 0)
			relay_pid(s.c[i]);
	}
	relay_pid(s.c[N - 1]); /* all have been accepted */
	return s;
}

static void
tell(const struct scene *s, enum baton_handover_type type, uint64_t id)
{
	assert_int_equal(handover_send(s->giver->take, type, id, NULL, -1), 0);
}

/* What the giver says next. */
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

/* HELLO, and the drain begins. */
static void
begin(const struct scene *s)
{
	tell(s, BATON_HANDOVER_HELLO, 0);
	relay_stop(s->giver);
	relay_expect(s->giver, "STATUS=draining");
}

/* N offers, of which the connections are kept in fds. */
static void
hear_offers(const struct scene *s, int fds[N], uint64_t ids[N])
{
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(s);

		assert_int_equal(m.type, BATON_HANDOVER_OFFER);
		assert_true(m.fd >= 0);
		assert_string_equal(m.state.listener, "web");
		fds[i] = m.fd;
		ids[i] = m.id;
	}
}

static void
close_all(const int fds[N])
{
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

static void
expect_served_by_the_giver(struct scene *s)
{
	for (int i = 0; i < N; i++)
		if (relay_pid(s->c[i]) != proc_pid(s->giver->proc))
			harness_fail("client %d was served by another process", i);
}

/* The answer is the last one, and said to be. */
static void
expect_polite_ends(struct scene *s)
{
	for (int i = 0; i < N; i++) {
		const struct answer *a = client_get(s->c[i], "/");

		assert_int_equal(a->status, 200);
		assert_true(a->close);
		assert_int_equal(client_wait_end(s->c[i]), CLIENT_EOF);
	}
}

static void
who_is_refused_is_ended_politely(void **state)
{
	struct scene s = scene_new(NULL);

	(void)state;
	begin(&s);
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(&s);

		close(m.fd);
		tell(&s, BATON_HANDOVER_REFUSE, m.id);
	}
	expect_polite_ends(&s);
	assert_int_equal(hear(&s).type, BATON_HANDOVER_END);
	assert_int_equal(relay_count(s.giver, "MOVED"), 0);
	assert_int_equal(relay_count(s.giver, "ENDED"), N);
	assert_int_equal(relay_count(s.giver, "CUT"), 0);
	relay_end(s.giver);
}

/* Nobody reads of a connection that is offered, and what came meanwhile is not lost. */
static void
what_a_dead_taker_was_offered_is_served(void **state)
{
	struct scene s = scene_new(NULL);
	uint64_t ids[N];
	int fds[N];

	(void)state;
	begin(&s);
	hear_offers(&s, fds, ids);
	for (int i = 0; i < N; i++)
		client_send(s.c[i], GET);
	assert_true(client_is_quiet(s.c[0], 50));
	close_all(fds);
	relay_tell_giver(s.giver, BATON_HANDOVER_TAKER_GONE);
	for (int i = 0; i < N; i++)
		assert_int_equal(client_read(s.c[i], "GET")->status, 200);
	expect_served_by_the_giver(&s);
	assert_false(client_get(s.c[0], "/")->close); /* another successor may come */
	relay_tell_giver(s.giver, BATON_HANDOVER_CALLED_OFF);
	relay_expect(s.giver, "STATUS=serving");
	expect_served_by_the_giver(&s);
	relay_kill(s.giver);
}

/* It has said HAVE, and was told YOURS: what it has not read from comes back. A slow request
 * keeps the giver alive meanwhile. */
static void
what_a_dead_taker_was_given_comes_back_unless_it_has_read(void **state)
{
	struct scene s = scene_new(NULL);
	struct client *slow = relay_client(&s.relay);
	uint64_t ids[N];
	int fds[N], ends = 0, answers = 0;
	char text[sizeof(GET) - 1];

	(void)state;
	client_send(slow, "GET /sleep/?duration=30s HTTP/1.1\r\nHost: x\r\n\r\n");
	relay_pid(s.c[0]);
	begin(&s);
	hear_offers(&s, fds, ids);
	for (int i = 0; i < N; i++) {
		tell(&s, BATON_HANDOVER_HAVE, ids[i]);
		assert_int_equal(hear(&s).type, BATON_HANDOVER_YOURS);
	}
	for (int i = 0; i < N; i++)
		client_send(s.c[i], GET);
	/* the whole of it, but for the last */
	for (int i = 0; i < 3; i++)
		assert_true(recv(fds[i], text, i < 2 ? sizeof(text) : 10, 0) > 0);
	close_all(fds);
	relay_tell_giver(s.giver, BATON_HANDOVER_TAKER_GONE);
	for (int i = 0; i < N; i++) {
		const struct answer *a = client_read_any(s.c[i], "GET");

		answers += a->state == ANSWER_COMPLETE && a->status == 200;
		ends += a->state == ANSWER_EOF || a->state == ANSWER_RESET;
	}
	assert_int_equal(ends, 3);
	assert_int_equal(answers, N - 3);
	relay_kill(s.giver);
}

static void
a_second_successor_takes_what_the_first_did_not(void **state)
{
	struct scene s = scene_new(NULL);
	struct generation *second;

	(void)state;
	begin(&s);
	wait_until("something is offered", client_is_quiet(s.c[0], 20));
	/* the first has died without reading a word */
	relay_tell_giver(s.giver, BATON_HANDOVER_TAKER_GONE);
	expect_served_by_the_giver(&s);
	second = relay_next(&s.relay, s.giver); /* which finds the old offers */
	assert_int_equal(relay_count(s.giver, "MOVED"), N);
	relay_end(s.giver);
	for (int i = 0; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(second->proc));
	relay_kill(second);
}

static void
a_restart_called_off_leaves_everything_as_it_was(void **state)
{
	struct scene s = scene_new(NULL);
	struct generation *next;

	(void)state;
	for (int round = 0; round < 3; round++) {
		begin(&s);
		relay_tell_giver(s.giver, BATON_HANDOVER_CALLED_OFF);
		relay_expect(s.giver, "STATUS=serving");
		expect_served_by_the_giver(&s);
		assert_int_equal(relay_pid(relay_client(&s.relay)), proc_pid(s.giver->proc));
		s.giver->said[0] = '\0';
	}
	next = relay_next(&s.relay, s.giver);
	relay_stop(s.giver);
	assert_true(relay_count(s.giver, "MOVED") >= N);
	relay_end(s.giver);
	for (int i = 0; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(next->proc));
	relay_kill(next);
}

/* At the deadline what was offered and not answered is taken back, and ends with the rest. */
static void
the_deadline_ends_what_nobody_takes(void **state)
{
	static const char *const env[] = {"BATON_HTTP_DRAIN_TIMEOUT_MS=300", NULL};
	struct scene s = scene_new(env);
	uint64_t ids[N];
	int fds[N];

	(void)state;
	begin(&s);
	hear_offers(&s, fds, ids);
	for (int i = 0; i < N; i++) {
		struct handover_message m = hear(&s);

		assert_int_equal(m.type, BATON_HANDOVER_BACK);
		assert_int_equal(m.id, ids[i]);
	}
	close_all(fds);
	for (int i = 0; i < N; i++)
		assert_int_not_equal(client_wait_end(s.c[i]), CLIENT_DATA);
	assert_int_equal(relay_count(s.giver, "CUT"), N);
	assert_int_equal(relay_count(s.giver, "MOVED"), 0);
	relay_end(s.giver);
}

static void
nonsense_harms_nobody(void **state)
{
	static const char junk[3000] = "nonsense";
	struct scene s = scene_new(NULL);
	struct baton_handover_state none = {0};

	(void)state;
	tell(&s, BATON_HANDOVER_HELLO, 0);
	for (size_t n = 0; n < 64; n++)
		send(s.giver->take, junk, n, MSG_NOSIGNAL);
	send(s.giver->take, junk, sizeof(junk), MSG_NOSIGNAL);
	for (unsigned type = 0; type < 300; type++)
		if (type < BATON_HANDOVER_TAKER_GONE || type > BATON_HANDOVER_CALLED_OFF)
			handover_send(s.giver->take, type, type, &none, type % 3 ? -1 : 0);
	expect_served_by_the_giver(&s);
	relay_stop(s.giver);
	relay_expect(s.giver, "STATUS=draining");
	tell(&s, BATON_HANDOVER_HAVE, 999);
	tell(&s, BATON_HANDOVER_REFUSE, 999);
	for (;;) {
		struct handover_message m = hear(&s);

		if (m.fd >= 0)
			close(m.fd);
		if (m.type == BATON_HANDOVER_END)
			break;
		if (m.type != BATON_HANDOVER_OFFER)
			continue;
		tell(&s, BATON_HANDOVER_HAVE, m.id);
		tell(&s, BATON_HANDOVER_HAVE, m.id);
		tell(&s, BATON_HANDOVER_REFUSE, m.id);
	}
	assert_int_equal(relay_count(s.giver, "MOVED"), N);
	relay_end(s.giver);
}

/* The end of the channel is told once, not in a busy loop. */
static void
a_channel_that_ends_leaves_the_giver_in_peace(void **state)
{
	struct scene s = scene_new(NULL);
	long before;

	(void)state;
	tell(&s, BATON_HANDOVER_HELLO, 0);
	shutdown(s.giver->take, SHUT_RDWR); /* and `give` stays open here, as a supervisor's */
	expect_served_by_the_giver(&s);
	before = relay_cpu_ms(s.giver);
	assert_true(client_is_quiet(s.c[0], 500));
	/* a loop would have used most of the time */
	assert_true(relay_cpu_ms(s.giver) - before < 250);
	expect_served_by_the_giver(&s);
	relay_stop(s.giver);
	relay_expect(s.giver, "STATUS=draining");
	expect_polite_ends(&s);
	relay_end(s.giver);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(who_is_refused_is_ended_politely),
	    e2e_test(what_a_dead_taker_was_offered_is_served),
	    e2e_test(what_a_dead_taker_was_given_comes_back_unless_it_has_read),
	    e2e_test(a_second_successor_takes_what_the_first_did_not),
	    e2e_test(a_restart_called_off_leaves_everything_as_it_was),
	    e2e_test(the_deadline_ends_what_nobody_takes),
	    e2e_test(nonsense_harms_nobody),
	    e2e_test(a_channel_that_ends_leaves_the_giver_in_peace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
