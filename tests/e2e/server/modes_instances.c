/* SPDX-License-Identifier: MIT */
/*
 * One request at a time or many, in one instance or in several: the four cells, seen from
 * outside by which of several requests of half a second run at the same time. Those of one
 * instance are also shown with all threads on one CPU.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/harness/client.h"
#include "tests/harness/hello.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

/* So long each takes; two of them one after the other cannot take less than twice that. */
#define EACH_MS 400
#define EACH    "/sleep/?duration=400ms"

/* How long n requests at a time take, sent in turn to so many ports from the first. */
static int64_t
time_of(int n, uint16_t port, int ports)
{
	struct client *c[8];
	int64_t begin;

	for (int i = 0; i < n; i++)
		c[i] = client_open((uint16_t)(port + i % ports));
	begin = harness_now_ms();
	for (int i = 0; i < n; i++)
		client_send(c[i], "GET " EACH " HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < n; i++) {
		assert_int_equal(client_read(c[i], "GET")->status, 200);
		client_close(c[i]);
	}
	return harness_now_ms() - begin;
}

/*
 * Overlapping requests take less than one after the other would at best, on a machine that is
 * busy only with a few tries.
 */
static bool
overlap(int n, uint16_t port, int ports)
{
	for (int tries = 0; tries < 5; tries++)
		if (time_of(n, port, ports) < (int64_t)n * EACH_MS)
			return true;
	return false;
}

/* ---- One instance ------------------------------------------------------------------------------- */

static struct hello
start(const char *mode)
{
	const char *concurrency = talloc_asprintf(harness_mem(), "BATON_HTTP_CONCURRENCY=%s", mode);
	const char *env[] = {concurrency, "BATON_HTTP_IDLE_LINGER_MS=0", NULL};

	return hello_start(env);
}

static void
one_instance_one_at_a_time(void **state)
{
	struct hello h = start("serial");

	(void)state;
	assert_false(time_of(3, h.port, 1) < 3 * EACH_MS);
	hello_stop(&h);
}

static void
one_instance_many_at_a_time(void **state)
{
	struct hello h = start("preemptive");

	(void)state;
	assert_true(overlap(4, h.port, 1));
	hello_stop(&h);
}

/* ---- On one CPU ---------------------------------------------------------------------------------- */

static void
on_one_cpu(void (*test)(void **), void **state)
{
	cpu_set_t before, one;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
		if (CPU_ISSET(cpu, &before) && CPU_COUNT(&one) == 0)
			CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	test(state); /* what it starts inherits it */
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void
one_instance_one_at_a_time_on_one_cpu(void **state)
{
	on_one_cpu(one_instance_one_at_a_time, state);
}

static void
one_instance_many_at_a_time_on_one_cpu(void **state)
{
	on_one_cpu(one_instance_many_at_a_time, state);
}

/* ---- Several instances --------------------------------------------------------------------------- */

/* A service of two instances under baton; its first port. */
static uint16_t
supervise(const char *mode, struct proc **baton)
{
	const char *dir = tempdir_new(), *conf;
	uint16_t port = port_free(2);

	conf = tempdir_write(dir, "conf",
	    "[supervisor]\ncontrol = %s\n[service h]\ninstances = 2\nlisten = 127.0.0.1:%d\n"
	    "command = /usr/bin/env BATON_HTTP_IDLE_LINGER_MS=0 BATON_HTTP_CONCURRENCY=%s %s\n",
	    tempdir_path(dir, "control"), port, mode, harness_built("hello"));
	*baton = proc_run("baton", "run", "-c", conf);
	proc_expect(*baton, PROC_OUT, "^Ctrl-C ");
	return port;
}

static void
stop(struct proc *baton)
{
	proc_signal(baton, SIGTERM);
	proc_finish(baton, 0);
}

/* Each runs one at a time, and both do at the same time. */
static void
two_instances_one_at_a_time_each(void **state)
{
	struct proc *baton;
	uint16_t port;

	(void)state;
	port = supervise("serial", &baton);
	assert_true(overlap(2, port, 2));
	assert_false(time_of(4, port, 2) < 2 * EACH_MS);
	assert_false(time_of(2, port, 1) < 2 * EACH_MS);
	assert_false(time_of(2, (uint16_t)(port + 1), 1) < 2 * EACH_MS);
	stop(baton);
}

static void
two_instances_many_at_a_time_each(void **state)
{
	struct proc *baton;
	uint16_t port;

	(void)state;
	port = supervise("preemptive", &baton);
	assert_true(overlap(4, port, 1));
	assert_true(overlap(4, (uint16_t)(port + 1), 1));
	assert_true(overlap(4, port, 2));
	stop(baton);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(one_instance_one_at_a_time),
	    e2e_test(one_instance_many_at_a_time),
	    e2e_test(one_instance_one_at_a_time_on_one_cpu),
	    e2e_test(one_instance_many_at_a_time_on_one_cpu),
	    e2e_test(two_instances_one_at_a_time_each),
	    e2e_test(two_instances_many_at_a_time_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
