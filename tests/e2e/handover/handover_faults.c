/* SPDX-License-Identifier: MIT */
/*
 * Real servers that hand over to each other, and one of them fails at some step; and what a
 * handover meets in earnest: a narrow channel, workers in their handlers, large answers.
 */
#include "tests/harness/relay.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/harness/load.h"

enum { N = 60 };

static void
open_all(const struct relay *r, struct client *c[], int n)
{
	for (int i = 0; i < n; i++) {
		c[i] = relay_client(r);
		relay_pid(c[i]);
	}
}

static void
expect_all_at(struct client *c[], int n, const struct generation *g)
{
	for (int i = 0; i < n; i++)
		if (relay_pid(c[i]) != proc_pid(g->proc))
			harness_fail("connection %d is elsewhere", i);
}

/* It said HELLO and was stopped; offers pile up; it is killed; another one comes. */
static void
a_successor_that_dies_is_replaced(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct relay r = relay_new(round % 2 == 0 ? RELAY_IPV4 : RELAY_UNIX);
		struct generation *g = relay_next(&r, NULL), *dead, *next;
		struct client *c[N];

		open_all(&r, c, N);
		dead = relay_next(&r, g);
		proc_signal(dead->proc, SIGSTOP);
		relay_stop(g);
		relay_expect(g, "STATUS=draining");
		if (round == 1) /* requests are on their way meanwhile */
			for (int i = 0; i < N; i++)
				client_send(c[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		relay_kill(dead);
		relay_tell_giver(g, BATON_HANDOVER_TAKER_GONE);
		if (round == 1)
			for (int i = 0; i < N; i++)
				assert_int_equal(client_read(c[i], "GET")->status, 200);
		if (round == 2)
			expect_all_at(c, N, g);
		next = relay_next(&r, g);
		relay_end(g);
		expect_all_at(c, N, next);
		relay_kill(next);
	}
}

/* Before it has said a word: nobody is told to stop, and nothing was given. */
static void
a_successor_that_never_gets_ready_changes_nothing(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *dead;
	struct client *c[N];

	(void)state;
	open_all(&r, c, N);
	for (int round = 0; round < 3; round++) {
		dead = relay_start(&r, g->take);
		relay_kill(dead);
		relay_tell_giver(g, BATON_HANDOVER_TAKER_GONE);
		relay_tell_giver(g, BATON_HANDOVER_CALLED_OFF);
		expect_all_at(c, N, g);
	}
	dead = relay_next(&r, g);
	relay_kill(dead);
	relay_tell_giver(g, BATON_HANDOVER_TAKER_GONE);
	expect_all_at(c, N, g);
	/* there is nobody to wait for: a polite end */
	for (int i = 1; i < N; i++)
		client_close(c[i]);
	relay_stop(g);
	relay_expect(g, "STATUS=draining");
	assert_true(client_get(c[0], "/")->close);
	relay_end(g);
}

/* Its work is with the taker, but for what a worker of it is doing. */
static void
a_giver_that_dies_takes_nothing_with_it(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c[N], *slow = relay_client(&r);

	(void)state;
	open_all(&r, c, N);
	client_send(slow, "GET /sleep/?duration=50s HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_all_at(c, N, g);
	next = relay_next(&r, g);
	relay_stop(g);
	relay_expect(g, "STATUS=draining");
	wait_until("a connection has moved", relay_pid(c[N - 1]) == proc_pid(next->proc));
	relay_tell_taker(g, BATON_HANDOVER_GIVER_GONE);
	proc_signal(g->proc, SIGKILL);
	proc_wait(g->proc);
	expect_all_at(c, N, next);
	assert_int_not_equal(client_wait_end(slow), CLIENT_DATA);
	relay_kill(next);
}

/* So narrow that few messages fit: all comes through, although in small steps. */
static void
a_narrow_channel_is_enough(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c[N];

	(void)state;
	open_all(&r, c, N);
	for (int i = 0; i < 2; i++)
		setsockopt(
		    i == 0 ? g->give : g->take, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
	next = relay_next(&r, g);
	relay_stop(g);
	assert_int_equal(relay_count(g, "MOVED"), N);
	relay_end(g);
	expect_all_at(c, N, next);
	relay_kill(next);
}

/* The same with a taker that stands still for a while. */
static void
a_taker_that_stands_still_is_waited_for(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c[N];
	long before;

	(void)state;
	open_all(&r, c, N);
	for (int i = 0; i < 2; i++)
		setsockopt(
		    i == 0 ? g->give : g->take, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
	next = relay_next(&r, g);
	proc_signal(next->proc, SIGSTOP);
	relay_stop(g);
	relay_expect(g, "STATUS=draining");
	before = relay_cpu_ms(g);
	assert_true(client_is_quiet(c[0], 500));
	assert_true(
	    relay_cpu_ms(g) - before < 100); /* it waits, and does not ask again and again */
	proc_signal(next->proc, SIGCONT);
	assert_int_equal(relay_count(g, "MOVED"), N);
	relay_end(g);
	expect_all_at(c, N, next);
	relay_kill(next);
}

/* Handlers that were taken over finish in their workers; their connections follow. */
static void
takeovers_do_not_keep_the_others(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct client *c[N], *busy[4];

	(void)state;
	open_all(&r, c, N);
	open_all(&r, busy, 4);
	for (int i = 0; i < 4; i++)
		client_send(busy[i], "GET /%s/?duration=200ms HTTP/1.1\r\nHost: x\r\n\r\n",
		    i % 2 == 0 ? "spin" : "sleep");
	next = relay_next(&r, g);
	relay_stop(g);
	wait_until("the others have moved", relay_pid(c[0]) == proc_pid(next->proc));
	for (int i = 0; i < 4; i++) {
		const struct answer *a = client_read(busy[i], "GET");

		assert_int_equal(a->status, 200);
		assert_false(a->close);
	}
	assert_int_equal(relay_count(g, "MOVED"), N + 4);
	relay_end(g);
	expect_all_at(c, N, next);
	expect_all_at(busy, 4, next);
	relay_kill(next);
}

/* What is still being sent at the deadline is cut, counted and said. */
static void
what_is_cut_is_counted(void **state)
{
	static const char *const env[] = {"BATON_HTTP_DRAIN_TIMEOUT_MS=300", NULL};
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g, *next;
	struct client *c[N], *large;

	(void)state;
	r.env = env;
	g = relay_next(&r, NULL);
	open_all(&r, c, N);
	large = relay_client(&r);
	client_send(large, "GET /bytes/16000000 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_false(client_is_quiet(large, PATIENCE_MS)); /* its handler has returned */
	next = relay_next(&r, g);
	relay_stop(g);
	assert_int_equal(relay_count(g, "CUT"), 1);
	assert_int_equal(relay_count(g, "MOVED"), N);
	proc_expect(g->proc, PROC_ERR, "drain deadline: cutting 1 connections");
	proc_expect(g->proc, PROC_ERR, "drained: moved=60 finished=[0-9]+ ended=0 cut=1");
	relay_end(g);
	expect_all_at(c, N, next);
	relay_kill(next);
}

/* A head that is never finished keeps nobody waiting until the deadline. */
static void
a_head_that_does_not_end_ends(void **state)
{
	static const char *const env[] = {"BATON_HTTP_HEADER_TIMEOUT_MS=300",
	    "BATON_HTTP_IDLE_LINGER_MS=50", "BATON_HTTP_DRAIN_TIMEOUT_MS=600000", NULL};
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g, *next;
	struct client *c[N], *half;

	(void)state;
	r.env = env;
	g = relay_next(&r, NULL);
	half = relay_client(&r);
	open_all(&r, c, N);
	client_send(half, "GET / HT");
	relay_pid(c[0]);
	next = relay_next(&r, g);
	relay_stop(g);
	assert_int_equal(client_read(half, "GET")->status, 408);
	assert_int_equal(relay_count(g, "MOVED"), N);
	assert_int_equal(relay_count(g, "ENDED"), 1);
	relay_end(g);
	relay_kill(next);
}

/* Who connects at any moment of it is served by one or the other. */
static void
a_handover_under_load_fails_nobody(void **state)
{
	struct relay r = relay_new(RELAY_IPV4);
	struct generation *g = relay_next(&r, NULL), *next;
	struct load_result result;
	struct load *l = load_start(&(struct load_spec){
	    .port = r.port, .keepalive = 12, .oneshot = 6, .post_bytes = 10000, .chunked = true});

	(void)state;
	for (int i = 0; i < 20; i++) {
		load_wait_ok(l, 100);
		next = relay_next(&r, g);
		relay_stop(g);
		relay_end(g);
		g = next;
	}
	result = load_stop(l);
	load_assert_clean(&result);
	assert_int_equal(result.reopened, 0);
	relay_kill(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_successor_that_dies_is_replaced),
	    e2e_test(a_successor_that_never_gets_ready_changes_nothing),
	    e2e_test(a_giver_that_dies_takes_nothing_with_it),
	    e2e_test(a_narrow_channel_is_enough),
	    e2e_test(a_taker_that_stands_still_is_waited_for),
	    e2e_test(takeovers_do_not_keep_the_others),
	    e2e_test(what_is_cut_is_counted),
	    e2e_test(a_head_that_does_not_end_ends),
	    e2e_test(a_handover_under_load_fails_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
