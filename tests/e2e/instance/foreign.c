/* SPDX-License-Identifier: MIT */
/*
 * baton supervises any program that speaks systemd's protocol: what such a program, which
 * knows nothing of baton, finds in its environment and on its sockets.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *
env_of(uint16_t port, const char *name)
{
	struct client *c = client_open(port);
	const struct answer *a = client_get(c, talloc_asprintf(harness_mem(), "/env?%s", name));

	const char *value = a->status == 200 ? talloc_strdup(harness_mem(), a->body) : NULL;

	client_close(c); /* it serves one connection at a time */
	return value;
}

static void
it_finds_its_own_sockets_by_number_and_name(void **state)
{
	uint16_t port = port_free(4);
	struct baton b = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service two]\ncommand = %s\ninstances = 2\nlisten.web = %s\nlisten.admin = %s\n",
		harness_built("tests/fixtures/peer"), port_address(port),
		port_address((uint16_t)(port + 2))),
	});

	(void)state;
	baton_wait_ready(&b, 2);
	for (int i = 0; i < 4; i++) {
		const uint16_t at = (uint16_t)(port + i);

		assert_string_equal(env_of(at, "LISTEN_FDS"), "2");
		assert_string_equal(env_of(at, "LISTEN_FDNAMES"), "web:admin");
		assert_int_equal(atoi(env_of(at, "LISTEN_PID")), atoi(client_fetch(at, "/pid")));
		assert_string_equal(env_of(at, "BATON_INSTANCE"), i % 2 ? "1" : "0");
		assert_string_equal(env_of(at, "BATON_GENERATION"), "1");
		assert_non_null(env_of(at, "NOTIFY_SOCKET"));
		assert_non_null(env_of(at, "PATH"));
	}
	/* both sockets of an instance lead to the same process */
	assert_string_equal(client_fetch(port, "/pid"), client_fetch((uint16_t)(port + 2), "/pid"));
	baton_stop(&b);
}

/* What baton itself was started with by systemd is not its instances' business. */
static void
it_does_not_see_what_was_meant_for_baton(void **state)
{
	static const char *const names[] = {"WATCHDOG_USEC", "WATCHDOG_PID"};
	uint16_t port = port_free(1);
	struct proc *p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"baton", "run", "--control",
		talloc_asprintf(harness_mem(), "/tmp/baton-test-%u.sock", port), "--listen",
		port_address(port), "--", harness_built("tests/fixtures/peer"), NULL},
	    .env = (const char *const[]){"WATCHDOG_USEC=1000", "WATCHDOG_PID=1",
		"NOTIFY_SOCKET=/nonexistent", "BATON_HANDOVER=7,8", "BATON_GENERATION=41", NULL},
	});

	(void)state;
	proc_expect(p, PROC_OUT, "ready in");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(env_of(port, names[i]));
	assert_string_not_equal(env_of(port, "NOTIFY_SOCKET"), "/nonexistent");
	/* Its own, after its socket; it need not care. */
	assert_string_equal(env_of(port, "BATON_HANDOVER"), "4,-1");
	assert_string_equal(env_of(port, "BATON_GENERATION"), "1");
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

/* It takes one request a connection; restarts lose none of them, not even in its queue. */
static void
it_is_restarted_without_a_loss(void **state)
{
	uint16_t port = port_free(2);
	struct baton b = baton_serve(port, 2, harness_built("tests/fixtures/peer"), "");
	struct load *l = load_start(&(struct load_spec){.port = port,
	    .ports = 2,
	    .oneshot = 8,
	    .gap_ms = 1,
	    .expect = "peer\n",
	    .post_bytes = 2000});
	struct load_result r;

	(void)state;
	load_wait_ok(l, 100);
	for (int i = 0; i < 3; i++) {
		baton_restart(&b);
		load_wait_ok(l, 100);
	}
	r = load_stop(l);
	load_assert_clean(&r);
	baton_stop(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(it_finds_its_own_sockets_by_number_and_name),
	    e2e_test(it_does_not_see_what_was_meant_for_baton),
	    e2e_test(it_is_restarted_without_a_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
