/* SPDX-License-Identifier: MIT */
/*
 * Instances that die: the others do not notice, the dead one comes back on the socket that
 * baton has kept open, so that nobody is refused meanwhile.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static void
the_other_instance_serves_on(void **state)
{
	uint16_t port = port_free(2);
	struct baton b = baton_hello(port, 2);
	struct load *l = load_start(&(struct load_spec){.port = (uint16_t)(port + 1),
	    .keepalive = 8,
	    .oneshot = 4,
	    .gap_ms = 1,
	    .post_bytes = 500});
	const struct baton_who other = baton_who((uint16_t)(port + 1));
	struct load_result r;

	(void)state;
	load_wait_ok(l, 100);
	for (int i = 0; i < 3; i++) {
		const struct baton_who victim = baton_who(port);

		assert_int_equal(kill(victim.pid, SIGKILL), 0);
		/* the connection waits in the queue until the replacement takes it */
		assert_int_equal(baton_who(port).generation, victim.generation + 1);
		load_wait_ok(l, 100);
	}
	r = load_stop(l);
	load_assert_clean(&r);
	assert_int_equal(r.reopened, 0);
	assert_int_equal(baton_who((uint16_t)(port + 1)).pid, other.pid);
	baton_stop(&b);
}

/* Requests in flight die with the process; but every connect is taken, before and after. */
static void
nobody_is_refused_while_it_is_away(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_hello(port, 1);
	struct load *l = load_start(
	    &(struct load_spec){.port = port, .oneshot = 6, .keepalive = 6, .gap_ms = 1});
	struct load_result r;

	(void)state;
	load_wait_ok(l, 100);
	for (int i = 0; i < 3; i++) {
		/* The pid from the load's own port: retried by hand, as a request may be lost. */
		const struct baton_who victim = baton_who(port);

		assert_int_equal(kill(victim.pid, SIGKILL), 0);
		load_wait_ok(l, 200);
	}
	r = load_stop(l);
	assert_int_equal(r.refused, 0);
	assert_int_equal(r.other + r.wrong, 0);
	/* each of the 12 clients had at most one request in flight at each of the 3 deaths */
	assert_true(r.failed <= 3 * 12);
	baton_stop(&b);
}

static void
a_program_that_crashes_again_and_again_comes_back(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1, harness_built("tests/fixtures/peer"),
	    "backoff_first_ms = 10\nbackoff_max_ms = 40");
	int last = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		const int pid = atoi(client_fetch(port, "/pid"));
		struct client *c = client_open(port);

		assert_int_not_equal(pid, last);
		last = pid;
		client_send(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", i % 2 ? "/crash" : "/exit?7");
		assert_int_not_equal(client_wait_end(c), CLIENT_DATA);
		proc_expect(b.proc, PROC_ERR, i % 2 ? "SIGABRT" : "exited with status 7");
	}
	assert_string_equal(client_fetch(port, "/"), "peer\n");
	proc_signal(b.proc, SIGTERM);
	proc_finish(b.proc, 0);
}

/* Backing off from one does not slow down the other, nor the end. */
static void
an_instance_that_never_starts_does_not_harm_the_other(void **state)
{
	uint16_t good = port_free(1), bad = port_free(1);
	struct baton b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service bad]\ncommand = %s --exit-before-ready 4\nlisten = %s\n"
		"backoff_first_ms = 5\nbackoff_max_ms = 20\n"
		"[service good]\ncommand = %s\nlisten = %s\n",
		harness_built("tests/fixtures/peer"), port_address(bad),
		harness_built("tests/fixtures/peer"), port_address(good)),
	});

	(void)state;
	for (int i = 0; i < 5; i++)
		proc_expect(b.proc, PROC_ERR, "bad\\.0.*status 4");
	wait_until("the good one serves", client_try(good) == 0);
	assert_string_equal(client_fetch(good, "/"), "peer\n");
	proc_signal(b.proc, SIGTERM);
	proc_finish(b.proc, 0);
	assert_int_equal(harness_count_children(), 0);
}

/* baton itself is killed: its sockets go with it, and the test's reaper finds the orphans. */
static void
a_new_baton_starts_after_one_was_killed(void **state)
{
	uint16_t port = port_free(1);
	struct baton b = baton_hello(port, 1);
	const struct baton_who who = baton_who(port);

	(void)state;
	proc_signal(b.proc, SIGKILL);
	assert_int_equal(proc_wait(b.proc), 128 + SIGKILL);
	kill(who.pid, SIGKILL);
	wait_until("the port is free", client_try(port) == ECONNREFUSED);
	b = baton_start(&(struct baton_spec){
	    .dir = b.dir,
	    .services = talloc_asprintf(harness_mem(), "[service s]\ncommand = %s\nlisten = %s\n",
		harness_built("hello"), port_address(port)),
	});
	baton_wait_ready(&b, 1);
	assert_string_equal(client_fetch(port, "/"), "hello\n");
	proc_finish(baton_command(&b, "stop", NULL), 0);
	proc_finish(b.proc, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_other_instance_serves_on),
	    e2e_test(nobody_is_refused_while_it_is_away),
	    e2e_test(a_program_that_crashes_again_and_again_comes_back),
	    e2e_test(an_instance_that_never_starts_does_not_harm_the_other),
	    e2e_test(a_new_baton_starts_after_one_was_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
