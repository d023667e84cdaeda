/* SPDX-License-Identifier: MIT */
/*
 * The promise: `baton restart` replaces every instance while clients that never retry go on
 * asking, and not one request is lost, not one connection refused.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { RESTARTS = 3, BETWEEN = 300 };

static bool
all_gone(const struct baton_who *who, int n)
{
	for (int i = 0; i < n; i++)
		if (kill(who[i].pid, 0) == 0 || errno != ESRCH)
			return false;
	return true;
}

/* Three restarts of `instances`, so many at a time, under a load; every instance is then another
 * process. */
static void
restart_some_under(struct load_spec load, int instances, int surge)
{
	uint16_t port = port_free(instances);
	struct baton b = baton_serve(port, instances, harness_built("hello"),
	    talloc_asprintf(harness_mem(), "surge = %d", surge));
	struct baton_who first[8], now;
	struct load_result r;
	struct load *l;

	for (int i = 0; i < instances; i++)
		first[i] = baton_who((uint16_t)(port + i));
	load.port = port;
	load.ports = instances;
	l = load_start(&load);
	load_wait_ok(l, BETWEEN);
	for (int i = 0; i < RESTARTS; i++) {
		baton_restart(&b);
		load_wait_ok(l, BETWEEN);
	}
	r = load_stop(l);
	load_assert_clean(&r);
	assert_true(all_gone(first, instances));
	for (int i = 0; i < instances; i++) {
		now = baton_who((uint16_t)(port + i));
		assert_int_equal(now.instance, i);
		assert_int_equal(now.generation, 1 + RESTARTS);
	}
	baton_stop(&b);
}

static void
restart_under(struct load_spec load, int instances)
{
	restart_some_under(load, instances, 1);
}

static void
keepalive_clients_lose_nothing(void **state)
{
	(void)state;
	restart_under((struct load_spec){.keepalive = 24, .gap_ms = 2}, 2);
}

static void
new_connections_are_never_refused(void **state)
{
	(void)state;
	restart_under((struct load_spec){.oneshot = 12, .gap_ms = 1}, 2);
}

static void
posts_keep_every_byte(void **state)
{
	(void)state;
	restart_under(
	    (struct load_spec){.keepalive = 12, .oneshot = 6, .gap_ms = 2, .post_bytes = 20000}, 2);
}

static void
chunked_posts_keep_every_byte(void **state)
{
	(void)state;
	restart_under(
	    (struct load_spec){
		.keepalive = 8, .oneshot = 4, .gap_ms = 2, .post_bytes = 3000, .chunked = true},
	    2);
}

/* No pause between two requests of a client: there is always one in flight. */
static void
busy_connections_lose_nothing(void **state)
{
	(void)state;
	restart_under((struct load_spec){.keepalive = 6, .oneshot = 3, .post_bytes = 500}, 2);
}

/* Slower than the reopening of connections: clients that have been idle for a while. */
static void
slow_clients_lose_nothing(void **state)
{
	(void)state;
	restart_under((struct load_spec){.keepalive = 150, .gap_ms = 250}, 2);
}

static void
a_single_instance_loses_nothing(void **state)
{
	(void)state;
	restart_under(
	    (struct load_spec){.keepalive = 12, .oneshot = 6, .gap_ms = 2, .post_bytes = 1000}, 1);
}

static void
four_instances_lose_nothing(void **state)
{
	(void)state;
	restart_under(
	    (struct load_spec){.keepalive = 16, .oneshot = 8, .gap_ms = 2, .post_bytes = 1000}, 4);
}

static void
two_or_four_at_a_time_lose_nothing(void **state)
{
	(void)state;
	for (int surge = 2; surge <= 4; surge += 2)
		restart_some_under(
		    (struct load_spec){
			.keepalive = 16, .oneshot = 8, .gap_ms = 2, .post_bytes = 1000},
		    4, surge);
}

/* Large answers, which no socket buffer holds as a whole. */
static void
large_answers_arrive_whole(void **state)
{
	char *expect;

	(void)state;
	expect = talloc_zero_array(harness_mem(), char, 500001);
	for (int i = 0; i < 500000; i++)
		expect[i] = "abcdefghijklmnopqrstuvwxyz0123456789"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ.\n"[i % 64];
	restart_under((struct load_spec){.keepalive = 4,
			  .oneshot = 2,
			  .gap_ms = 2,
			  .get = "/bytes/500000",
			  .expect = expect},
	    2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(keepalive_clients_lose_nothing),
	    e2e_test(new_connections_are_never_refused),
	    e2e_test(posts_keep_every_byte),
	    e2e_test(chunked_posts_keep_every_byte),
	    e2e_test(busy_connections_lose_nothing),
	    e2e_test(slow_clients_lose_nothing),
	    e2e_test(a_single_instance_loses_nothing),
	    e2e_test(four_instances_lose_nothing),
	    e2e_test(two_or_four_at_a_time_lose_nothing),
	    e2e_test(large_answers_arrive_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
