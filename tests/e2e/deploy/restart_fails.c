/* SPDX-License-Identifier: MIT */
/*
 * A restart that fails changes nothing for clients: the successor exits, hangs or cannot even
 * be executed, the old instance serves on, and `baton restart` says why and exits with 1. The
 * instances are a program that is not ours, whose next start a file changes.
 */
#include "tests/harness/baton.h"
#include "tests/harness/client.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct peers {
	struct baton baton;
	const char *dir; /* where the mode file is */
	uint16_t port;
};

static struct peers
start_peers(int instances, const char *lines)
{
	struct peers p = {.dir = tempdir_new(), .port = port_free(instances)};

	p.baton = baton_serve(p.port, instances,
	    talloc_asprintf(harness_mem(), "%s --mode-file %s/mode",
		harness_built("tests/fixtures/peer"), p.dir),
	    lines);
	return p;
}

static void
next_start(struct peers *p, const char *mode)
{
	tempdir_write(p->dir, "mode", "%s", mode);
}

static int
pid_at(uint16_t port)
{
	return atoi(client_fetch(port, "/pid"));
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		harness_fail("expected \"%s\" in:\n%s", part, text);
}

/* Each of these, with what the command has to say about it. */
static void
a_successor_that_fails_leaves_the_old_one_serving(void **state)
{
	static const struct {
		const char *mode, *says, *says_too;
		bool serves; /* it takes requests, and may be killed with one in its hands */
	} table[] = {
	    {"--exit-before-ready 3", "exited with status 3", "peer: ends before it is ready",
		false},
	    {"--exit-before-ready 0", "exited with status 0", "peer: ends before it is ready",
		false},
	    {"--hang-before-ready", "not ready", "peer: hangs before it is ready", false},
	    {"--hang-before-ready --ignore-term", "not ready", "peer: hangs before it is ready",
		false},
	    {"--no-notify", "not ready", "s.0", true},
	    {"--no-such-option", "exited with status 2", "peer: what is --no-such-option?", false},
	};
	struct peers p = start_peers(2, "start_timeout_ms = 400\ndrain_timeout_ms = 400");
	const int first = pid_at(p.port), second = pid_at((uint16_t)(p.port + 1));

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct load *l = load_start(&(struct load_spec){.port = p.port,
		    .ports = 2,
		    .oneshot = 4,
		    .gap_ms = 2,
		    .expect = "peer\n",
		    .post_bytes = 100});
		struct load_result r;
		struct proc *restart;

		next_start(&p, table[i].mode);
		restart = proc_finish(baton_command(&p.baton, "restart", NULL), 1);
		assert_has(proc_text(restart, PROC_ERR), "s.0");
		assert_has(proc_text(restart, PROC_ERR), table[i].says);
		assert_has(proc_text(restart, PROC_ERR), table[i].says_too);
		load_wait_ok(l, 50);
		r = load_stop(l);
		if (table[i].serves)
			r.failed = 0;
		load_assert_clean(&r);
		assert_int_equal(pid_at(p.port), first);
		assert_int_equal(pid_at((uint16_t)(p.port + 1)), second);
	}
	/* and none of that has spoilt anything: the next good one is taken */
	next_start(&p, "");
	baton_restart(&p.baton);
	assert_int_not_equal(pid_at(p.port), first);
	assert_int_not_equal(pid_at((uint16_t)(p.port + 1)), second);
	baton_stop(&p.baton);
}

/* What was restarted before the failure stays restarted, and the command says how far it came. */
static void
a_roll_stops_where_it_fails(void **state)
{
	uint16_t a = port_free(1), b = port_free(1);
	const char *dir = tempdir_new(), *peer = harness_built("tests/fixtures/peer");
	struct baton baton = baton_start(&(struct baton_spec){
	    .services = talloc_asprintf(harness_mem(),
		"[service good]\ncommand = %s\nlisten = %s\n"
		"[service bad]\ncommand = %s --mode-file %s/mode\nlisten = %s\n",
		peer, port_address(a), peer, dir, port_address(b)),
	});
	struct proc *restart;
	int pid_a, pid_b;

	(void)state;
	baton_wait_ready(&baton, 2);
	pid_a = pid_at(a);
	pid_b = pid_at(b);
	tempdir_write(dir, "mode", "--exit-before-ready 9");
	restart = proc_finish(baton_command(&baton, "restart", NULL), 1);
	assert_has(proc_text(restart, PROC_ERR), "bad.0");
	assert_has(proc_text(restart, PROC_ERR), "exited with status 9");
	assert_int_not_equal(pid_at(a), pid_a);
	assert_int_equal(pid_at(b), pid_b);
	/* one service alone is not touched by the other's trouble */
	pid_a = pid_at(a);
	proc_finish(baton_command(&baton, "restart", "good"), 0);
	assert_int_not_equal(pid_at(a), pid_a);
	assert_int_equal(pid_at(b), pid_b);
	baton_stop(&baton);
}

