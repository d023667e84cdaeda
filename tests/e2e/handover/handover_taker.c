/* SPDX-License-Identifier: MIT */
/*
 * A taker whose predecessor is played by the test: it accepts connections, offers them, and
 * then keeps, breaks or forgets its word.
 */
#include "tests/e2e/handover/handover_scene.h"

/* Held: not a byte of what the client sends is read. After the word, it is answered. */
static void
nothing_is_read_before_the_word(void **state)
{
	static const enum baton_handover_type words[] = {
	    BATON_HANDOVER_YOURS, BATON_HANDOVER_GIVER_GONE};

	(void)state;
	for (int w = 0; w < 2; w++) {
		struct scene s = scene_new(NULL, NULL);

		for (int i = 0; i < N; i++) {
			offer(&s, i);
			assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
			client_send(s.c[i], GET);
		}
		assert_true(client_is_quiet(s.c[0], 50));
		for (int i = 0; i < N; i++)
			assert_int_equal(
			    recv(s.fd[i], (char[1]){0}, 1, MSG_PEEK | MSG_DONTWAIT), 1);
		for (int i = 0; i < N; i++)
			if (w == 0 || i == 0)
				say(&s, words[w], i);
		for (int i = 0; i < N; i++)
			assert_int_equal(client_read(s.c[i], "GET")->status, 200);
		relay_kill(s.taker);
		scene_end(&s);
	}
}

/* All ends of the channel are closed: the same as GIVER_GONE. */
static void
an_end_of_the_channel_is_a_word(void **state)
{
	struct scene s = scene_new(NULL, NULL);

	(void)state;
	for (int i = 0; i < N; i++) {
		offer(&s, i);
		assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
	}
	shutdown(s.channel[0], SHUT_RDWR);
	for (int i = 0; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(s.taker->proc));
	relay_kill(s.taker);
	scene_end(&s);
}

static void
what_is_taken_back_is_let_go(void **state)
{
	struct scene s = scene_new(NULL, NULL);
	int before = relay_fds(s.taker);

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++) {
			offer(&s, i);
			assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
		}
		for (int i = 0; i < N; i++)
			say(&s, BATON_HANDOVER_BACK, i);
		wait_until("they are closed", relay_fds(s.taker) == before);
	}
	say(&s, BATON_HANDOVER_GIVER_GONE, 0);
	for (int i = 0; i < N; i++) {
		client_send(s.c[i], "x");
		assert_true(client_is_quiet(s.c[i], 1));
	}
	relay_kill(s.taker);
	scene_end(&s);
}

/* The giver keeps a duplicate, as it does in earnest: nobody is told of it any more. */
static void
connections_end_although_the_giver_has_them_too(void **state)
{
	struct scene s = scene_new(NULL, NULL);
	int before = relay_fds(s.taker);

	(void)state;
	for (int i = 0; i < N; i++)
		hand_over(&s, i);
	for (int i = 0; i < N; i++) {
		if (i % 2 == 0)
			relay_pid(s.c[i]);
		if (i % 4 < 2) {
			client_send(
			    s.c[i], "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
			assert_int_equal(client_read(s.c[i], "GET")->status, 200);
			assert_int_equal(client_wait_end(s.c[i]), CLIENT_EOF);
		}
		client_close(s.c[i]);
	}
	wait_until("they are closed", relay_fds(s.taker) == before);
	for (int i = 0; i < 100; i++)
		relay_pid(relay_client(&s.relay)); /* in memory that was used by the others */
	relay_kill(s.taker);
	scene_end(&s);
}

/* Their client has nothing more to say, and neither has the server: it ends the connection, not
 * the close of its own duplicate. */
static void
half_closed_ones_end_although_the_giver_has_them_too(void **state)
{
	static const char *const env[] = {"BATON_HTTP_REQUESTS_PER_CONNECTION_MAX=1", NULL};
	struct scene s = scene_new(NULL, env);

	(void)state;
	for (int i = 0; i < N; i++) {
		offer(&s, i);
		assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
		client_send(s.c[i], GET);
		client_shutdown(s.c[i]);
		say(&s, BATON_HANDOVER_YOURS, i);
	}
	for (int i = 0; i < N; i++) {
		assert_true(client_read(s.c[i], "GET")->close);
		assert_int_equal(client_wait_end(s.c[i]), CLIENT_EOF);
	}
	relay_kill(s.taker);
	scene_end(&s);
}

/* It refuses what it cannot hold, and serves on. */
static void
a_full_taker_refuses(void **state)
{
	static const char *const env[] = {"BATON_HTTP_CONNECTIONS_MAX=10", NULL};
	struct scene s = scene_new(NULL, env);
	int have = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		enum baton_handover_type said;

		offer(&s, i);
		said = hear(&s, i);
		assert_int_equal(said, i < 10 ? BATON_HANDOVER_HAVE : BATON_HANDOVER_REFUSE);
		have += said == BATON_HANDOVER_HAVE;
		if (i < 5)
			say(&s, BATON_HANDOVER_YOURS, i);
	}
	assert_int_equal(have, 10);
	for (int i = 5; i < 10; i++)
		say(&s, BATON_HANDOVER_YOURS, i);
	for (int i = 0; i < 10; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(s.taker->proc));
	relay_kill(s.taker);
	scene_end(&s);
}

