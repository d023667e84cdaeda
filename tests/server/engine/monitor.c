/* SPDX-License-Identifier: MIT */
/*
 * What the monitor makes of a handler that is still there: one that computes is taken over, and
 * one that blocks; one that has just not got a processor is not, for it is none of its doing.
 */
#include <time.h>

#include "tests/server/holding.h"

/* Shares one processor: the handler gets it only when the hog leaves it. */
struct starving {
	int cpu;
	atomic_bool entered, may_go, over;
	struct hold *first; /* where the first one waits */
	_Atomic(pid_t) tid;
};

static void
stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static int
starve(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	const struct sched_param none = {.sched_priority = 0};
	struct starving *st = data;
	cpu_set_t before;

	(void)ctx, (void)req;
	sched_getaffinity(0, sizeof(before), &before);
	stay_on(st->cpu);
	atomic_store(&st->tid, gettid());
	assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	atomic_store(&st->entered, true);
	while (!atomic_load(&st->may_go))
		;
	sched_setaffinity(0, sizeof(before), &before);
	return http_response_printf(res, 200, "at last\n");
}

static void *
hog(void *data)
{
	struct starving *st = data;

	stay_on(st->cpu);
	while (!atomic_load(&st->over))
		;
	return NULL;
}

static int64_t
ran_ms(pthread_t thread)
{
	struct timespec ts;
	clockid_t clock;

	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The time that the monitor grants has passed many times over by the wall clock. */
static void
who_gets_no_processor_is_not_taken_over(void **state)
{
	const struct sched_param none = {.sched_priority = 0};
	struct starving st = {.cpu = sched_getcpu()};
	struct http_server *s = brief_server();
	struct client *c;
	pthread_t thread;

	(void)state;
	http_server_set(s, "takeover_after_us", "50000");
	http_server_handle(s, "/starve", starve, &st);
	c = client_open(serving_start(s));
	assert_int_equal(pthread_create(&thread, NULL, hog, &st), 0);
	client_send(c, "GET /starve HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_until("it starves", atomic_load(&st.entered));
	wait_until("it has starved for long", ran_ms(thread) > 600);
	assert_int_equal(http_server_counter(s, "takeovers"), 0);
	atomic_store(&st.over, true);
	pthread_join(thread, NULL);
	/* Now it computes, and that is another matter. Only root can have it do so in a hurry. */
	(void)!sched_setscheduler(atomic_load(&st.tid), SCHED_OTHER, &none);
	wait_until("it is taken over", http_server_counter(s, "takeovers") == 1);
	atomic_store(&st.may_go, true);
	expect_answer(c, 200, "at last\n");
	serving_stop(s);
}

static void
who_blocks_or_computes_is_taken_over(void **state)
{
	struct http_server *s = brief_server();
	struct hold *block = hold_new(), *compute = hold_new();
	struct client *c[2];
	uint16_t port;

	(void)state;
	http_server_handle(s, "/block", hold_block, block);
	http_server_handle(s, "/compute", hold_compute, compute);
	http_server_handle(s, "/", name_thread, NULL);
	port = serving_start(s);
	c[0] = ask(port, "/block");
	wait_until("it blocks", http_server_counter(s, "takeovers") == 1);
	c[1] = ask(port, "/compute");
	wait_until("it computes", http_server_counter(s, "takeovers") == 2);
	assert_string_equal(client_fetch(port, "/"), "baton/leader");
	hold_open(block);
	hold_open(compute);
	expect_answer(c[0], 200, "held\n");
	expect_answer(c[1], 200, "held\n");
	serving_stop(s);
}

/* The first blocks. Others run for a while, much less than is granted, and say where. */
static int
burn(const struct ctx *ctx, const struct http_request *req, struct http_response *res, void *data)
{
	struct starving *st = data;
	struct timespec begin, now;

	if (!atomic_exchange(&st->entered, true))
		return hold_block(ctx, req, res, st->first);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < 500000);
	return name_thread(ctx, req, res, NULL);
}

/* After a slow run it has to show that it is quick, in workers, which get a processor when
 * nobody else wants it: that they wait for one does not count. */
static void
who_waits_for_a_processor_is_quick_all_the_same(void **state)
{
	struct starving st = {.cpu = sched_getcpu(), .first = hold_new()};
	struct http_server *s = brief_server();
	struct client *c;
	cpu_set_t before;
	pthread_t thread;
	uint16_t port;
	int n = 0;

	(void)state;
	/* All that is started from here has this processor, and no other. */
	sched_getaffinity(0, sizeof(before), &before);
	stay_on(st.cpu);
	http_server_set(s, "takeover_after_us", "4000");
	http_server_set(s, "worker_nice", "19");
	http_server_handle(s, "/burn", burn, &st);
	port = serving_start(s);
	c = ask(port, "/burn");
	wait_until("it blocks", http_server_counter(s, "takeovers") == 1);
	hold_open(st.first);
	expect_answer(c, 200, "held\n");
	assert_int_equal(pthread_create(&thread, NULL, hog, &st), 0);
	assert_string_equal(client_fetch(port, "/burn"), "baton/worker");
	while (strcmp(client_fetch(port, "/burn"), "baton/leader") != 0)
		assert_true(++n < 150);
	assert_true(n > 30);
	atomic_store(&st.over, true);
	pthread_join(thread, NULL);
	serving_stop(s);
	sched_setaffinity(0, sizeof(before), &before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(who_gets_no_processor_is_not_taken_over),
	    e2e_test(who_blocks_or_computes_is_taken_over),
	    e2e_test(who_waits_for_a_processor_is_quick_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