static void
a_program_that_is_gone_leaves_the_old_one_serving(void **state)
{
	const char *dir = tempdir_new();
	const char *copy = tempdir_copy(dir, "peer", harness_built("tests/fixtures/peer"));
	uint16_t port = port_free(1);
	struct baton b = baton_serve(port, 1, copy, "");
	const int pid = pid_at(port);
	struct proc *restart;

	(void)state;
	assert_int_equal(unlink(copy), 0);
	restart = proc_finish(baton_command(&b, "restart", NULL), 1);
	assert_has(proc_text(restart, PROC_ERR), "s.0");
	assert_has(proc_text(restart, PROC_ERR), "no such file");
	assert_int_equal(pid_at(port), pid);
	tempdir_copy(dir, "peer", harness_built("tests/fixtures/peer"));
	baton_restart(&b);
	assert_int_not_equal(pid_at(port), pid);
	baton_stop(&b);
}

/* An old generation that does not end is killed when its time is over; the restart goes on. */
static void
an_old_one_that_ignores_sigterm_is_killed(void **state)
{
	struct peers p = start_peers(1, "drain_timeout_ms = 300");
	int stubborn;

	(void)state;
	next_start(&p, "--ignore-term");
	baton_restart(&p.baton);
	stubborn = pid_at(p.port);
	next_start(&p, "");
	baton_restart(&p.baton);
	assert_int_not_equal(pid_at(p.port), stubborn);
	wait_until("the stubborn one is gone", kill(stubborn, 0) != 0);
	baton_stop(&p.baton);
}

static void
odd_but_harmless_programs_are_restarted(void **state)
{
	static const char *const modes[] = {"--ready-twice", "--status starting", "--lines 3000",
	    "--say hello-there --ready-twice --lines 10"};
	struct peers p = start_peers(1, "");

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const int pid = pid_at(p.port);

		next_start(&p, modes[i]);
		baton_restart(&p.baton);
		assert_int_not_equal(pid_at(p.port), pid);
	}
	proc_expect(p.baton.proc, PROC_ERR, "s\\.0 .*hello-there");
	baton_stop(&p.baton);
}

static void
restarts_that_make_no_sense_are_refused(void **state)
{
	struct peers p = start_peers(1, "start_timeout_ms = 20000");
	struct proc *first, *second;

	(void)state;
	second = proc_finish(baton_command(&p.baton, "restart", "nothing"), 1);
	assert_has(proc_text(second, PROC_ERR), "there is no service \"nothing\"");
	next_start(&p, "--hang-before-ready");
	first = baton_command(&p.baton, "restart", NULL);
	proc_expect(first, PROC_OUT, "generation 2 started");
	second = proc_finish(baton_command(&p.baton, "restart", "s.0"), 1);
	assert_has(proc_text(second, PROC_ERR), "under way already");
	/* the command's end is not the restart's: asking again finds it still there */
	proc_signal(first, SIGKILL);
	proc_wait(first);
	second = proc_finish(baton_command(&p.baton, "restart", "s.0"), 1);
	assert_has(proc_text(second, PROC_ERR), "under way already");
	assert_string_equal(client_fetch(p.port, "/"), "peer\n");
	baton_stop(&p.baton);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(a_successor_that_fails_leaves_the_old_one_serving),
	    e2e_test(a_roll_stops_where_it_fails),
	    e2e_test(a_program_that_is_gone_leaves_the_old_one_serving),
	    e2e_test(an_old_one_that_ignores_sigterm_is_killed),
	    e2e_test(odd_but_harmless_programs_are_restarted),
	    e2e_test(restarts_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