/* The kernel drops the descriptor for which there is no room: the message comes without. */
static void
a_taker_without_descriptors_refuses(void **state)
{
	enum { OFFERS = 200 };
	const char *const argv[] = {
	    "/bin/sh", "-c", "ulimit -n 100 && exec \"$0\"", harness_built("hello"), NULL};
	struct scene s = scene_new(argv, NULL);
	int have = 0;

	(void)state;
	for (int i = 0; i < OFFERS; i++) {
		enum baton_handover_type said;

		offer(&s, i);
		said = hear(&s, i);
		if (said == BATON_HANDOVER_HAVE) {
			assert_int_equal(i, have++);
			if (i < N)
				say(&s, BATON_HANDOVER_YOURS, i);
		} else {
			assert_int_equal(said, BATON_HANDOVER_REFUSE);
		}
	}
	assert_in_range(have, N, OFFERS - 1);
	for (int i = N; i < have; i++)
		say(&s, BATON_HANDOVER_BACK, i);
	for (int i = 0; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(s.taker->proc));
	relay_kill(s.taker);
	scene_end(&s);
}

/* What it holds when it is told to stop is still to come. */
static void
a_taker_that_drains_waits_for_what_it_holds(void **state)
{
	struct scene s = scene_new(NULL, NULL);

	(void)state;
	for (int i = 0; i < N; i++) {
		offer(&s, i);
		assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
	}
	relay_stop(s.taker);
	relay_expect(s.taker, "STATUS=draining");
	offer(&s, 0);
	for (int i = 0; i < N; i++) {
		client_send(s.c[i], GET);
		say(&s, BATON_HANDOVER_YOURS, i);
	}
	for (int i = 0; i < N; i++) {
		const struct answer *a = client_read(s.c[i], "GET");

		assert_int_equal(a->status, 200);
		assert_true(a->close);
	}
	relay_end(s.taker);
	scene_end(&s);
}

static void
nonsense_harms_nobody(void **state)
{
	static const char junk[3000] = "nonsense";
	struct scene s = scene_new(NULL, NULL);
	struct baton_handover_state some = fresh();
	int before = relay_fds(s.taker);

	(void)state;
	for (size_t n = 0; n < 64; n++)
		send(s.channel[0], junk, n, MSG_NOSIGNAL);
	send(s.channel[0], junk, sizeof(junk), MSG_NOSIGNAL);
	for (unsigned type = 0; type < 300; type++)
		if (type != BATON_HANDOVER_OFFER)
			handover_send(s.channel[0], type, 1000 + type, &some, type % 3 ? -1 : 0);
	/* no connection at all, and one that is none */
	wait_until("there is room for an offer",
	    handover_send(s.channel[0], BATON_HANDOVER_OFFER, 1, &some, -1) == 0);
	assert_int_equal(hear(&s, 0), BATON_HANDOVER_REFUSE);
	for (int i = 1; i < N; i++) {
		offer(&s, i);
		offer(&s, i); /* twice under one name */
		assert_int_equal(hear(&s, i), BATON_HANDOVER_HAVE);
		say(&s, BATON_HANDOVER_YOURS, i);
		say(&s, BATON_HANDOVER_YOURS, i);
		say(&s, BATON_HANDOVER_BACK, i);
	}
	for (int i = 1; i < N; i++)
		assert_int_equal(relay_pid(s.c[i]), proc_pid(s.taker->proc));
	assert_int_equal(relay_fds(s.taker), before + N - 1);
	relay_kill(s.taker);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(nothing_is_read_before_the_word),
	    e2e_test(an_end_of_the_channel_is_a_word),
	    e2e_test(what_is_taken_back_is_let_go),
	    e2e_test(connections_end_although_the_giver_has_them_too),
	    e2e_test(half_closed_ones_end_although_the_giver_has_them_too),
	    e2e_test(a_full_taker_refuses),
	    e2e_test(a_taker_without_descriptors_refuses),
	    e2e_test(a_taker_that_drains_waits_for_what_it_holds),
	    e2e_test(nonsense_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
